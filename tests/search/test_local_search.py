"""The search for the best valid point."""

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution, IntDistribution

from lorecall.errors import SpaceExhaustedError
from lorecall.search.discrete import DiscreteSpace, Params, Points
from lorecall.search.local_search import Untried, maximise
from lorecall.search.options import AcquisitionSettings

BOOLEAN = CategoricalDistribution([False, True])
WIDE = DiscreteSpace({**{f"b{i}": BOOLEAN for i in range(20)}, "i": IntDistribution(0, 9)})
SMALL = DiscreteSpace({"a": BOOLEAN, "b": BOOLEAN, "i": IntDistribution(0, 1)})
QUICK = AcquisitionSettings(n_pool=8, n_random=2, n_swaps=4)
NONE = np.empty((0, 21), dtype=np.int64)


def untried(space: DiscreteSpace, taken: Iterable[object] = ()) -> Untried:
    """Take every point for valid but those taken."""
    return Untried(
        space, is_candidate=lambda _: True, same_as=lambda p: tuple(p.values()), taken=taken
    )


def test_it_climbs_to_the_top() -> None:
    """A separable function is maximised exactly, and each point is scored once."""
    target = np.random.default_rng(1).integers(0, WIDE.sizes)
    scored: list[bytes] = []

    def score(points: Points) -> NDArray[np.float64]:
        scored.extend(point.tobytes() for point in points)
        return -np.abs(points - target).sum(axis=1).astype(np.float64)

    best = maximise(score, untried(WIDE), starts=NONE, settings=QUICK, rng=np.random.default_rng(0))
    assert (best == target).all()
    assert len(scored) == len(set(scored))


def test_few_neighbours_at_once_come_to_the_same_top() -> None:
    """A point moves on before all of its neighbours are scored, and none is missed at the top."""
    space = DiscreteSpace({f"i{i}": IntDistribution(0, 8) for i in range(12)})
    target = np.random.default_rng(1).integers(0, space.sizes)
    n_scored: list[int] = []
    for n_near in (10_000, 8):
        scored: list[int] = []

        def score(points: Points, scored: list[int] = scored) -> NDArray[np.float64]:
            scored.append(len(points))
            return -np.abs(points - target).sum(axis=1).astype(np.float64)

        settings = AcquisitionSettings(n_pool=8, n_random=2, n_near=n_near)
        best = maximise(
            score,
            untried(space),
            starts=np.empty((0, 12), dtype=np.int64),
            settings=settings,
            rng=np.random.default_rng(0),
        )
        assert (best == target).all()
        n_scored.append(sum(scored))
    assert n_scored[1] < 0.75 * n_scored[0]


def test_swaps_cross_what_single_exchanges_cannot() -> None:
    """With the number of booleans fixed by validity, only swaps can move."""

    def three_on(params: Params) -> bool:
        return sum(map(bool, list(params.values())[:20])) == 3

    def score(points: Points) -> NDArray[np.float64]:
        return points[:, :3].sum(axis=1) + points[:, 20] / 100

    start = np.array([[0] * 17 + [1] * 3 + [0]])
    allowed = Untried(WIDE, is_candidate=three_on, same_as=lambda p: tuple(p.values()), taken=())
    settings = AcquisitionSettings(n_pool=1, n_random=1, n_swaps=64)
    best = maximise(score, allowed, starts=start, settings=settings, rng=np.random.default_rng(0))
    assert best.tolist() == [1, 1, 1] + [0] * 17 + [9]


def test_a_start_need_not_be_allowed() -> None:
    """From an evaluated point the search goes to its neighbours, never back to it."""
    top = np.ones(3, dtype=np.int64)
    left = untried(SMALL, taken=[(True, True, 1)])
    best = maximise(
        lambda points: points.sum(axis=1).astype(np.float64),
        left,
        starts=top[None],
        settings=QUICK,
        rng=np.random.default_rng(0),
    )
    assert best.sum() == 2


@pytest.mark.parametrize("n_left", [1, 3])
def test_the_last_points_are_found(n_left: int) -> None:
    """However few are left, one of them is returned."""
    keys = [tuple(SMALL.params(point).values()) for point in SMALL.all_points()]
    left = untried(SMALL, taken=keys[n_left:])
    rng = np.random.default_rng(0)
    best = maximise(
        lambda points: np.zeros(len(points)),
        left,
        starts=SMALL.all_points()[-1:],
        settings=AcquisitionSettings(n_pool=1, n_random=1, n_swaps=0, max_steps=1),
        rng=rng,
    )
    assert left.allows(best)
    assert left.allows(left.random(rng))


def test_a_rare_point_is_found_by_enumeration() -> None:
    """One valid point among 131,072 is too rare for chance alone, but it is not given up."""
    space = DiscreteSpace({f"b{i}": BOOLEAN for i in range(17)})
    one = Untried(
        space,
        is_candidate=lambda params: all(params.values()),
        same_as=lambda params: tuple(params.values()),
        taken=(),
    )
    assert one.random(np.random.default_rng(0)).sum() == 17


def test_a_known_few_are_all_scored() -> None:
    """However far apart: no neighbour of one is another, and none of them is a random start."""
    rng = np.random.default_rng(3)
    few = WIDE.random(40, rng)
    taken = [tuple(WIDE.params(few[7]).values())]
    left = Untried(
        WIDE,
        is_candidate=lambda params: params["i"] != few[0, 20],
        same_as=lambda params: tuple(params.values()),
        taken=taken,
        only=few,
    )
    allowed = [p for i, p in enumerate(few) if i != 7 and p[20] != few[0, 20]]
    scored: list[bytes] = []

    def score(points: Points) -> NDArray[np.float64]:
        scored.extend(point.tobytes() for point in points)
        return points[:, :20].sum(axis=1).astype(np.float64)

    best = maximise(score, left, starts=few[:4], settings=QUICK, rng=rng)
    assert scored == [point.tobytes() for point in allowed]
    assert best[:20].sum() == max(point[:20].sum() for point in allowed)
    drawn = {left.random(rng).tobytes() for _ in range(400)}
    assert drawn == set(scored)


def test_a_known_few_are_used_up() -> None:
    """With each taken there is nothing to draw and nothing to score."""
    few = SMALL.all_points()[:2]
    keys = [tuple(SMALL.params(point).values()) for point in few]
    none = Untried(
        SMALL,
        is_candidate=lambda _: True,
        same_as=lambda p: tuple(p.values()),
        taken=keys,
        only=few,
    )
    rng = np.random.default_rng(0)
    with pytest.raises(SpaceExhaustedError):
        none.random(rng)
    with pytest.raises(SpaceExhaustedError):
        maximise(lambda p: np.zeros(len(p)), none, starts=few, settings=QUICK, rng=rng)


def test_an_exhausted_space_is_an_error() -> None:
    """When everything is taken, that is said in one line."""
    keys = [tuple(SMALL.params(point).values()) for point in SMALL.all_points()]
    none = untried(SMALL, taken=keys)
    with pytest.raises(SpaceExhaustedError, match="untried point"):
        none.random(np.random.default_rng(0))
    with pytest.raises(SpaceExhaustedError):
        maximise(
            lambda points: np.zeros(len(points)),
            none,
            starts=SMALL.all_points()[:1],
            settings=QUICK,
            rng=np.random.default_rng(0),
        )
