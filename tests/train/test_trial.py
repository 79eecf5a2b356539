"""One trial: theta in, both objectives out."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.tiny import tiny_base
from lorecall.lm.generate import respond
from lorecall.metrics.intervals import standard_error
from lorecall.metrics.overlap import rouge
from lorecall.records import InjectionConfig, Sample, Split, Turn
from lorecall.settings import TrainSettings
from lorecall.train.trial import TrialRunner

MakeSamples = Callable[..., tuple[Sample, ...]]
StateHash = Callable[[LanguageModel], str]
CONFIG = InjectionConfig(layers=(0, 2), n_loras=3, rank=8)
SETTINGS = TrainSettings(
    learning_rate=2e-2, batch_size=4, max_epochs=2, patience=9, max_response_tokens=32
)


@pytest.fixture
def split(make_samples: MakeSamples) -> Split:
    """Return a split whose longest response of all is in the test."""
    (last,) = make_samples(1, first=20)
    return Split(
        user="ann",
        dataset="made up",
        train=make_samples(9),
        valid=make_samples(3, first=9),
        test=(replace(last, response="very " * 6),),
        own_content=(),
    )


def trials_of(base: LanguageModel, **changed: int) -> TrialRunner:
    """Make the trials of a base."""
    return TrialRunner(base, settings=replace(SETTINGS, **changed), seed=0)


class TestData:
    """What a trial is given."""

    def test_the_longest_response_is_taken_outside_the_test(self, split: Split) -> None:
        """Of all of train and valid, also where a trial sees a part; the end token counts."""
        trials = trials_of(tiny_base())
        data = trials.data(split, split.train[:2])
        longest = max(len(sample.response) for sample in split.train + split.valid)
        assert data.max_new_tokens == longest + 1
        assert len(split.test[0].response) > data.max_new_tokens
        assert data == trials.data(replace(split, test=()), split.train[:2])

    def test_a_part_keeps_samples_and_tokens_in_step(self, split: Split) -> None:
        """In their order."""
        trials = trials_of(tiny_base())
        data = trials.data(split, split.train[2:5])
        assert data.train.samples == split.train[2:5]
        assert data.valid.samples == split.valid
        for part in (data.train, data.valid):
            assert part.encoded == tuple(trials.format.encode(s) for s in part.samples)

    def test_a_response_is_cut_at_the_settings_limit(self, split: Split) -> None:
        """So is what is generated."""
        data = trials_of(tiny_base(), max_response_tokens=6).data(split, split.train)
        assert data.max_new_tokens == 6

    def test_earlier_turns_are_the_settings(self, make_samples: MakeSamples) -> None:
        """None of them where none is asked for."""
        turn = Turn(by_author=False, text="earlier")
        sample = replace(make_samples(1)[0], earlier=(turn,))
        base = tiny_base()
        shown, hidden = (trials_of(base, earlier_turns=n).encode([sample]) for n in (1, 0))
        assert shown.encoded[0].prompt == tuple(trials_of(base).format.prompt(sample.query, [turn]))
        assert hidden.encoded[0].prompt == tuple(trials_of(base).format.prompt(sample.query))

    def test_history_in_the_prompt_is_what_came_before(self, split: Split) -> None:
        """For ablations: the k pairs before a training sample, the last k before a later one."""
        trials = trials_of(tiny_base(), history_in_prompt=2)
        data = trials.data(split, split.train)
        for i, (sample, encoded) in enumerate(zip(split.train, data.train.encoded, strict=True)):
            past = split.train[max(0, i - 2) : i]
            assert encoded == trials.format.encode(sample, past=past)
        expected = trials.format.encode(split.valid[0], past=split.train[-2:])
        assert data.valid.encoded[0] == expected

    def test_no_history_is_in_the_prompt_by_default(self, split: Split) -> None:
        """The memory is in the weights."""
        trials = trials_of(tiny_base())
        with_past = trials.encode(split.valid, past=split.train)
        assert with_past == trials.encode(split.valid)

    def test_prompt_and_response_fit_the_model(self) -> None:
        """A model with few positions gets shorter prompts."""
        base = tiny_base()
        base.model.config.max_position_embeddings = 100
        assert trials_of(base).format.max_prompt_tokens == 68
        assert trials_of(tiny_base()).format.max_prompt_tokens == 512


class TestRun:
    """Training and reading one candidate."""

    @pytest.mark.parametrize("family", ["llama", "gpt2", "roberta"])
    def test_the_objectives_are_those_of_the_best_point(
        self,
        family: str,
        split: Split,
        make_base: Callable[..., LanguageModel],
        state_hash: StateHash,
    ) -> None:
        """Loss and ROUGE-L can be read again from the pairs that come back."""
        base = make_base(family)
        trials = trials_of(base, max_epochs=1)
        data, before = trials.data(split, split.train), state_hash(base)
        result = trials.run(CONFIG, data)
        assert state_hash(base) == before
        trained = trials.train(CONFIG, data)
        injection = Injection(base, CONFIG)
        injection.load(trained.tensors)
        reading = trials.read(data.valid, max_new_tokens=data.max_new_tokens, injection=injection)
        n = len(split.valid)
        scores = rouge(reading.responses, [s.response for s in split.valid])
        assert sum(reading.losses) / n == pytest.approx(result.loss, abs=1e-5)
        assert result.rouge_l == pytest.approx(sum(scores) / n)
        assert result.rouge_l_error == pytest.approx(standard_error(scores))
        assert result.n_parameters == sum(tensor.numel() for tensor in trained.tensors.values())

    def test_training_alone_gives_the_same_memory(self, split: Split) -> None:
        """The search's trial and the final training differ in nothing but their samples."""
        trials = trials_of(tiny_base())
        data = trials.data(split, split.train)
        alone, run = trials.train(CONFIG, data), trials.run(CONFIG, data)
        assert alone.report.points == run.curve
        assert alone.report.best_reading is None  # its keys and values are not kept

    def test_the_curve_starts_at_the_bases_own_loss(self, split: Split) -> None:
        """It is read once for all trials."""
        trials = trials_of(tiny_base())
        data = trials.data(split, split.train)
        assert data.base_losses == trials.losses(data.valid)
        assert trials.run(CONFIG, data).curve[0] == (0.0, data.base_loss)

    def test_a_trial_that_fails_leaves_the_base(self, split: Split, state_hash: StateHash) -> None:
        """Also when it is interrupted in the middle of a step."""
        base = tiny_base()
        trials, before = trials_of(base), state_hash(base)

        def interrupt(_: float) -> None:
            raise KeyboardInterrupt

        trials.on_step = interrupt
        with pytest.raises(KeyboardInterrupt):
            trials.run(CONFIG, trials.data(split, split.train))
        assert state_hash(base) == before

    def test_a_reading_has_a_value_a_sample(self, split: Split, llama: LanguageModel) -> None:
        """In their order, none longer than allowed."""
        trials = trials_of(llama)
        part = trials.encode(split.train)
        reading = trials.read(part, max_new_tokens=3)
        assert len(reading.losses) == len(reading.responses) == len(split.train)
        prompts = [encoded.prompt for encoded in part.encoded]
        answers = respond(llama, trials.format, prompts, max_new_tokens=3)
        assert list(reading.responses) == answers
        again = trials.read(trials.encode(split.train[::-1]), max_new_tokens=3)
        assert again.responses == reading.responses[::-1]
        assert again.losses[::-1] == pytest.approx(reading.losses, rel=1e-5)
        assert reading.seconds > 0
