"""Canaries of people who are drawn: every system that is asked for, kept as it is finished."""

import json
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from lorecall.data.donors import Donors
from lorecall.lm.base import LanguageModel
from lorecall.records import History, Sample
from lorecall.settings import TrainSettings


@pytest.fixture
def experiment(
    monkeypatch: pytest.MonkeyPatch,
    load_for: Callable[[str, LanguageModel], ModuleType],
    make_base: Callable[..., LanguageModel],
    make_samples: Callable[..., tuple[Sample, ...]],
    one_epoch: TrainSettings,
) -> ModuleType:
    """Import the experiment for two made-up people and a tiny base."""
    module = load_for("isolation", make_base("llama", n_layers=2))
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
    made = counting(experiment, monkeypatch)
    for systems in ("retrieval", "retrieval,memory"):
        monkeypatch.setattr(sys, "argv", ["x", "--systems", systems])
        experiment.main()
    assert made == [("retrieval", ("ann", "ben")), ("memory", ("ann", "ben"))]
    found = json.loads(experiment.OUT.read_text())
    assert found["settings"]["users"] == ["ann", "ben"]
    assert {name: row["n_leaks"] for name, row in found["systems"].items()} == {
        "retrieval": 0,
        "memory": 0,
    }
    assert found["systems"]["retrieval"]["n_own_told"] == 2
    assert all(row["n_asked"] == 2 for row in found["systems"].values())


def test_parts_come_to_what_the_whole_does(
    experiment: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One part, killed before the other, goes on there; the findings are those of one run."""
    monkeypatch.setattr(sys, "argv", ["x", "--systems", "default-lora"])
    experiment.main()
    whole = json.loads(experiment.OUT.read_text())["systems"]["default-lora"]
    experiment.OUT.unlink()
    rows_of(experiment).unlink()

    row_of = experiment.row_of
    monkeypatch.setattr(sys, "argv", ["x", "--systems", "default-lora", "--parts", "2"])
    with monkeypatch.context() as dying:
        dying.setattr(
            experiment,
            "row_of",
            lambda name, part, *rest: (
                row_of(name, part, *rest) if part[0].user == "ann" else sys.exit("killed")
            ),
        )
        with pytest.raises(SystemExit, match="killed"):
            experiment.main()
    assert not experiment.OUT.exists()

    made = counting(experiment, monkeypatch)
    experiment.main()
    assert made == [("default-lora", ("ben",))]
    parts = json.loads(experiment.OUT.read_text())["systems"]["default-lora"]
    assert (whole["n_parts"], parts["n_parts"]) == (1, 2)
    told_apart = {"seconds", "n_parts"}
    assert without(parts, told_apart) == without(whole, told_apart)


def test_people_are_asked_once_however_they_are_parted(
    experiment: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of which some were asked goes on with the others; who was asked twice counts once."""
    users = ("ann", "ben", "cem")
    monkeypatch.setattr(experiment, "choose_users", lambda *_, **__: dict.fromkeys(users, 24))
    made = counting(experiment, monkeypatch)
    arguments = ["--systems", "retrieval", "--parts"]
    monkeypatch.setattr(sys, "argv", ["x", *arguments, "3"])
    experiment.main()
    first = json.loads(experiment.OUT.read_text())["systems"]["retrieval"]
    lines = rows_of(experiment).read_text().splitlines(keepends=True)
    rows_of(experiment).write_text(lines[1] + lines[1])
    experiment.OUT.unlink()
    monkeypatch.setattr(sys, "argv", ["x", *arguments, "2"])
    experiment.main()
    assert made == [("retrieval", (user,)) for user in users] + [("retrieval", ("ann", "cem"))]
    again = json.loads(experiment.OUT.read_text())["systems"]["retrieval"]
    told_apart = {"seconds", "n_parts"}
    assert without(again, told_apart) == without(first, told_apart)


def test_another_process_begins_with_another_part(
    experiment: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts are gone through from the first that is named."""
    made = counting(experiment, monkeypatch)
    arguments = ["--systems", "retrieval", "--parts", "2", "--first-part", "1"]
    monkeypatch.setattr(sys, "argv", ["x", *arguments])
    experiment.main()
    assert made == [("retrieval", ("ben",)), ("retrieval", ("ann",))]


def test_a_shared_memory_is_asked_and_stands_under_everyone(
    experiment: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    make_base: Callable[..., LanguageModel],
    make_samples: Callable[..., tuple[Sample, ...]],
) -> None:
    """Learnt once, with canaries of its donors, which are asked for with everyone's."""
    drawn: list[Sequence[str]] = []

    def draw(dataset: str, *, without: Sequence[str], n_replies: int, **_: int) -> Donors:
        drawn.append(without)
        samples = [replace(s, user=f"d{i % 4}") for i, s in enumerate(make_samples(n_replies))]
        return Donors(
            dataset=dataset,
            licence="none",
            train=tuple(samples[8:]),
            valid=tuple(samples[:8]),
            people=frozenset(f"d{i}" for i in range(4)),
            left_out=frozenset(without),
            n_conversations_left_out=0,
        )

    def fresh(*_: object, **__: object) -> LanguageModel:
        return make_base("llama", n_layers=2)

    monkeypatch.setattr(experiment, "draw_donors", draw)
    monkeypatch.setattr(experiment, "N_DONORS", 3)
    monkeypatch.setattr(experiment.LanguageModel, "load", fresh)
    learnt = counting(experiment, monkeypatch, "fit_shared")
    made = counting(experiment, monkeypatch)
    out = experiment.OUT.with_stem("isolation-shared")
    for systems in ("retrieval", "retrieval,personal"):
        monkeypatch.setattr(sys, "argv", ["x", "--systems", systems, "--share-replies", "48"])
        experiment.main()
    assert len(learnt) == 1
    assert drawn == [["ann", "ben"]] * 2
    assert [name for name, _ in made] == ["retrieval", "personal"]
    assert not experiment.OUT.exists()
    found = json.loads(out.read_text())
    assert found["settings"]["shared"]
    assert len(found["settings"]["donors"]) == 3
    shared, *others = (found["systems"][n] for n in (experiment.SHARED, "retrieval", "personal"))
    assert (shared["n_asked"], shared["own"]) == (5, None)
    assert [row["n_asked"] for row in others] == [2 * 4] * 2
    assert all(row["n_leaks"] == 0 for row in others)


def rows_of(experiment: ModuleType) -> Path:
    """Return where what each part told is kept."""
    return experiment.OUT.with_suffix(".jsonl")


def counting(
    experiment: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str = "row_of"
) -> list[tuple[object, tuple[str, ...]]]:
    """Note the parts that are made, or what another function is called with first."""
    made: list[tuple[object, tuple[str, ...]]] = []
    real = getattr(experiment, name)

    def noting(first: object, part: object, *rest: object, **named: object) -> object:
        users = tuple(history.user for history in part) if isinstance(part, list) else ()
        made.append((first, users))
        return real(first, part, *rest, **named)

    monkeypatch.setattr(experiment, name, noting)
    return made


def without(row: Mapping[str, object], names: Collection[str]) -> dict[str, object]:
    """Leave out what may differ."""
    return {name: value for name, value in row.items() if name not in names}
