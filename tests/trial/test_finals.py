"""Candidates trained in full: each as by itself, and the best of them by validation loss kept."""

from collections.abc import Callable
from itertools import permutations

import pytest
import torch

from lorecall.lm.tiny import tiny_base
from lorecall.records import InjectionConfig, Sample
from lorecall.settings import TrainSettings
from lorecall.trial.finals import train_finalists
from lorecall.trial.run import TrialData, Trials

SETTINGS = TrainSettings(learning_rate=2e-2, batch_size=4, max_epochs=2, patience=9)
CONFIGS = (
    InjectionConfig(layers=(0,), n_loras=1, rank=1),
    InjectionConfig(layers=(0, 1, 2), n_loras=3, rank=8),
    InjectionConfig(layers=(2,), n_loras=1, rank=4),
)


@pytest.fixture(scope="module")
def trials() -> Trials:
    """Make the trials of a tiny base."""
    return Trials(tiny_base(), settings=SETTINGS, seed=0)


@pytest.fixture
def data(trials: Trials, make_samples: Callable[..., tuple[Sample, ...]]) -> TrialData:
    """Give something to learn."""
    train, valid = trials.encode(make_samples(10)), trials.encode(make_samples(4, first=10))
    return TrialData(train=train, valid=valid, max_new_tokens=8)


def test_the_best_is_kept_wherever_it_stands(trials: Trials, data: TrialData) -> None:
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


def test_of_equals_the_first_is_kept(trials: Trials, data: TrialData) -> None:
    """A single one is the best there is."""
    assert train_finalists(trials, CONFIGS[:1] * 2, data, vanilla_loss=9.0).best == 0
    single = train_finalists(trials, CONFIGS[1:2], data, vanilla_loss=9.0)
    assert (single.best, len(single.losses)) == (0, 1)
    assert single.seconds == single.trained.report.seconds
