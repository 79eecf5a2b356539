"""Processes that work beside this one, on one machine: started, tended, and none left behind.

A job goes to a process as one line of JSON on its standard input. The pipe stays open while the
parent lives; a process ends when it closes.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self

import torch

from lorecall.errors import ModelError
from lorecall.lm.base import BaseModel, find_base
from lorecall.lm.device import THREADS_VARIABLE, DTypeName, set_threads

_RESTARTS = 3  # of one process: a second killing may be chance, a fourth is not
_LEAVE_S = 10.0
_DTYPES: dict[torch.dtype, DTypeName] = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseAt:
    """A base as another process loads it.

    Args:
        name: Its name or folder.
        device: Where it goes.
        dtype: Its number format.
        four_bit: Whether its linear maps are in 4 bits.
    """

    name: str
    device: str
    dtype: DTypeName
    four_bit: bool

    def load(self) -> BaseModel:
        """Load it."""
        return BaseModel.load(
            self.name, device=self.device, dtype=self.dtype, four_bit=self.four_bit
        )

    @classmethod
    def of(cls, base: BaseModel, k: int) -> Self:
        """Say how the k-th process beside this one loads this base: on a GPU of its own."""
        device = str(base.device)
        if base.device.type == "cuda":
            device = f"cuda:{((base.device.index or 0) + k) % torch.cuda.device_count()}"
        dtype = _DTYPES.get(base.dtype, "auto")
        return cls(name=base.name, device=device, dtype=dtype, four_bit=base.four_bit)


class Processes:
    """Processes at work, as a context manager; they share the cores with this one.

    Args:
        module: The module that each runs.
        jobs: A line of JSON a process, without its end.
        folder: Where each writes its log, `N.log`.
        say: Called with a line where one was killed.
    """

    def __init__(
        self, module: str, jobs: Sequence[bytes], *, folder: Path, say: Callable[[str], None]
    ) -> None:
        self._module, self._jobs = module, jobs
        self._folder, self._say = folder, say
        self._running: list[subprocess.Popen[bytes]] = []
        self._restarts = [_RESTARTS] * len(jobs)
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
            process = subprocess.Popen(  # noqa: S603 - a module of this package
                [sys.executable, "-m", self._module],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
            )
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is seen to have ended
            process.stdin.write(self._jobs[k] + b"\n")
            process.stdin.flush()
        return process


def take_job() -> bytes:
    """Read the job that comes on standard input; from then on this process ends with its parent."""
    job = sys.stdin.buffer.readline()
    Thread(target=_end_with_parent, daemon=True).start()
    set_threads()
    return job


def check_loadable(base: BaseModel) -> None:
    """Refuse a base that another process cannot load by its name.

    Raises:
        ModelError: It cannot be found, or has other weights there.
    """
    found = find_base(base.name)
    if found.fingerprint != base.fingerprint:
        raise ModelError(
            "workers load the base again by its name",
            expected=f"{base.name} with the weights of this run",
            got="other weights",
            next_step="Save the model to a folder and load it from there, or use one worker.",
        )


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):  # nothing more is sent: it ends with the parent
        pass
    os._exit(1)  # nothing is half-written: files are renamed into place, lines end with a newline
