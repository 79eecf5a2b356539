"""Who works on a trial, and whether they still do: many processes share one study.

A worker claims the trial it was given and sends a heartbeat while it works. A trial is lost when
its worker's process is gone from this machine, or when no heartbeat came for a while.

Optuna's public functions do not reach: nothing but `Study.optimize` sends heartbeats, and
`fail_stale_trials` fails a trial before its callback can queue it again, so that a process killed
between the two would lose it; `study.recover` queues first.
"""

import os
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import cast

import optuna
from optuna.storages._heartbeat import (
    BaseHeartbeat,
    BaseHeartbeatThread,
    get_heartbeat_thread,
    is_heartbeat_enabled,
)
from optuna.trial import FrozenTrial, TrialState

from lorecall.core.processes import is_running, machine_id

HEARTBEAT_S = 10
GRACE_S = 120  # without a heartbeat: long enough for a slow database or a paused laptop
WORKER = "worker"
"""User attribute of a trial: who works on it, as [machine, process]."""

Lost = Callable[[FrozenTrial], bool]


def claim(trial: optuna.Trial) -> None:
    """Record that this process works on a trial."""
    trial.set_user_attr(WORKER, [machine_id(), os.getpid()])


def heartbeat(study: optuna.Study, trial: optuna.Trial) -> AbstractContextManager[None]:
    """Send heartbeats for a trial until the block ends, where the storage takes them."""
    storage = study._storage  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    thread: BaseHeartbeatThread = get_heartbeat_thread(trial._trial_id, storage)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return cast("AbstractContextManager[None]", thread)


def lost_in(study: optuna.Study) -> Lost:
    """Return a function that says whether a running trial has lost its worker."""
    stale = _stale(study)

    def lost(trial: FrozenTrial) -> bool:
        if trial._trial_id in stale:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            return True
        worker = trial.user_attrs.get(WORKER)
        if worker is None:  # killed between being given the trial and claiming it
            started = trial.datetime_start
            waited = timedelta(0) if started is None else datetime.now(started.tzinfo) - started
            return waited > timedelta(seconds=GRACE_S)
        machine, process = worker
        return machine == machine_id() and not is_running(int(process))

    return lost


def running(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that are being worked on."""
    return [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.RUNNING]


def _stale(study: optuna.Study) -> Collection[int]:
    """Return the ids of trials whose heartbeats have stopped."""
    storage = study._storage  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    if not is_heartbeat_enabled(storage):
        return ()
    known = cast("BaseHeartbeat", storage)
    return known._get_stale_trial_ids(study._study_id)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
