"""What is searched: sparse problems in theta's space, a table of real trials, others from outside.

Where theta's space is sparse, a few layers matter. `dtlz2`, `bowls` and `turned` are dense: every
input matters a little.

Every problem is a grid of discrete inputs with two objectives, and its true front is known, so a
search is measured by the share of that front's hypervolume that its points cover, noise left out.

Notation
    held   the layers that matter and have a module, after n modules are dealt
    c, u   capacity n * r, and the same on a logarithmic scale, in [0, 1]
"""

import json
import zlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from math import log2
from pathlib import Path
from typing import cast

import numpy as np
import torch
from botorch.test_functions.multi_objective import DTLZ2, ZDT1
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.study import StudyDirection

from lorecall.search import (
    DiscreteSpace,
    InjectionSpace,
    Params,
    Points,
    Values,
    hypervolume,
    pareto,
    to_maximise,
)

N_LAYERS = 30
N_INPUTS, N_LEVELS = 30, 9  # of the problem from outside
NOISE = (0.005, 0.05)  # of an objective's range: what two trainings of one theta differ by
_MARGIN = 0.1  # the reference point lies this share of the front's range below its worst
_TRADE = (StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE)

Objectives = tuple[float, float]
Row = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem.

    Args:
        name: Its name on the command line.
        distributions: Of its inputs, by name.
        directions: Of its objectives.
        truth: From parameters to objectives without noise, in the directions' sense.
        noise: Standard deviation of what is observed, for each objective.
        front: The true front, all to be maximised, shape (k, 2).
        reference: The reference point, all to be maximised, shape (2,).
        is_candidate: Whether parameters may be suggested.
        same_as: What parameters come to; equal keys are one configuration, with one noise.
        rows: The only points there are, where the problem is a table, shape (n, d).
        canonical: What stands for all parameters that come to the same; None where nothing does.
    """

    name: str
    distributions: Mapping[str, BaseDistribution]
    directions: tuple[StudyDirection, StudyDirection]
    truth: Callable[[Params], Objectives]
    noise: Objectives
    front: Values
    reference: Values
    is_candidate: Callable[[Params], bool]
    same_as: Callable[[Params], Hashable]
    rows: Points | None = None
    canonical: Callable[[Params], Params] | None = None

    def observe(self, params: Params, seed: int) -> Objectives:
        """Return noisy objectives: the same whenever a configuration is tried again in a seed."""
        key = zlib.crc32(repr(self.same_as(params)).encode())
        first, second = np.random.default_rng([seed, key]).normal(scale=self.noise).tolist()
        true = self.truth(params)
        return (true[0] + first, true[1] + second)

    def best(self) -> float:
        """Return the true front's hypervolume."""
        return hypervolume(self.front, self.reference)

    def fingerprint(self) -> str:
        """Tell this problem from another of the same name: a result of the other is no result."""
        numbers = [*self.reference, self.best(), *self.noise, len(self.front)]
        inputs = [f"{name} {kind}" for name, kind in self.distributions.items()]
        return f"{zlib.crc32(repr([*map(float, numbers), *inputs]).encode()):08x}"


def problems(data: Path) -> tuple[dict[str, Callable[[], Problem]], list[str]]:
    """Name the problems, and say what is left out.

    Args:
        data: The folder of the tables of real trials.

    Returns:
        How to make each, by name, and notes about what is missing.
    """
    tables = sorted(data.glob("*.json")) if data.is_dir() else []
    found: dict[str, Callable[[], Problem]] = {
        "additive": partial(theta_problem, "additive", _ADDITIVE, additive),
        "interacting": partial(theta_problem, "interacting", _INTERACTING, interacting),
        **{f"table-{path.stem}": partial(table_problem, path) for path in tables},
        "zdt1": zdt1_problem,
        "dtlz2": dtlz2_problem,
        "bowls": bowls_problem,
        "turned": turned_problem,
    }
    return found, [] if tables else [f"no table of real trials: {data} holds no JSON"]


_ADDITIVE = (3, 8, 13, 17, 22, 27)
_INTERACTING = (2, 6, 11, 19, 24, 29)


def additive(held: frozenset[int], u: float) -> Objectives:
    """Each of six layers adds its own; layers 8, 13, 27 and capacity trade one for the other."""
    a, b, c, d, e, f = (float(layer in held) for layer in _ADDITIVE)
    loss = 3.0 - 0.25 * a - 0.15 * b - 0.1 * c + 0.1 * f - 0.3 * (1 - (1 - u) ** 2)
    score = 10.0 - 1.5 * c + 2.0 * d + 1.0 * e - 0.5 * b - 8.0 * (u - 0.4) ** 2
    return loss, score


