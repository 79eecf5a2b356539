"""A study's life: opening, exhaustion, and going on after `kill -9`."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from lorecall.errors import SpaceExhaustedError, StorageError
from lorecall.search.observations import RETRY_OF
from lorecall.search.sampler import SaasNehviSampler
from lorecall.search.study import ask, finished, open_study, recover

Make = Callable[..., SaasNehviSampler]
Run = Callable[[optuna.Study, int], None]
Kinds = dict[str, BaseDistribution]
DIRECTIONS = (StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE)


def opened(folder: Path, sampler: SaasNehviSampler) -> optuna.Study:
    """Open a study in a SQLite file."""
    url = f"sqlite:///{folder / 'trials.db'}"
    return open_study(url, "study", directions=DIRECTIONS, sampler=sampler)


def all_lost(trial: FrozenTrial) -> bool:
    """Take every running trial for one whose process was killed."""
    return trial.state == TrialState.RUNNING


def states(study: optuna.Study) -> list[TrialState]:
    """Return the state of every trial."""
    return [trial.state for trial in study.trials]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:secret@127.0.0.1:1/x",
        "sqlite:////nonexistent/dir/x.db",
        "nonsense://",
        "no url at all",
        "redis://x",
        "",
    ],
)
def test_a_storage_that_cannot_be_reached_is_one_line(url: str, make_sampler: Make) -> None:
    """A missing driver, server or folder, or no URL at all: one line, no password in it."""
    with pytest.raises(StorageError) as caught:
        open_study(url, "study", directions=DIRECTIONS, sampler=make_sampler())
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_file_that_is_no_database_is_refused(tmp_path: Path, make_sampler: Make) -> None:
    """Another file is not taken for a storage."""
    (tmp_path / "trials.db").write_text("something else entirely, " * 99)
    with pytest.raises(StorageError, match="not a database"):
        opened(tmp_path, make_sampler())


def test_a_study_with_other_objectives_is_refused(tmp_path: Path, make_sampler: Make) -> None:
    """A name that stands for another search is not gone on with."""
    opened(tmp_path, make_sampler())
    with pytest.raises(StorageError, match="objectives"):
        open_study(
            f"sqlite:///{tmp_path / 'trials.db'}",
            "study",
            directions=DIRECTIONS[:1],
            sampler=make_sampler(),
        )


def test_opening_again_goes_on(tmp_path: Path, make_sampler: Make, run: Run) -> None:
    """Finished trials are there when the study is opened again, in order."""
    run(opened(tmp_path, make_sampler()), 2)
    study = opened(tmp_path, make_sampler())
    run(study, 1)
    assert [trial.number for trial in finished(study)] == [0, 1, 2]


def test_an_exhausted_space_leaves_no_trial_running(make_sampler: Make) -> None:
    """The trial that found nothing is told to have failed."""
    kinds: Kinds = {"on": CategoricalDistribution([False, True])}
    study = optuna.create_study(sampler=make_sampler(search_space=kinds, repeat=False))
    for _ in range(2):
        study.tell(ask(study, kinds), 1.0)
    with pytest.raises(SpaceExhaustedError):
        ask(study, kinds)
    assert states(study) == [TrialState.COMPLETE] * 2 + [TrialState.FAIL]
    assert len(finished(study)) == 2


def test_a_running_trial_is_queued_once(make_sampler: Make, distributions: Kinds) -> None:
    """However often the study is recovered, a lost trial is done again once."""
    study = optuna.create_study(directions=DIRECTIONS, sampler=make_sampler())
    lost = ask(study, distributions)
    assert recover(study, lost=all_lost) == [0]
    assert recover(study, lost=all_lost) == []
    again = ask(study, distributions)
    assert again.params == lost.params
    assert again.user_attrs[RETRY_OF] == 0
    study.tell(again, [1.0, 1.0])
    assert recover(study, lost=all_lost) == []
    assert states(study) == [TrialState.FAIL, TrialState.COMPLETE]


def test_recovery_killed_half_way_is_finished_later(
    make_sampler: Make, distributions: Kinds
) -> None:
    """Queued but not yet told to have failed: the next recovery does not queue it again."""
    study = optuna.create_study(directions=DIRECTIONS, sampler=make_sampler())
    lost = ask(study, distributions)
    study.enqueue_trial(lost.params, user_attrs={RETRY_OF: 0})  # and killed here
    assert recover(study, lost=all_lost) == [0]
    assert states(study) == [TrialState.FAIL, TrialState.WAITING]


def test_a_retry_that_is_lost_is_done_again(make_sampler: Make, distributions: Kinds) -> None:
    """A trial may be killed twice."""
    study = optuna.create_study(directions=DIRECTIONS, sampler=make_sampler())
    lost = ask(study, distributions)
    recover(study, lost=all_lost)
    ask(study, distributions)
    assert recover(study, lost=all_lost) == [1]
    assert ask(study, distributions).params == lost.params
    assert len(study.trials) == 3


def test_a_trial_killed_before_its_suggestion_is_dropped(make_sampler: Make) -> None:
    """With no suggestion there is nothing to lose."""
    study = optuna.create_study(directions=DIRECTIONS, sampler=make_sampler())
    study.ask()
    assert recover(study, lost=all_lost) == [0]
    assert states(study) == [TrialState.FAIL]


@pytest.mark.parametrize("killed_at", [2, 5])
def test_after_a_loss_the_search_is_the_same(
    killed_at: int, make_sampler: Make, run: Run, distributions: Kinds
) -> None:
    """Lost and recovered, the study has the trials of one that was never interrupted."""
    whole = optuna.create_study(directions=DIRECTIONS, sampler=make_sampler())
    run(whole, 7)
    study = optuna.create_study(directions=DIRECTIONS, sampler=make_sampler())
    run(study, killed_at)
    ask(study, distributions)
    recover(study, lost=all_lost)
    run(study, 7 - killed_at)
    assert [t.params for t in finished(study)] == [t.params for t in finished(whole)]


def test_kill_minus_nine(
    tmp_path: Path, make_sampler: Make, run: Run, distributions: Kinds
) -> None:
    """A process killed in the middle of a trial loses nothing but that trial's time."""
    code = f"""
        import time
        import optuna
        from optuna.distributions import CategoricalDistribution, IntDistribution
        from lorecall.search.sampler import SaasNehviSampler
        from lorecall.search.study import ask, open_study

        kinds = {{f"on_{{i}}": CategoricalDistribution([False, True]) for i in range(6)}}
        kinds |= {{"amount": IntDistribution(0, 4), "size": CategoricalDistribution([8, 16, 32])}}
        sampler = SaasNehviSampler(search_space=kinds, n_initial=4)
        directions = [optuna.study.StudyDirection(1), optuna.study.StudyDirection(2)]
        study = open_study(
            "sqlite:///{tmp_path / "trials.db"}", "study", directions=directions, sampler=sampler
        )
        study.tell(ask(study, kinds), [1.0, 1.0])
        trial = ask(study, kinds)
        print(trial.number, flush=True)
        time.sleep(600)
    """
    with subprocess.Popen(
        [sys.executable, "-c", dedent(code)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "1"
        process.send_signal(signal.SIGKILL)
    study = opened(tmp_path, make_sampler())
    assert states(study) == [TrialState.COMPLETE, TrialState.RUNNING]
    lost = study.trials[1].params
    assert recover(study) == [1]
    run(study, 1)
    assert study.trials[2].params == lost
    assert states(study) == [TrialState.COMPLETE, TrialState.FAIL, TrialState.COMPLETE]
    assert set(lost) == set(distributions)
