"""Fronts, hypervolumes, stopping, choosing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from optuna.study import StudyDirection

from lorecall.errors import ConfigError
from lorecall.records import TrialOutcome
from lorecall.search.front import (
    Values,
    choose,
    converged,
    hypervolume,
    hypervolume_trace,
    pareto,
    reference_point,
    to_maximise,
)

numbers = st.floats(-10, 10, allow_nan=False)
values_of = st.tuples(st.integers(1, 12), st.integers(1, 3)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=numbers)
)


def dominates(a: Values, b: Values) -> bool:
    """Whether a is at least as good in all and better in one."""
    return bool((a >= b).all() and (a > b).any())


def candidate(loss: float, rouge_l: float, error: float = 0.0, size: int = 1) -> TrialOutcome:
    """Make a candidate."""
    return TrialOutcome(
        loss=loss,
        rouge_l=rouge_l,
        rouge_l_error=error,
        n_parameters=size,
        n_tokens=1,
        curve=(),
        train_s=0.0,
        evaluate_s=0.0,
    )


@given(values_of)
def test_the_front_is_what_nothing_dominates(values: Values) -> None:
    """A point is on the front exactly where no other dominates it; equal points stay together."""
    expected = [not any(dominates(other, value) for other in values) for value in values]
    assert pareto(values).tolist() == expected


@given(values_of)
def test_the_hypervolume_only_grows(values: Values) -> None:
    """The trace never falls and ends at the hypervolume of all points, which its front has."""
    reference = np.full(values.shape[1], -5.0)
    trace = hypervolume_trace(values, reference)
    assert (np.diff(trace) >= -1e-9).all()
    assert trace[-1] == pytest.approx(hypervolume(values, reference))
    assert hypervolume(values[pareto(values)], reference) == pytest.approx(trace[-1])


def test_hypervolume_of_a_staircase() -> None:
    """Two overlapping boxes, worked by hand; points below the reference add nothing."""
    values = np.array([[1.0, 3.0], [2.0, 1.0], [0.5, 0.5], [9.0, -1.0]])
    assert hypervolume(values, np.zeros(2)) == pytest.approx(1 * 3 + 1 * 1)


@pytest.mark.parametrize(("best", "volume"), [(2.5, 2.0), (0.2, 0.0)])
def test_hypervolume_of_one_objective(best: float, volume: float) -> None:
    """With one objective it is the distance of the best value, never negative."""
    assert hypervolume(np.array([[0.1], [best]]), np.array([0.5])) == pytest.approx(volume)


def test_no_points_have_no_front() -> None:
    """Nothing in, nothing out."""
    assert pareto(np.empty((0, 2))).tolist() == []
    assert hypervolume(np.empty((0, 2)), np.zeros(2)) == 0.0
    assert hypervolume_trace(np.empty((0, 2)), np.zeros(2)).tolist() == []


def test_signs_are_turned_for_what_is_minimised() -> None:
    """A loss changes its sign, a score does not; no trials give no rows."""
    directions = [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE]
    assert to_maximise([[1.0, 2.0]], directions).tolist() == [[-1.0, 2.0]]
    assert to_maximise([], directions).shape == (0, 2)


def test_reference_point_is_below_the_worst() -> None:
    """A tenth of the range below the worst; without a range, a tenth of the size, or 0.1."""
    initial = np.array([[1.0, -4.0, 0.0], [3.0, -4.0, 0.0]])
    assert reference_point(initial) == pytest.approx(np.array([0.8, -4.4, -0.1]))


def test_reference_point_needs_a_trial() -> None:
    """No initial value is an error."""
    with pytest.raises(ConfigError, match="initial"):
        reference_point(np.empty((0, 2)))


@pytest.mark.parametrize(
    ("trace", "stops"),
    [
        ([1.0, 1.0, 1.0, 1.0, 1.0], False),  # too few rounds
        ([1.0, 1.0, 1.0, 1.0, 1.0, 1.005], True),
        ([1.0, 1.0, 1.0, 1.0, 1.0, 1.02], False),
        ([0.0, 0.0, 0.0, 0.0, 0.0, 0.0], True),
        ([0.0, 0.0, 0.0, 0.0, 0.0, 0.1], False),
        ([5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], True),  # only the last rounds count
    ],
)
def test_when_a_search_has_converged(trace: list[float], stops: bool) -> None:  # noqa: FBT001
    """It has where the last five rounds brought less than 1%."""
    assert converged(trace) is stops


def front_of(candidates: list[TrialOutcome]) -> np.ndarray:
    """Return which are on the front of loss and ROUGE-L."""
    return pareto(np.array([[-c.loss, c.rouge_l] for c in candidates]))


@pytest.mark.parametrize(
    ("candidates", "chosen"),
    [
        ([candidate(3.0, 20.0), candidate(2.0, 30.0)], 1),  # one dominates
        ([candidate(3.0, 30.0, 1.0), candidate(2.0, 29.5)], 1),  # within one error: lower loss
        ([candidate(3.0, 30.0, 0.4), candidate(2.0, 29.5)], 0),  # not within it
        ([candidate(3.0, 30.0, 0.0), candidate(2.0, 29.5, 9.0)], 0),  # the best's error counts
        ([candidate(2.0, 30.0, 1.0, 9), candidate(2.0, 30.0, 1.0, 3)], 1),  # fewer parameters
        ([candidate(2.0, 30.0), candidate(2.0, 30.0)], 0),  # the first
        ([candidate(3.0, 30.0, 5.0), candidate(2.5, 28.0), candidate(2.5, 27.0)], 1),
        ([candidate(3.0, 30.0)], 0),
    ],
)
def test_choose(candidates: list[TrialOutcome], chosen: int) -> None:
    """The highest score on the front; within its error the lower loss, then the smaller one."""
    assert choose(candidates, front_of(candidates)) == chosen


def test_choose_on_a_given_front() -> None:
    """A front of three objectives may hold what loss and ROUGE-L alone do not; the rule stays."""
    three = [candidate(2.0, 30.0, 1.0, 9), candidate(2.0, 29.5, size=3), candidate(2.5, 31.5)]
    assert choose(three, front_of(three)) == 2
    assert choose(three[:2], front_of(three[:2])) == 0
    assert choose(three[:2], np.array([True, True])) == 1  # as low a loss with fewer parameters
    assert choose(three, np.array([True, True, False])) == 1


def test_hypervolume_of_three_objectives() -> None:
    """Two overlapping cuboids, worked by hand; the reference point has three values, too."""
    values = np.array([[1.0, 2.0, 3.0], [2.0, 1.0, 3.0]])
    assert hypervolume(values, np.zeros(3)) == pytest.approx(6 + 6 - 3)
    assert reference_point(values) == pytest.approx(np.array([0.9, 0.9, 2.7]))
    assert hypervolume_trace(values, np.zeros(3)).tolist() == pytest.approx([6, 9])
