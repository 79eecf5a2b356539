"""Who is evaluated."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lorecall.bench.people import (
    Source,
    another_user,
    choose_users,
    keep_snapshot,
    load_person,
    newest,
    read_snapshot,
    snapshot_of,
)
from lorecall.bench.plan import BenchPlan
from lorecall.data.catalog import load_history
from lorecall.errors import DataError, RunError
from lorecall.records import Statement


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory, write_users: Callable[..., Path]) -> str:
    """Return a file of seven long users, one short one and one too short."""
    path = tmp_path_factory.mktemp("crowd") / "crowd.jsonl"
    write_users(path, [f"long-{i}" for i in range(7)], n_conversations=40)
    others = path.with_name("others.jsonl")
    write_users(others, ["short"], n_conversations=7)
    rest = others.read_text()
    write_users(others, ["tiny"], n_conversations=2)
    path.write_text(path.read_text() + rest + others.read_text())
    return str(path)


def test_users_are_named_by_the_start_of_their_ids(crowd: str) -> None:
    """In the order given."""
    assert choose_users(crowd, (), "short, long-3", seed=0) == ("short", "long-3")
    with pytest.raises(DataError, match="fits 7"):
        choose_users(crowd, (), "long", seed=0)
    with pytest.raises(DataError, match="6 samples of user 'tiny'"):
        choose_users(crowd, (), "short,tiny", seed=0)


def test_a_number_of_users_is_drawn(crowd: str) -> None:
    """By the seed, among the long ones; where there are too few, the longest are taken."""
    drawn = [set(choose_users(crowd, (), "3", seed=seed)) for seed in (0, 0, 1, 2, 3)]
    assert drawn[0] == drawn[1]
    assert len({frozenset(users) for users in drawn}) > 1
    assert all(user.startswith("long") for users in drawn for user in users)
    assert "short" in choose_users(crowd, (), "8", seed=0)
    with pytest.raises(DataError, match="1 to 8"):
        choose_users(crowd, (), "9", seed=0)
    with pytest.raises(DataError):
        choose_users(crowd, (), "0", seed=0)


def test_the_longest_can_be_asked_for(crowd: str) -> None:
    """Whatever the seed."""
    assert choose_users(crowd, (), "most:2", seed=5) == ("long-0", "long-1")


def test_a_pool_is_no_user_of_the_list(crowd: str) -> None:
    """It is the loader's to make."""
    assert choose_users(crowd, (), "pooled", seed=0) == ("pooled",)


def test_the_next_user_is_the_control() -> None:
    """The last one's is the first; one alone has none."""
    source = Source(name="d", users=("a", "b", "c"))
    assert [another_user(source, user) for user in "abc"] == ["b", "c", "a"]
    assert another_user(Source(name="d", users=("a",)), "a") is None


def test_the_newest_conversations_are_kept(users_file: Path) -> None:
    """Whole ones, with what was said in them, and never fewer than a split needs."""
    history = load_history(users_file, user="ann")
    old, new = (Statement(conversation=f"ann-c{c}", text=f"said in {c}") for c in (0, 7))
    history = replace(history, statements=(old, new))
    kept = newest(history, 22)
    assert kept.samples == history.samples[3:]
    assert kept.statements == (new,)
    assert len(newest(history, 1).samples) == 21
    assert newest(history, 100) == history


def test_test_samples_are_evenly_spaced(plan: BenchPlan) -> None:
    """The first and the last among them; all where no number is set."""
    person = load_person(plan.sources[0], "ann")
    some = snapshot_of(person, 3).tested
    assert len(some) == 3
    assert {some[0], some[-1]} == {person.split.test[0], person.split.test[-1]}
    assert snapshot_of(person).tested == person.split.test


def test_what_is_shown_is_kept(plan: BenchPlan, tmp_path: Path) -> None:
    """Read back whole, the same for every seed and system, and never other samples."""
    cell, other = plan.cells()[0], replace(plan.cells()[0], seed=9, system="memory")
    shown = snapshot_of(load_person(plan.sources[0], "ann"), plan.settings.test_samples)
    keep_snapshot(tmp_path, cell, shown)
    keep_snapshot(tmp_path, other, shown)
    assert read_snapshot(tmp_path, other) == shown
    with pytest.raises(RunError, match="the data have changed"):
        keep_snapshot(tmp_path, cell, replace(shown, samples_sha256="1" * 64))
