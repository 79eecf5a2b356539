"""Candidates trained in full: each as by itself, and one of them kept by its validation loss."""

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from statistics import fmean

import pytest
import torch
from lorecall.train.finals import take_finalist, train_finalists

from lorecall.lm.families.tiny import tiny_base
from lorecall.records import InjectionConfig, Sample
from lorecall.settings import TrainSettings
from lorecall.train.loop import CurvePoint, TrainReport
from lorecall.train.trial import Trained, TrialData, TrialRunner

SETTINGS = TrainSettings(learning_rate=2e-2, batch_size=4, max_epochs=2, patience=9)
CONFIGS = (
    InjectionConfig(layers=(0,), n_loras=1, rank=1),
    InjectionConfig(layers=(0, 1, 2), n_loras=3, rank=8),
    InjectionConfig(layers=(2,), n_loras=1, rank=4),
)


@pytest.fixture(scope="module")
def trials() -> TrialRunner:
    """Make the trials of a tiny base."""
    return TrialRunner(tiny_base(), settings=SETTINGS, seed=0)


@pytest.fixture
def data(trials: TrialRunner, make_samples: Callable[..., tuple[Sample, ...]]) -> TrialData:
    """Return something to learn."""
    train, valid = trials.encode(make_samples(10)), trials.encode(make_samples(4, first=10))
    return TrialData(train=train, valid=valid, max_new_tokens=8)


def test_the_best_is_kept_wherever_it_stands(trials: TrialRunner, data: TrialData) -> None:
    """With the weights it has by itself, and what all of them took."""
    alone = {config: trials.train(config, data, vanilla_loss=9.0) for config in CONFIGS}
    losses = {config: trained.report.best.loss for config, trained in alone.items()}
    assert len(set(losses.values())) == len(CONFIGS)
    best = min(CONFIGS, key=losses.__getitem__)
    for order in permutations(CONFIGS):
        tokens: list[int] = []
        found = train_finalists(trials, order, data, vanilla_loss=9.0, on_tokens=tokens.append)
        assert order[found.best] == best
        assert found.losses == tuple(losses[config] for config in order)
        assert set(found.trained.tensors) == set(alone[best].tensors)
        for name, tensor in alone[best].tensors.items():
            assert torch.equal(found.trained.tensors[name], tensor)
        assert found.seconds > found.trained.report.seconds > 0
        assert sum(tokens) == sum(trained.report.n_tokens for trained in alone.values())


def test_of_equals_the_first_is_kept(trials: TrialRunner, data: TrialData) -> None:
    """A single one is the best there is."""
    assert train_finalists(trials, CONFIGS[:1] * 2, data, vanilla_loss=9.0).best == 0
    single = train_finalists(trials, CONFIGS[1:2], data, vanilla_loss=9.0)
    assert (single.best, len(single.losses)) == (0, 1)
    assert single.seconds == single.trained.report.seconds


def ended(*losses: float, n_parameters: int) -> Trained:
    """Make a training that ended with these validation losses; with none it is the base still."""
    best = CurvePoint(step=4, epoch=1.0, loss=fmean(losses) if losses else 9.0)
    report = TrainReport(
        best=best, best_reading=None, curve=(best,), train_losses=(), n_tokens=0, seconds=1.0
    )
    return Trained(report=report, tensors={}, n_parameters=n_parameters, valid_losses=losses)


LARGE = ended(2.0, 4.0, 3.0, 3.0, n_parameters=100)


@pytest.mark.parametrize(
    ("small", "is_taken"),
    [
        # differences +0.2, -0.2, +0.2, 0: mean 0.05, standard error 0.096
        (ended(2.2, 3.8, 3.2, 3.0, n_parameters=10), True),
        # +0.1 each but for one +0.2: mean 0.125, standard error 0.025
        (ended(2.1, 4.1, 3.2, 3.1, n_parameters=10), False),
        # lower by itself
        (ended(1.9, 3.9, 2.9, 2.9, n_parameters=10), True),
    ],
    ids=["level", "higher for certain", "lower"],
)
def test_the_smallest_of_those_that_are_level_is_taken(small: Trained, *, is_taken: bool) -> None:
    """Within one standard error of the paired difference; the order does not matter."""
    assert take_finalist([LARGE, small], "smallest") == is_taken
    assert take_finalist([small, LARGE], "smallest") == (not is_taken)


def test_without_the_rule_the_lowest_is_taken_whatever_its_size() -> None:
    """A level one that is smaller has to be asked for."""
    level = ended(2.2, 3.8, 3.2, 3.0, n_parameters=10)
    assert take_finalist([level, LARGE], "lowest") == 1
    assert take_finalist([level, LARGE], "smallest") == 0


def test_of_one_validation_sample_nothing_is_level() -> None:
    """Nor is what learnt nothing, and where nobody did the first is taken."""
    large, small = ended(2.0, n_parameters=100), ended(2.1, n_parameters=10)
    assert take_finalist([small, large], "smallest") == 1
    nothing = ended(n_parameters=1)
    assert take_finalist([nothing, LARGE], "smallest") == 1
    assert take_finalist([nothing, replace(nothing, n_parameters=0)], "smallest") == 0


def test_a_smaller_one_is_kept_with_its_own_weights(trials: TrialRunner, data: TrialData) -> None:
    """What is given back is the whole training of the one that is taken."""
    chosen = [trials.train(config, data, vanilla_loss=9.0) for config in CONFIGS]
    assert all(len(each.valid_losses) == len(data.valid.samples) for each in chosen)
    assert all(each.report.best.loss == fmean(each.valid_losses) for each in chosen)
    found = train_finalists(trials, CONFIGS, data, vanilla_loss=9.0, take="smallest")
    assert found.best == take_finalist(chosen, "smallest")
    assert found.trained.n_parameters == chosen[found.best].n_parameters
    for name, tensor in chosen[found.best].tensors.items():
        assert torch.equal(found.trained.tensors[name], tensor)
