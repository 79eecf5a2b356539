"""Spaces compared: every one is searched, on one reference point, and paired with the paper's."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from lorecall.lm.base import BaseModel
from lorecall.records import History, Sample
from lorecall.settings import preset


@pytest.fixture
def wider(load: Callable[[str], ModuleType]) -> ModuleType:
    """Import the experiment, which is no package."""
    return load("wider")


def run_of(*values: tuple[float, float]) -> SimpleNamespace:
    """Stand in for a run with these losses and ROUGE-L."""
    trials = tuple(
        SimpleNamespace(loss=loss, rougeL=rouge_l, trainable_parameters=10 + i)
        for i, (loss, rouge_l) in enumerate(values)
    )
    return SimpleNamespace(
        trials=trials,
        front=trials[1:],
        config=preset().search,  # any record will do
        sizes={"trainable_parameters": 7},
        seconds={"suggest": 1.5},
    )


def test_hypervolumes_share_a_reference_point(wider: ModuleType) -> None:
    """By hand: the worst of all first trials less a tenth, for every space alike."""
    paper = run_of((4.0, 8.0), (3.0, 9.0), (2.5, 9.5))
    other = run_of((3.0, 18.0), (2.0, 10.0), (1.9, 10.0))
    found = wider.compared({"paper": paper, "scaling": other}, n_initial=1)
    # reference: loss 4.0 + 0.1, ROUGE-L 8.0 - 1.0
    assert found["paper"]["hypervolume"] == pytest.approx(1.6 * 2.5)
    assert found["scaling"]["hypervolume"] == pytest.approx(1.1 * 11 + 1.1 * 3)
    assert found["scaling"]["trials_to_papers"] == 1
    assert found["paper"]["trials_to_papers"] == 3
    assert found["paper"]["share_of_papers"] == 1
    assert found["scaling"]["fewest_parameters_on_front"] == 11
    assert found["scaling"]["chosen"]["parameters"] == 7


def test_a_space_that_never_gets_there_says_so(wider: ModuleType) -> None:
    """None stands for a number that was not reached."""
    runs = {"paper": run_of((2.0, 10.0), (1.0, 12.0)), "dropout": run_of((2.0, 10.0), (1.9, 10.1))}
    found = wider.compared(runs, n_initial=2)
    assert found["dropout"]["trials_to_papers"] is None
    assert found["dropout"]["share_of_papers"] < 1


def test_every_space_is_searched_and_paired(
    wider: ModuleType,
    make_base: Callable[..., BaseModel],
    make_samples: Callable[..., tuple[Sample, ...]],
    tmp_path: Path,
) -> None:
    """On a tiny base; done again, what is finished is read back."""
    history = History(dataset="made up", user="ann", samples=make_samples(30))
    quick = {"trials": 3, "initial": 3, "samples": 8, "epochs": 1, "surrogate": "map"}
    names = ("paper", "scaling and dropout", "parameters")
    settings = {name: preset("laptop", **quick, **wider.SPACES[name]) for name in names}
    base = make_base("llama", n_layers=3)
    row = wider.search_all(history, base, settings, work=tmp_path / "work")
    assert set(row["spaces"]) == set(names)
    assert row["spaces"]["paper"]["chosen"]["dropout"] == 0
    n_test = len(row["scores"]["paper"]["loss"])
    found = json.loads(json.dumps(wider.result_of({"ann": row, "bo": row}, seed=0)))
    assert set(found["pooled"]) == {f"{name} less paper" for name in names[1:]}
    loss = found["pooled"]["parameters less paper"]["loss"]
    assert loss["low"] <= loss["value"] <= loss["high"]
    assert n_test > 0
    again = wider.search_all(history, base, settings, work=tmp_path / "work")
    assert again == row


def test_the_papers_space_is_needed(wider: ModuleType) -> None:
    """The others are compared with it."""
    with pytest.raises(SystemExit):
        wider.main(["--users", "ann", "--spaces", "scaling"])
