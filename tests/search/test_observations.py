"""What a study's trials say to the sampler."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from lorecall.search.discrete import DiscreteSpace
from lorecall.search.observations import (
    RETRY_OF,
    SUGGESTED,
    Observations,
    is_finished,
    known_params,
    observe,
)

KINDS = {"b": CategoricalDistribution([False, True]), "i": IntDistribution(0, 4)}
SPACE = DiscreteSpace(KINDS)
DIRECTIONS = [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE]


def trial(state: TrialState, *, i: int | None = 0, **options: object) -> FrozenTrial:
    """Make a trial at (False, i), or one without parameters."""
    params = {} if i is None else {"b": False, "i": i}
    kinds = {} if i is None else KINDS
    return create_trial(state=state, params=params, distributions=kinds, **options)


def read(*trials: FrozenTrial) -> Observations:
    """Read trials as the next one sees them."""
    study = optuna.create_study(directions=DIRECTIONS)
    study.add_trials(trials)
    return observe(study.trials, asking=len(trials), space=SPACE, directions=DIRECTIONS)


def test_each_state_has_its_place() -> None:
    """Finished trials are data, running and waiting ones pending, failed and pruned ones closed."""
    seen = read(
        trial(TrialState.COMPLETE, i=0, values=[2.0, 30.0]),
        trial(TrialState.RUNNING, i=1),
        trial(TrialState.FAIL, i=2),
        trial(TrialState.PRUNED, i=3),
        trial(TrialState.WAITING, i=None, system_attrs={"fixed_params": {"b": True, "i": 4}}),
    )
    assert seen.points.tolist() == [[0, 0]]
    assert seen.values.tolist() == [[-2.0, 30.0]]
    assert seen.pending.tolist() == [[0, 1], [1, 4]]
    assert seen.closed.tolist() == [[0, 2], [0, 3]]
    assert seen.n_counted == 3
    assert seen.stream == 5


def test_the_asking_trial_does_not_see_itself() -> None:
    """A running trial that asks again is not its own pending point."""
    study = optuna.create_study(directions=DIRECTIONS)
    study.add_trial(trial(TrialState.RUNNING))
    seen = observe(study.trials, asking=0, space=SPACE, directions=DIRECTIONS)
    assert (len(seen.pending), seen.n_counted, seen.stream) == (0, 0, 0)


def test_a_suggestion_counts_before_its_parameters_are_asked_for() -> None:
    """Other processes see what a trial was given as soon as it was given."""
    given = {SUGGESTED: {"b": True, "i": 2}}
    seen = read(trial(TrialState.RUNNING, i=None, system_attrs=given))
    assert seen.pending.tolist() == [[1, 2]]


def test_what_was_asked_for_wins_over_what_was_suggested() -> None:
    """The value a trial really has is the one that counts."""
    given = {SUGGESTED: {"b": True, "i": 2}, "fixed_params": {"x": 1}}
    known = known_params(trial(TrialState.RUNNING, i=3, system_attrs=given))
    assert known == {"b": False, "i": 3, "x": 1}


def test_lost_trials_do_not_move_the_random_stream() -> None:
    """A trial that is done again, or never got a suggestion, leaves the others' streams alone."""
    seen = read(
        trial(TrialState.FAIL, i=1),
        trial(TrialState.COMPLETE, i=1, values=[1.0, 1.0], user_attrs={RETRY_OF: 0}),
        trial(TrialState.FAIL, i=None),
        trial(TrialState.FAIL, i=2),
    )
    assert seen.stream == 2
    assert seen.closed.tolist() == [[0, 2]]


def test_trials_of_another_space_are_no_data() -> None:
    """A trial without the space's parameters counts, but has no point."""
    other = create_trial(
        state=TrialState.COMPLETE,
        params={"b": True},
        distributions={"b": KINDS["b"]},
        values=[1.0, 1.0],
    )
    seen = read(other)
    assert (len(seen.points), len(seen.closed), seen.n_counted) == (0, 0, 1)


@pytest.mark.parametrize("value", [float("inf"), float("-inf")])
def test_infinite_values_are_no_data(value: float) -> None:
    """A trial that diverged is not tried again and not fitted."""
    diverged = trial(TrialState.COMPLETE, i=1, values=[value, 1.0])
    assert not is_finished(diverged)
    assert read(diverged).closed.tolist() == [[0, 1]]
