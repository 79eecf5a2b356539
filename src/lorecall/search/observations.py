"""What a study's trials say to the sampler: data, pending points, what is taken."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from lorecall.search.discrete import DiscreteSpace, Points
from lorecall.search.front import Values, to_maximise

SUGGESTED = "lorecall:suggested"
"""System attribute with a trial's whole suggestion, there before any parameter is asked for."""

RETRY_OF = "retry_of"
"""User attribute with the number of the lost trial that this one does again."""

_COUNTED = (TrialState.COMPLETE, TrialState.RUNNING, TrialState.WAITING)
_PENDING = (TrialState.RUNNING, TrialState.WAITING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """The other trials, as one trial that asks for a suggestion sees them.

    Args:
        points: Finished ones, in the order of their numbers, shape (n, d).
        values: What they found, all to be maximised, shape (n, m).
        pending: Running and waiting ones, shape (p, d).
        closed: Points that failed or were pruned, shape (q, d): no data, but not tried again.
        n_counted: Finished, running and waiting trials, of this space or not.
        stream: The trial's number less the lost ones before it, so that a study that was killed
            and recovered draws what it would have drawn otherwise.
    """

    points: Points
    values: Values
    pending: Points
    closed: Points
    n_counted: int
    stream: int


def observe(
    trials: Iterable[FrozenTrial],
    *,
    asking: int,
    space: DiscreteSpace,
    directions: list[StudyDirection],
) -> Observations:
    """Read a study's trials, as the one whose number is `asking` sees the others."""
    others = [trial for trial in trials if trial.number != asking]
    redone = {trial.user_attrs.get(RETRY_OF) for trial in others}
    placed = [(t, space.find(known_params(t))) for t in sorted(others, key=lambda t: t.number)]
    seen = [(trial, point) for trial, point in placed if point is not None]
    done = [(trial, point) for trial, point in seen if is_finished(trial)]
    closed = [
        point
        for trial, point in seen
        if trial.state not in _PENDING and not is_finished(trial) and trial.number not in redone
    ]
    return Observations(
        points=_stacked((point for _, point in done), len(space)),
        values=to_maximise([trial.values for trial, _ in done], directions),
        pending=_stacked((point for t, point in seen if t.state in _PENDING), len(space)),
        closed=_stacked(closed, len(space)),
        n_counted=sum(trial.state in _COUNTED for trial in others),
        stream=asking - sum(t.number < asking and _is_lost(t, redone) for t in others),
    )


def known_params(trial: FrozenTrial) -> Mapping[str, object]:
    """Return all that is known of a trial's parameters, whichever of them were asked for yet."""
    return {**trial.system_attrs.get(SUGGESTED, {}), **queued_params(trial), **trial.params}


def whole_params(trial: FrozenTrial, names: Iterable[str]) -> Mapping[str, object] | None:
    """Return a trial's parameters where all of them are known.

    Another process's trial may be read while its parameters are written, one by one: it has none
    yet, and its own process will look for others of its kind when they are there.
    """
    params = known_params(trial)
    return params if all(name in params for name in names) else None


def queued_params(trial: FrozenTrial) -> Mapping[str, object]:
    """Return the parameters a trial was queued with, if it was."""
    return trial.system_attrs.get("fixed_params", {})


def is_finished(trial: FrozenTrial) -> bool:
    """Whether a trial has finite values."""
    return trial.state == TrialState.COMPLETE and bool(np.isfinite(trial.values).all())


def _is_lost(trial: FrozenTrial, redone: Container[object]) -> bool:
    """Whether a trial's process was killed: it is done again, or it never got a suggestion."""
    failed = trial.state == TrialState.FAIL
    return failed and (trial.number in redone or not known_params(trial))


def _stacked(points: Iterable[Points], d: int) -> Points:
    return np.array([*points], dtype=np.int64).reshape(-1, d)
