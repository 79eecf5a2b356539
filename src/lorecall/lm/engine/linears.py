"""How the linear maps of a base are computed in one call: plainly, with pairs, or reordered.

Decoding multiplies few rows by every weight of the model. On a CPU torch's matrix product reads a
plain weight badly for few rows; oneDNN keeps a copy in its own order, which is up to twice as fast
(`benchmarks/`). `WeightCopies` are made once a base, when it first decodes, cost as much memory as
the weights, and know nothing of memories; `Linears` are made for each call, and hold its pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from lorecall.lm.engine.kernels import paired_linear
from lorecall.lm.families.family import bias_of, weight_of
from lorecall.lm.lora import CallPairs, Update, merged_weight

FEW_ROWS = 96
_HINT = 32  # rows that the order is chosen for
_PLAIN = (nn.Linear, Conv1D)  # exact types: a quantised linear is a subclass, and called as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class ReorderedWeight:
    """Weights laid one under another in oneDNN's order, their biases and their numbers of rows."""

    weight: Tensor
    bias: Tensor | None
    sizes: list[int]

    def outputs(self, x: Tensor) -> Sequence[Tensor]:
        """Apply each weight. *Shape:* (rows, k) to (rows, d) each."""
        y = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001
            x, self.weight, self.bias, "none", [], ""
        )
        return y.split(self.sizes, dim=-1)


class WeightCopies:
    """Reordered copies of a frozen base's own weights, which all calls on it share.

    Args:
        reorder: Whether to keep copies at all.
    """

    def __init__(self, *, reorder: bool = True) -> None:
        self.reorder = reorder
        self._copies: dict[tuple[nn.Module, ...], ReorderedWeight] = {}
        self._filling = Lock()

    def get(self, modules: tuple[nn.Module, ...]) -> ReorderedWeight:
        """Return the copy of some linears' weights, made when it is first asked for."""
        found = self._copies.get(modules)
        if found is None:
            with self._filling:
                found = self._copies.get(modules)
                if found is None:
                    found = _reordered(modules, [weight_of(module) for module in modules])
                    self._copies[modules] = found
        return found


@runtime_checkable
class AttachedMemory(Protocol):
    """What a call needs to know of a memory."""

    @property
    def pairs(self) -> Sequence[Update]:
        """Its pairs."""
        ...

    def for_call(self) -> CallPairs:
        """Return the pairs as one call uses them."""
        ...


class Linears:
    """Applies a base's linears to packed rows in one call, with the memories that it uses.

    Args:
        copies: The base's reordered weights.
        memories: None, one, or several: then each acts on its own share of the rows, in order.
        merge: Whether to add a memory's pairs to copies of the weights, which saves two products a
            linear. That is done in fp32 alone: rounded to bf16, the sum would lose most of a small
            update. Not for training.

    Attributes:
        copies: The base's reordered weights.
    """

    def __init__(
        self, copies: WeightCopies, memories: Sequence[AttachedMemory] = (), *, merge: bool = False
    ) -> None:
        self.copies = copies
        self._own: dict[tuple[nn.Module, ...], ReorderedWeight] = {}
        self._merged: dict[nn.Module, Tensor] = {}
        if merge and len(memories) == 1:
            self._merged = {
                p.linear: merged_weight(p) for p in memories[0].pairs if _merges(p.linear)
            }
        self._pairs = [
            {
                linear: pair
                for linear, pair in memory.for_call().items()
                if linear not in self._merged
            }
            for memory in memories
        ]

    def __call__(self, module: nn.Module, x: Tensor) -> Tensor:
        """Apply one linear, its pair included. *Shape:* (rows, k) to (rows, d)."""
        return self.joined((module,), x)[0]

    def joined(self, modules: tuple[nn.Module, ...], x: Tensor) -> Sequence[Tensor]:
        """Apply several linears to the same rows."""
        if not self._from_copies(modules, x):
            return [self._one(module, x) for module in modules]
        outputs = self._copy(modules).outputs(x)
        return [self._updated(m, x, y) for m, y in zip(modules, outputs, strict=True)]

    def _one(self, module: nn.Module, x: Tensor) -> Tensor:
        if not _is_plain(module):
            return self._updated(module, x, module(x))
        if len(self._pairs) == 1 and torch.is_grad_enabled() and module in self._pairs[0]:
            pair = self._pairs[0][module]
            return paired_linear(
                x, weight_of(module), bias_of(module), (pair.down, pair.up), pair.scaling
            )
        return self._updated(module, x, F.linear(x, self._weight(module), bias_of(module)))

    def _updated(self, module: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Add to the base's outputs what the pairs beside a linear say: eq. (1)."""
        pairs = [memory.get(module) for memory in self._pairs]
        if not any(pairs):
            return y
        if len(pairs) == 1 and pairs[0] is not None:
            return y + pairs[0].update(x)
        shares = zip(pairs, x.chunk(len(pairs)), y.chunk(len(pairs)), strict=True)
        return torch.cat([h if pair is None else h + pair.update(own) for pair, own, h in shares])

    def _weight(self, module: nn.Module) -> Tensor:
        merged = self._merged.get(module)
        return weight_of(module) if merged is None else merged

    def _from_copies(self, modules: tuple[nn.Module, ...], x: Tensor) -> bool:
        few = self.copies.reorder and len(x) <= FEW_ROWS and x.device.type == "cpu"
        if not few or torch.is_grad_enabled():
            return False
        return all(_is_plain(module) for module in modules) and can_reorder(x.dtype)

    def _copy(self, modules: tuple[nn.Module, ...]) -> ReorderedWeight:
        if not any(module in self._merged for module in modules):
            return self.copies.get(modules)
        if modules not in self._own:
            self._own[modules] = _reordered(modules, [self._weight(module) for module in modules])
        return self._own[modules]


@cache
def can_reorder(dtype: torch.dtype) -> bool:
    """Whether this torch keeps reordered weights of a number format on this CPU."""
    try:
        weight = torch.zeros(16, 16, dtype=dtype)
        copy = torch.ops.mkldnn._reorder_linear_weight(weight, _HINT)  # noqa: SLF001
        torch.ops.mkldnn._linear_pointwise(weight, copy, None, "none", [], "")  # noqa: SLF001
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    return True


def _reordered(modules: Sequence[nn.Module], weights: Sequence[Tensor]) -> ReorderedWeight:
    whole = torch.cat(list(weights)) if len(weights) > 1 else weights[0].contiguous()
    return ReorderedWeight(
        weight=torch.ops.mkldnn._reorder_linear_weight(whole, _HINT),  # noqa: SLF001
        bias=_joined_bias([bias_of(module) for module in modules], weights),
        sizes=[len(weight) for weight in weights],
    )


def _is_plain(linear: nn.Module) -> bool:
    return type(linear) in _PLAIN


def _merges(linear: nn.Module) -> bool:
    return _is_plain(linear) and weight_of(linear).dtype == torch.float32


def _joined_bias(biases: Sequence[Tensor | None], weights: Sequence[Tensor]) -> Tensor | None:
    if all(bias is None for bias in biases):
        return None
    return torch.cat(
        [w.new_zeros(len(w)) if b is None else b for b, w in zip(biases, weights, strict=True)]
    )
