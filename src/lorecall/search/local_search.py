"""The acquisition's maximum over the valid points of a discrete space.

Everything stays on valid points, so what is suggested is what was scored. (The code the paper
builds on optimises in the cube and rounds: it evaluates one point and records another.)
"""

from collections.abc import Callable, Hashable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from lorecall.errors import SpaceExhaustedError
from lorecall.search.discrete import DiscreteSpace, Params, Points
from lorecall.search.options import AcquisitionSettings

Score = Callable[[Points], NDArray[np.float64]]
"""From points, shape (k, d), to what is maximised, shape (k,)."""

_TRIES = 64  # batches of random points before a space is enumerated
_BATCH = 256
_ENUMERABLE = 200_000


class Untried:
    """The points that may be suggested: valid, and the same as none that is taken.

    Args:
        space: Where they lie.
        is_candidate: Whether parameters are valid at all.
        same_as: What parameters come to; equal keys are one configuration.
        taken: Keys of what was evaluated or is being tried.
        only: The only points there are, shape (n, d), where the valid ones are a known few.

    Examples:
        >>> import numpy as np
        >>> from optuna.distributions import IntDistribution
        >>> from lorecall.search import DiscreteSpace, Untried
        >>> untried = Untried(
        ...     DiscreteSpace({"n": IntDistribution(1, 4)}),
        ...     is_candidate=lambda params: params["n"] % 2 == 0,
        ...     same_as=lambda params: params["n"],
        ...     taken=[2],
        ... )
        >>> untried.space.params(untried.random(np.random.default_rng(0)))
        {'n': 4}
    """

    def __init__(
        self,
        space: DiscreteSpace,
        *,
        is_candidate: Callable[[Params], bool],
        same_as: Callable[[Params], Hashable],
        taken: Iterable[Hashable],
        only: Points | None = None,
    ) -> None:
        self.space = space
        self._only = only
        self._is_candidate, self._same_as, self._taken = is_candidate, same_as, set(taken)

    def none_taken(self) -> "Untried":
        """Return the same points as if none had been tried."""
        return Untried(
            self.space,
            is_candidate=self._is_candidate,
            same_as=self._same_as,
            taken=(),
            only=self._only,
        )

    def allows(self, point: Points) -> bool:
        """Whether a point, shape (d,), may be suggested."""
        params = self.space.params(point)
        return self._is_candidate(params) and self._same_as(params) not in self._taken

    def among(self, points: Points) -> Points:
        """Keep the points that may be suggested, shape (k, d) -> (k', d), in order."""
        return points[[self.allows(point) for point in points]]

    def listed(self) -> Points | None:
        """Return all that is left where the points are a listed few, shape (k, d); else None.

        Raises:
            SpaceExhaustedError: They are, and none is left.
        """
        if self._only is None:
            return None
        left = self.among(self._only)
        if not len(left):
            raise SpaceExhaustedError
        return left

    def random(self, rng: np.random.Generator) -> Points:
        """Draw one uniformly.

        Raises:
            SpaceExhaustedError: There is none.
        """
        if (left := self.listed()) is not None:
            return left[rng.integers(len(left))]
        for _ in range(_TRIES):
            for point in self.space.random(_BATCH, rng):
                if self.allows(point):
                    return point
        if self.space.n_points <= _ENUMERABLE:
            left = self.among(self.space.all_points())
            if len(left):
                return left[rng.integers(len(left))]
        raise SpaceExhaustedError


def maximise(
    score: Score,
    untried: Untried,
    *,
    starts: Points,
    settings: AcquisitionSettings,
    rng: np.random.Generator,
) -> Points:
    """Climb by one-exchange and swap moves from given and from random starts, all in one batch.

    Where the points are a known few, their neighbours need not be among them: all are scored.

    Args:
        score: What is maximised.
        untried: The points that may be returned.
        starts: Points to begin beside, shape (k, d); they need not be allowed themselves.
        settings: How many random starts, moves and swaps.
        rng: Where the random points come from.

    Returns:
        The best point scored, shape (d,); a random one where none was met.

    Raises:
        SpaceExhaustedError: No point is left.

    Examples:
        >>> import numpy as np
        >>> from optuna.distributions import IntDistribution
        >>> from lorecall.search import AcquisitionSettings, DiscreteSpace, Untried, maximise
        >>> space = DiscreteSpace({"n": IntDistribution(0, 9)})
        >>> def itself(params):
        ...     return params["n"]
        >>> untried = Untried(space, is_candidate=lambda _: True, same_as=itself, taken=[9])
        >>> maximise(
        ...     lambda points: points[:, 0] / 9,
        ...     untried,
        ...     starts=space.all_points()[:1],
        ...     settings=AcquisitionSettings(),
        ...     rng=np.random.default_rng(0),
        ... )
        array([8])
    """
    if (left := untried.listed()) is not None:
        return left[int(np.argmax(score(left)))]
    space, climb = untried.space, _Climb(score, untried)
    pool = climb.visit(space.random(settings.n_pool, rng))
    active = [*starts, *sorted(pool, key=climb.value, reverse=True)[: settings.n_random]]
    for _ in range(settings.max_steps):
        near = [
            np.concatenate([space.neighbours(point), space.swaps(point, settings.n_swaps, rng)])
            for point in active
        ]
        if not near:
            break
        if settings.n_near < max(map(len, near)):
            near = [rng.permutation(points) for points in near]
        moves = _moves(climb, active, near, at_once=settings.n_near)
        active = list({move.tobytes(): move for move in moves}.values())  # paths that meet are one
    return climb.best() if climb.values else untried.random(rng)


def _moves(
    climb: "_Climb", active: Sequence[Points], near: Sequence[Points], *, at_once: int
) -> list[Points]:
    """Move every point to the best of its first neighbours of which any is better, if any is.

    The rest of the neighbours is scored only where none of those before is better.
    """
    found: dict[int, Points] = {}
    for first in range(0, max(map(len, near)), at_once):
        few = {
            i: points[first : first + at_once]
            for i, points in enumerate(near)
            if i not in found and first < len(points)
        }
        if not few:
            break
        climb.visit(np.concatenate([*few.values()]))
        best = {i: max(points, key=climb.value) for i, points in few.items()}
        found |= {i: p for i, p in best.items() if climb.value(p) > climb.value(active[i])}
    return list(found.values())


class _Climb:
    """The values of the allowed points met so far; each is scored once."""

    def __init__(self, score: Score, untried: Untried) -> None:
        self._score, self._untried = score, untried
        self._seen: set[bytes] = set()
        self._points: dict[bytes, Points] = {}
        self.values: dict[bytes, float] = {}

    def visit(self, points: Points) -> list[Points]:
        """Score the allowed ones among new points, and return them."""
        new = {point.tobytes(): point for point in points if point.tobytes() not in self._seen}
        self._seen |= new.keys()
        allowed = {key: point for key, point in new.items() if self._untried.allows(point)}
        if allowed:
            values = self._score(np.stack(list(allowed.values())))
            self.values |= dict(zip(allowed, values.tolist(), strict=True))
            self._points |= allowed
        return list(allowed.values())

    def value(self, point: Points) -> float:
        """Return a point's value, minus infinity where it is not allowed."""
        return self.values.get(point.tobytes(), -np.inf)

    def best(self) -> Points:
        """Return the best point met."""
        return self._points[max(self.values, key=self.values.__getitem__)]
