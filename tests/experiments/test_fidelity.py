"""Shorter trials against full ones: every way tried, kept theta by theta, and correlated."""

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from lorecall.lm.base import BaseModel
from lorecall.records import History, Sample
from lorecall.settings import TrainSettings, preset

FOLDER = Path(__file__).parents[2] / "experiments"
TRAIN = TrainSettings(
    learning_rate=2e-2, batch_size=4, max_epochs=1, max_response_tokens=8, reply_length="free"
)


@pytest.fixture
def experiment(
    monkeypatch: pytest.MonkeyPatch,
    make_base: Callable[..., BaseModel],
    make_samples: Callable[..., tuple[Sample, ...]],
) -> ModuleType:
    """Import the experiment, which is no package, for one made-up person and a tiny base."""
    monkeypatch.syspath_prepend(FOLDER)
    module = importlib.import_module("fidelity")
    base = make_base("llama", n_layers=3)
    history = History(dataset="made up", user="ann", samples=make_samples(40))
    monkeypatch.setattr(module, "SETTINGS", replace(preset("laptop"), train=TRAIN))
    monkeypatch.setattr(module, "WAYS", {"full": (None, 2, 4), "trial": (8, 1, 4)})
    monkeypatch.setattr(module.BaseModel, "load", lambda: base)
    monkeypatch.setattr(module, "load_history", lambda *_, **__: history)
    return module


def test_ways_are_correlated_over_what_is_known(
    experiment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is there is not tried again; the full trials agree with themselves."""
    out = tmp_path / "fidelity.json"
    for n in ("1", "3", "3"):
        monkeypatch.setattr(sys, "argv", ["x", "--users", "ann", "--thetas", n, "--out", str(out)])
        experiment.main()
    found = json.loads(out.read_text())
    rows, both = found["people"]["ann"], found["correlations"]["ann"]
    assert len(rows) == 3
    assert len({json.dumps(row["params"]) for row in rows}) == 3
    assert both["full"]["loss"]["value"] == pytest.approx(1.0)
    assert both["full"]["tokens"] == 1.0
    assert both["trial"]["tokens"] < 0.5
    assert -1.0 <= both["trial"]["loss"]["value"] <= 1.0
