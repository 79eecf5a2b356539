"""Several processes on one study: no trial twice, and none lost to `kill -9`."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from lorecall.core.processes import is_running
from lorecall.records import InjectionConfig, TrialOutcome
from lorecall.search.claims import GRACE_S, WORKER, claim, heartbeat, lost_in
from lorecall.search.loop import Search
from lorecall.search.observations import RETRY_OF
from lorecall.search.study import WITHDRAWN, ask

from . import slow_worker

WORKERS = Path(slow_worker.__file__)


def start(url: str, *, trials: int, seconds: float) -> subprocess.Popen[str]:
    """Start a process that works on the study."""
    return subprocess.Popen(
        [sys.executable, str(WORKERS), url, str(trials), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )


def begun(process: subprocess.Popen[str]) -> None:
    """Wait until a process is in the middle of a trial."""
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "began"


def models(search: Search, state: TrialState) -> Counter[object]:
    """Count the models of trials in a state."""
    trials = search.study.get_trials(deepcopy=False)
    return Counter(slow_worker.SPACE.same_as(t.params) for t in trials if t.state == state)


def test_a_killed_process_loses_its_own_trial_alone(tmp_path: Path) -> None:
    """Its trial is tried again by another; no model is finished twice; the budget is met."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    search = slow_worker.open_search(url, trials=8)
    search.prepare()
    killed = start(url, trials=8, seconds=60)
    other = start(url, trials=8, seconds=0.2)
    begun(killed)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    outcome = search.run(slow_worker.finding)
    assert other.wait(30) == 0
    assert len(outcome.trials) == 8
    assert set(models(search, TrialState.COMPLETE).values()) == {1}
    trials = search.study.get_trials(deepcopy=False)
    (lost,) = [t for t in trials if t.state == TrialState.FAIL and WITHDRAWN not in t.user_attrs]
    done_again = [
        t
        for t in trials
        if t.user_attrs.get(RETRY_OF) == lost.number and t.state == TrialState.COMPLETE
    ]
    assert [t.params for t in done_again] == [lost.params]


def test_trials_of_other_processes_are_told_too(tmp_path: Path) -> None:
    """Whoever shows progress sees all workers' trials, each once."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    search = slow_worker.open_search(url, trials=6)
    search.prepare()
    other = start(url, trials=6, seconds=0.3)
    begun(other)
    told: list[int] = []

    def slow(config: InjectionConfig) -> TrialOutcome:
        return slow_worker.finding(config, seconds=0.3)

    search.run(slow, on_trial=lambda number, *_: told.append(number))
    assert other.wait(30) == 0
    done = [t for t in search.study.trials if t.state == TrialState.COMPLETE]
    assert len({tuple(t.user_attrs[WORKER]) for t in done}) == 2
    assert len(told) == len(set(told)) >= 5  # what had finished before it began is not news
    assert set(told) <= {t.number for t in done}


def test_a_model_given_to_two_is_released_by_one() -> None:
    """Whoever asks second for the same model withdraws and is given another."""
    study = optuna.create_study(directions=["minimize"])
    kinds = {"on": optuna.distributions.CategoricalDistribution([False, True])}
    study.enqueue_trial({"on": True})
    study.enqueue_trial({"on": True})
    study.enqueue_trial({"on": False})
    same_as = dict[str, object].items

    def key(params: dict[str, object]) -> tuple[object, ...]:
        return tuple(same_as(params))

    first = ask(study, kinds, same_as=key)
    second = ask(study, kinds, same_as=key)
    assert {first.params["on"], second.params["on"]} == {False, True}
    withdrawn = [t for t in study.trials if WITHDRAWN in t.user_attrs]
    assert [t.state for t in withdrawn] == [TrialState.FAIL]


def test_a_trial_whose_parameters_are_being_written_is_no_twin_yet(tmp_path: Path) -> None:
    """Another process's trial may be read between two of its parameters; nobody stumbles."""
    search = slow_worker.open_search(f"sqlite:///{tmp_path / 'study.db'}", trials=6)
    space, study = slow_worker.SPACE, search.study
    whole = space.params(InjectionConfig(layers=(0, 1), n_loras=2, rank=8))
    name, kind = next(iter(space.distributions().items()))
    half = optuna.trial.create_trial(
        state=TrialState.RUNNING, params={name: whole[name]}, distributions={name: kind}
    )
    study.add_trial(half)
    search.prepare()  # reads what others ask for, too
    study.enqueue_trial(whole)
    trial = ask(study, space.distributions(), same_as=space.same_as)
    assert trial.params == whole
    assert WITHDRAWN not in trial.user_attrs


