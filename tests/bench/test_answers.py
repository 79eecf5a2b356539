"""Pairs for a judge, and cases to read."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lorecall.bench.answers import N_CASES, cases, dataset_of, write_pair_files
from lorecall.bench.cells import CellScores, finish, finished_cells
from lorecall.bench.people import keep_snapshot, load_person, snapshot_of
from lorecall.bench.plan import BenchPlan
from lorecall.judge.pairs import read_pairs

Make = Callable[..., CellScores]


@pytest.fixture
def plan(plan: BenchPlan) -> BenchPlan:
    """Return a bench with a baseline and an ablated space beside."""
    return replace(plan, systems=("vanilla", "malp", "memory", "memory:layer"))


@pytest.fixture
def folder(plan: BenchPlan, tmp_path: Path, make_scores: Make) -> Path:
    """Return the folder of a finished bench whose answers name who gave them."""
    for cell in plan.cells():
        shown = snapshot_of(load_person(plan.sources[0], cell.user), plan.settings.test_samples)
        keep_snapshot(tmp_path, cell, shown)
        ids = tuple(sample.id for sample in shown.tested)
        answers = [f"{cell.system} to {i}\nmail me at a@b.co" for i in range(len(ids))]
        finish(tmp_path, make_scores(cell, sample_ids=ids), answers)
    return tmp_path


def test_pairs_are_of_the_memory_and_of_vanilla(folder: Path, plan: BenchPlan) -> None:
    """The memory against every other, the others against vanilla, ablated spaces in none."""
    files = write_pair_files(folder, plan, finished_cells(folder))
    assert [file.name for file in files] == [
        *("users--memory--vanilla.jsonl", "users--memory--malp.jsonl"),
        "users--malp--vanilla.jsonl",
    ]
    pairs = read_pairs(files[1])
    assert len(pairs) == 6
    assert {pair.user for pair in pairs} == {"ann", "bob"}
    first = pairs[0]
    person = load_person(plan.sources[0], "ann")
    assert first.response_a.startswith("memory to 0")
    assert first.response_b.startswith("malp to 0")
    assert first.user_content == person.split.own_content
    assert first.truth == person.split.test[0].response
    assert dataset_of(first.id) == plan.sources[0].name


def test_pairs_need_both_cells(folder: Path, plan: BenchPlan) -> None:
    """A user for whom one of the two is not finished is left out."""
    finished = [
        scores
        for scores in finished_cells(folder)
        if (scores.cell.user, scores.cell.system) != ("bob", "malp")
    ]
    files = write_pair_files(folder, plan, finished)
    assert {pair.user for pair in read_pairs(files[1])} == {"ann"}
    assert write_pair_files(folder, plan, []) == []


def test_cases_are_masked_and_of_every_user(folder: Path, plan: BenchPlan) -> None:
    """One user after another, other queries each time, every system's answer on a line."""
    found = cases(folder, plan, plan.sources[0].name, finished_cells(folder))
    assert 2 <= len(found) <= N_CASES
    assert len({(case.user, case.query, case.truth) for case in found}) == len(found)
    assert [case.user for case in found[:2]] == ["ann", "bob"]
    for case in found:
        assert list(case.responses) == list(plan.systems)
        assert all("[e-mail]" in text and "\n" not in text for text in case.responses.values())
        assert len(case.about) <= 2
        assert f"says {case.user}" in case.truth
    assert cases(folder, plan, plan.sources[0].name, []) == ()
