"""What is finished: added to, torn off, read back."""

import json
import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lorecall.bench.cells import (
    SCORES_FILE,
    Cell,
    CellScores,
    Failure,
    Task,
    answers_file,
    cells_in,
    fail,
    failures,
    finish,
    finished_cells,
    responses_of,
)
from lorecall.errors import RunError
from lorecall.records import InjectionConfig

Make = Callable[..., CellScores]
CELL = Cell(dataset="d", user="ann", seed=0, system="vanilla")


def test_a_cell_is_read_back(tmp_path: Path, make_scores: Make) -> None:
    """Its scores and its answers."""
    theta = InjectionConfig(layers=(0, 3), n_loras=4, rank=8)
    scores = make_scores(CELL, facts={"hit_rate": 0.25}, theta=theta)
    finish(tmp_path, scores, ("né", "", "a\nb\u2028c"))
    assert finished_cells(tmp_path) == [scores]
    assert cells_in(tmp_path / SCORES_FILE) == {CELL}
    assert responses_of(tmp_path, CELL) == ("né", "", "a\nb\u2028c")


def test_a_line_of_before_tells_no_theta(tmp_path: Path, make_scores: Make) -> None:
    """Tables that were made before it was kept can still be read."""
    finish(tmp_path, make_scores(CELL), ("a",))
    path = tmp_path / SCORES_FILE
    line = json.loads(path.read_text())
    del line["theta"]
    path.write_text(json.dumps(line) + "\n")
    assert [scores.theta for scores in finished_cells(tmp_path)] == [None]


def test_nothing_yet(tmp_path: Path) -> None:
    """An empty folder has no cells, and no answers."""
    assert finished_cells(tmp_path) == []
    assert cells_in(tmp_path / SCORES_FILE) == set()
    assert failures(tmp_path, session="s") == {}
    with pytest.raises(RunError, match="answers"):
        responses_of(tmp_path, CELL)


@pytest.mark.parametrize("cut", [1, 2, 200])
def test_a_torn_line_is_cut_away(tmp_path: Path, make_scores: Make, cut: int) -> None:
    """Even one that lacks its end alone; what was whole stays, and the cell is done again."""
    other = replace(CELL, user="bob")
    finish(tmp_path, make_scores(CELL), ("a",))
    finish(tmp_path, make_scores(other), ("b",))
    path = tmp_path / SCORES_FILE
    path.write_bytes(path.read_bytes()[:-cut])
    assert [scores.cell for scores in finished_cells(tmp_path)] == [CELL]
    finish(tmp_path, make_scores(other), ("b",))
    assert [scores.cell for scores in finished_cells(tmp_path)] == [CELL, other]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_broken_line_is_named(tmp_path: Path, make_scores: Make) -> None:
    """Nothing is dropped in silence."""
    finish(tmp_path, make_scores(CELL), ("a",))
    path = tmp_path / SCORES_FILE
    path.write_text('{"cell": 3}\n' + path.read_text())
    with pytest.raises(RunError, match="line 1"):
        finished_cells(tmp_path)


def test_a_cell_counts_once(tmp_path: Path, make_scores: Make) -> None:
    """Should a line be there twice, the first counts."""
    for ahead in (0.0, 1.0):
        finish(tmp_path, make_scores(CELL, ahead=ahead), ("a",))
    assert finished_cells(tmp_path) == [make_scores(CELL)]


def test_a_score_is_a_number(tmp_path: Path, make_scores: Make) -> None:
    """A training that diverged is no finished cell."""
    with pytest.raises(ValueError, match="JSON"):
        finish(tmp_path, make_scores(CELL, latency_s=float("nan")), ("a",))
    assert finished_cells(tmp_path) == []


def test_failures_are_of_a_session(tmp_path: Path) -> None:
    """The next start tries the cell again; a cell and its swapped memories fail apart."""
    failure = Failure(cell=CELL, session="one", reason="MemoryError: none left")
    swap = replace(failure, swapped=True)
    fail(tmp_path, failure)
    fail(tmp_path, swap)
    task = Task(cell=CELL)
    assert failures(tmp_path, session="one") == {task: failure, replace(task, swapped=True): swap}
    assert failures(tmp_path, session="two") == {}
    assert finished_cells(tmp_path) == []
    assert str(swap.task) == f"{CELL}, memories swapped"


def test_a_cell_is_beside_those_of_other_people() -> None:
    """Of the same dataset, seed and system."""
    assert CELL.is_beside(replace(CELL, user="bob"))
    assert not CELL.is_beside(CELL)
    for change in ({"seed": 1}, {"system": "memory"}, {"dataset": "e"}):
        assert not CELL.is_beside(replace(CELL, user="bob", **change))


def _finish(folder: Path, scores: list[CellScores]) -> None:
    for each in scores:
        finish(folder, each, ("a",) * 200)


def test_processes_add_at_once(tmp_path: Path, make_scores: Make) -> None:
    """No line is lost or mixed with another."""
    cells = [replace(CELL, user=f"u{i}", seed=k) for k in range(4) for i in range(12)]
    context = multiprocessing.get_context("fork")
    parts = [[make_scores(cell, n=50) for cell in cells[k::4]] for k in range(4)]
    processes = [context.Process(target=_finish, args=(tmp_path, part)) for part in parts]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert {scores.cell for scores in finished_cells(tmp_path)} == set(cells)
    assert len((tmp_path / SCORES_FILE).read_text().splitlines()) == len(cells)
    assert all(answers_file(tmp_path, cell).is_file() for cell in cells)
