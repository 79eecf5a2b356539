"""Pairs on queries and values: the fast engine against the plain one, and what stays frozen."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.encoded import Encoded
from lorecall.lm.engine.body import Body
from lorecall.lm.families.tiny import tiny_base
from lorecall.lm.prompts import PromptFormat
from lorecall.lm.sampling import GreedyChooser
from lorecall.records import Inject, InjectionConfig, Sample
from lorecall.settings import TrainSettings
from lorecall.train.activation_cache import ActivationCache
from lorecall.train.engine import Engine, FastEngine, PlainEngine
from lorecall.train.loop import TrainReport, read_samples, train
from lorecall.train.trial import TrialData, TrialRunner

MakeSamples = Callable[..., tuple[Sample, ...]]
Fill = Callable[..., dict[str, Tensor]]
NEVER = frozenset[int]()
ENDLESS = GreedyChooser(NEVER)
SETTINGS = TrainSettings(learning_rate=2e-2, batch_size=4, max_epochs=2, patience=9)
INJECT = pytest.mark.parametrize("inject", ["all", "response"])
LAYERS = {"all": (0, 1, 2), "from the second": (1, 2), "second": (1,), "last": (2,)}
EACH = pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS.keys())
WITH_FEED = pytest.mark.parametrize("with_feed", [False, True], ids=["alone", "with feed-forward"])


def config_of(layers: tuple[int, ...], inject: Inject = "all") -> InjectionConfig:
    """Return a module in each of some layers."""
    return InjectionConfig(layers=layers, n_loras=len(layers), rank=4, scaling=0.7, inject=inject)


def linears_of(base: LanguageModel, *, with_feed: bool = False) -> tuple[str, ...]:
    """Return the attention's linears, with the feed-forward ones or without."""
    return (*base.family.attention, *(base.family.default if with_feed else ()))


def encode(base: LanguageModel, samples: Sequence[Sample]) -> list[Encoded]:
    """Turn samples into tokens."""
    layout = PromptFormat(base.tokenizer)
    return [layout.encode(sample) for sample in samples]


def gradients(engine: Engine, injection: Injection, samples: Sequence[Encoded]) -> list[Tensor]:
    """Return the losses, then the gradient of every half of every pair under an uneven loss."""
    for parameter in injection.parameters():
        parameter.grad = None
    losses = engine.losses(samples)
    (losses * torch.linspace(0.5, 1.5, len(samples))).sum().backward()
    grads = [parameter.grad for parameter in injection.parameters()]
    assert all(grad is not None for grad in grads)
    return [losses.detach(), *(grad for grad in grads if grad is not None)]


@EACH
@INJECT
@WITH_FEED
def test_losses_gradients_and_answers_are_the_plain_ones(
    base: LanguageModel,
    layers: tuple[int, ...],
    inject: Inject,
    make_samples: MakeSamples,
    fill: Fill,
    *,
    with_feed: bool,
) -> None:
    """The second time as the first, which takes what was kept."""
    samples = encode(base, make_samples(9))
    linears = linears_of(base, with_feed=with_feed)
    injection = Injection(base, config_of(layers, inject), linears=linears)
    fill(injection, size=0.1)
    plain, fast = PlainEngine(base, injection), FastEngine(base, injection)
    losses, *expected = gradients(plain, injection, samples)
    answers = plain.answer(samples, max_new_tokens=7, chooser=ENDLESS)
    for _ in range(2):
        ours, *grads = gradients(fast, injection, samples)
        torch.testing.assert_close(ours, losses, rtol=1e-5, atol=1e-5)
        for one, other in zip(grads, expected, strict=True):
            assert (one - other).abs().max() <= 1e-4 * other.abs().max()
        reading = fast.read(samples, keep=True)
        assert reading.losses == pytest.approx(losses.tolist(), rel=1e-5)
        for kept in (None, reading):
            assert fast.answer(samples, kept, max_new_tokens=7, chooser=ENDLESS) == answers


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_what_is_frozen_ends_a_layer_lower(base: LanguageModel, layer: int) -> None:
    """A pair on attention changes its own layer's stream; one on the feed-forward block does not.

    With both, the lower end counts.
    """
    config, below = config_of((layer,)), layer - 1 if layer else None
    for linears, end in (
        (base.family.default, layer),
        (linears_of(base), below),
        (linears_of(base, with_feed=True), below),
    ):
        injection = Injection(base, config, linears=linears)
        assert injection.first_layer == layer
        assert injection.frozen_to == end


