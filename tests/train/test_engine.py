"""The fast engine against the plain one: losses, gradients, answers, whole trainings."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.encoded import Encoded
from lorecall.lm.families.tiny import tiny_base
from lorecall.lm.prompts import PromptFormat
from lorecall.lm.sampling import GreedyChooser
from lorecall.records import Inject, InjectionConfig, Sample, Split
from lorecall.settings import TrainSettings
from lorecall.train.engine import Engine, FastEngine, PlainEngine, engine_for
from lorecall.train.loop import TrainReport, read_samples, train
from lorecall.train.trial import TrialRunner

MakeSamples = Callable[..., tuple[Sample, ...]]
MakeBase = Callable[..., LanguageModel]
MakeEngine = Callable[..., Engine]
Fill = Callable[..., dict[str, Tensor]]
SETTINGS = TrainSettings(learning_rate=2e-2, batch_size=4, max_epochs=2, patience=9)
NEVER = frozenset[int]()
ENDLESS = GreedyChooser(NEVER)
INJECT = pytest.mark.parametrize("inject", ["all", "response"])
FAMILIES = pytest.mark.parametrize("family", ["llama", "gpt2", "roberta"])
CONFIGS = {
    "from the first layer": InjectionConfig(layers=(0, 1, 2), n_loras=3, rank=8),
    "from the middle": InjectionConfig(layers=(1, 2), n_loras=3, rank=4, scaling=0.7),
    "middle alone": InjectionConfig(layers=(1,), n_loras=2, rank=4),
    "last alone": InjectionConfig(layers=(2,), n_loras=1, rank=8),
}
EACH = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())


def encode(base: LanguageModel, samples: Sequence[Sample]) -> list[Encoded]:
    """Turn samples into tokens."""
    layout = PromptFormat(base.tokenizer)
    return [layout.encode(sample) for sample in samples]


def odd_samples() -> list[Encoded]:
    """Return prompts and responses of one token, one sample twice, prompts all the same."""
    one = Encoded(prompt=(9, 8, 7), response=(30, 31))
    return [one, replace(one, response=(32,)), one, replace(one, response=(33, 34, 35, 36))]


def gradients(engine: Engine, injection: Injection, samples: Sequence[Encoded]) -> list[Tensor]:
    """Return the losses, then the gradient of every half of every pair under an uneven loss."""
    for parameter in injection.parameters():
        parameter.grad = None
    losses = engine.losses(samples)
    tokens = engine.token_losses(samples)  # their gradient is there too
    uneven = torch.linspace(0.5, 1.5, len(samples)), torch.linspace(0.1, 0.9, len(tokens))
    ((losses * uneven[0]).sum() + (tokens * uneven[1]).sum()).backward()
    grads = [parameter.grad for parameter in injection.parameters()]
    assert all(grad is not None for grad in grads)
    return [losses.detach(), *(grad for grad in grads if grad is not None)]


def assert_close(one: Tensor, other: Tensor, rel: float) -> None:
    """Compare relative to the largest number."""
    assert one.shape == other.shape
    assert (one - other).abs().max() <= rel * other.abs().max()


def assert_alike(injection: Injection, samples: Sequence[Encoded]) -> None:
    """Compare losses and gradients; twice, for the second time takes what was kept."""
    base = injection.base
    plain, fast = PlainEngine(base, injection), FastEngine(base, injection)
    losses, *expected = gradients(plain, injection, samples)
    for _ in range(2):
        ours, *grads = gradients(fast, injection, samples)
        assert_close(ours, losses, 1e-5)
        for one, other in zip(grads, expected, strict=True):
            assert_close(one, other, 1e-4)
        reading = fast.read(samples)
        assert reading.losses == pytest.approx(losses.tolist(), rel=1e-5)
        assert reading.prefilled is None


@EACH
@INJECT
def test_losses_and_gradients_are_the_plain_ones(
    base: LanguageModel,
    config: InjectionConfig,
    inject: Inject,
    make_samples: MakeSamples,
    fill: Fill,
) -> None:
    """Of every half of every pair."""
    injection = Injection(base, replace(config, inject=inject))
    fill(injection, size=0.1)
    assert_alike(injection, encode(base, make_samples(9)))


@INJECT
@pytest.mark.parametrize("samples", [odd_samples(), odd_samples()[:1], odd_samples()[:2]])
def test_odd_batches_are_the_plain_ones(
    base: LanguageModel, inject: Inject, samples: list[Encoded], fill: Fill
) -> None:
    """Prompts all the same, a sample twice, responses of one token, a batch of one."""
    config = replace(CONFIGS["from the middle"], inject=inject)
    injection = Injection(base, config)
    fill(injection, size=0.1)
    assert_alike(injection, samples)
    fast, plain = (e(base, injection) for e in (FastEngine, PlainEngine))
    answers = [e.answer(samples, max_new_tokens=5, chooser=ENDLESS) for e in (fast, plain)]
    assert answers[0] == answers[1]


@INJECT
def test_prompts_of_one_token_are_the_plain_ones(
    base: LanguageModel, inject: Inject, fill: Fill
) -> None:
    """They leave nothing behind that a response could see but themselves."""
    samples = [Encoded(prompt=(9,), response=(30, 31)), Encoded(prompt=(8,), response=(31,))]
    injection = Injection(base, replace(CONFIGS["from the middle"], inject=inject))
    fill(injection, size=0.1)
    assert_alike(injection, samples)
    fast, plain = (e(base, injection) for e in (FastEngine, PlainEngine))
    kept = fast.read(samples, keep=True)
    answers = fast.answer(samples, kept, max_new_tokens=5, chooser=ENDLESS)
    assert answers == plain.answer(samples, max_new_tokens=5, chooser=ENDLESS)


@EACH
@INJECT
def test_answers_are_the_plain_ones(
    base: LanguageModel,
    config: InjectionConfig,
    inject: Inject,
    make_samples: MakeSamples,
    fill: Fill,
) -> None:
    """Read anew or going on from a kept reading, which serves more than once."""
    samples = encode(base, make_samples(9))
    injection = Injection(base, replace(config, inject=inject))
    fill(injection)
    plain, fast = PlainEngine(base, injection), FastEngine(base, injection)
    whole = plain.answer(samples, max_new_tokens=9, chooser=ENDLESS)
    stops = frozenset({whole[0][0], whole[1][3], whole[2][6]})
    reading = fast.read(samples, keep=True)
    assert reading.prefilled is not None
    assert reading.prefilled.lengths == tuple(len(s.prompt) for s in samples)
    assert reading.losses == pytest.approx(fast.read(samples).losses, rel=1e-5)
    for stop_ids in (NEVER, stops):
        expected = plain.answer(samples, max_new_tokens=9, chooser=GreedyChooser(stop_ids))
        for kept in (None, reading, replace(reading, prefilled=None), reading):
            ours = fast.answer(samples, kept, max_new_tokens=9, chooser=GreedyChooser(stop_ids))
            assert ours == expected


def test_the_base_alone_is_the_plain_one(base: LanguageModel, make_samples: MakeSamples) -> None:
    """Without a memory, with nothing that trains."""
    samples = encode(base, make_samples(9))
    plain, fast = PlainEngine(base), FastEngine(base)
    assert not fast.losses(samples).requires_grad
    one, other = fast.read(samples, keep=True), plain.read(samples, keep=True)
    assert one.losses == pytest.approx(other.losses, rel=1e-5)
    assert other.prefilled is None
    answers = [
        engine.answer(samples, kept, max_new_tokens=6, chooser=ENDLESS)
        for engine, kept in ((fast, one), (fast, None), (plain, other))
    ]
    assert answers[0] == answers[1] == answers[2]


def test_engines_follow_the_pairs_as_they_change(
    base: LanguageModel, make_samples: MakeSamples, fill: Fill
) -> None:
    """What is kept is what the memory never changes."""
    samples = encode(base, make_samples(5))
    injection = Injection(base, CONFIGS["from the middle"])
    plain, fast = PlainEngine(base, injection), FastEngine(base, injection)
    seen: list[tuple[float, ...]] = []
    for seed in range(3):
        fill(injection, seed=seed)
        seen.append(fast.read(samples, keep=True).losses)
        assert seen[-1] == pytest.approx(plain.read(samples).losses, rel=1e-5)
    assert len(set(seen)) == 3


def test_losses_are_read_over_batches(llama: LanguageModel, make_samples: MakeSamples) -> None:
    """In the samples' order; what is kept stays within its limit, batch by batch."""
    samples = encode(llama, make_samples(70))
    fast = FastEngine(llama)
    expected = read_samples(PlainEngine(llama), samples).losses
    whole = read_samples(fast, samples, keep_bytes=2**30)
    none = read_samples(fast, samples)
    for reading in (whole, none):
        assert reading.losses == pytest.approx(expected, rel=1e-5)
        assert reading.mean == pytest.approx(sum(expected) / 70, rel=1e-5)
        assert sorted(i for chosen, _ in reading.batches for i in chosen) == list(range(70))
    sizes = [batch.prefilled.n_bytes for _, batch in whole.batches if batch.prefilled is not None]
    assert len(sizes) == len(whole.batches) == 3
    assert all(batch.prefilled is None for _, batch in none.batches)
    some = read_samples(fast, samples, keep_bytes=sizes[0] + 1)
    assert [batch.prefilled is not None for _, batch in some.batches] == [True, False, False]


