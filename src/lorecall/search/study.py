"""A study's life: open it, ask, and go on after a process was killed."""

import contextlib
import time
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import (
    ExperimentalWarning,
    StorageInternalError,
    UpdateFinishedTrialError,
)
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from lorecall.errors import SpaceExhaustedError, StorageError
from lorecall.search.claims import GRACE_S, HEARTBEAT_S, Lost, claim, lost_in
from lorecall.search.observations import RETRY_OF, is_finished, known_params, whole_params
from lorecall.search.storage import reaching

WITHDRAWN = "withdrawn"
"""User attribute of a trial that two processes were given at once, and this one released."""

_ALIVE = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE)
_TRIES, _PAUSE_S = 5, 0.5
_BUSY_S = 60  # how long a process waits for SQLite's one writer


def open_study(
    storage_url: str,
    name: str,
    *,
    directions: Sequence[StudyDirection],
    sampler: BaseSampler,
) -> optuna.Study:
    """Open a study, or make it; Optuna is told to print warnings only.

    Raises:
        StorageError: The storage cannot be reached, or holds a study of that name with other
            objectives.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with reaching(storage_url, StorageInternalError):
        study = optuna.create_study(
            storage=_storage(storage_url),
            study_name=name,
            directions=list(directions),
            sampler=sampler,
            load_if_exists=True,
        )
    if study.directions != list(directions):
        raise StorageError(
            f"study {name} must have these objectives",
            expected=str([direction.name for direction in directions]),
            got=str([direction.name for direction in study.directions]),
            next_step="Use another storage or another name.",
        )
    return study


def check_storage(storage_url: str) -> None:
    """Refuse a storage that cannot be reached, before any work starts."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with reaching(storage_url, StorageInternalError):
        _storage(storage_url)


def ask(
    study: optuna.Study,
    distributions: Mapping[str, BaseDistribution],
    *,
    same_as: Callable[[Mapping[str, object]], Hashable] | None = None,
) -> optuna.Trial:
    """Ask for a trial that no other process works on, and claim it.

    Two processes that ask at once may be given the same model: whoever sees the other's releases
    its own and asks again. Where both have, the model is queued again, so that it is not lost.
    Where the space is exhausted, no trial is left running.

    Raises:
        SpaceExhaustedError: Every valid point has been tried.
    """
    while True:
        try:
            with warnings.catch_warnings():  # `claims.heartbeat` sends them here, too
                warnings.filterwarnings("ignore", message="Heartbeat of storage")
                trial = study.ask(dict(distributions))
        except SpaceExhaustedError as reason:
            if reason.trial_number is not None:
                tell_failed(study, reason.trial_number)
            raise
        claim(trial)
        if same_as is None or not _has_twin(study, trial, same_as):
            return trial
        release(study, trial)
        if not _has_twin(study, trial, same_as):  # the other has released its own, too
            of = {key: n for key, n in trial.user_attrs.items() if key == RETRY_OF}
            study.enqueue_trial(trial.params, user_attrs=of)


def release(study: optuna.Study, trial: optuna.Trial) -> None:
    """End a trial that nobody has worked on."""
    trial.set_user_attr(WITHDRAWN, True)
    tell_failed(study, trial.number)


def recover(study: optuna.Study, *, lost: Lost | None = None) -> list[int]:
    """Put trials that have lost their process back into the queue; any process may call it.

    Each such trial's parameters are queued again, once, then the trial is told to have failed;
    killed between the two, the next call finds the queued one and does not queue another. Two
    processes that do this at once may both queue it: `ask` releases one of them.

    Returns:
        The numbers of the trials that were lost.
    """
    lost = lost or lost_in(study)
    trials = study.get_trials(deepcopy=False)
    redone = {t.user_attrs.get(RETRY_OF) for t in trials if t.state in _ALIVE}
    gone = [trial for trial in trials if trial.state == TrialState.RUNNING and lost(trial)]
    for trial in gone:
        params = dict(known_params(trial))
        if params and trial.number not in redone:
            study.enqueue_trial(params, user_attrs={RETRY_OF: trial.number})
        tell_failed(study, trial.number)
    return [trial.number for trial in gone]


def tell_failed(study: optuna.Study, number: int) -> None:
    """Tell that a trial has failed, unless another process told how it ended first."""
    with contextlib.suppress(UpdateFinishedTrialError):  # between its look and its write
        study.tell(number, state=TrialState.FAIL, skip_if_finished=True)


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials with finite values, in the order of their numbers."""
    return [trial for trial in study.get_trials(deepcopy=False) if is_finished(trial)]


def _has_twin(
    study: optuna.Study, trial: optuna.Trial, same_as: Callable[[Mapping[str, object]], Hashable]
) -> bool:
    asked = trial.params
    own = same_as(asked)
    return any(
        other.number != trial.number
        and other.state in _ALIVE
        and (params := whole_params(other, asked)) is not None
        and same_as(params) == own
        for other in study.get_trials(deepcopy=False)
    )


def _storage(url: str) -> BaseStorage:
    """Open a storage that takes heartbeats; SQLite waits for other writers."""
    patient = {"connect_args": {"timeout": _BUSY_S}} if url.startswith("sqlite") else None
    tried = 0
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)  # Optuna calls heartbeats that
                return RDBStorage(
                    url, engine_kwargs=patient, heartbeat_interval=HEARTBEAT_S, grace_period=GRACE_S
                )
        except (SQLAlchemyError, StorageInternalError) as reason:
            tried += 1
            if tried > _TRIES or not _is_being_made(reason):
                raise
            time.sleep(_PAUSE_S)


def _is_being_made(reason: BaseException | None) -> bool:
    """Whether another process made the tables between our look and our making them."""
    while reason is not None:
        if isinstance(reason, IntegrityError) or "already exists" in str(reason):
            return True
        reason = reason.__cause__
    return False