def interacting(held: frozenset[int], u: float) -> Objectives:
    """Layers pay in pairs; capacity pays in the loss by one layer, in the score by another."""
    a, b, c, d, e, f = (float(layer in held) for layer in _INTERACTING)
    loss = 3.0 - 0.35 * a * b - (0.1 + 0.3 * c) * u + 0.1 * d * e
    score = 10.0 + 3.0 * d * e - 1.0 * a * b - 1.5 * f - (4.0 + 8.0 * e) * (u - 0.5) ** 2
    return loss, score


def theta_problem(
    name: str, layers: tuple[int, ...], of: Callable[[frozenset[int], float], Objectives]
) -> Problem:
    """Make a problem of theta's whole space, of which six layers and the capacity matter.

    Args:
        name: The problem's name.
        layers: The layers that matter.
        of: From the layers held and u to the objectives.
    """
    space = InjectionSpace(n_layers=N_LAYERS)
    most = space.max_loras * space.ranks[-1]

    def scaled(capacity: int) -> float:
        return log2(1 + capacity / 8) / log2(1 + most / 8)

    def truth(params: Params) -> Objectives:
        ranks = space.config(params).ranks() if space.is_candidate(params) else {}
        return of(frozenset(ranks) & frozenset(layers), scaled(sum(ranks.values())))

    matters = [(held, c) for held in _subsets(layers) for c in _capacities(space, len(held))]
    known = np.array([of(held, scaled(capacity)) for held, capacity in matters])
    front = _front(to_maximise(known, _TRADE))
    low, high = (share * float(size) for share, size in zip(NOISE, np.ptp(known, 0), strict=True))
    return Problem(
        name=name,
        distributions=space.distributions(),
        directions=_TRADE,
        truth=truth,
        noise=(low, high),
        front=front,
        reference=_below(front),
        is_candidate=space.is_candidate,
        same_as=space.same_as,
        canonical=space.canonical,
    )


def table_problem(path: Path) -> Problem:
    """Make a problem of a table of real trials: its rows are the only points there are.

    Args:
        path: JSON with `settings` and `trials`: each `params`, `loss` and `rougeL`.
    """
    trials = json.loads(path.read_text(encoding="utf-8"))["trials"]
    names = [name for name in trials[0]["params"] if name.startswith("layer_")]
    space = InjectionSpace(n_layers=len(names))
    once = {space.same_as(t["params"]): t for t in trials if space.is_candidate(t["params"])}
    columns = DiscreteSpace(space.distributions())
    rows = np.stack([columns.point(trial["params"]) for trial in once.values()])
    known = {key: (float(t["loss"]), float(t["rougeL"])) for key, t in once.items()}
    values = to_maximise(list(known.values()), _TRADE)
    front = _front(values)
    return Problem(
        name=f"table-{path.stem}",
        distributions=space.distributions(),
        directions=_TRADE,
        truth=lambda params: known[space.same_as(params)],
        noise=(0.0, 0.0),  # what was measured has its noise in it
        front=front,
        reference=_below(front, values),
        is_candidate=lambda params: space.same_as(params) in known,
        same_as=space.same_as,
        rows=rows,
        canonical=space.canonical,
    )


def zdt1_problem() -> Problem:
    """Make BoTorch's ZDT1 of 30 inputs on a grid of 9 levels each, with its own reference point.

    Both objectives are minimised. Whatever x_0 is, the others are best at 0, which is on the grid.
    """
    function = ZDT1(dim=N_INPUTS)

    def of(x: Row) -> Objectives:
        first, second = function.evaluate_true(torch.from_numpy(x)).tolist()
        return first, second

    best = np.zeros((N_LEVELS, N_INPUTS))
    best[:, 0] = np.linspace(0, 1, N_LEVELS)
    reference = cast("torch.Tensor", function.ref_point).tolist()
    return _grid_problem(
        "zdt1",
        of,
        n_inputs=N_INPUTS,
        n_levels=N_LEVELS,
        front=[of(x) for x in best],
        reference=reference,
    )


