"""Candidates trained side by side learn what each would have learnt alone."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from lorecall.errors import ConfigError
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.records import Inject, InjectionConfig, Sample
from lorecall.settings import TrainSettings
from lorecall.train.grouped import GroupEngine
from lorecall.train.trial import Trained, TrialData, TrialRunner

MakeSamples = Callable[..., tuple[Sample, ...]]
SETTINGS = TrainSettings(learning_rate=2e-2, batch_size=4, max_epochs=3, patience=2)
CONFIGS = (
    InjectionConfig(layers=(0, 1, 2), n_loras=3, rank=8),
    InjectionConfig(layers=(1,), n_loras=1, rank=4),
    InjectionConfig(layers=(1, 2), n_loras=5, rank=8),
)


def trials_of(base: LanguageModel, make_samples: MakeSamples) -> tuple[TrialRunner, TrialData]:
    """Return trials and their data: ten samples to learn, four to be chosen by."""
    trials = TrialRunner(base, settings=SETTINGS, seed=0)
    train, valid = trials.encode(make_samples(10)), trials.encode(make_samples(4, first=30))
    losses = trials.losses(valid)
    return trials, TrialData(train=train, valid=valid, base_losses=losses, max_new_tokens=6)


@pytest.mark.parametrize("inject", ["all", "response"])
def test_side_by_side_is_as_alone(
    base: LanguageModel,
    make_samples: MakeSamples,
    trained_together: Callable[..., list[Trained]],
    inject: Inject,
) -> None:
    """Curves, pairs and answers, for candidates of other layers, numbers and ranks."""
    trials, data = trials_of(base, make_samples)
    configs = [replace(config, inject=inject) for config in CONFIGS]
    together = trained_together(trials, configs, data)
    outcomes = trials.run_together(configs, data)
    for config, own, outcome in zip(configs, together, outcomes, strict=True):
        alone = TrialRunner(base, settings=SETTINGS, seed=0)  # shares nothing kept
        trained, tried = alone.train(config, data), alone.run(config, data)
        assert own.report.train_losses == pytest.approx(trained.report.train_losses, rel=1e-4)
        for name, tensor in trained.tensors.items():
            torch.testing.assert_close(own.tensors[name], tensor, rtol=1e-2, atol=1e-3)
        assert outcome.loss == pytest.approx(tried.loss, rel=1e-4)
        assert outcome.rouge_l == tried.rouge_l


def test_each_stops_in_its_own_time(llama: LanguageModel, make_samples: MakeSamples) -> None:
    """One that no longer improves leaves; the others go on."""
    trials, data = trials_of(llama, make_samples)
    trials.settings = replace(SETTINGS, learning_rate=0.1, max_epochs=12, patience=1)
    results = trials.run_together(CONFIGS, data)
    assert len({result.curve[-1] for result in results}) > 1
    for config, result in zip(CONFIGS, results, strict=True):
        assert len(trials.run(config, data).curve) == len(result.curve)


def test_steps_are_told_as_of_one(llama: LanguageModel, make_samples: MakeSamples) -> None:
    """They step together, and the longest training there may be is one."""
    trials, data = trials_of(llama, make_samples)
    heard: list[float] = []
    trials.on_step = heard.append
    trials.run_together(CONFIGS[:2], data)
    assert sum(heard) == pytest.approx(1.0)


def test_the_base_is_as_before(
    llama: LanguageModel, make_samples: MakeSamples, state_hash: Callable[[LanguageModel], str]
) -> None:
    """Whatever was trained beside it."""
    before = state_hash(llama)
    trials, data = trials_of(llama, make_samples)
    trials.run_together(CONFIGS, data)
    assert state_hash(llama) == before


def test_kinds_are_not_mixed(llama: LanguageModel) -> None:
    """Memories on all tokens and on responses alone read other rows."""
    trials = TrialRunner(llama, settings=SETTINGS, seed=0)
    mixed = [CONFIGS[0], replace(CONFIGS[1], inject="response")]
    members = [Injection(llama, config) for config in mixed]
    with pytest.raises(ConfigError, match="same tokens"):
        GroupEngine(members, trials.cache)


@pytest.mark.parametrize("asked_for", [False, True])
def test_on_the_plain_path_they_are_tried_one_by_one(
    llama: LanguageModel, make_samples: MakeSamples, *, asked_for: bool
) -> None:
    """The reference has no way to do several at once, nor has a base without a fast path."""
    llama.has_fast_path = asked_for
    trials, data = trials_of(llama, make_samples)
    trials.settings = replace(SETTINGS, plain=asked_for)
    plain = trials.run_together(CONFIGS[:2], data)
    for config, result in zip(CONFIGS, plain, strict=False):
        alone = trials.run(config, data)
        assert (result.loss, result.rouge_l) == (alone.loss, alone.rouge_l)
