"""How the linear maps of a base are computed: plainly, with a pair, or from reordered weights.

Decoding multiplies few rows by every weight of the model. On a CPU torch's matrix product reads a
plain weight badly for few rows; oneDNN keeps a copy in its own order, which is up to twice as fast
(`benchmarks/`). The copies are made once a base, when it first decodes, and cost as much memory as
the weights; `Linears(reorder=False)` does without.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from lorecall.lm.engine.kernels import paired_linear
from lorecall.lm.families.family import bias_of, weight_of
from lorecall.lm.lora import LoraGroup, LoraLinear

FEW_ROWS = 96
_HINT = 32  # rows that the order is chosen for
_PLAIN = (nn.Linear, Conv1D)  # exact types: a quantised linear is a subclass, and called as it is


class Linears:
    """Applies linear modules to packed rows.

    Args:
        reorder: Whether to keep reordered copies of the weights for few rows, on a CPU.
    """

    def __init__(self, *, reorder: bool = True) -> None:
        self.reorder = reorder
        self._copies: dict[tuple[int, ...], _Copy] = {}
        self._folded: dict[int, Tensor] = {}
        self._bare = False

    def __call__(self, module: nn.Module, x: Tensor) -> Tensor:
        """Apply one linear, its pair included. *Shape:* (rows, k) to (rows, d)."""
        return self.joined((module,), x)[0]

    def joined(self, modules: Sequence[nn.Module], x: Tensor) -> Sequence[Tensor]:
        """Apply several linears to the same rows."""
        if not self._from_copies(modules, x):
            return [self._one(module, x) for module in modules]
        copy, bias, sizes = self._copy(modules)
        y = torch.ops.mkldnn._linear_pointwise(x, copy, bias, "none", [], "")  # noqa: SLF001
        return [
            part + module.update(x)
            if isinstance(module, LoraLinear) and self._has_pair(module)
            else part
            for module, part in zip(modules, y.split(sizes, dim=-1), strict=True)
        ]

    @contextmanager
    def folded(self, modules: Sequence[LoraLinear]) -> Generator[None]:
        """Fold pairs into copies of their weights for a block without training.

        Only in fp32: rounded to bf16, the sum would lose most of a small update.
        """
        self._folded = {
            id(module): torch.addmm(
                weight_of(module.linear), module.up, module.down, alpha=module.scaling
            ).detach()
            for module in modules
            if not module.merged and _is_plain(module.linear)
            if weight_of(module.linear).dtype == module.up.dtype
        }
        try:
            yield
        finally:
            gone = {id(weight) for weight in self._folded.values()}
            self._copies = {key: c for key, c in self._copies.items() if not gone & set(key)}
            self._folded = {}

    @contextmanager
    def bare(self) -> Generator[None]:
        """Leave every pair out for a block: the base as it is without a memory."""
        self._bare = True
        try:
            yield
        finally:
            self._bare = False

    def _one(self, module: nn.Module, x: Tensor) -> Tensor:
        if isinstance(module, LoraGroup) and self._bare:
            module = module.linear
        inner = _inner(module)
        if not _is_plain(inner):
            return module(x) if self._has_pair(module) else inner(x)
        if isinstance(module, LoraLinear) and self._has_pair(module):
            if torch.is_grad_enabled():
                pair = module.pair(x.dtype)
                return paired_linear(x, weight_of(inner), bias_of(inner), pair, module.scaling)
            return F.linear(x, weight_of(inner), bias_of(inner)) + module.update(x)
        return F.linear(x, self._weight(module), bias_of(inner))

    def _has_pair(self, module: nn.Module) -> bool:
        """Whether a pair is to be applied beside the weight that is used."""
        if not isinstance(module, LoraLinear) or self._bare:
            return False
        return not module.merged and id(module) not in self._folded

    def _weight(self, module: nn.Module) -> Tensor:
        """Return the weight that is used now. *Shape:* (d, k)."""
        folded = self._folded.get(id(module))
        return weight_of(_inner(module)) if folded is None or self._bare else folded

    def _source(self, module: nn.Module) -> Tensor:
        """Return the tensor that the weight in use is stored in."""
        folded = self._folded.get(id(module))
        stored = _inner(module).weight if folded is None or self._bare else folded
        assert isinstance(stored, Tensor)
        return stored

    def _from_copies(self, modules: Sequence[nn.Module], x: Tensor) -> bool:
        few = self.reorder and len(x) <= FEW_ROWS and x.device.type == "cpu"
        if not few or torch.is_grad_enabled():
            return False
        return all(_is_plain(_inner(module)) for module in modules) and can_reorder(x.dtype)

    def _copy(self, modules: Sequence[nn.Module]) -> tuple[Tensor, Tensor | None, list[int]]:
        """Return the reordered copy of weights laid one under another, their biases and sizes."""
        sources = tuple(self._source(module) for module in modules)
        key = tuple(id(source) for source in sources)
        kept = self._copies.get(key)
        if kept is None or kept.versions != _versions(sources):
            weights = [self._weight(module) for module in modules]
            sizes = [len(weight) for weight in weights]
            whole = torch.cat(weights) if len(weights) > 1 else weights[0].contiguous()
            kept = _Copy(
                sources=sources,
                versions=_versions(sources),
                weight=torch.ops.mkldnn._reorder_linear_weight(whole, _HINT),  # noqa: SLF001
                bias=_joined_bias([bias_of(_inner(module)) for module in modules], weights),
                sizes=sizes,
            )
            self._copies[key] = kept
        return kept.weight, kept.bias, kept.sizes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    """A reordered weight, with what it was made from: alive, so that its identity stays taken."""

    sources: tuple[Tensor, ...]
    versions: tuple[int, ...]
    weight: Tensor
    bias: Tensor | None
    sizes: list[int]


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


def _inner(module: nn.Module) -> nn.Module:
    return module.linear if isinstance(module, LoraLinear) else module


def _is_plain(linear: nn.Module) -> bool:
    return type(linear) in _PLAIN


def _versions(tensors: Sequence[Tensor]) -> tuple[int, ...]:
    """Return torch's own counters of changes; a tensor made in inference mode has none."""
    return tuple(0 if t.is_inference() else t._version for t in tensors)  # noqa: SLF001


def _joined_bias(biases: Sequence[Tensor | None], weights: Sequence[Tensor]) -> Tensor | None:
    if all(bias is None for bias in biases):
        return None
    return torch.cat(
        [w.new_zeros(len(w)) if b is None else b for b, w in zip(biases, weights, strict=True)]
    )