def trained(
    base: LanguageModel, samples: tuple[Sample, ...], make_engine: MakeEngine, inject: Inject
) -> TrainReport:
    """Train a candidate on an engine."""
    config = replace(CONFIGS["from the middle"], inject=inject)
    encoded = encode(base, samples)
    base_loss = read_samples(make_engine(base, None), encoded[8:]).mean
    injection = Injection(base, config)
    return train(
        injection,
        encoded[:8],
        encoded[8:],
        settings=SETTINGS,
        seed=0,
        base_loss=base_loss,
        engine=make_engine(base, injection),
    )


@FAMILIES
@INJECT
@pytest.mark.parametrize(("dtype", "rel"), [(torch.float32, 1e-4), (torch.bfloat16, 1e-3)])
def test_a_training_is_the_plain_one(
    family: str, inject: Inject, dtype: torch.dtype, rel: float, make_samples: MakeSamples
) -> None:
    """Its whole curve and every step's loss, in both number formats."""
    plain, fast = (
        trained(tiny_base(family, dtype=dtype), make_samples(12), engine, inject)
        for engine in (PlainEngine, FastEngine)
    )
    assert [point.step for point in fast.curve] == [point.step for point in plain.curve]
    ours, expected = ([point.loss for point in report.curve] for report in (fast, plain))
    assert ours == pytest.approx(expected, rel=rel)
    assert fast.train_losses == pytest.approx(plain.train_losses, rel=rel)
    assert expected[-1] < (1 - 2 * rel) * expected[0]  # it moved by more than is allowed for