@pytest.mark.parametrize("layer", [1, 2])
@torch.no_grad()
def test_up_to_there_nothing_changes_and_past_it_something_does(
    base: LanguageModel, make_samples: MakeSamples, fill: Fill, layer: int
) -> None:
    """The stream before the last frozen feed-forward block is the base's own, the next is not."""
    samples = encode(base, make_samples(3))
    injection = Injection(base, config_of((layer,)), linears=linears_of(base))
    fill(injection)
    alone, with_pair = Body(base), Body(base, injection)
    packed = alone.pack([sample.read for sample in samples], [1] * len(samples))
    for i, same in ((layer - 1, True), (layer, False)):
        one, other = (b.to_mlp(b.embed(packed), packed, layer=i).h for b in (alone, with_pair))
        assert torch.equal(one, other) == same


@INJECT
def test_one_store_serves_both_kinds_in_turn(
    base: LanguageModel, make_samples: MakeSamples, fill: Fill, inject: Inject
) -> None:
    """What was kept for the one is right for the other."""
    samples, cache = encode(base, make_samples(9)), ActivationCache(base)
    for layer in (2, 1, 0):
        for linears in (base.family.default, linears_of(base), base.family.default):
            injection = Injection(base, config_of((layer,), inject), linears=linears)
            fill(injection, seed=layer)
            fast = FastEngine(base, injection, cache=cache)
            expected = PlainEngine(base, injection).read(samples).losses
            assert fast.read(samples, keep=True).losses == pytest.approx(expected, rel=1e-5)


@INJECT
@pytest.mark.parametrize("family", ["llama", "gpt2", "roberta"])
@pytest.mark.parametrize(("dtype", "rel"), [(torch.float32, 1e-4), (torch.bfloat16, 2e-3)])
def test_a_training_is_the_plain_one(
    family: str, inject: Inject, dtype: torch.dtype, rel: float, make_samples: MakeSamples
) -> None:
    """Its whole curve and every step's loss, in both number formats."""

    def trained(make: Callable[..., Engine]) -> TrainReport:
        base = tiny_base(family, dtype=dtype)
        samples = encode(base, make_samples(12))
        base_loss = read_samples(make(base, None), samples[8:]).mean
        injection = Injection(base, config_of((1, 2), inject), linears=linears_of(base))
        return train(
            injection,
            samples[:8],
            samples[8:],
            settings=SETTINGS,
            seed=0,
            base_loss=base_loss,
            engine=make(base, injection),
        )

    plain, fast = trained(PlainEngine), trained(FastEngine)
    ours, expected = ([point.loss for point in report.curve] for report in (fast, plain))
    assert ours == pytest.approx(expected, rel=rel)
    assert fast.train_losses == pytest.approx(plain.train_losses, rel=rel)


def test_a_trial_trains_the_linears_it_is_told(
    llama: LanguageModel, make_samples: MakeSamples
) -> None:
    """On either path, to the same loss; nothing else has a pair."""
    config, linears = config_of((0, 1, 2)), ("q_proj", "v_proj")
    found = []
    for plain in (True, False):
        trials = TrialRunner(llama, settings=replace(SETTINGS, plain=plain), seed=0)
        train_part, valid = trials.encode(make_samples(8)), trials.encode(make_samples(4, first=8))
        data = TrialData(
            train=train_part, valid=valid, base_losses=trials.losses(valid), max_new_tokens=6
        )
        found.append(trials.train(config, data, linears=linears))
        names = {name.split(".")[2] for name in found[-1].tensors}
        assert names == set(linears)
    one, other = (trained.report for trained in found)
    assert one.best.loss == pytest.approx(other.best.loss, rel=1e-4)
    assert one.best.loss < one.curve[0].loss
