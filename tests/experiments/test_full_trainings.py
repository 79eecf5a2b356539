"""Thetas trained in full: which ones, what is read of each, and how they are compared."""

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import pytest

from lorecall.data.history import split_history
from lorecall.lm.base import BaseModel
from lorecall.records import History, InjectionConfig, Sample
from lorecall.settings import TrainSettings, preset

THETA = InjectionConfig(layers=(0,), n_loras=2, rank=4)
TRAINED = ["chosen", "elsewhere", "largest", "default x8"]
NAMES = ["memory", "largest-lora", *TRAINED, "picked"]


@pytest.fixture
def experiment(
    monkeypatch: pytest.MonkeyPatch,
    load: Callable[[str], ModuleType],
    one_epoch: TrainSettings,
    make_samples: Callable[..., tuple[Sample, ...]],
) -> ModuleType:
    """Import the experiment, which is no package, for made-up people."""
    module = load("full_trainings")
    history = History(dataset="made up", user="ann", samples=make_samples(24))
    monkeypatch.setattr(module, "SETTINGS", replace(preset("laptop"), train=one_epoch))
    monkeypatch.setattr(module, "load_history", lambda _dataset, user: replace(history, user=user))
    return module


def test_every_theta_is_trained_and_compared(
    experiment: ModuleType, load: Callable[[str], ModuleType], make_base: Callable[..., BaseModel]
) -> None:
    """Each reads the same samples; the chosen one differs from itself by nothing."""
    base = make_base("llama", n_layers=3)
    n_test = len(split_history(experiment.load_history("made up", user="ann")).test)
    losses = {"memory": (4.0,) * n_test, "largest-lora": (3.5,) * n_test}
    people = {
        user: experiment.of_person(
            base, load("memories").Chosen(dataset="made up", user=user, theta=THETA, losses=losses)
        )
        for user in ("ann", "bob")
    }
    rows = people["ann"]["systems"]
    assert list(rows) == NAMES
    assert len({tuple(rows[name]["test"]) for name in TRAINED}) == len(TRAINED)
    lowest = min(("chosen", "largest"), key=lambda name: rows[name]["valid"])
    assert rows["picked"] == rows[lowest]
    whole = experiment.report(people, base)
    assert whole["n_people"] == 2
    assert whole["n_samples"] == 2 * n_test
    assert whole["test"]["memory"]["less the memory"] == [0, 0, 0]
    assert whole["test"]["largest-lora"]["less the memory"] == [-0.5, -0.5, -0.5]
    mean = whole["test"]["default x8"]["mean"][0]
    assert mean - 4 == pytest.approx(whole["test"]["default x8"]["less the memory"][0])


def test_elsewhere_is_on_other_layers_where_there_are_enough(
    experiment: ModuleType, make_base: Callable[..., BaseModel]
) -> None:
    """As many of them, and of the same n and r."""
    base = make_base("llama", n_layers=5)
    elsewhere = experiment.thetas(base, replace(THETA, layers=(0, 3)))["elsewhere"]
    assert len(elsewhere.layers) == 2
    assert not {0, 3} & {*elsewhere.layers}
    assert elsewhere == replace(THETA, layers=elsewhere.layers)
    most = experiment.thetas(base, replace(THETA, layers=(0, 1, 3, 4), n_loras=4))
    assert len({*most["elsewhere"].layers}) == 4
