"""A table of real trials: made in parts, gathered, and searched as a problem."""

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
    tmp_path: Path,
) -> ModuleType:
    """Import the experiment for one made-up person and a tiny base."""
    module = load_for("real_trials", make_base("llama", n_layers=3))
    history = History(dataset="made up", user="user-0", samples=make_samples(24))
    monkeypatch.setattr(module, "PARTS", tmp_path / "trials")
    monkeypatch.setattr(module, "TABLES", tmp_path / "tables")
    monkeypatch.setattr(module, "SETTINGS", replace(preset("laptop", screen=1), train=one_epoch))
    monkeypatch.setattr(module, "load_history", lambda *_, **__: history)
    return module


def run(experiment: ModuleType, monkeypatch: pytest.MonkeyPatch, *options: str) -> None:
    """Run it as a person would."""
    monkeypatch.setattr(sys, "argv", ["x", "--user", "user-0", *options])
    experiment.main()


def test_parts_make_one_table_that_can_be_searched(
    experiment: ModuleType,
    load: Callable[[str], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Rows of both parts in order, none tried again, the cheap ones beside every second."""
    for part in ("0/2", "1/2", "0/2"):
        run(experiment, monkeypatch, "--rows", "4", "--cheap-every", "2", "--part", part)
    run(experiment, monkeypatch, "--gather")
    path = tmp_path / "tables" / "trials-user-0.json"
    table = json.loads(path.read_text())
    assert [row["index"] for row in table["trials"]] == [0, 1, 2, 3]
    assert ["cheap" in row for row in table["trials"]] == [True, False, True, False]
    assert table["settings"]["made"]["dtype"] == "torch.float32"
    problem = load("search_problems").table_problem(path)
    assert problem.rows.shape[0] == 4
    best = min(row["loss"] for row in table["trials"])
    assert -problem.front[:, 0].max() == pytest.approx(best)


def test_a_table_grows_where_its_parts_are_gone(
    experiment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the table has is not tried again, and stays in it."""
    run(experiment, monkeypatch, "--rows", "2")
    run(experiment, monkeypatch, "--gather")
    part = tmp_path / "trials" / "user-0-0.jsonl"
    first = part.read_text().splitlines()
    part.unlink()
    run(experiment, monkeypatch, "--rows", "3")
    (new,) = part.read_text().splitlines()
    run(experiment, monkeypatch, "--gather")
    table = json.loads((tmp_path / "tables" / "trials-user-0.json").read_text())
    made = [json.loads(line) for line in [*first, new]]
    assert table["trials"] == [{k: v for k, v in row.items() if k != "made"} for row in made]


def test_rows_of_different_machines_are_no_table(
    experiment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Their losses would differ by more than theta: refused, and nothing is written."""
    run(experiment, monkeypatch, "--rows", "1")
    path = tmp_path / "trials" / "user-0-0.jsonl"
    row = json.loads(path.read_text())
    row["made"]["dtype"] = "torch.bfloat16"
    with path.open("a") as file:
        file.write(json.dumps(row | {"index": 1}) + "\n")
    with pytest.raises(SystemExit, match="one model, number format and CPU"):
        run(experiment, monkeypatch, "--gather")
    assert not (tmp_path / "tables").exists()
