"""`kill -9` on one worker of a run: it is started again, and the run ends as it should."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lorecall.data import load_history, split_history
from lorecall.errors import LorecallError
from lorecall.learning.search import SearchPlan
from lorecall.learning.workers import workers_beside
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.tiny import tiny_base
from lorecall.settings import preset

N_TRIALS = 40


def child_of(process: int, *, within_s: float) -> int:
    """Find the worker that a run has started."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        for folder in Path("/proc").iterdir():
            try:
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                command = (folder / "cmdline").read_bytes()
            except (OSError, IndexError):
                continue
            if int(parent) == process and b"lorecall.learning.workers" in command:
                return int(folder.name)
        time.sleep(0.1)
    raise AssertionError("no worker was started")


def test_a_killed_worker_is_started_again(
    tmp_path: Path, learn_command: Callable[..., list[str]]
) -> None:
    """The run says so, goes on, and leaves no process behind."""
    out = tmp_path / "run"
    options = ("--set", "workers=2", "--set", f"trials={N_TRIALS}", "--set", f"initial={N_TRIALS}")
    command = [sys.executable, "-m", "lorecall", *learn_command(out, *options)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        worker = child_of(run.pid, within_s=60)
        os.kill(worker, signal.SIGKILL)
        _, said = run.communicate()
    assert run.returncode == 0, said
    assert "worker 1 ended with code -9, started again" in said
    found = json.loads((out / "result.json").read_text())
    models = {json.dumps(trial["config"], sort_keys=True) for trial in found["trials"]}
    assert len(models) == len(found["trials"]) == N_TRIALS
    assert not Path(f"/proc/{worker}").exists()


def test_workers_need_a_base_that_can_be_loaded(tmp_path: Path, history_file: Path) -> None:
    """A model made on the spot has no name to load it by; one worker does without."""
    base: LanguageModel = tiny_base("llama", n_layers=3, seed=0)
    plan = SearchPlan(
        split=split_history(load_history(history_file, user="ada")),
        settings=preset(),
        storage="sqlite://",
        study_name="s",
    )
    with (
        pytest.raises(LorecallError),
        workers_beside(base, plan, n=1, folder=tmp_path, say=lambda _: None),
    ):
        pass
    with workers_beside(base, plan, n=0, folder=tmp_path, say=lambda _: None) as nobody:
        nobody.tend()


def test_two_runs_share_a_storage(tmp_path: Path, learn_command: Callable[..., list[str]]) -> None:
    """The same command with the same storage joins the search, as from another machine."""
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    options = (
        "--set",
        f"storage={storage}",
        "--set",
        f"trials={N_TRIALS}",
        "--set",
        f"initial={N_TRIALS}",
    )
    outs = [tmp_path / name for name in ("first", "second")]
    runs = [
        subprocess.Popen([sys.executable, "-m", "lorecall", *learn_command(out, *options)])
        for out in outs
    ]
    assert [run.wait() for run in runs] == [0, 0]
    first, second = (json.loads((out / "result.json").read_text()) for out in outs)
    assert first["trials"] == second["trials"]
    assert first["config"] == second["config"]
    models = {json.dumps(trial["config"], sort_keys=True) for trial in first["trials"]}
    assert len(models) == len(first["trials"]) == N_TRIALS
