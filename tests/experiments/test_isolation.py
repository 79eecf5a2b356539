"""Canaries of people who are drawn: every system that is asked for, kept as it is finished."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from lorecall.lm.base import BaseModel
from lorecall.records import History, Sample
from lorecall.settings import TrainSettings


@pytest.fixture
def experiment(
    monkeypatch: pytest.MonkeyPatch,
    load_for: Callable[[str, BaseModel], ModuleType],
    make_base: Callable[..., BaseModel],
    make_samples: Callable[..., tuple[Sample, ...]],
    one_epoch: TrainSettings,
    tmp_path: Path,
) -> ModuleType:
    """Import the experiment for two made-up people and a tiny base."""
    module = load_for("isolation", make_base("llama", n_layers=2))
    monkeypatch.setattr(module, "OUT", tmp_path / "isolation.json")
    monkeypatch.setattr(module, "SETTINGS", replace(module.SETTINGS, train=one_epoch))
    monkeypatch.setattr(module, "choose_users", lambda *_, **__: {"ann": 24, "ben": 24})
    monkeypatch.setattr(
        module,
        "load_history",
        lambda dataset, user: History(
            dataset=dataset,
            user=user,
            samples=tuple(replace(sample, user=user) for sample in make_samples(24)),
        ),
    )
    return module


def test_systems_are_checked_once_and_kept(
    experiment: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One system, then another beside it; a memory is searched, and nobody knows another."""
    checked: list[str] = []
    isolation_of = experiment.isolation_of

    def noting(name: str, *rest: object) -> object:
        checked.append(name)
        return isolation_of(name, *rest)

    monkeypatch.setattr(experiment, "isolation_of", noting)
    for systems in ("retrieval", "retrieval,memory"):
        monkeypatch.setattr(sys, "argv", ["x", "--systems", systems])
        experiment.main()
    assert checked == ["retrieval", "memory"]
    found = json.loads(experiment.OUT.read_text())
    assert found["settings"]["users"] == ["ann", "ben"]
    assert {name: row["n_leaks"] for name, row in found["systems"].items()} == {
        "retrieval": 0,
        "memory": 0,
    }
    assert found["systems"]["retrieval"]["n_own_told"] == 2
    assert all(row["n_asked"] == 2 for row in found["systems"].values())
