"""A discrete space: what the search walks on.

Notation
    d      number of columns
    n_j    number of levels of column j
    point  level indices, int64, shape (d,); column j holds 0 .. n_j - 1
    code   what a surrogate sees of a point, in [0, 1], float64, shape (w,), w >= d: one number for
           a column whose levels are ordered (even steps; even steps of the logarithm where the
           distribution says so), n_j of them, one-hot, for three or more levels without an order

Several points may be one configuration; then one of them stands for all, and its code is theirs, so
that a surrogate sees one input for one thing.
"""

from collections.abc import Callable, Mapping, Sequence
from math import isclose, isnan, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from lorecall.errors import ConfigError

Level = bool | int | float | str | None
Params = dict[str, Level]
"""Optuna's parameters: a value a name."""

Points = NDArray[np.int64]
"""Points as indices of levels, shape (..., d)."""

Codes = NDArray[np.float64]

MAX_LEVELS = 1000
"""Most levels of a column: a local search looks at all of them."""

_PAIR = 2  # levels that need no order
_MISSING = object()  # None may be a level


class DiscreteSpace:
    """Columns of booleans, integers, stepped or listed numbers, and names.

    Args:
        distributions: Optuna's, by name, each with at most `MAX_LEVELS` values: `IntDistribution`,
            `FloatDistribution` with a step, `CategoricalDistribution` of different choices. Choices
            that are all booleans or all numbers are sorted and ordered; others have no order.
        canonical: From parameters to those of the same configuration that stand for it, a point of
            this space; every point stands for itself when None.

    Raises:
        ConfigError: A distribution of another kind.

    Examples:
        >>> from optuna.distributions import CategoricalDistribution, IntDistribution
        >>> from lorecall.search import DiscreteSpace
        >>> kinds = {"on": CategoricalDistribution([False, True]), "n": IntDistribution(0, 4)}
        >>> space = DiscreteSpace(kinds)
        >>> point = space.point({"on": True, "n": 2})
        >>> point, space.encode(point)
        (array([1, 2]), array([1. , 0.5]))
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        *,
        canonical: Callable[[Params], Params] | None = None,
    ) -> None:
        self._canonical = canonical
        self.names = tuple(distributions)
        self.levels = tuple(_required_levels(name, kind) for name, kind in distributions.items())
        self.sizes: Points = np.array([len(levels) for levels in self.levels], dtype=np.int64)
        kinds = distributions.values()
        self._codes = [_codes(*column) for column in zip(self.levels, kinds, strict=True)]
        self._booleans = [
            j for j, levels in enumerate(self.levels) if len(levels) > 1 and _are_bool(levels)
        ]
        self._floats = [j for j, kind in enumerate(kinds) if isinstance(kind, FloatDistribution)]
        self._index = [{level: i for i, level in enumerate(levels)} for levels in self.levels]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def n_points(self) -> int:
        """The number of points, valid or not."""
        return prod(len(levels) for levels in self.levels)

    def canonical(self, points: Points) -> Points:
        """Return the points that stand for the same configurations, shape (..., d) -> (..., d)."""
        if self._canonical is None:
            return points
        rows = points.reshape(-1, len(self))
        standing = [self.point(self._canonical(self.params(row))) for row in rows]
        return np.array(standing, dtype=np.int64).reshape(points.shape)

    def encode(self, points: Points) -> Codes:
        """Scale level indices of the points that stand for these to [0, 1].

        Args:
            points: Shape (..., d).

        Returns:
            Codes, shape (..., w).
        """
        standing = self.canonical(points)
        columns = [codes[standing[..., j]] for j, codes in enumerate(self._codes)]
        return np.concatenate(columns, axis=-1)

    def params(self, point: Points) -> Params:
        """Return a point, shape (d,), as Optuna's parameters."""
        chosen = zip(self.names, self.levels, point.tolist(), strict=True)
        return {name: levels[i] for name, levels, i in chosen}

    def point(self, params: Mapping[str, object]) -> Points:
        """Return Optuna's parameters as a point, shape (d,); other names are ignored.

        Raises:
            ConfigError: A parameter is missing or is none of its column's levels.
        """
        found = self.find(params)
        if found is None:
            raise ConfigError(
                "parameters must be a point of the space",
                expected=", ".join(
                    f"{n} in {_short(v)}" for n, v in zip(self.names, self.levels, strict=True)
                ),
                got=repr(dict(params)),
                next_step="Give every parameter one of its levels.",
            )
        return found

    def find(self, params: Mapping[str, object]) -> Points | None:
        """Return the point of parameters, or None where they are none of this space."""
        indices = [
            index.get(params.get(name, _MISSING))  # type: ignore[arg-type]  # any value
            for name, index in zip(self.names, self._index, strict=True)
        ]
        for j in self._floats:  # whose steps are sums, which others may round otherwise
            if indices[j] is None:
                indices[j] = _nearest(self.levels[j], params.get(self.names[j]))
        return None if None in indices else np.array(indices, dtype=np.int64)

    def random(self, n: int, rng: np.random.Generator) -> Points:
        """Draw n points uniformly, shape (n, d)."""
        return rng.integers(0, self.sizes, size=(n, len(self)), dtype=np.int64)

    def neighbours(self, point: Points) -> Points:
        """Return the points that differ from this one in one column, shape (sum_j (n_j - 1), d)."""
        changed = [
            (j, level) for j, n in enumerate(self.sizes) for level in range(n) if level != point[j]
        ]
        near = np.repeat(point[None], len(changed), axis=0)
        for row, (j, level) in enumerate(changed):
            near[row, j] = level
        return near

    def swaps(self, point: Points, n: int, rng: np.random.Generator) -> Points:
        """Turn one boolean on and another off, at random.

        Args:
            point: Shape (d,).
            n: How many swaps to draw.
            rng: Where from.

        Returns:
            Shape (n, d), or (0, d) where no swap exists.
        """
        on = [j for j in self._booleans if point[j] == 1]
        off = [j for j in self._booleans if point[j] == 0]
        if not on or not off:
            return np.empty((0, len(self)), dtype=np.int64)
        swapped = np.repeat(point[None], n, axis=0)
        rows = np.arange(n)
        swapped[rows, rng.choice(on, n)] = 0
        swapped[rows, rng.choice(off, n)] = 1
        return swapped

    def all_points(self) -> Points:
        """Enumerate the space, shape (n_points, d); for small ones."""
        flat = np.arange(self.n_points)
        return np.stack(np.unravel_index(flat, tuple(self.sizes)), axis=-1).astype(np.int64)


