"""Trials of a wider space: made once, and compared with the paper's on made-up ones."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lorecall.lm.base import BaseModel
from lorecall.records import History, Sample
from lorecall.search.space import InjectionSpace
from lorecall.settings import TrainSettings, preset

LAYERS = 3
SCALINGS = (0.5, 1.0, 2.0, 4.0, 8.0)


def made_up(space: InjectionSpace, load: Callable[[str], ModuleType], n: int) -> list[Any]:
    """Make trials whose loss falls with the scaling, or with the rank where there is none."""
    rows: list[Any] = []
    for i, params in enumerate(load("real_trials").drawn(space, n)):
        theta = space.config(params)
        rows.append(
            {
                "index": i,
                "params": params,
                "loss": 4 - 0.1 * float(np.log2(theta.scaling)) - 1e-3 * theta.rank,
                "rougeL": 10.0 + i % 3,
                "n_parameters": 100 * sum(theta.ranks().values()),
            }
        )
    return rows


@pytest.fixture
def quick(load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import the experiment, its intervals from few resamples."""
    module = load("wide_trials")
    monkeypatch.setattr(module, "N_RESAMPLES", 40)
    return module


def test_a_factor_that_pays_is_found(quick: ModuleType, load: Callable[[str], ModuleType]) -> None:
    """The loss is ranked by the scaling, and the wider space holds more for certain."""
    paper = InjectionSpace(n_layers=LAYERS, max_loras=8)
    wide = replace(paper, scalings=SCALINGS)
    found = quick.compared(made_up(wide, load, 40), made_up(paper, load, 40), wide)
    assert found["ranked by"]["loss"]["scaling"]["value"] > 0.9
    assert found["ranked by"]["loss"]["dropout"] is None  # all alike
    predicted = found["predicted"]["loss"]
    assert predicted["all"] > 0.9 > predicted["paper's factors"]
    lowest = found["drawn"]["8"]["lowest loss"]
    assert lowest["wide less paper"]["high"] < 0
    assert found["drawn"]["8"]["hypervolume"]["wide less paper"]["low"] > 0
    assert found["lowest loss"]["wide"] < found["lowest loss"]["paper"]
    assert found["smallest"]["wide"] < found["smallest"]["paper"]


def test_one_space_is_no_better_than_itself(
    quick: ModuleType, load: Callable[[str], ModuleType]
) -> None:
    """The interval holds zero; no set is larger than there are trials."""
    paper = InjectionSpace(n_layers=LAYERS, max_loras=8)
    rows = made_up(paper, load, 12)
    found = quick.compared(rows, rows, paper)
    assert [*found["drawn"]] == ["8"]
    gap = found["drawn"]["8"]["lowest loss"]["wide less paper"]
    assert gap["low"] <= 0 <= gap["high"]


@pytest.fixture
def experiment(
    monkeypatch: pytest.MonkeyPatch,
    load_for: Callable[[str, BaseModel], ModuleType],
    make_base: Callable[..., BaseModel],
    make_samples: Callable[..., tuple[Sample, ...]],
    one_epoch: TrainSettings,
    tmp_path: Path,
) -> ModuleType:
    """Import the experiment for one made-up person and a tiny base."""
    module = load_for("wide_trials", make_base("llama", n_layers=LAYERS))
    history = History(dataset="made up", user="ann", samples=make_samples(24))
    settings = preset("laptop", wide=("scaling", "dropout"))
    monkeypatch.setattr(module, "TABLES", tmp_path)
    monkeypatch.setattr(module, "SETTINGS", replace(settings, train=one_epoch))
    monkeypatch.setattr(module, "load_history", lambda *_, **__: history)
    monkeypatch.setattr(module, "N_RESAMPLES", 20)
    return module


def test_it_goes_on_where_it_was(
    experiment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Rows are made once; a table of another machine is not compared with."""
    path, table = tmp_path / "wide_trials-ann.jsonl", tmp_path / "trials-ann.json"
    table.write_text(json.dumps({"settings": {"made": {}}, "trials": []}))
    for rows in ("2", "4"):
        monkeypatch.setattr(sys, "argv", ["x", "--user", "ann", "--rows", rows])
        with pytest.raises(SystemExit, match="one model, number format and CPU"):
            experiment.main()
    made = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["index"] for row in made] == [0, 1, 2, 3]
    assert not experiment.OUT.exists()
    paper = [{k: v for k, v in row.items() if k != "made"} for row in made]
    table.write_text(json.dumps({"settings": {"made": made[0]["made"]}, "trials": paper}))
    monkeypatch.setattr(sys, "argv", [*sys.argv[:-1], "9", "--only-compare"])
    experiment.main()
    assert len(path.read_text().splitlines()) == 4
    found = json.loads(experiment.OUT.read_text())
    assert found["n_trials"] == {"wide": 4, "paper": 4}
    assert found["made"]["dtype"] == "torch.float32"
