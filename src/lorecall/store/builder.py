"""Starts a build in a process of its own, with nothing of this one's but what the recipe names."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event, Thread
from typing import IO, Protocol

from pydantic import TypeAdapter

from lorecall import errors
from lorecall.core.processes import THREADS_VARIABLE
from lorecall.errors import ConflictError, RunError
from lorecall.store.gate import Gate, Measured
from lorecall.store.recipe import BuildRequest, Packed

_MODULE = "lorecall.store.build"
_PASSED = (
    *("HOME", "PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV"),
    *("LORECALL_CACHE", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_OFFLINE", "CUDA_VISIBLE_DEVICES"),
)
"""What a build may know of this process's environment: where things are, never how to compute."""
_TAIL = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a build came to.

    Args:
        recipe: The recipe's digest.
        machine: The class of the machine.
        packed: The version; None where the recipe is the one that was known, or `short` says why.
        short: What there is, where that is too little to learn from.
        measured: What the gate measured of it; None where it was not asked.

    Examples:
        >>> from lorecall.store import Built
        >>> Built(short="3 in 1").packed is None
        True
    """

    recipe: str = ""
    machine: str = ""
    packed: Packed | None = None
    short: str = ""
    measured: Measured | None = None


class Builder(Protocol):
    """Who builds versions: a process of its own, or, in tests, a function.

    Examples:
        >>> import lorecall
        >>> from lorecall.store import Builder, Built
        >>> def lazy(request, *, on_step, cancelled, gate=None) -> Built:
        ...     return Built(short="no time")
        >>> builder: Builder = lazy
        >>> with lorecall.Store.open("people", builder=builder) as store:
        ...     ada = store.person("ada")
        ...     _ = ada.remember("history.jsonl", user="ann")
        ...     try:
        ...         ada.update()
        ...     except lorecall.DataError as error:
        ...         print(error.got)
        no time
    """

    def __call__(
        self,
        request: BuildRequest,
        *,
        on_step: Callable[[float], None],
        cancelled: Event,
        gate: Gate | None = None,
    ) -> Built:
        """Build a version.

        Raises:
            ConflictError: It was cancelled.
        """
        ...


def build(
    request: BuildRequest,
    *,
    on_step: Callable[[float], None],
    cancelled: Event,
    gate: Gate | None = None,
) -> Built:
    """Build a version in a new process: cold, on pinned threads.

    What it is measured beside is sent to the process once the version has come out of it, through a
    pipe of its own: nothing of an earlier version is there while it is built.

    Args:
        request: All that it gets.
        on_step: Called with the share of the training that each step is.
        cancelled: Set by another thread to end it.
        gate: What it is measured beside; it is not measured when None.

    Raises:
        ConflictError: It was cancelled.
        RunError: It did not end well.
    """
    later, sends = os.pipe()
    with (
        os.fdopen(sends, "wb") as more,
        tempfile.TemporaryFile() as log,
        tempfile.TemporaryDirectory(prefix="lorecall-build-") as scratch,
        subprocess.Popen(  # noqa: S603 - a module of this package
            [sys.executable, "-m", _MODULE, str(later)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=_environment(request.n_threads) | {"TMPDIR": scratch},
            pass_fds=(later,),
        ) as process,
    ):
        os.close(later)
        over = Event()
        Thread(target=_kill_when, args=(process, cancelled, over), daemon=True).start()
        try:
            said, content = _talk(process, request, on_step)
            measured = _measured(process, more, gate) if content else None
        finally:
            over.set()
            process.kill()
            process.wait()
        if said is None or (content and gate is not None and measured is None):
            if cancelled.is_set():
                raise _cancelled()
            raise _died(log, process.returncode)
    return replace(_result(said, content), measured=measured)


def _environment(n_threads: int) -> dict[str, str]:
    n = str(n_threads)
    return {name: os.environ[name] for name in _PASSED if name in os.environ} | {
        THREADS_VARIABLE: n,
        "OMP_NUM_THREADS": n,
        "MKL_NUM_THREADS": n,
        "OMP_DYNAMIC": "FALSE",
        "MKL_DYNAMIC": "FALSE",
        "PYTHONHASHSEED": "0",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "TZ": "UTC",
    }


def _talk(
    process: subprocess.Popen[bytes], request: BuildRequest, on_step: Callable[[float], None]
) -> tuple[dict[str, str] | None, bytes]:
    """Return a build's answer to a request and what follows, or nothing where it ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(TypeAdapter(BuildRequest).dump_json(request) + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return None, b""
    for line in process.stdout:
        word, _, value = line.partition(b" ")
        if word == b"step":
            on_step(float(value))
        elif word == b"done":
            said = json.loads(value)
            content = process.stdout.read(int(said.get("size", 0)))
            return (said, content) if len(content) == said.get("size", 0) else (None, b"")
    return None, b""


def _measured(
    process: subprocess.Popen[bytes], more: IO[bytes], gate: Gate | None
) -> Measured | None:
    """Have a build measure what it built; nothing where it is not wanted, or the build ended."""
    if gate is None:
        return None
    head = gate.head
    content = b"" if head is None else head.packed.content()
    told = {"n": 0, "held": ()} if head is None else {"n": head.n, "held": head.held}
    try:
        more.write(json.dumps(told | {"size": len(content)}).encode() + b"\n" + content)
        more.close()
    except BrokenPipeError:
        return None
    assert process.stdout is not None
    word, _, value = process.stdout.readline().partition(b" ")
    return TypeAdapter(Measured).validate_json(value) if word == b"measured" else None


def _kill_when(process: subprocess.Popen[bytes], cancelled: Event, over: Event) -> None:
    while not over.wait(0.2):
        if cancelled.is_set():
            process.kill()
            return


def _result(said: dict[str, str], content: bytes) -> Built:
    match said["status"]:
        case "refused":
            kind = getattr(errors, said["kind"])
            told = {name: said[name] for name in ("expected", "got", "next_step")}
            raise kind(said["rule"], **told)
        case "short":
            return Built(short=said["got"])
        case status:
            packed = Packed.of_content(content) if status == "built" else None
            return Built(recipe=said["recipe"], machine=said["machine"], packed=packed)


def _cancelled() -> ConflictError:
    return ConflictError(
        "one works on a person at a time",
        expected="to go on to the end",
        got="someone who took over in between: something of theirs is forgotten, or this one slept",
        next_step="Look at the log; give the command again if it is still wanted.",
    )


def _died(log: IO[bytes], code: int) -> RunError:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines() or ["nothing said"]
    return RunError(
        "a build must come to its end",
        expected="a version, or why there is none",
        got=f"exit code {code}: {lines[-1][:_TAIL]}",
        next_step="Nothing was changed. Free some memory, or look at the message.",
    )


def request_again(again: str, request: BuildRequest) -> BuildRequest:
    """Return a request for the same base, settings and threads as a version's, with other rows.

    Args:
        again: How to ask for that version again (`Packed.again`).
        request: Has the rows.
    """
    values = TypeAdapter(BuildRequest).dump_python(request, mode="json")
    return TypeAdapter(BuildRequest).validate_python(values | json.loads(again))
