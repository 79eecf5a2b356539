"""Which points of other searches are tried first: the best of all of them, luck left out."""

from collections.abc import Callable

import numpy as np
import pytest
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection

from lorecall.records import SurrogateKind
from lorecall.search.discrete import DiscreteSpace
from lorecall.search.first import FirstPoints
from lorecall.search.front import to_maximise
from lorecall.search.options import McmcSettings, SamplerOptions
from lorecall.search.prior import Placed, Prior

DIRECTIONS = (StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE)
FEW = McmcSettings(warmup_steps=32, posterior_samples=16, thinning=4, max_tree_depth=4)
Kinds = dict[str, BaseDistribution]
Evaluate = Callable[[dict[str, object]], tuple[float, float]]


@pytest.fixture
def space(distributions: Kinds) -> DiscreteSpace:
    """Return the small problem's space."""
    return DiscreteSpace(distributions)


def key(params: dict[str, object]) -> tuple[object, ...]:
    """Every point is a model of its own."""
    return tuple(params.items())


def first_of(
    priors: list[Prior], space: DiscreteSpace, most: int, kind: SurrogateKind = "map"
) -> list[dict[str, object]]:
    """Rank the points of priors."""
    options = SamplerOptions(mcmc=FEW, surrogate=kind)
    first = FirstPoints(priors, space, DIRECTIONS, most=most, same_as=key, options=options)
    ranked = first.ranked(seed=0)
    assert len(ranked) == first.n
    return ranked


def prior_of(
    space: DiscreteSpace, evaluate: Evaluate, n: int, *, seed: int, noise: float = 0.0
) -> Prior:
    """Search at random, each score with noise on it."""
    rng = np.random.default_rng(seed)
    params = tuple(space.params(point) for point in space.random(n, rng))
    found = [evaluate(p) for p in params]
    luck = rng.normal(scale=noise, size=n)
    return Prior(
        params=params,
        values=tuple((loss, score + more) for (loss, score), more in zip(found, luck, strict=True)),
    )


@pytest.mark.parametrize("kind", ["map", "nuts"])
def test_luck_is_left_out(space: DiscreteSpace, evaluate: Evaluate, kind: SurrogateKind) -> None:
    """What noisy points are ranked by is nearer to what they are without the noise."""
    spread = float(np.std([evaluate(space.params(p))[1] for p in _some(space)]))
    options = SamplerOptions(mcmc=FEW, surrogate=kind)
    left: list[float] = []
    for seed in range(4):
        prior = prior_of(space, evaluate, 24, seed=seed, noise=spread / 4)
        truth = np.array([evaluate(params)[1] for params in prior.params])
        noisy = to_maximise(prior.values, DIRECTIONS)
        points = np.stack([space.point(params) for params in prior.params])
        first = FirstPoints([prior], space, DIRECTIONS, most=3, same_as=key, options=options)
        means = first._means(Placed(points=points, values=noisy), seed=seed)[:, 1]  # standardised
        means = means * noisy[:, 1].std(ddof=1) + noisy[:, 1].mean()
        left.append(np.square(means - truth).mean() / np.square(noisy[:, 1] - truth).mean())
    assert max(left) < 1
    assert np.mean(left) < 0.9


def test_the_best_of_all_priors_is_first(space: DiscreteSpace, evaluate: Evaluate) -> None:
    """Not that of the first one; each model is there once, and no more than asked for."""
    poor, rich = (prior_of(space, evaluate, n, seed=1) for n in (3, 24))
    found = first_of([poor, rich, rich], space, 5)
    assert len({key(params) for params in found}) == len(found) == 5
    loss, score = evaluate(found[0])
    assert not any(v[0] < loss - 0.2 and v[1] > score + 0.2 for v in rich.values)
    assert _merit((loss, score)) > np.median([_merit(v) for v in rich.values])


def test_few_points_are_ranked_as_they_are(space: DiscreteSpace) -> None:
    """Three say nothing of what is luck."""
    params = tuple(space.params(point) for point in _some(space)[:3])
    prior = Prior(params=params, values=((3.0, 1.0), (2.0, 2.0), (2.5, 1.5)))
    assert first_of([prior], space, 5) == [params[1], params[2], params[0]]


def test_without_priors_there_are_none(space: DiscreteSpace) -> None:
    """The search begins at random then."""
    assert first_of([], space, 5) == []
    assert first_of([Prior(params=({"odd": 1},), values=((0.0, 0.0),))], space, 5) == []


def _some(space: DiscreteSpace) -> np.ndarray:
    return space.random(64, np.random.default_rng(9))


def _merit(found: tuple[float, ...]) -> float:
    return found[1] - found[0]