def test_a_model_that_two_release_is_tried_all_the_same() -> None:
    """Both look before either has released: the last to look queues it again, as a retry."""
    study = optuna.create_study(directions=["minimize"])
    kinds = {"on": optuna.distributions.CategoricalDistribution([False, True])}
    for params in ({"on": True}, {"on": True}, {"on": False}):
        study.enqueue_trial(params, user_attrs={RETRY_OF: 7} if params["on"] else None)
    others: list[optuna.Trial] = []
    looked: list[bool] = []

    def key(params: Mapping[str, object]) -> bool:
        return bool(params["on"])

    def meanwhile(params: Mapping[str, object]) -> bool:
        looked.append(True)
        if len(looked) == 2:  # the trials are read, and the second one is still in the queue
            others.append(ask(study, kinds, same_as=key))
        return key(params)

    trial = ask(study, kinds, same_as=meanwhile)
    assert (trial.params, others[0].params) == ({"on": True}, {"on": False})
    assert trial.user_attrs[RETRY_OF] == 7
    alive = [t for t in study.trials if t.state == TrialState.RUNNING]
    assert [t.number for t in alive] == [others[0].number, trial.number]
    assert [t.state for t in study.trials if WITHDRAWN in t.user_attrs] == [TrialState.FAIL] * 2


@pytest.mark.parametrize(
    ("worker", "minutes", "lost"),
    [
        (None, 0, False),
        (None, 60, True),
        (["elsewhere", 1], 60, False),
        ("own", 60, False),
        ("gone", 0, True),
    ],
)
def test_when_a_trial_has_lost_its_process(worker: object, minutes: int, lost: bool) -> None:  # noqa: FBT001
    """Unclaimed ones after a while, this machine's when the process is gone, else by heartbeat."""
    study = optuna.create_study()
    trial = study.ask()
    if worker == "own":
        claim(trial)
    elif worker == "gone":
        claim(trial)
        with subprocess.Popen([sys.executable, "-c", ""]) as process:
            process.wait()
        trial.set_user_attr(WORKER, [study.trials[0].user_attrs[WORKER][0], process.pid])
    elif worker is not None:
        trial.set_user_attr(WORKER, worker)
    frozen: FrozenTrial = study.trials[0]
    frozen.datetime_start = datetime.now() - timedelta(minutes=minutes)  # noqa: DTZ005 - as Optuna's own
    assert lost_in(study)(frozen) is lost


def test_without_heartbeats_a_trial_elsewhere_is_lost(tmp_path: Path) -> None:
    """Another machine's trial is lost once its heartbeat is older than the grace."""
    search = slow_worker.open_search(f"sqlite:///{tmp_path / 'study.db'}", trials=2)
    trial = ask(search.study, slow_worker.SPACE.distributions())
    trial.set_user_attr(WORKER, ["elsewhere", 1])
    with heartbeat(search.study, trial):
        time.sleep(0.2)
    assert not lost_in(search.study)(search.study.trials[0])
    age_heartbeats(search, seconds=GRACE_S + 5)
    assert lost_in(search.study)(search.study.trials[0])


def age_heartbeats(search: Search, *, seconds: int) -> None:
    """Bring every heartbeat in the database into the past."""
    from sqlalchemy import text  # noqa: PLC0415

    storage = search.study._storage._backend
    with storage.engine.begin() as connection:
        connection.execute(
            text("UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, :back)"),
            {"back": f"-{seconds} seconds"},
        )


def test_a_dead_parents_child_is_no_zombie_in_the_books() -> None:
    """A process that has ended but was not waited for is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        time.sleep(0.05)
    assert not is_running(process.pid)
    process.wait()
