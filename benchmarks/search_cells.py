"""One method on one problem from one seed, and the file that remembers what is finished."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from pydantic import TypeAdapter, ValidationError
from search_methods import make_method
from search_problems import Problem

from lorecall.search import DiscreteSpace, Points, Untried, hypervolume_trace, to_maximise

Key = tuple[str, str, str, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one search found.

    Args:
        problem: Its name.
        fingerprint: The problem's, so that a changed problem is run again.
        method: Its name.
        seed: The seed.
        n_initial: Random trials at the start.
        hypervolume: Share of the true front's after each trial.
        seconds: Seconds of suggesting until each trial, all trials before it included.
    """

    problem: str
    fingerprint: str
    method: str
    seed: int
    n_initial: int
    hypervolume: tuple[float, ...]
    seconds: tuple[float, ...]

    @property
    def key(self) -> Key:
        """What the cell is found by."""
        return (self.problem, self.fingerprint, self.method, self.seed, self.n_initial)

    def first(self, n_trials: int) -> "Cell":
        """Return the cell as it was after so many trials: no method knows its budget."""
        return Cell(
            problem=self.problem,
            fingerprint=self.fingerprint,
            method=self.method,
            seed=self.seed,
            n_initial=self.n_initial,
            hypervolume=self.hypervolume[:n_trials],
            seconds=self.seconds[:n_trials],
        )


_CELL = TypeAdapter(Cell)


def run_cell(problem: Problem, name: str, *, seed: int, n_trials: int, n_initial: int) -> Cell:
    """Search once. Trying a point costs nothing; only suggesting is timed."""
    space = DiscreteSpace(problem.distributions)
    initial = initial_points(problem, seed=seed, n=n_initial)
    method = make_method(name, problem, initial=initial, seed=seed)
    left = None if problem.rows is None else [*problem.rows]
    true: list[tuple[float, float]] = []
    seconds: list[float] = []
    spent = 0.0
    for _ in range(n_trials):
        started = perf_counter()
        point = method.suggest()
        spent += perf_counter() - started
        if left is not None:
            point = left.pop(nearest(space, point, np.stack(left)))
        params = space.params(point)
        found = problem.observe(params, seed)
        started = perf_counter()
        method.tell(point, found)
        spent += perf_counter() - started
        seconds.append(round(spent, 4))
        true.append(problem.truth(params))
    trace = hypervolume_trace(to_maximise(true, problem.directions), problem.reference)
    return Cell(
        problem=problem.name,
        fingerprint=problem.fingerprint(),
        method=name,
        seed=seed,
        n_initial=n_initial,
        hypervolume=tuple((trace / problem.best()).round(6).tolist()),
        seconds=tuple(seconds),
    )


def initial_points(problem: Problem, *, seed: int, n: int) -> Points:
    """Draw the points that every method starts from: candidates, no two the same."""
    space, rng = DiscreteSpace(problem.distributions), np.random.default_rng([seed, n])
    if problem.rows is not None:
        return rng.permutation(problem.rows)[:n]
    points: list[Points] = []
    for _ in range(n):
        taken = [problem.same_as(space.params(point)) for point in points]
        untried = Untried(
            space, is_candidate=problem.is_candidate, same_as=problem.same_as, taken=taken
        )
        points.append(untried.random(rng))
    return np.stack(points)


def nearest(space: DiscreteSpace, point: Points, rows: Points) -> int:
    """Find the row with the fewest columns that differ; among those, the nearest codes."""
    differ = (rows != point).sum(axis=1)
    apart = np.abs(space.encode(rows) - space.encode(point)).sum(axis=1)
    return int(np.lexsort((apart, differ))[0])


def load_cells(path: Path) -> dict[Key, Cell]:
    """Read the finished cells; of several with one key the longest counts.

    A last line that a killed process left half-written is passed over.
    """
    found: dict[Key, Cell] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            cell = _CELL.validate_json(line)
        except ValidationError:
            continue
        known = found.get(cell.key)
        if known is None or len(known.hypervolume) <= len(cell.hypervolume):
            found[cell.key] = cell
    return found


def append_cell(path: Path, cell: Cell) -> None:
    """Add a finished cell in one write, on a line of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = not path.is_file() or not path.stat().st_size or path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(("" if whole else "\n") + json.dumps(asdict(cell)) + "\n")


def forget(path: Path, *, problems: Iterable[str], methods: Iterable[str]) -> None:
    """Leave cells out of the file, to be run again."""
    names, who = set(problems), set(methods)
    kept = [
        cell
        for cell in load_cells(path).values()
        if cell.problem not in names or cell.method not in who
    ]
    if path.is_file():
        path.write_text("".join(json.dumps(asdict(cell)) + "\n" for cell in kept), "utf-8")
