"""Where the base model runs and in which number format, decided in one place.

This module knows nothing of models; it only looks at the machine.
"""

import os
import platform
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch

from lorecall.core.checks import choice
from lorecall.core.processes import THREADS_VARIABLE
from lorecall.errors import ConfigError
from lorecall.lm.number_format import Timer, bf16_speedup

DTypeName = Literal["auto", "float32", "bfloat16"]
"""A number format of a base; `auto` is the one that its device is faster in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """A device, the base's number format on it, and why that format was taken."""

    device: torch.device
    dtype: torch.dtype
    reason: str


def choose_compute(
    device: str = "auto", dtype: str = "auto", *, timer: Timer | None = None
) -> Compute:
    """Choose device and number format for the base; A and B are always fp32.

    Args:
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        dtype: `auto` takes bf16 on a GPU that multiplies it natively, and on a processor that does
            so where it is measured to be faster (`lorecall.lm.number_format` has the rule).
        timer: What measures it; torch's own products when None.

    Raises:
        ConfigError: The device or the format is unknown, or the device is not there.

    Examples:
        >>> from lorecall.lm import choose_compute
        >>> choose_compute("cpu", "float32")
        Compute(device=device(type='cpu'), dtype=torch.float32, reason='asked for')
        >>> choose_compute("cpu", "int8")
        Traceback (most recent call last):
            ...
        lorecall.errors.ConfigError: the number format must be known: expected auto or float32 or
        bfloat16, got 'int8'. Choose one of them.
    """
    chosen = _device(device)
    if dtype == "auto":
        pays, reason = _bf16_pays(chosen, timer)
        return Compute(
            device=chosen, dtype=torch.bfloat16 if pays else torch.float32, reason=reason
        )
    known = choice("the number format", dtype, get_args(DTypeName))
    return Compute(device=chosen, dtype=getattr(torch, known), reason="asked for")


def set_threads(n: int | None = None) -> int:
    """Fix the threads that torch uses, so that it does not fight with JAX and BLAS.

    Args:
        n: Threads; None takes `LORECALL_THREADS`, else every core this process may use.

    Returns:
        The number set.

    Examples:
        >>> import torch
        >>> from lorecall.lm import set_threads
        >>> set_threads(1), torch.get_num_threads()
        (1, 1)
    """
    if n is None:
        value = os.environ.get(THREADS_VARIABLE, "")
        n = int(value) if value.isdigit() and int(value) > 0 else len(os.sched_getaffinity(0))
    torch.set_num_threads(n)
    return n


@contextmanager
def sharing_threads(n_processes: int) -> Generator[int]:
    """Share this process's threads with others beside it for a block; return each one's number."""
    before = torch.get_num_threads()
    share = max(1, before // n_processes)
    set_threads(share)
    try:
        yield share
    finally:
        set_threads(before)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    there = device.type == "cpu" or (
        device.type == "cuda" and (device.index or 0) < torch.cuda.device_count()
    )
    if not there:
        raise ConfigError(
            "the device must be there",
            expected=f"auto, cpu or one of {torch.cuda.device_count()} CUDA devices",
            got=repr(name),
            next_step="Leave it at auto to take what the machine has.",
        )
    return device


def _bf16_pays(device: torch.device, timer: Timer | None) -> tuple[bool, str]:
    """Return whether bf16 is to be taken, and why or why not."""
    if not _multiplies_bf16(device):
        return False, f"{device.type} does not multiply bf16 natively"
    if device.type == "cuda":
        return True, "cuda multiplies bf16 natively"
    speedup = bf16_speedup(f"{machine_name(device)}, torch {torch.__version__}", timer=timer)
    return speedup.pays, f"measured: {speedup}"


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if not hasattr(torch.cpu, "get_capabilities"):  # torch before 2.13 does not tell
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def instruction_set(device: torch.device) -> str:
    """Return what decides how sums are rounded: a CPU's vector instructions, or the GPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return torch.backends.cpu.get_cpu_capability()


def machine_name(device: torch.device) -> str:
    """Name what computes: the GPU, or the processor and the threads that torch uses on it.

    Examples:
        >>> import torch
        >>> from lorecall.lm import cpu_name, machine_name, set_threads
        >>> n = set_threads(1)
        >>> machine_name(torch.device("cpu")) == f"{cpu_name()}, 1 thread"
        True
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    n = torch.get_num_threads()
    return f"{cpu_name()}, {n} {'thread' if n == 1 else 'threads'}"


def cpu_name() -> str:
    """Return the processor's name as the system tells it.

    Examples:
        >>> from lorecall.lm import cpu_name
        >>> cpu_name() != ""
        True
    """
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.is_file() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()
