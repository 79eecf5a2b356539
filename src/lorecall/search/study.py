"""A study's life: open it, ask, and go on after a process was killed."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from lorecall.errors import StorageError
from lorecall.results import without_password
from lorecall.search.local_search import SpaceExhaustedError
from lorecall.search.observations import RETRY_OF, is_finished, known_params

_ALIVE = (TrialState.WAITING, TrialState.RUNNING, TrialState.COMPLETE)


def open_study(
    storage_url: str,
    name: str,
    *,
    directions: Sequence[StudyDirection],
    sampler: BaseSampler,
) -> optuna.Study:
    """Open a study, or make it; Optuna is told to print warnings only.

    Args:
        storage_url: An SQLAlchemy URL, for example `sqlite:///run/trials.db`.
        name: The study's name in that storage.
        directions: Of its objectives, in order.
        sampler: Who suggests.

    Raises:
        StorageError: The storage cannot be reached, or holds a study of that name with other
            objectives.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with _reaching(storage_url):
        storage = optuna.storages.get_storage(storage_url)
        study = optuna.create_study(
            storage=storage,
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
    """Refuse a storage that cannot be reached, before any work starts.

    Raises:
        StorageError: It cannot.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with _reaching(storage_url):
        optuna.storages.get_storage(storage_url)


def ask(study: optuna.Study, distributions: Mapping[str, BaseDistribution]) -> optuna.Trial:
    """Ask for a trial; where the space is exhausted, no trial is left running.

    Raises:
        SpaceExhaustedError: Every valid point has been tried.
    """
    try:
        return study.ask(dict(distributions))
    except SpaceExhaustedError as reason:
        if reason.trial_number is not None:
            study.tell(reason.trial_number, state=TrialState.FAIL)
        raise


def recover(study: optuna.Study) -> list[int]:
    """Put what a killed process left running back into the queue.

    To be called while no process works on the study (the caller holds a lock). Each such trial's
    parameters are queued again, once, then the trial is told to have failed; killed between the
    two, the next call finds the queued one and does not queue another.

    Returns:
        The numbers of the trials that were lost.
    """
    trials = study.get_trials(deepcopy=False)
    redone = {t.user_attrs.get(RETRY_OF) for t in trials if t.state in _ALIVE}
    lost = [trial for trial in trials if trial.state == TrialState.RUNNING]
    for trial in lost:
        params = dict(known_params(trial))
        if params and trial.number not in redone:
            study.enqueue_trial(params, user_attrs={RETRY_OF: trial.number})
        study.tell(trial.number, state=TrialState.FAIL)
    return [trial.number for trial in lost]


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Give the trials with finite values, in the order of their numbers."""
    return [trial for trial in study.get_trials(deepcopy=False) if is_finished(trial)]


@contextmanager
def _reaching(storage_url: str) -> Generator[None]:
    try:
        yield
    except (SQLAlchemyError, StorageInternalError, ImportError, ValueError, OSError) as reason:
        raise StorageError(
            "the storage of the trials must be reachable",
            expected="an SQLAlchemy URL of a database that can be written",
            got=f"{without_password(storage_url)} ({_first_cause(reason)})",
            next_step="Check the URL, its driver and the server, or leave it out for a local file;"
            " a local file that is no database can only be deleted.",
        ) from None


def _first_cause(reason: BaseException) -> str:
    """Give the first line of the error under Optuna's and SQLAlchemy's."""
    while reason.__cause__ is not None:
        reason = reason.__cause__
    lines = str(reason).splitlines() or [""]
    return f"{type(reason).__name__}: {lines[0]}"
