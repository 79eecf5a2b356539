"""More processes for one search: each loads a base of its own, then asks, tries and tells.

A job goes to a worker as one line of JSON on its standard input. The pipe stays open while the
run's own process lives; a worker ends when it closes, so that none is left behind.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self

import torch
from pydantic import TypeAdapter

from lorecall.device import THREADS_VARIABLE, DTypeName, set_threads
from lorecall.errors import ModelError
from lorecall.lm.base import BaseModel, find_base
from lorecall.searching import Plan, Searching

_RESTARTS = 3  # of one worker: a second killing may be chance, a fourth is not
_LEAVE_S = 10.0
_DTYPES: dict[torch.dtype, DTypeName] = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one worker is to do.

    Args:
        plan: The search.
        base: The base's name or folder.
        device: Where it goes.
        dtype: Its number format.
        four_bit: Whether its linear maps are in 4 bits.
    """

    plan: Plan
    base: str
    device: str
    dtype: DTypeName
    four_bit: bool


class Workers:
    """Other processes at work on a search, as a context manager; none is left at its end.

    Args:
        base: The base that they load again, by its name.
        plan: The search.
        n: How many, this process left out.
        folder: Where each writes its log, `N.log`.
        say: Called with a line where one was killed.

    Raises:
        ModelError: The base cannot be loaded by its name.
    """

    def __init__(
        self, base: BaseModel, plan: Plan, *, n: int, folder: Path, say: Callable[[str], None]
    ) -> None:
        if n:
            _check_loadable(base)
        self._jobs = [_job(base, plan, k) for k in range(1, n + 1)]
        self._folder, self._say = folder, say
        self._running: list[subprocess.Popen[bytes]] = []
        self._restarts = [_RESTARTS] * n
        self._threads = torch.get_num_threads()

    def tend(self) -> None:
        """Start again what was killed."""
        for k, process in enumerate(self._running):
            code = process.poll()
            if code and self._restarts[k]:
                self._restarts[k] -= 1
                again = "started again" if self._restarts[k] else "not started again"
                log = self._folder / f"{k + 1}.log"
                self._say(f"worker {k + 1} ended with code {code}, {again}; its log is {log}")
                if self._restarts[k]:
                    self._running[k] = self._start(k)

    def __enter__(self) -> Self:
        if self._jobs:
            self._folder.mkdir(parents=True, exist_ok=True)
            set_threads(self._share)
            self._running = [self._start(k) for k in range(len(self._jobs))]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._running:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        for process in self._running:
            try:
                process.wait(_LEAVE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._jobs:
            set_threads(self._threads)

    @property
    def _share(self) -> int:
        """Threads of each process, this one among them."""
        return max(1, self._threads // (len(self._jobs) + 1))

    def _start(self, k: int) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            THREADS_VARIABLE: str(self._share),
            "OMP_NUM_THREADS": str(self._share),
        }
        with (self._folder / f"{k + 1}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "lorecall.worker"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
            )
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is seen to have ended
            process.stdin.write(TypeAdapter(Job).dump_json(self._jobs[k]) + b"\n")
            process.stdin.flush()
        return process


def main() -> None:
    """Do the job that comes on standard input."""
    job = TypeAdapter(Job).validate_json(sys.stdin.buffer.readline())
    Thread(target=_end_with_parent, daemon=True).start()
    set_threads()
    base = BaseModel.load(job.base, device=job.device, dtype=job.dtype, four_bit=job.four_bit)
    Searching(base, job.plan.history, job.plan.settings).work(job.plan)


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):  # nothing more is sent: it ends with the parent
        pass
    os._exit(1)  # nothing is half-written: what counts is in the storage


def _job(base: BaseModel, plan: Plan, k: int) -> Job:
    device = str(base.device)
    if base.device.type == "cuda":
        device = f"cuda:{((base.device.index or 0) + k) % torch.cuda.device_count()}"
    dtype = _DTYPES.get(base.dtype, "auto")
    history = replace(plan.history, dropped=dict(plan.history.dropped))  # a view is no JSON
    plan = replace(plan, history=history)
    return Job(plan=plan, base=base.name, device=device, dtype=dtype, four_bit=base.four_bit)


def _check_loadable(base: BaseModel) -> None:
    found = find_base(base.name)
    if found.fingerprint != base.fingerprint:
        raise ModelError(
            "workers load the base again by its name",
            expected=f"{base.name} with the weights of this run",
            got="other weights",
            next_step="Save the model to a folder and load it from there, or use one worker.",
        )


if __name__ == "__main__":
    main()
