"""What a memory is trained on, tried in every way: each trained and read, rows that add up."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lorecall.lm.base import BaseModel
from lorecall.records import History, InjectionConfig, Sample, Statement
from lorecall.settings import TrainSettings, preset

TABLES = Path(__file__).parents[2] / "experiments" / "tables"
THETA = InjectionConfig(layers=(0, 2), n_loras=3, rank=4, scaling=0.7)
TRAIN = TrainSettings(learning_rate=2e-2, batch_size=4, max_epochs=2, patience=9)
WAYS = [f"memory, {way}" for way in ("pairs", "averaged", "statements", "twice", "refit")] + [
    f"lora, {way}" for way in ("pairs", "averaged", "refit")
]


@pytest.fixture
def experiment(
    monkeypatch: pytest.MonkeyPatch,
    load: Callable[[str], ModuleType],
    make_samples: Callable[..., tuple[Sample, ...]],
) -> ModuleType:
    """Import the experiment, which is no package, for one made-up person."""
    module = load("what_is_learnt")
    said = Statement(conversation="c0", text="the rain in spain", time=0.5)
    history = History(
        dataset="made up", user="user-0", samples=make_samples(24), statements=(said,)
    )
    monkeypatch.setattr(module, "SETTINGS", replace(preset("laptop"), train=TRAIN))
    monkeypatch.setattr(module, "load_history", lambda _dataset, user: replace(history, user=user))
    return module


@pytest.fixture
def base(make_base: Callable[..., BaseModel]) -> BaseModel:
    """Make a tiny base."""
    return make_base("llama", n_layers=3)


def test_every_way_is_read_on_the_test_samples(
    experiment: ModuleType, base: BaseModel, load: Callable[[str], ModuleType]
) -> None:
    """Each with a value a sample; what is trained on differs, and so do the losses."""
    chosen = load("memories").Chosen(dataset="made up", user="user-0", theta=THETA, losses={})
    row = experiment.of_person(base, chosen)
    assert list(row["scores"]) == WAYS
    assert row["n_statements"] == 1
    assert all(len(scores["loss"]) == row["n_test"] for scores in row["scores"].values())
    losses = {name: tuple(scores["loss"]) for name, scores in row["scores"].items()}
    assert len(set(losses.values())) >= len(WAYS) - 1  # `twice`: no sample here has earlier turns
    assert losses["memory, twice"] == losses["memory, pairs"]


def test_people_are_kept_and_put_together(
    experiment: ModuleType,
    load: Callable[[str], ModuleType],
    base: BaseModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A person that is known is not read again; differences are over all samples."""
    memories, out = load("memories"), tmp_path / "rows.json"
    people = {
        user: memories.Chosen(dataset="made up", user=user, theta=THETA, losses={})
        for user in ("user-0", "user-1")
    }
    monkeypatch.setattr(experiment, "thetas_of", lambda _folder: iter(people.items()))
    monkeypatch.setattr(memories.BaseModel, "load", lambda: base)
    monkeypatch.setattr(experiment, "OUT", out)
    read: list[str] = []
    of_person = experiment.of_person

    def noting(base: BaseModel, chosen: Any) -> object:
        read.append(chosen.user)
        return of_person(base, chosen)

    monkeypatch.setattr(experiment, "of_person", noting)
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path), "--people", "1"])
    experiment.main()
    monkeypatch.setattr(sys, "argv", ["x", str(tmp_path)])
    experiment.main()
    assert read == ["user-0", "user-1"]
    whole = json.loads(out.read_text())
    assert whole["n_people"] == 2
    assert whole["n_samples"] == sum(person["n_test"] for person in whole["people"].values())
    assert set(whole["differences"]) == {
        *(f"{way} less memory, pairs" for way in WAYS[1:5]),
        *(f"{way} less lora, pairs" for way in WAYS[6:]),
        "memory, pairs less lora, pairs",
    }
    found = whole["differences"]["memory, averaged less memory, pairs"]["loss"]
    means = whole["means"]
    value = means["memory, averaged"]["loss"]["value"] - means["memory, pairs"]["loss"]["value"]
    assert found["value"] == pytest.approx(value)


def test_thetas_are_those_of_a_table(load: Callable[[str], ModuleType]) -> None:
    """Of the memory alone, a line a person; a table of before they were kept has none."""
    thetas = dict(load("memories").thetas_of(TABLES / "chitchat-further"))
    assert len(thetas) == 8
    assert {chosen.theta.rank for chosen in thetas.values()} == {96}
    for chosen in thetas.values():
        assert {"memory", "default-lora"} <= chosen.losses.keys()
        assert len({len(losses) for losses in chosen.losses.values()}) == 1
    assert all(chosen.user == user for user, chosen in thetas.items())
    assert not dict(load("memories").thetas_of(TABLES / "chitchat"))
