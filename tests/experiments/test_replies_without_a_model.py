"""Replies that no model made: hand-worked scores, and the comparison with a table."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from types import ModuleType

import pytest

from lorecall.bench.render import read_plan
from lorecall.bench.scores import finished_cells
from lorecall.records import Sample, Split

TABLES = Path(__file__).parents[2] / "experiments" / "tables"


@pytest.fixture
def experiment(load: Callable[[str], ModuleType]) -> ModuleType:
    """Import the experiment."""
    return load("replies_without_a_model")


@pytest.fixture
def split_of(make_samples: Callable[..., tuple[Sample, ...]]) -> Callable[..., Split]:
    """Make a split of a few replies, the last of which is the test."""

    def make(*replies: str) -> Split:
        samples = [
            replace(sample, response=reply)
            for sample, reply in zip(make_samples(len(replies)), replies, strict=True)
        ]
        train, test = tuple(samples[:-1]), tuple(samples[-1:])
        return Split(train=train, valid=(), test=test, own_content=tuple(replies[:-1]))

    return make


def test_the_constant_agrees_with_the_others_and_the_oracle_with_the_truth(
    experiment: ModuleType, split_of: Callable[..., Split]
) -> None:
    """By hand: "the cat sat" is nearest to all, "a dog ran home" to what was said."""
    own = split_of("the cat", "the cat sat", "cat sat", "a dog ran home", "the dog ran home")
    found = experiment.without_a_model(own, split_of("zebra", "zebra"))
    # constant: "the" is shared with the truth, of three and of four words
    assert found["constant"]["rougeL"] == [pytest.approx(100 * 2 / 7)]
    assert found["oracle"]["rougeL"] == [pytest.approx(75)]
    assert found["oracle"]["words"] == [4]
    assert found["another's"] == {"rougeL": [0], "persona_f1": [0], "words": [1]}
    assert 100 * 2 / 7 < found["random"]["rougeL"][0] < 75


def test_a_table_is_compared(
    experiment: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table's own systems have the table's own numbers; two of its people."""
    folder = TABLES / "chitchat-further"
    identity, plan = read_plan(folder)
    two = replace(plan.sources[0], users=plan.sources[0].users[-2:])
    monkeypatch.setattr(
        experiment, "read_plan", lambda _: (identity, replace(plan, sources=(two,)))
    )
    monkeypatch.setattr(sys, "argv", ["x", str(folder)])
    experiment.main()
    found = json.loads(experiment.OUT.read_text())
    assert json.loads(capsys.readouterr().out) == {k: v for k, v in found.items() if k != "tables"}
    own = [
        fmean(cell.scores.rougeL)
        for cell in finished_cells(folder)
        if cell.cell.system == "memory" and cell.cell.user in two.users
    ]
    assert found["n_people"] == len(own) == 2
    rouge_l = found["test"]["rougeL"]
    assert rouge_l["memory"]["less the memory"] == [0, 0, 0]
    assert rouge_l["memory"]["mean"][0] == pytest.approx(fmean(own))
    assert rouge_l["oracle"]["mean"][0] > rouge_l["random"]["mean"][0]
