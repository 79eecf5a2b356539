"""Conversations in training: a loss a reply, the same on both engines as for each alone."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.encoded import Encoded
from lorecall.lm.prompts import PromptFormat, Retriever
from lorecall.records import InjectionConfig, Sample, Turn
from lorecall.settings import TrainSettings
from lorecall.train.engine import Engine, FastEngine, PlainEngine
from lorecall.train.loop import all_batches, sequences_a_step, train
from lorecall.train.reading import Reader

MakeSamples = Callable[..., tuple[Sample, ...]]
MakeBase = Callable[..., LanguageModel]
Fill = Callable[..., dict[str, Tensor]]
CONFIGS = {
    "all layers": InjectionConfig(layers=(0, 1, 2), n_loras=3, rank=4, scaling=0.7),
    "above a cache": InjectionConfig(layers=(1, 2), n_loras=2, rank=4),
}
EACH = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


@pytest.fixture
def talk(make_samples: MakeSamples) -> tuple[Sample, ...]:
    """Return conversations of one, two and four replies, and one with a gap in it."""
    samples: list[Sample] = []
    for number, n in enumerate((1, 2, 4, 3)):
        own = [replace(s, conversation=f"t{number}") for s in make_samples(n, first=10 * number)]
        samples += own[:1]
        for before, sample in pairwise(own):
            pair = (Turn(by_author=False, text=before.query), Turn(by_author=True, text="gap"))
            if number < 3 or sample is own[1]:
                pair = (pair[0], Turn(by_author=True, text=before.response))
            samples.append(replace(sample, earlier=pair))
    return tuple(samples)


def together(base: LanguageModel, samples: tuple[Sample, ...]) -> list[Encoded]:
    """Turn samples into conversations."""
    return PromptFormat(base.tokenizer).encode_together(samples)


def losses_and_gradients(
    engine: Engine, injection: Injection, batch: list[Encoded]
) -> tuple[Tensor, list[Tensor]]:
    """Return the losses, and the gradient of each half of each pair under an uneven sum."""
    for parameter in injection.parameters():
        parameter.grad = None
    losses = engine.losses(batch)
    (losses * torch.linspace(0.5, 1.5, len(losses))).sum().backward()
    grads = [parameter.grad for parameter in injection.parameters()]
    return losses.detach(), [grad for grad in grads if grad is not None]


def test_there_is_a_loss_a_reply(base: LanguageModel, talk: tuple[Sample, ...]) -> None:
    """On both engines, in the order of the samples."""
    batch = together(base, talk)
    assert [len(each.spans) for each in batch] == [1, 2, 4, 2, 1]
    for engine in (PlainEngine(base), FastEngine(base)):
        assert engine.losses(batch).shape == (10,)
        assert len(engine.read(batch).losses) == 10


@EACH
def test_both_engines_agree(
    base: LanguageModel, talk: tuple[Sample, ...], config: InjectionConfig, fill: Fill
) -> None:
    """Losses and the gradients of every half of every pair; twice, the second from the cache."""
    injection = Injection(base, config)
    fill(injection, size=0.1)
    batch = together(base, talk)
    losses, grads = losses_and_gradients(PlainEngine(base, injection), injection, batch)
    fast = FastEngine(base, injection)
    for _ in range(2):
        ours, own = losses_and_gradients(fast, injection, batch)
        torch.testing.assert_close(ours, losses, rtol=1e-5, atol=1e-6)
        assert len(own) == len(grads) == 2 * len(injection.pairs)
        for one, other in zip(own, grads, strict=True):
            assert (one - other).abs().max() <= 1e-4 * other.abs().max()
        assert fast.read(batch).losses == pytest.approx(losses.tolist(), rel=1e-5)


def test_the_first_reply_is_read_as_alone(
    base: LanguageModel, talk: tuple[Sample, ...], fill: Fill
) -> None:
    """What follows it in the sequence is not seen."""
    injection = Injection(base, CONFIGS["all layers"])
    fill(injection, size=0.1)
    layout, batch = PromptFormat(base.tokenizer), together(base, talk)
    firsts = [layout.encode(talk[i]) for i in (0, 1, 3, 7, 9)]
    for kind in (PlainEngine, FastEngine):
        engine = kind(base, injection)
        whole = engine.losses(batch).split([len(each.spans) for each in batch])
        alone = engine.losses(firsts)
        torch.testing.assert_close(torch.stack([own[0] for own in whole]), alone)


def test_a_later_reply_is_read_after_all_that_was_said(
    base: LanguageModel, talk: tuple[Sample, ...]
) -> None:
    """As a sample whose prompt is the conversation so far."""
    batch = together(base, talk)
    alone = [
        Encoded(prompt=(*each.prompt, *each.response[:start]), response=each.response[start:end])
        for each in batch
        for start, end in each.spans
    ]
    expected = PlainEngine(base).losses(alone)
    torch.testing.assert_close(FastEngine(base).losses(batch), expected, rtol=1e-5, atol=1e-6)


class TestWhatIsTrainedOn:
    """Conversations where they say the same in fewer tokens, else each reply alone."""

    def part(self, base: LanguageModel, samples: tuple[Sample, ...], **options: int) -> int:
        """Return how many sequences are trained on instead of samples; 0 for none."""
        settings = TrainSettings(**options)
        return len(Reader(base, settings).encode_to_train(samples, past=samples).together)

    def test_conversations_by_default(self, llama: LanguageModel, talk: tuple[Sample, ...]) -> None:
        """Five sequences for ten replies, which are read one by one all the same."""
        part = Reader(llama, TrainSettings()).encode_to_train(talk)
        assert (len(part.together), len(part.encoded)) == (5, 10)

    @pytest.mark.parametrize("options", [{"earlier_turns": n} for n in (0, 1)])
    def test_fewer_earlier_turns_are_kept_to(
        self, llama: LanguageModel, talk: tuple[Sample, ...], options: dict[str, int]
    ) -> None:
        """A conversation would show more of them than were asked for."""
        assert self.part(llama, talk, **options) == 0

    def test_a_history_in_the_prompt_is_shown_to_each(
        self, llama: LanguageModel, talk: tuple[Sample, ...]
    ) -> None:
        """It differs from reply to reply."""
        assert self.part(llama, talk, history_in_prompt=1) == 0

    def test_notes_are_shown_to_each(
        self, llama: LanguageModel, talk: tuple[Sample, ...], note: Retriever
    ) -> None:
        """They do, too."""
        assert Reader(llama, TrainSettings()).encode_to_train(talk, retriever=note).together == ()


class TestSteps:
    """A step has about as many replies as the settings say."""

    @pytest.mark.parametrize(
        ("n_replies", "expected"), [(1, 1), (2, 1), (4, 2), (8, 4), (10, 5), (16, 8)]
    )
    def test_sequences_of_two_replies_each(
        self,
        llama: LanguageModel,
        talk: tuple[Sample, ...],
        n_replies: int,
        expected: int,
    ) -> None:
        """Ten replies in five sequences: half as many sequences, one at least."""
        assert sequences_a_step(together(llama, talk), n_replies) == expected

    def test_single_samples_are_counted_as_they_are(
        self, llama: LanguageModel, talk: tuple[Sample, ...]
    ) -> None:
        """One reply each."""
        layout = PromptFormat(llama.tokenizer)
        assert sequences_a_step([layout.encode(sample) for sample in talk], 8) == 8

    def test_every_sequence_is_in_one_batch_of_an_epoch(
        self, llama: LanguageModel, talk: tuple[Sample, ...]
    ) -> None:
        """Each epoch goes through all of them."""
        batch = together(llama, talk)
        settings = TrainSettings(batch_size=4, max_epochs=2)
        batches = list(all_batches(batch, settings, seed=0))
        assert len(batches) == 2 * 3
        assert sorted(i for chosen in batches[:3] for i in chosen) == list(range(5))

    def test_a_training_counts_its_tokens_and_steps(
        self, llama: LanguageModel, talk: tuple[Sample, ...]
    ) -> None:
        """Those of the conversations, which are fewer than of each reply alone."""
        part = Reader(llama, TrainSettings()).encode_to_train(talk)
        injection = Injection(llama, CONFIGS["all layers"])
        settings = TrainSettings(batch_size=4, max_epochs=2, patience=9, learning_rate=1e-2)
        report = train(
            injection,
            part.together,
            part.encoded[:2],
            settings=settings,
            seed=0,
            base_loss=9.0,
            engine=FastEngine(llama, injection),
        )
        assert len(report.train_losses) == 2 * 3
        assert report.n_tokens == 2 * sum(each.n_tokens for each in part.together)
        assert report.n_tokens < 2 * sum(each.n_tokens for each in part.encoded)
        assert report.best.loss < report.curve[1].loss or report.best == report.curve[1]
