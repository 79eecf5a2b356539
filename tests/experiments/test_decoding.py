"""How replies are decoded: answers that agree, rows made once, and both comparisons."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from types import ModuleType

import pytest

from lorecall.bench.plan import BenchPlan, BenchSettings, Source
from lorecall.data.history import split_history
from lorecall.lm.base import BaseModel
from lorecall.records import History, Sample
from lorecall.reply.responder import VanillaResponder
from lorecall.settings import TrainSettings
from lorecall.systems.contract import Person


@pytest.fixture
def base(make_base: Callable[..., BaseModel]) -> BaseModel:
    """Give a tiny base."""
    return make_base("llama", n_layers=2)


@pytest.fixture
def experiment(
    monkeypatch: pytest.MonkeyPatch,
    load_for: Callable[[str, BaseModel], ModuleType],
    make_samples: Callable[..., tuple[Sample, ...]],
    base: BaseModel,
    one_epoch: TrainSettings,
) -> ModuleType:
    """Import the experiment for a tiny base, two people and short trainings."""
    module = load_for("decoding", base)
    histories = {
        user: History(dataset="made up", user=user, samples=make_samples(n))
        for user, n in (("ann", 24), ("ben", 32))
    }
    people = {
        user: Person(history=history, split=split_history(history))
        for user, history in histories.items()
    }
    monkeypatch.setattr(module, "load_person", lambda _, user, __: people[user])
    plain = BenchSettings()
    settings = replace(plain, learn=replace(plain.learn, train=one_epoch))
    plan = BenchPlan(
        sources=(Source(name="made up", users=("ann", "ben")),),
        systems=("vanilla", "default-lora"),
        seeds=(0,),
        settings=settings,
    )
    monkeypatch.setattr(module, "read_plan", lambda _: ({}, plan))
    return module


def test_the_answer_that_agrees_most_is_given(experiment: ModuleType) -> None:
    """One that shares most with the others, be it said once."""
    drawn = ["we went home", "the cat sat on a mat", "the cat sat", "a cat on the mat"]
    assert experiment.most_agreed(drawn) == "the cat sat on a mat"
    assert experiment.most_agreed(["only"]) == "only"


def test_a_consensus_is_drawn_alike_every_time_and_leaves_the_base_as_it_was(
    experiment: ModuleType, base: BaseModel, make_samples: Callable[..., tuple[Sample, ...]]
) -> None:
    """The likeliest answers before and after are the same, those drawn are others."""
    samples = make_samples(6)
    asked = experiment.Asked(VanillaResponder(base), max_new_tokens=8)
    before = asked.likeliest(samples)
    drawn = asked.consensus(samples)
    assert drawn == asked.consensus(samples)
    assert drawn != before
    assert asked.likeliest(samples) == before


def test_rows_are_made_once_and_compared(
    experiment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two systems, two ways, two people; a second run makes nothing."""
    made: list[tuple[str, str]] = []
    rows_of = experiment.rows_of

    def counting(*args: object, user: str, system: str, **rest: object) -> object:
        made.append((user, system))
        return rows_of(*args, user=user, system=system, **rest)

    monkeypatch.setattr(experiment, "rows_of", counting)
    for first in ("1", "0"):
        monkeypatch.setattr(sys, "argv", ["x", str(tmp_path), "--first", first])
        experiment.main()
    assert made == [
        *(("ben", "vanilla"), ("ben", "default-lora")),
        *(("ann", "vanilla"), ("ann", "default-lora")),
    ]
    found = json.loads(experiment.OUT.read_text())
    assert found["users"] == ["ann", "ben"]
    assert set(found["systems"]) == {"likeliest", "consensus"}
    rouge_l = found["systems"]["consensus"]["rougeL"]
    assert rouge_l["default-lora"]["less the default-lora"] == [0, 0, 0]
    assert found["ways"]["vanilla"]["rougeL"]["likeliest"]["less the likeliest"] == [0, 0, 0]
    means = [
        fmean(row.rougeL)
        for row in experiment.rows()
        if (row.system, row.way) == ("vanilla", "consensus")
    ]
    assert rouge_l["vanilla"]["mean"][0] == pytest.approx(fmean(means))


def test_a_person_who_lacks_a_system_is_not_compared(experiment: ModuleType) -> None:
    """Nobody is there yet: no numbers, no error."""
    assert experiment.compared([], users=["ann"], systems=["vanilla"]) == {"users": []}
