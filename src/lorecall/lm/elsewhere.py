"""A base as another process loads it."""

from dataclasses import dataclass
from typing import Self

import torch

from lorecall.errors import ModelError
from lorecall.lm.base import LanguageModel, SharedName
from lorecall.lm.device import DTypeName
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
