"""Candidates trained side by side learn what each would have learnt alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch

from lorecall.errors import ConfigError
from lorecall.lm.attach import Injection, InjectionGroup
from lorecall.lm.base import LanguageModel
from lorecall.records import Inject, InjectionConfig, Sample
from lorecall.settings import TrainSettings
from lorecall.train.grouped import GroupEngine
from lorecall.train.trial import TrialData, TrialRunner

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
    return trials, TrialData(train=train, valid=valid, max_new_tokens=6)


@pytest.mark.parametrize("inject", ["all", "response"])
def test_side_by_side_is_as_alone(
    base: LanguageModel, make_samples: MakeSamples, inject: Inject
) -> None:
    """Curves, pairs and answers, for candidates of other layers, numbers and ranks."""
    trials, data = trials_of(base, make_samples)
    configs = [replace(config, inject=inject) for config in CONFIGS]
    together = trials.run_together(configs, data)
    for config, result in zip(configs, together, strict=True):
        alone = TrialRunner(base, settings=SETTINGS, seed=0).run(
            config, data
        )  # shares nothing kept
        assert result.trained.report.train_losses == pytest.approx(
            alone.trained.report.train_losses, rel=1e-4
        )
        assert result.objectives.loss == pytest.approx(alone.objectives.loss, rel=1e-4)
        assert result.rouge_l == alone.rouge_l
        for name, tensor in alone.trained.tensors.items():
            torch.testing.assert_close(result.trained.tensors[name], tensor, rtol=1e-2, atol=1e-3)


def test_each_stops_in_its_own_time(llama: LanguageModel, make_samples: MakeSamples) -> None:
    """One that no longer improves leaves; the others go on."""
    trials, data = trials_of(llama, make_samples)
    trials.settings = replace(SETTINGS, learning_rate=0.1, max_epochs=12, patience=1)
    results = trials.run_together(CONFIGS, data)
    steps = {result.trained.report.curve[-1].step for result in results}
    assert len(steps) > 1
    for config, result in zip(CONFIGS, results, strict=True):
        assert len(trials.run(config, data).trained.report.curve) == len(
            result.trained.report.curve
        )


def test_tokens_are_told_over_all_candidates(
    llama: LanguageModel, make_samples: MakeSamples
) -> None:
    """As many times the samples' as there are candidates still going on."""
    trials, data = trials_of(llama, make_samples)
    heard: list[int] = []
    results = trials.run_together(CONFIGS[:2], data, on_tokens=heard.append)
    assert sum(heard) == sum(result.trained.report.n_tokens for result in results)


def test_the_base_is_as_before(
    llama: LanguageModel, make_samples: MakeSamples, state_hash: Callable[[LanguageModel], str]
) -> None:
    """Also when the block ends by an error."""
    before = state_hash(llama)
    trials, data = trials_of(llama, make_samples)
    trials.run_together(CONFIGS, data)
    assert state_hash(llama) == before
    with pytest.raises(RuntimeError, match="stop"), InjectionGroup(llama, CONFIGS):
        raise RuntimeError("stop")
    assert state_hash(llama) == before
    Injection(llama, CONFIGS[0]).remove()


def test_two_groups_at_once_are_refused(llama: LanguageModel) -> None:
    """One memory, or one group of them, is on a base at a time."""
    with InjectionGroup(llama, CONFIGS), pytest.raises(ConfigError, match="one memory at a time"):
        InjectionGroup(llama, CONFIGS)


def test_kinds_are_not_mixed(llama: LanguageModel) -> None:
    """Memories on all tokens and on responses alone read other rows."""
    trials = TrialRunner(llama, settings=SETTINGS, seed=0)
    mixed = [CONFIGS[0], replace(CONFIGS[1], inject="response")]
    with (
        InjectionGroup(llama, mixed) as group,
        pytest.raises(ConfigError, match="same tokens"),
    ):
        GroupEngine(group, trials.frozen)


def test_a_hopeless_one_goes_no_further(llama: LanguageModel, make_samples: MakeSamples) -> None:
    """Told to stop after its first reading, alone or side by side; its best point is still read."""
    trials, data = trials_of(llama, make_samples)
    asked: list[int] = []

    def stop(losses: Sequence[float]) -> bool:
        asked.append(len(losses))
        return True

    alone = trials.run(CONFIGS[0], data, stop=stop)
    assert asked == [2]  # the base's own loss and the first reading
    assert len(alone.trained.report.curve) == 2
    assert len(alone.rouge_l) == 4
    together = trials.run_together(CONFIGS, data, stop=stop)
    assert [len(result.trained.report.curve) for result in together] == [2, 2, 2]
    assert together[0].objectives.loss == pytest.approx(alone.objectives.loss, rel=1e-4)


def test_on_the_plain_path_they_are_tried_one_by_one(
    llama: LanguageModel, make_samples: MakeSamples
) -> None:
    """The reference has no way to do several at once."""
    trials, data = trials_of(llama, make_samples)
    trials.settings = replace(SETTINGS, plain=True)
    plain = trials.run_together(CONFIGS[:2], data)
    for config, result in zip(CONFIGS, plain, strict=False):
        assert result.objectives == trials.run(config, data).objectives
