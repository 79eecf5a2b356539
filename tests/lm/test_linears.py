"""Linear maps from reordered copies, with pairs beside and inside: always the plain result."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Barrier, Thread

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from lorecall.lm.engine.linears import (
    FEW_ROWS,
    Linears,
    WeightCopies,
    bias_of,
    can_reorder,
    weight_of,
)
from lorecall.lm.lora import CallPairs, LoraPair

K = 12
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
reordered = pytest.mark.skipif(
    not can_reorder(torch.float32), reason="this torch keeps no reordered weights on this CPU"
)


@dataclass(frozen=True)
class Memory:
    """CallPairs, as an injection gives them."""

    pairs: tuple[LoraPair, ...] = ()

    def for_call(self) -> CallPairs:
        """Return the pairs in the format of their linears."""
        return {p.linear: p.for_call(weight_of(p.linear).dtype) for p in self.pairs}


def drawn(module: nn.Module, seed: int) -> nn.Module:
    """Draw the weights of a module and freeze it."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.requires_grad_(requires_grad=False).parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return module


def linear(d: int, *, bias: bool = True, seed: int = 0) -> nn.Module:
    """Make a frozen linear."""
    return drawn(nn.Linear(K, d, bias=bias), seed)


def conv(d: int) -> nn.Module:
    """Make a frozen linear that stores its weight the other way round."""
    return drawn(Conv1D(d, K), 0)


def pair_of(inner: nn.Module, *, seed: int = 0) -> LoraPair:
    """Draw a pair for a linear."""
    generator = torch.Generator().manual_seed(seed)
    d, k = weight_of(inner).shape
    down, up = (torch.randn(size, generator=generator) for size in ((4, k), (d, 4)))
    return LoraPair(inner, down, up, scaling=0.7)


def plainly(module: nn.Module, x: Tensor, memory: Memory) -> Tensor:
    """Apply a linear and the pair beside it by torch alone."""
    h = module(x)
    for pair in memory.pairs:
        if pair.linear is module:
            h = h + 0.7 * x @ pair.down.T.to(x.dtype) @ pair.up.T.to(x.dtype)
    return h


def rows_of(n: int, *, seed: int = 7) -> Tensor:
    """Draw inputs."""
    return torch.randn(n, K, generator=torch.Generator().manual_seed(seed))


def with_pairs(
    modules: Sequence[nn.Module], which: Sequence[int]
) -> tuple[tuple[nn.Module, ...], Memory]:
    """Return linears with pairs beside some of them."""
    return tuple(modules), Memory(tuple(pair_of(modules[i], seed=i) for i in which))


Made = tuple[tuple[nn.Module, ...], Memory]
MODULES: dict[str, Callable[[], Made]] = {
    "linears": lambda: with_pairs([linear(8), linear(4, seed=1), linear(4, seed=2)], ()),
    "one bias": lambda: with_pairs([linear(8, bias=False), linear(4, seed=1)], ()),
    "conv": lambda: with_pairs([conv(24)], ()),
    "pair": lambda: with_pairs([linear(8), linear(6, seed=1)], [1]),
    "pairs": lambda: with_pairs([linear(8), linear(6, bias=False, seed=1)], [0, 1]),
    "paired conv": lambda: with_pairs([conv(24)], [0]),
}
EACH = pytest.mark.parametrize("make", MODULES.values(), ids=MODULES.keys())


@EACH
@pytest.mark.parametrize("n", [1, 3, FEW_ROWS, FEW_ROWS + 1])
@pytest.mark.parametrize("reorder", [pytest.param(True, marks=reordered), False])
@pytest.mark.parametrize("merge", [False, True])
@torch.no_grad()
def test_joined_is_each_by_itself(
    make: Callable[[], Made], n: int, *, reorder: bool, merge: bool
) -> None:
    """From copies or not, few rows or many, pairs merged or beside, and once more."""
    (modules, memory), x = make(), rows_of(n)
    linears = Linears(WeightCopies(reorder=reorder), [memory], merge=merge)
    expected = [plainly(module, x, memory) for module in modules]
    for _ in range(2):
        ours = linears.joined(modules, x)
        assert len(ours) == len(expected)
        for one, other in zip(ours, expected, strict=True):
            torch.testing.assert_close(one, other, **CLOSE)
        torch.testing.assert_close(linears(modules[0], x), expected[0], **CLOSE)


