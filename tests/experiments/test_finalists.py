"""A search's best points trained in full: each theta once, and the choice made on validation."""

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from lorecall.lm.base import BaseModel
from lorecall.memory.artefact import Memory
from lorecall.records import History, InjectionConfig, Sample
from lorecall.settings import TrainSettings, preset

FOLDER = Path(__file__).parents[2] / "experiments"
TRAIN = TrainSettings(learning_rate=2e-2, batch_size=4, max_epochs=2, patience=9)


def trial(number: int, loss: float, **changes: Any) -> Any:
    """Stand in for a trial; the first one's theta is the memory's."""
    theta = InjectionConfig(layers=(0, 2), n_loras=3, rank=4, scaling=0.7)
    return SimpleNamespace(number=number, config=replace(theta, **changes), loss=loss, rougeL=9.0)


@pytest.fixture
def finalists(
    monkeypatch: pytest.MonkeyPatch, make_samples: Callable[..., tuple[Sample, ...]]
) -> ModuleType:
    """Import the experiment, which is no package, for a made-up person and search."""
    monkeypatch.syspath_prepend(FOLDER)
    module, learnt = (importlib.import_module(name) for name in ("finalists", "what_is_learnt"))
    history = History(dataset="made up", user="user-0", samples=make_samples(24))
    trials = (trial(0, 3.0), trial(1, 4.0, rank=2), trial(2, 3.5, layers=(1,)))
    search = SimpleNamespace(trials=trials, chosen=0)
    monkeypatch.setattr(learnt, "SETTINGS", replace(preset("laptop"), train=TRAIN))
    monkeypatch.setattr(module, "load_history", lambda _dataset, user: replace(history, user=user))
    monkeypatch.setattr(module, "search_in", lambda _: search)
    return module


def test_each_theta_is_trained_once(
    finalists: ModuleType,
    make_base: Callable[..., BaseModel],
    make_memory: Callable[..., Memory],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The chosen one is the stored memory; the best is taken by what validation says."""
    base = make_base("llama", n_layers=3)
    trained: list[tuple[str, InjectionConfig]] = []
    try_theta = finalists.Tried.try_theta

    def noting(self: Any, name: str, theta: InjectionConfig, ways: tuple[str, ...]) -> None:
        trained.append((name, theta))
        try_theta(self, name, theta, ways)

    monkeypatch.setattr(finalists.Tried, "try_theta", noting)
    row = finalists.of_person(base, make_memory(base), FOLDER)
    assert [name for name, _ in trained] == ["second", "lora"]
    assert trained[0][1].layers == (1,)
    assert set(row["scores"]) == {"chosen", "lowest", "second", "lora"}
    assert row["scores"]["lowest"] == row["scores"]["chosen"] != row["scores"]["second"]
    losses = {name: scores["loss"] for name, scores in row["valid"].items()}
    taken = row["taken"]
    assert losses[taken["best of three and the control"]] == min(losses.values())
    assert losses[taken["best of three"]] == min(losses["chosen"], losses["second"])
    found = finalists.report({"user-0": row}, base)
    means, scores = found["means"], row["scores"][taken["best of three"]]
    expected = sum(scores["loss"]) / len(scores["loss"])
    assert means["best of three"]["loss"]["value"] == pytest.approx(expected)
    assert found["n_samples"] == row["n_test"]
