"""A discrete space: what the search walks on.

Notation
    d      number of columns
    n_j    number of levels of column j
    point  level indices, int64, shape (d,); column j holds 0 .. n_j - 1
    code   point_j / (n_j - 1), in [0, 1], float64, shape (d,); a one-level column is 0

Several points may be one configuration; then one of them stands for all, and its code is theirs, so
that a surrogate sees one input for one thing.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from lorecall.errors import ConfigError

Level = bool | int | float
Params = dict[str, Level]
Points = NDArray[np.int64]
Codes = NDArray[np.float64]


class DiscreteSpace:
    """Ordered columns of booleans, integers and ordinals.

    Args:
        distributions: Optuna's, by name. Supported: `CategoricalDistribution` of booleans or of
            ascending numbers, and `IntDistribution` without `log`.
        canonical: From parameters to those of the same configuration that stand for it, a point of
            this space; every point stands for itself when None.

    Raises:
        ConfigError: A distribution of another kind.
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        *,
        canonical: Callable[[Params], Params] | None = None,
    ) -> None:
        self._canonical = canonical
        self.names = tuple(distributions)
        self.levels = tuple(_levels(name, kind) for name, kind in distributions.items())
        self.sizes: Points = np.array([len(levels) for levels in self.levels], dtype=np.int64)
        self._booleans = [
            j for j, levels in enumerate(self.levels) if all(isinstance(v, bool) for v in levels)
        ]
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
            Codes, shape (..., d).
        """
        return self.canonical(points) / np.maximum(self.sizes - 1, 1)

    def params(self, point: Points) -> Params:
        """Return a point, shape (d,), as Optuna's parameters."""
        chosen = zip(self.names, self.levels, point.tolist(), strict=True)
        return {name: levels[i] for name, levels, i in chosen}

    def point(self, params: Mapping[str, object]) -> Points:
        """Give Optuna's parameters as a point, shape (d,); other names are ignored.

        Raises:
            ConfigError: A parameter is missing or is none of its column's levels.
        """
        found = self.find(params)
        if found is None:
            raise ConfigError(
                "parameters must be a point of the space",
                expected=", ".join(f"{n} in {_short(v)}" for n, v in self._columns()),
                got=repr(dict(params)),
                next_step="Give every parameter one of its levels.",
            )
        return found

    def find(self, params: Mapping[str, object]) -> Points | None:
        """Return the point of parameters, or None where they are none of this space."""
        indices = [
            index.get(params.get(name))  # type: ignore[arg-type]  # any value may be looked up
            for name, index in zip(self.names, self._index, strict=True)
        ]
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

    def _columns(self) -> list[tuple[str, tuple[Level, ...]]]:
        return list(zip(self.names, self.levels, strict=True))


def _levels(name: str, kind: BaseDistribution) -> tuple[Level, ...]:
    if isinstance(kind, IntDistribution) and not kind.log:
        return tuple(range(kind.low, kind.high + 1, kind.step))
    if isinstance(kind, CategoricalDistribution):
        choices = kind.choices
        if all(isinstance(choice, bool) for choice in choices):
            return tuple(sorted(set(choices)))  # type: ignore[type-var]
        numbers = [c for c in choices if isinstance(c, int | float) and not isinstance(c, bool)]
        if len(numbers) == len(choices) and all(a < b for a, b in pairwise(numbers)):
            return tuple(numbers)
    raise ConfigError(
        f"parameter {name} must be discrete and ordered",
        expected="booleans, an IntDistribution without log, or ascending numbers",
        got=repr(kind),
        next_step="Give a real parameter a few levels: CategoricalDistribution([0.1, 0.3, 1.0]).",
    )


def _short(levels: tuple[Level, ...]) -> str:
    few = 6
    return str(levels) if len(levels) <= few else f"({levels[0]}, {levels[1]}, ..., {levels[-1]})"
