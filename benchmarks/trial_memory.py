"""How much memory a variant takes, in a process of its own that loads nothing else."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from trial_work import Variant, Work, cases, draw_batches, heaviest_batch, short_batches

NEW_TOKENS = 2
BAD_INPUT = 2  # exit code


def measure_memory(make: Callable[[], tuple[Variant, Work, int]], *, cuda: bool) -> dict[str, int]:
    """Load a variant, take two steps of the first case, evaluate once, and read the peaks.

    The first step is a short one, in which the optimiser makes its state; the answers are short.

    The peaks are those of the whole process: on a CPU its resident memory, on a GPU what torch
    allocated there.

    Args:
        make: Loads the variant, its data and its number of layers.
        cuda: Whether the GPU's memory is meant.
    """
    found = {"before_bytes": _now(cuda=cuda)}
    variant, work, n_layers = make()
    case = cases(n_layers)[0]
    variant.put_on(case.config)
    found["loaded_bytes"] = _now(cuda=cuda)
    _forget_peak(cuda=cuda)
    for batch in (*short_batches(work.train, 1), *draw_batches(work.train, 1)):
        variant.train(batch)
    found["train_peak_bytes"] = _peak(cuda=cuda)
    _forget_peak(cuda=cuda)
    task = heaviest_batch(work.task, variant.n_at_once)  # the others take no more
    variant.evaluate(replace(task, max_new_tokens=NEW_TOKENS))
    found["evaluate_peak_bytes"] = _peak(cuda=cuda)
    return found


def in_fresh_process(script: Path, variant: str, options: list[str]) -> dict[str, int] | None:
    """Run `measure_memory` for a variant in a fresh process; None where memory was not enough."""
    command = [sys.executable, str(script), "--only-memory", variant, *options]
    done = subprocess.run(  # noqa: S603 - this very script
        command, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    if "OutOfMemoryError" in done.stderr or done.returncode == -9:
        return None
    if done.returncode == BAD_INPUT:  # it has said so in one line
        print(done.stderr.splitlines()[-1], file=sys.stderr)
        sys.exit(BAD_INPUT)
    raise RuntimeError(done.stderr)


def _now(*, cuda: bool) -> int:
    return torch.cuda.memory_allocated() if cuda else _status("VmRSS")


def _peak(*, cuda: bool) -> int:
    # not getrusage: a child's ru_maxrss starts at its parent's size, and cannot be set back
    return torch.cuda.max_memory_allocated() if cuda else _status("VmHWM")


def _forget_peak(*, cuda: bool) -> None:
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    line = next(line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
