"""Other searches as prior observations."""

from collections.abc import Callable

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection

from lorecall.errors import ConfigError
from lorecall.search.discrete import DiscreteSpace
from lorecall.search.prior import Placed, Prior, on_scale_of, placed, thinned
from lorecall.search.sampler import SaasNehviSampler
from lorecall.search.study import ask

DIRECTIONS = (StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE)
Kinds = dict[str, BaseDistribution]
Evaluate = Callable[[dict[str, object]], tuple[float, float]]


@pytest.fixture
def space(distributions: Kinds) -> DiscreteSpace:
    """Return the small problem's space."""
    return DiscreteSpace(distributions)


@pytest.fixture
def other(space: DiscreteSpace, evaluate: Evaluate) -> Prior:
    """Return another person's search: the same problem, its losses half a nat lower."""
    points = space.random(30, np.random.default_rng(5))
    params = tuple(space.params(point) for point in points)
    values = tuple((evaluate(p)[0] - 0.5, evaluate(p)[1]) for p in params)
    return Prior(params=params, values=values)


def test_trials_outside_the_space_are_left_out(space: DiscreteSpace, other: Prior) -> None:
    """So is a prior that has none inside; signs are turned."""
    odd = Prior(params=({"on_0": True}, *other.params), values=((1.0, 1.0), *other.values))
    (found,) = placed([odd, Prior(params=({},), values=((0.0, 0.0),))], space, DIRECTIONS)
    assert len(found.points) == len(other.params)
    assert found.values[0].tolist() == [-other.values[0][0], other.values[0][1]]


def test_a_prior_with_other_objectives_is_refused(space: DiscreteSpace, other: Prior) -> None:
    """Two values a trial say nothing of a third; they are not read as if they did."""
    with pytest.raises(ConfigError, match="expected 3 values a trial, got 2"):
        placed([other], space, [*DIRECTIONS, StudyDirection.MINIMIZE])


def test_values_are_shifted_by_what_both_have_tried() -> None:
    """One shared configuration is enough for a shift; what only one has tried does not count."""
    own = Placed(points=np.array([[0, 0], [1, 1]]), values=np.array([[1.0, 5.0], [9.0, 9.0]]))
    prior = Placed(points=np.array([[0, 0], [0, 1]]), values=np.array([[3.0, 4.0], [2.0, 8.0]]))
    assert on_scale_of(own, prior).tolist() == [[1.0, 5.0], [0.0, 9.0]]


def test_without_shared_configurations_the_means_agree() -> None:
    """And with no observation of one's own the prior's values stay as they are."""
    own = Placed(points=np.array([[1, 1]]), values=np.array([[10.0, 0.0]]))
    prior = Placed(points=np.array([[0, 0], [0, 1]]), values=np.array([[3.0, 4.0], [1.0, 8.0]]))
    assert on_scale_of(own, prior).mean(axis=0).tolist() == [10.0, 0.0]
    none = Placed(points=own.points[:0], values=own.values[:0])
    assert on_scale_of(none, prior).tolist() == prior.values.tolist()


def test_a_slope_is_fitted_to_enough_shared_configurations() -> None:
    """Half the spread there, twice that here; a slope against the trend is held at its least."""
    points = np.arange(6)[:, None]
    there = np.stack([np.arange(6.0), np.arange(6.0)], axis=1)
    own = Placed(points=points, values=there * [2.0, -1.0])
    scaled = on_scale_of(own, Placed(points=points, values=there))
    np.testing.assert_allclose(scaled[:, 0], 2 * np.arange(6.0))
    np.testing.assert_allclose(np.diff(scaled[:, 1]), 0.2)


def test_thinning_keeps_the_front(other: Prior, space: DiscreteSpace) -> None:
    """Of the rest as many as there is room for."""
    (prior,) = placed([other], space, DIRECTIONS)
    few = thinned(prior, 12, np.random.default_rng(0))
    assert len(few.points) == 12
    best = prior.values.max(axis=0)
    assert (few.values.max(axis=0) == best).all()
    assert thinned(prior, 99, np.random.default_rng(0)) is prior


def test_a_prior_informs_the_first_suggestion(
    make_sampler: Callable[..., SaasNehviSampler],
    distributions: Kinds,
    evaluate: Evaluate,
    other: Prior,
) -> None:
    """After two points of its own, a study with a prior finds what the prior says matters."""

    def suggested(*priors: Prior) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        for seed in range(6):
            sampler = make_sampler(n_initial=2, seed=seed, priors=priors)
            study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
            for _ in range(3):
                trial = ask(study, distributions)
                study.tell(trial, evaluate(trial.params))
            found.append(study.trials[2].params)
        return found

    def merit(params: dict[str, object]) -> float:
        loss, score = evaluate(params)
        return score - loss

    informed, alone = (
        float(np.mean([merit(p) for p in suggested(*priors)])) for priors in ((other,), ())
    )
    assert informed > alone