@INJECT
def test_a_trial_is_the_plain_one(
    llama: LanguageModel, inject: Inject, make_samples: MakeSamples
) -> None:
    """Both objectives, and what is read and answered with the memory that comes back."""
    split = Split(
        user="ann",
        dataset="made up",
        train=make_samples(8),
        valid=make_samples(4, first=8),
        test=(),
        own_content=(),
    )
    config = replace(CONFIGS["from the middle"], inject=inject)
    found = []
    for plain in (True, False):
        trials = TrialRunner(llama, settings=replace(SETTINGS, plain=plain, max_epochs=1), seed=0)
        data = trials.data(split, split.train)
        result, tensors = trials.run(config, data), trials.train(config, data).tensors
        injection = Injection(llama, config)
        injection.load(tensors)
        reading = trials.read(data.valid, max_new_tokens=6, injection=injection)
        found.append((result, reading, trials.losses(data.valid)))
    (one, read_one, bare_one), (other, read_other, bare_other) = found
    assert one.loss == pytest.approx(other.loss, rel=1e-4)
    assert one.rouge_l == pytest.approx(other.rouge_l)
    assert read_one.losses == pytest.approx(read_other.losses, rel=1e-4)
    assert read_one.responses == read_other.responses
    assert bare_one == pytest.approx(bare_other, rel=1e-5)


@pytest.mark.parametrize(("plain", "fast_path"), [(True, True), (False, False), (True, False)])
def test_a_base_without_a_fast_path_gets_the_plain_engine(
    llama: LanguageModel, *, plain: bool, fast_path: bool
) -> None:
    """As one that is asked for; every other base gets the fast one."""
    assert isinstance(engine_for(llama), FastEngine)
    llama.has_fast_path = fast_path
    injection = Injection(llama, CONFIGS["last alone"])
    engine = engine_for(llama, injection, plain=plain)
    assert isinstance(engine, PlainEngine)
    assert engine.injection is injection
