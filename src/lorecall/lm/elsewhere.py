"""A base as another process loads it, and processes that each have one."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from pydantic import TypeAdapter

from lorecall.core.processes import Processes
from lorecall.errors import ModelError
from lorecall.lm.base import LanguageModel, SharedName
from lorecall.lm.device import DTypeName, sharing_threads
from lorecall.lm.source import find_base

_DTYPES: dict[torch.dtype, DTypeName] = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseAt:
    """A base as another process loads it.

    Args:
        name: Its name or folder.
        device: Where it goes.
        dtype: Its number format.
        four_bit: Whether its linear maps are in 4 bits.
        shared: The shared memory that is merged into it.
    """

    name: str
    device: str
    dtype: DTypeName
    four_bit: bool
    shared: SharedName | None = None

    @classmethod
    def of(cls, base: LanguageModel, k: int) -> Self:
        """Return how the k-th process beside this one loads this base: on a GPU of its own."""
        device = str(base.device)
        if base.device.type == "cuda":
            device = f"cuda:{((base.device.index or 0) + k) % torch.cuda.device_count()}"
        dtype = _DTYPES.get(base.dtype, "auto")
        return cls(
            name=base.name,
            device=device,
            dtype=dtype,
            four_bit=base.four_bit,
            shared=base.shared,
        )


def check_loadable(base: LanguageModel) -> None:
    """Refuse a base that cannot be loaded again by its name.

    Raises:
        ModelError: It cannot be found, or has other weights there.
    """
    found = find_base(base.name)
    if found.fingerprint != base.weights_hash:
        raise ModelError(
            "a base is loaded again by its name",
            expected=f"{base.name} with the weights of this run",
            got="other weights",
            next_step="Save the model to a folder and load it from there.",
        )


@contextmanager
def processes_beside(
    base: LanguageModel,
    module: str,
    job_at: Callable[[BaseAt], object],
    *,
    n: int,
    folder: Path,
    say: Callable[[str], None],
) -> Generator[Processes]:
    """Have n more processes at work for a block, which share the cores with this one.

    Args:
        base: The base that this process has; each of the others loads its own.
        module: What they run.
        job_at: Returns what one is to do, from where its base is: a dataclass.
        n: How many.
        folder: Where their logs go.
        say: Told what becomes of them.

    Raises:
        ModelError: The base cannot be loaded by its name.
    """
    if n:
        check_loadable(base)
    jobs = [job_at(BaseAt.of(base, k)) for k in range(1, n + 1)]
    lines = [TypeAdapter(type(job)).dump_json(job) for job in jobs]
    with (
        sharing_threads(n + 1) as n_threads,
        Processes(module, lines, folder=folder, say=say, n_threads=n_threads) as beside,
    ):
        yield beside
