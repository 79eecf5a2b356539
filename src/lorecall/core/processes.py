"""Processes that work beside this one, on one machine: started, tended, and none left behind.

A job goes to a process as one line of JSON on its standard input. The pipe stays open while the
parent lives; a process ends when it closes.
"""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread
from typing import Self

THREADS_VARIABLE = "LORECALL_THREADS"
_RESTARTS = 3  # of one process: a second killing may be chance, a fourth is not
_LEAVE_S = 10.0


class Processes:
    """Processes at work, as a context manager: one for each job, a line of JSON without its end."""

    def __init__(
        self,
        module: str,
        jobs: Sequence[bytes],
        *,
        folder: Path,
        say: Callable[[str], None],
        n_threads: int,
    ) -> None:
        self._module, self._jobs = module, jobs
        self._folder, self._say = folder, say
        self._running: list[subprocess.Popen[bytes]] = []
        self._restarts = [_RESTARTS] * len(jobs)
        self._n_threads = n_threads

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
            self._running = [self._start(k) for k in range(len(self._jobs))]
        return self

    def __exit__(self, *_: object) -> None:
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

    def _start(self, k: int) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            THREADS_VARIABLE: str(self._n_threads),
            "OMP_NUM_THREADS": str(self._n_threads),
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
    return job


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):  # nothing more is sent: it ends with the parent
        pass
    os._exit(1)  # nothing is half-written: files are renamed into place, lines end with a newline


def machine_id() -> str:
    """Name the machine, and the container in it: where process numbers mean something."""
    try:
        space = Path("/proc/self/ns/pid").readlink().name
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:  # not Linux
        space = boot = ""
    return f"{socket.gethostname()}:{boot}:{space}"


def is_running(process: int) -> bool:
    """Whether a process of this machine is at work."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # someone else's, and so alive
        return True
    return not _is_zombie(process)


def _is_zombie(process: int) -> bool:
    """Whether a process has ended but its parent has not been told."""
    try:
        after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return after_name[:1] == ["Z"]
