"""Shorter trials against full ones: every way tried, kept theta by theta, and correlated."""

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


@pytest.fixture
def experiment(
    monkeypatch: pytest.MonkeyPatch,
    load_for: Callable[[str, BaseModel], ModuleType],
    make_base: Callable[..., BaseModel],
    make_samples: Callable[..., tuple[Sample, ...]],
    one_epoch: TrainSettings,
) -> ModuleType:
    """Import the experiment for one made-up person and a tiny base."""
    module = load_for("fidelity", make_base("llama", n_layers=3))
    history = History(dataset="made up", user="ann", samples=make_samples(40))
    monkeypatch.setattr(module, "SETTINGS", replace(preset("laptop"), train=one_epoch))
    monkeypatch.setattr(module, "WAYS", {"full": (None, 2, 4), "trial": (8, 1, 4)})
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
    assert -1.0 <= both["size"]["loss"]["value"] <= 1.0


def test_a_wider_space_is_not_mixed_with_another(
    experiment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Thetas of a wider space have its factors; a file of another space stays as it is."""
    out = tmp_path / "fidelity.json"
    chosen = ["x", "--users", "ann", "--thetas", "1", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", [*chosen, "--wide", "scaling"])
    experiment.main()
    kept = out.read_bytes()
    (row,) = json.loads(kept)["people"]["ann"]
    assert "scaling" in row["params"]
    monkeypatch.setattr(sys, "argv", chosen)
    with pytest.raises(SystemExit, match="another file"):
        experiment.main()
    assert out.read_bytes() == kept