@EACH
def test_training_goes_through_the_pairs_alone(make: Callable[[], Made]) -> None:
    """Gradients are those of torch's own operations; the base's weights get none."""
    modules, memory = make()
    grads: list[list[Tensor | None]] = []
    trained = [half for pair in memory.pairs for half in (pair.down, pair.up)]
    for ours in (True, False):
        x = rows_of(3).requires_grad_()
        linears = Linears(WeightCopies(), [memory])
        parts = linears.joined(modules, x) if ours else [plainly(m, x, memory) for m in modules]
        torch.cat(list(parts), dim=-1).square().sum().backward()
        grads.append([x.grad, *(half.grad for half in trained)])
        for half in trained:
            half.grad = None
        assert all(p.grad is None for module in modules for p in module.parameters())
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("grad", [False, True])
def test_each_memory_acts_on_its_own_rows(*, grad: bool) -> None:
    """In order; one without a pair there leaves its rows to the base."""
    modules, first = with_pairs([linear(8), linear(6, seed=1)], [0, 1])
    second = Memory((pair_of(modules[1], seed=9),))
    x = rows_of(8)
    with torch.set_grad_enabled(grad):
        ours = Linears(WeightCopies(), [first, second]).joined(modules, x)
    for module, found in zip(modules, ours, strict=True):
        expected = torch.cat([plainly(module, x[:4], first), plainly(module, x[4:], second)])
        torch.testing.assert_close(found, expected, **CLOSE)


@torch.no_grad()
def test_weights_and_biases_are_given_however_they_are_stored() -> None:
    """(d, k) for both kinds; a bias may be missing."""
    for module in (linear(8), conv(8)):
        x = rows_of(2)
        torch.testing.assert_close(F.linear(x, weight_of(module), bias_of(module)), module(x))
    assert bias_of(linear(8, bias=False)) is None


@torch.no_grad()
def test_a_linear_of_another_kind_is_called_as_it_is() -> None:
    """A quantised linear is a subclass: its weight is nothing to read."""

    class Doubled(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
            return 2 * super().forward(input)

    inner = Doubled(K, 6).requires_grad_(False)
    x, memory = rows_of(3), Memory((pair_of(inner),))
    assert torch.equal(Linears(WeightCopies())(inner, x), inner(x))
    for merge in (False, True):
        linears = Linears(WeightCopies(), [memory], merge=merge)
        torch.testing.assert_close(linears(inner, x), plainly(inner, x, memory), **CLOSE)


@reordered
@torch.no_grad()
def test_copies_are_made_once_for_all_threads() -> None:
    """Asked for at the same moment, and whatever memory each call has."""
    modules, copies, start = (linear(8), linear(4, seed=1)), WeightCopies(), Barrier(4)
    found: list[object] = []

    def ask() -> None:
        start.wait()
        found.append(copies.get(modules))

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(copy) for copy in found}) == 1
    Linears(copies, [Memory((pair_of(modules[0]),))], merge=True).joined(modules, rows_of(2))
    assert copies.get(modules) is found[0]


@torch.no_grad()
def test_a_memory_of_a_bf16_base_is_never_merged() -> None:
    """Rounded to bf16, the sum would lose most of a small update."""
    module = linear(6).bfloat16()
    memory, x = Memory((pair_of(module),)), rows_of(2).bfloat16()
    beside, merged = (Linears(WeightCopies(), [memory], merge=merge) for merge in (False, True))
    assert torch.equal(beside(module, x), merged(module, x))


def test_a_step_of_training_is_seen_by_the_next_call() -> None:
    """Also in bf16, where a call without gradients casts the pair."""
    module = linear(6).bfloat16()
    pair, x = pair_of(module), rows_of(3).bfloat16()
    optimizer = torch.optim.AdamW([pair.down, pair.up], lr=0.1, fused=True)

    def call() -> Tensor:
        return Linears(WeightCopies(), [Memory((pair,))])(module, x)

    with torch.no_grad():
        before = call()
    call().float().sum().backward()
    optimizer.step()
    with torch.no_grad():
        after = call()
        A, B = pair.down.bfloat16(), pair.up.bfloat16()
        expected = module(x) + 0.7 * F.linear(F.linear(x, A), B)
    assert not torch.equal(after, before)
    torch.testing.assert_close(after, expected, atol=0.1, rtol=0.02)
