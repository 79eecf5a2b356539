"""Training one candidate: it learns, it is read at its best point, it is reproducible."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.encoded import Encoded
from lorecall.lm.families.tiny import tiny_base
from lorecall.lm.generate import decode
from lorecall.lm.prompts import PromptFormat
from lorecall.records import InjectionConfig, Sample
from lorecall.settings import TrainSettings
from lorecall.train.engine import FastEngine
from lorecall.train.loop import TrainReport, read_samples, train

MakeSamples = Callable[..., tuple[Sample, ...]]
MakeBase = Callable[..., LanguageModel]
StateHash = Callable[[LanguageModel], str]
CONFIG = InjectionConfig(layers=(0, 1, 2), n_loras=3, rank=16)
SETTINGS = TrainSettings(learning_rate=2e-2, batch_size=4, max_epochs=4, patience=20)
OVERFITS = replace(SETTINGS, learning_rate=5e-2, max_epochs=12)
FAMILIES = pytest.mark.parametrize("family", ["llama", "gpt2", "roberta"])


def encode(base: LanguageModel, samples: tuple[Sample, ...]) -> list[Encoded]:
    """Turn samples into tokens."""
    layout = PromptFormat(base.tokenizer)
    return [layout.encode(sample) for sample in samples]


def trained(
    base: LanguageModel,
    samples: tuple[Sample, ...],
    *,
    valid: tuple[Sample, ...] | None = None,
    settings: TrainSettings = SETTINGS,
    seed: int = 0,
) -> tuple[TrainReport, dict[str, Tensor]]:
    """Train a candidate; without validation samples it is read on what it learns."""
    chosen_by = encode(base, samples if valid is None else valid)
    base_loss = read_samples(FastEngine(base), chosen_by).mean
    injection = Injection(base, CONFIG, seed=seed)
    report = train(
        injection,
        encode(base, samples),
        chosen_by,
        settings=settings,
        seed=seed,
        base_loss=base_loss,
        engine=FastEngine(base, injection),
    )
    return report, injection.tensors()


def mean_loss(
    base: LanguageModel, samples: tuple[Sample, ...], injection: Injection | None = None
) -> float:
    """Read the mean loss of a base as it is now."""
    return read_samples(FastEngine(base, injection), encode(base, samples)).mean


@FAMILIES
def test_a_small_set_is_learnt(
    family: str, make_base: MakeBase, make_samples: MakeSamples, state_hash: StateHash
) -> None:
    """The loss falls by a fifth and more; the base is what it was."""
    base, samples = make_base(family), make_samples(8)
    before = state_hash(base)
    report, _ = trained(base, samples, settings=replace(SETTINGS, max_epochs=12))
    assert report.best.loss < 0.8 * report.curve[0].loss
    assert report.train_losses[-1] < 0.8 * report.train_losses[0]
    assert state_hash(base) == before


@FAMILIES
def test_one_seed_one_memory(family: str, make_samples: MakeSamples) -> None:
    """To the bit, losses included; another seed gives another."""
    samples = make_samples(9)
    short = replace(SETTINGS, max_epochs=2)
    first, again = (trained(tiny_base(family), samples, settings=short, seed=3) for _ in range(2))
    other = trained(tiny_base(family), samples, settings=short, seed=4)
    assert all(torch.equal(first[1][name], again[1][name]) for name in first[1])
    assert (first[0].curve, first[0].train_losses) == (again[0].curve, again[0].train_losses)
    assert not all(torch.equal(first[1][name], other[1][name]) for name in first[1])


class TestBestPoint:
    """A candidate is read where its validation loss is lowest."""

    def test_the_best_weights_are_kept(
        self, make_base: MakeBase, make_samples: MakeSamples
    ) -> None:
        """The pairs that come back give the loss that is reported, though later ones did not."""
        base, valid = make_base("gpt2"), make_samples(6, first=40)
        report, tensors = trained(base, make_samples(8), valid=valid, settings=OVERFITS)
        assert report.best == min(report.curve, key=lambda point: point.loss)
        assert 0 < report.best.step < report.curve[-1].step
        injection = Injection(base, CONFIG)
        injection.load(tensors)
        assert mean_loss(base, valid, injection) == pytest.approx(report.best.loss, abs=1e-6)

    def test_a_candidate_that_only_gets_worse_is_the_base(
        self, llama: LanguageModel, make_samples: MakeSamples
    ) -> None:
        """Step 0 is a reading too: the pairs go back to their start."""
        samples = encode(llama, make_samples(8))
        prompts = [sample.prompt for sample in samples[:4]]
        own = decode(llama, prompts, max_new_tokens=6, stop_ids=())
        valid = [Encoded(prompt=p, response=tuple(r)) for p, r in zip(prompts, own, strict=True)]
        base_loss = read_samples(FastEngine(llama), valid).mean
        injection = Injection(llama, CONFIG)
        start = injection.tensors()
        report = train(
            injection,
            samples,
            valid,
            settings=OVERFITS,
            seed=0,
            base_loss=base_loss,
            engine=FastEngine(llama, injection),
        )
        end = injection.tensors()
        assert report.best == report.curve[0]
        assert report.curve[-1].loss > report.curve[0].loss
        assert all(torch.equal(start[name], end[name]) for name in start)

    def test_the_curve_begins_with_the_base(self, make_samples: MakeSamples) -> None:
        """Its own loss, as it was read."""
        base, samples = tiny_base(), make_samples(5)
        report, _ = trained(base, samples, settings=replace(SETTINGS, max_epochs=1))
        first = report.curve[0]
        assert (first.step, first.epoch) == (0, 0.0)
        assert report.points == tuple((point.epoch, point.loss) for point in report.curve)
        assert first.loss == pytest.approx(mean_loss(base, samples), abs=1e-6)

    @pytest.mark.parametrize(("evals", "n"), [(2, 8), (2, 13), (3, 20), (4, 17)])
    def test_the_loss_is_read_several_times_an_epoch(
        self, make_samples: MakeSamples, evals: int, n: int
    ) -> None:
        """As often as asked for, and always at an epoch's end."""
        settings = replace(SETTINGS, max_epochs=2, evals_per_epoch=evals)
        report, _ = trained(tiny_base(n_layers=3), make_samples(n), settings=settings)
        epochs = [point.epoch for point in report.curve[1:]]
        assert len(epochs) == 2 * evals
        assert epochs == sorted(set(epochs))
        assert {1.0, 2.0} <= set(epochs)
        per_epoch = -(-n // settings.batch_size)
        assert [point.step for point in report.curve[1:]] == [round(e * per_epoch) for e in epochs]

    def test_a_single_batch_is_read_once_an_epoch(self, make_samples: MakeSamples) -> None:
        """There is no point between its step and its end."""
        report, _ = trained(tiny_base(), make_samples(3), settings=replace(SETTINGS, max_epochs=3))
        assert [point.epoch for point in report.curve] == [0, 1, 2, 3]


class TestStopping:
    """Patience, the cap, and what is counted."""

    @pytest.mark.parametrize("patience", [1, 2, 3])
    def test_patience_ends_training(
        self, make_base: MakeBase, make_samples: MakeSamples, patience: int
    ) -> None:
        """After so many readings without an improvement, and no sooner."""
        settings = replace(OVERFITS, max_epochs=40, patience=patience)
        valid = make_samples(6, first=40)
        report, _ = trained(make_base("gpt2"), make_samples(8), valid=valid, settings=settings)
        assert report.curve.index(report.best) == len(report.curve) - 1 - patience
        assert report.curve[-1].epoch < 40
        losses = [point.loss for point in report.curve]
        for i in range(patience, len(losses) - 1):
            assert min(losses[i - patience + 1 : i + 1]) < min(losses[: i - patience + 1])

    @pytest.mark.parametrize("cap", [1, 3])
    def test_the_cap_ends_training(self, make_samples: MakeSamples, cap: int) -> None:
        """So many epochs of steps, the last smaller batch included."""
        settings = replace(SETTINGS, max_epochs=cap)
        report, _ = trained(tiny_base(), make_samples(9), settings=settings)
        assert report.curve[-1].epoch == cap
        assert len(report.train_losses) == 3 * cap

    def test_tokens_are_counted_as_they_go(self, make_samples: MakeSamples) -> None:
        """Each sample's once an epoch, padding left out; the caller hears of every step's share."""
        base = tiny_base()
        samples = encode(base, make_samples(9))
        heard: list[float] = []
        injection = Injection(base, CONFIG)
        report = train(
            injection,
            samples,
            samples[:2],
            settings=replace(SETTINGS, max_epochs=2),
            seed=0,
            base_loss=9.0,
            engine=FastEngine(base, injection),
            on_step=heard.append,
        )
        assert report.n_tokens == 2 * sum(sample.n_tokens for sample in samples)
        assert heard == pytest.approx([1 / 6] * 6)
        assert len(report.train_losses) == 6
        assert report.seconds > 0


def test_the_rate_warms_up_and_falls_to_zero(make_samples: MakeSamples) -> None:
    """The schedule of section 3.4: with one step of warm-up the first step is at the peak.

    AdamW's first step moves every number by its rate, so the rate shows in the pairs.
    """
    base, samples = tiny_base(), make_samples(1)
    for share, factor in ((0.0, 1.0), (0.5, 0.5)):
        settings = replace(SETTINGS, max_epochs=4, warmup_share=share, weight_decay=0.0)
        moved: list[Tensor] = []
        injection = Injection(base, CONFIG)
        up = list(injection.parameters())[1]

        def note(_: float, up: Tensor = up, moved: list[Tensor] = moved) -> None:
            moved.append(up.detach().clone())

        encoded = encode(base, samples)
        train(
            injection,
            encoded,
            encoded,
            settings=settings,
            seed=0,
            base_loss=9.0,
            engine=FastEngine(base, injection),
            on_step=note,
        )
        assert moved[0].abs().max().item() == pytest.approx(factor * 2e-2, rel=1e-3)
