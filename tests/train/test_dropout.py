"""Dropout on the pairs' inputs: in training alone, seeded, alike on every path, off by default."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lorecall.errors import ConfigError
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.kernels import paired_linear
from lorecall.lm.lora import LoraPair, dropped
from lorecall.records import Inject, InjectionConfig, Sample
from lorecall.settings import TrainSettings
from lorecall.train.engine import Engine, FastEngine, PlainEngine
from lorecall.train.grouped import GroupEngine
from lorecall.train.trial import Trained, TrialData, TrialRunner

MakeSamples = Callable[..., tuple[Sample, ...]]
Fill = Callable[..., dict[str, Tensor]]
SETTINGS = TrainSettings(learning_rate=2e-2, batch_size=4, max_epochs=2, patience=9)
WHOLE = InjectionConfig(layers=(0, 2), n_loras=3, rank=8)
LEAKY = replace(WHOLE, dropout=0.4)


def trials_of(
    base: LanguageModel, make_samples: MakeSamples, *, seed: int = 0, plain: bool = False
) -> tuple[TrialRunner, TrialData]:
    """Return trials and their data: ten samples to learn, four to be chosen by."""
    trials = TrialRunner(base, settings=replace(SETTINGS, plain=plain), seed=seed)
    train, valid = trials.encode(make_samples(10)), trials.encode(make_samples(4, first=30))
    losses = trials.losses(valid)
    return trials, TrialData(train=train, valid=valid, base_losses=losses, max_new_tokens=6)


def gradients(
    engine: Engine, injection: Injection, data: TrialData, step: int
) -> tuple[Tensor, list[Tensor]]:
    """Return the losses of a step with dropout, and the gradients of the pairs."""
    for parameter in injection.parameters():
        parameter.grad = None
    with injection.dropping(step):
        losses = engine.losses(data.train.encoded[:4])
        losses.mean().backward()
    grads = [p.grad for p in injection.parameters() if p.grad is not None]
    return losses.detach(), [grad.clone() for grad in grads]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_a_share_of_the_inputs_is_dropped(share: float) -> None:
    """The rest are raised so that the mean stays; the seed alone decides which."""
    m = dropped(20_000, share, seed=[1, 2])
    assert set(m.unique().tolist()) == {0.0, float(np.float32(1 / (1 - share)))}
    assert (m == 0).float().mean().item() == pytest.approx(share, abs=0.02)
    assert m.mean().item() == pytest.approx(1, abs=0.03)
    assert torch.equal(m, dropped(20_000, share, seed=[1, 2]))
    assert not torch.equal(m, dropped(20_000, share, seed=[2, 1]))


@pytest.mark.parametrize(("rank", "rows"), [(4, 7), (24, 64)], ids=["apart", "merged"])
@pytest.mark.parametrize("scaling", [1.0, 2.0])
def test_it_is_dropout_of_the_inputs(rank: int, rows: int, scaling: float) -> None:
    """Values and all gradients are those of dropping from x itself, merged or not."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        linear = nn.Linear(12, 20).requires_grad_(False)
    down, up = (torch.randn(size, generator=generator) for size in ((rank, 12), (20, rank)))
    pair = LoraPair(linear, down / 4, up, scaling=scaling)
    x = torch.randn(rows, 12, generator=generator).requires_grad_()
    pair.dropping = m = dropped(12, 0.3, seed=[0])
    by_path: list[tuple[Tensor, ...]] = []
    for path in ("plain", "fast", "by hand"):
        for leaf in (x, pair.down, pair.up):
            leaf.grad = None
        if path == "plain":
            h = linear(x) + pair.for_call(x.dtype).update(x)
        elif path == "fast":
            used = pair.for_call(x.dtype)
            h = paired_linear(x, linear.weight, linear.bias, (used.down, used.up), scaling)
        else:
            h = linear(x) + scaling * F.linear(F.linear(x * m, pair.down), pair.up)
        h.square().sum().backward()
        assert x.grad is not None
        assert pair.down.grad is not None
        assert pair.up.grad is not None
        by_path.append((h.detach(), x.grad, pair.down.grad, pair.up.grad))
    for other in by_path[:2]:
        for ours, expected in zip(other, by_path[2], strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("inject", ["all", "response"])
def test_every_path_takes_the_same_step(
    base: LanguageModel, make_samples: MakeSamples, fill: Fill, inject: Inject
) -> None:
    """Losses and gradients of the plain engine, the fast one and a group of one."""
    trials, data = trials_of(base, make_samples)
    config = replace(LEAKY, inject=inject)
    injection = Injection(base, config)
    drawn = fill(injection)
    plain = gradients(PlainEngine(base, injection), injection, data, step=5)
    fast = gradients(FastEngine(base, injection), injection, data, step=5)
    whole = FastEngine(base, injection).losses(data.train.encoded[:4]).detach()
    member = Injection(base, config, tensors=drawn)
    engine = GroupEngine([member], trials.cache)
    with member.dropping(5):
        losses = engine.losses(data.train.encoded[:4], [0])[0]
        losses.mean().backward()
    grouped = losses.detach(), [p.grad for p in member.parameters() if p.grad is not None]
    assert (plain[0] - whole).abs().max() > 1e-3  # something was dropped
    for losses, grads in (fast, grouped):
        torch.testing.assert_close(losses, plain[0], rtol=1e-4, atol=1e-5)
        for ours, expected in zip(grads, plain[1], strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-5)


def test_what_is_read_is_read_in_full(
    llama: LanguageModel, make_samples: MakeSamples, fill: Fill
) -> None:
    """Readings within a step, and everything after it, know nothing of dropout."""
    _, data = trials_of(llama, make_samples)
    samples = data.valid.encoded
    injection = Injection(llama, LEAKY)
    fill(injection)
    engines = [PlainEngine(llama, injection), FastEngine(llama, injection)]
    before = [engine.read(samples).losses for engine in engines]
    with injection.dropping(0):
        within = [engine.read(samples).losses for engine in engines]
    assert all(pair.dropping is None for pair in injection.pairs)
    assert before == within
    injection = Injection(llama, WHOLE)
    fill(injection)
    assert before == [
        engine(llama, injection).read(samples).losses for engine in (PlainEngine, FastEngine)
    ]


def test_a_step_that_breaks_leaves_no_dropout(llama: LanguageModel) -> None:
    """The next step is whole again."""

    def broken(injection: Injection) -> None:
        with injection.dropping(0):
            assert all(pair.dropping is not None for pair in injection.pairs)
            raise RuntimeError("broke")

    injection = Injection(llama, LEAKY)
    with pytest.raises(RuntimeError, match="broke"):
        broken(injection)
    assert all(pair.dropping is None for pair in injection.pairs)


def test_without_dropout_nothing_is_drawn(llama: LanguageModel) -> None:
    """The pair itself goes into a step: no product is made of it."""
    injection = Injection(llama, WHOLE)
    with injection.dropping(0):
        for pair in injection.pairs:
            assert pair.dropping is None
            assert pair.for_call(torch.float32).down is pair.down


def test_steps_layers_and_linears_drop_their_own(llama: LanguageModel) -> None:
    """By the seed; a layer's does not depend on which other layers are active."""

    def masks(config: InjectionConfig, *, seed: int = 0, step: int = 0) -> dict[str, bytes]:
        injection = Injection(llama, config, seed=seed)
        paths = {module: path for path, module in llama.model.named_modules()}
        with injection.dropping(step):
            return {
                paths[pair.linear]: pair.dropping.numpy().tobytes()
                for pair in injection.pairs
                if pair.dropping is not None
            }

    first = masks(LEAKY)
    assert len(first) == len(set(first.values())) == 4
    assert first == masks(LEAKY)
    for other in (masks(LEAKY, step=1), masks(LEAKY, seed=1)):
        assert not set(first.values()) & set(other.values())
    alone = masks(replace(LEAKY, layers=(2,), rank=4))
    assert alone.items() <= first.items()


def test_a_run_is_reproducible_and_not_as_without(
    base: LanguageModel, make_samples: MakeSamples
) -> None:
    """To the bit; another seed, and no dropout, give other memories."""
    trials, data = trials_of(base, make_samples)
    first, again = (trials.train(LEAKY, data) for _ in range(2))
    whole = trials.train(WHOLE, data)
    assert first.report.train_losses == again.report.train_losses
    assert all(torch.equal(first.tensors[name], again.tensors[name]) for name in first.tensors)
    assert first.report.train_losses[0] == whole.report.train_losses[0]  # B is zero still
    assert first.report.train_losses[1:] != whole.report.train_losses[1:]


def test_trained_plainly_it_learns_the_same(base: LanguageModel, make_samples: MakeSamples) -> None:
    """A whole training on the plain path and on the fast one."""
    fast, plain = (
        trials.train(LEAKY, data)
        for trials, data in (trials_of(base, make_samples, plain=p) for p in (False, True))
    )
    assert fast.report.train_losses == pytest.approx(plain.report.train_losses, rel=1e-3)


def test_side_by_side_each_has_its_own(
    base: LanguageModel,
    make_samples: MakeSamples,
    trained_together: Callable[..., list[Trained]],
) -> None:
    """Candidates of different dropouts and scalings learn what they would have learnt alone."""
    trials, data = trials_of(base, make_samples)
    configs = [
        LEAKY,
        replace(WHOLE, scaling=2.0),
        InjectionConfig(layers=(1,), n_loras=1, rank=4, dropout=0.1),
    ]
    for config, result in zip(configs, trained_together(trials, configs, data), strict=True):
        alone = TrialRunner(base, settings=SETTINGS, seed=0).train(config, data)
        assert result.report.train_losses == pytest.approx(alone.report.train_losses, rel=1e-3)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_outside_its_range_is_refused(share: float) -> None:
    """Nothing could be learnt where everything is dropped."""
    with pytest.raises(ConfigError, match="dropout must be a share"):
        InjectionConfig(layers=(0,), n_loras=1, rank=8, dropout=share)