def dtlz2_problem() -> Problem:
    """Make BoTorch's DTLZ2 of 12 inputs on a grid of 7 levels each.

    Whatever x_0 is, the others are best in the middle, which is on the grid; each matters alike.
    """
    n_levels = 7
    function = DTLZ2(dim=12, num_objectives=2)

    def of(x: Row) -> Objectives:
        first, second = function.evaluate_true(torch.from_numpy(x)).tolist()
        return first, second

    best = np.full((n_levels, 12), 0.5)
    best[:, 0] = np.linspace(0, 1, n_levels)
    front = [of(x) for x in best]
    return _grid_problem(
        "dtlz2", of, n_inputs=12, n_levels=n_levels, front=front, reference=[4.0, 4.0]
    )


def bowls_problem() -> Problem:
    """Make two bowls over 12 inputs of 7 levels, each input with its own weight and best levels.

    What an input adds to both depends on that input alone, so the front is found input by input.
    """
    d, n_levels = 12, 7
    rng = np.random.default_rng(5)
    middles, weights = rng.uniform(0.1, 0.9, (2, d)), rng.uniform(0.5, 1.5, d)
    levels = np.linspace(0, 1, n_levels)

    def of(x: Row) -> Objectives:
        first, second = (weights * (x - middles) ** 2).sum(axis=1).tolist()
        return first, second

    sums = np.zeros((1, 2))
    for j in range(d):
        added = weights[j] * (levels[:, None] - middles[:, j]) ** 2
        sums = _least((sums[:, None] + added).reshape(-1, 2))
    front = [(float(a), float(b)) for a, b in sums]
    return _grid_problem(
        "bowls", of, n_inputs=d, n_levels=n_levels, front=front, reference=[3.0, 3.0]
    )


def turned_problem() -> Problem:
    """Make two bowls over 10 inputs of 9 levels, turned: what an input does depends on the others.

    Both have one shape, so off the grid the best lie on the line between their middles; that front
    is not reached on the grid.
    """
    d = 10
    rng = np.random.default_rng(6)
    turn, _ = np.linalg.qr(rng.normal(size=(d, d)))
    steep, middles = np.logspace(0, 1, d), rng.uniform(0.2, 0.8, (2, d))

    def of(x: Row) -> Objectives:
        first, second = ((steep * ((x - middles) @ turn.T)) ** 2).mean(axis=1).tolist()
        return first, second

    between = middles[0] + np.linspace(0, 1, 101)[:, None] * (middles[1] - middles[0])
    front = [of(x) for x in between]
    return _grid_problem("turned", of, n_inputs=d, n_levels=9, front=front, reference=[1.5, 1.5])


def _grid_problem(
    name: str,
    of: Callable[[Row], Objectives],
    *,
    n_inputs: int,
    n_levels: int,
    front: Sequence[Objectives],
    reference: Sequence[float],
) -> Problem:
    """Make a problem without noise of inputs from 0 to 1 in equal steps, both minimised."""
    directions = (StudyDirection.MINIMIZE, StudyDirection.MINIMIZE)
    names = [f"x_{i:02d}" for i in range(n_inputs)]

    def truth(params: Params) -> Objectives:
        return of(np.array([params[name] for name in names], dtype=float) / (n_levels - 1))

    return Problem(
        name=name,
        distributions={name: IntDistribution(0, n_levels - 1) for name in names},
        directions=directions,
        truth=truth,
        noise=(0.0, 0.0),
        front=_front(to_maximise([*front], directions)),
        reference=to_maximise([*reference], directions)[0],
        is_candidate=lambda _: True,
        same_as=lambda params: tuple(params.items()),
    )


def _least(values: Values) -> Values:
    """Return those that no other is below in both, shape (k, 2), in the order of the first."""
    ordered = values[np.lexsort((values[:, 1], values[:, 0]))]
    lowest = np.minimum.accumulate(ordered[:, 1])
    new = np.r_[True, ordered[1:, 1] < lowest[:-1]]
    return ordered[new]


def _subsets(layers: tuple[int, ...]) -> list[frozenset[int]]:
    return [frozenset(few) for k in range(len(layers) + 1) for few in combinations(layers, k)]


def _capacities(space: InjectionSpace, n_held: int) -> set[int]:
    """Return every n * r with a module, and one for each of the layers that are held."""
    ns = range(max(1, n_held), space.max_loras + 1)
    return {n * rank for n in ns for rank in space.ranks}


def _front(values: Values) -> Values:
    return np.unique(values[pareto(values)], axis=0)


def _below(front: Values, values: Values | None = None) -> Values:
    """Return a reference point below a front by a share of its range, else of the values' range."""
    size = np.ptp(front, axis=0)
    other = np.ptp(front if values is None else values, axis=0)
    return front.min(axis=0) - _MARGIN * np.where(size > 0, size, np.where(other > 0, other, 1.0))