def levels_of(kind: BaseDistribution) -> tuple[Level, ...] | None:
    """Return the values of a distribution, or None where a discrete space cannot hold them."""
    levels: Sequence[Any] = ()
    if isinstance(kind, IntDistribution):
        levels = range(kind.low, kind.high + 1, kind.step)
    elif isinstance(kind, FloatDistribution) and kind.step is not None:
        n = round((kind.high - kind.low) / kind.step) + 1
        if n <= MAX_LEVELS:
            levels = [min(kind.low + i * kind.step, kind.high) for i in range(n)]
    elif isinstance(kind, CategoricalDistribution) and _are_distinct(kind.choices):
        levels = sorted(kind.choices) if _are_ordered(kind.choices) else kind.choices
    return tuple(levels) if 0 < len(levels) <= MAX_LEVELS else None


def _required_levels(name: str, kind: BaseDistribution) -> tuple[Level, ...]:
    levels = levels_of(kind)
    if levels is None:
        raise ConfigError(
            f"parameter {name} must be discrete",
            expected="an integer, a float with a step or different choices,"
            f" of at most {MAX_LEVELS} values",
            got=repr(kind),
            next_step="Give a real parameter a step, or a few levels:"
            " CategoricalDistribution([0.1, 0.3, 1.0]).",
        )
    return levels


def _codes(levels: tuple[Any, ...], kind: BaseDistribution) -> Codes:
    """Return the codes of a column's levels, shape (n_j, 1), or one-hot (n_j, n_j)."""
    n = len(levels)
    if n > _PAIR and not _are_ordered(levels):
        return np.eye(n)
    place = np.arange(n)
    if isinstance(kind, IntDistribution) and kind.log:
        place = np.log([number / kind.low for number in levels])
    return (place / (place[-1] or 1))[:, None]


def _are_distinct(choices: Sequence[object]) -> bool:
    """Whether choices are plain values of which no two are equal, as 1 and True are."""
    plain = all(isinstance(c, Level) and not (isinstance(c, float) and isnan(c)) for c in choices)
    return plain and len(set(choices)) == len(choices)


def _are_ordered(levels: Sequence[Level]) -> bool:
    return _are_bool(levels) or all(type(level) in (int, float) for level in levels)


def _are_bool(levels: Sequence[Level]) -> bool:
    return all(isinstance(level, bool) for level in levels)


def _nearest(levels: Sequence[Any], value: object) -> int | None:
    """Return which of a stepped float's levels a value is, but for how it was rounded."""
    if not isinstance(value, float):
        return None
    near = (i for i, level in enumerate(levels) if isclose(level, value, abs_tol=1e-12))
    return next(near, None)


def _short(levels: tuple[Level, ...]) -> str:
    few = 6
    return str(levels) if len(levels) <= few else f"({levels[0]}, {levels[1]}, ..., {levels[-1]})"
