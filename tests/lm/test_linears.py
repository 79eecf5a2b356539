"""Linear maps from reordered copies, with pairs beside and inside: always the plain result."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from lorecall.lm.engine.linears import FEW_ROWS, Linears, bias_of, can_reorder, weight_of
from lorecall.lm.lora import LoraLinear

K = 12
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
reordered = pytest.mark.skipif(
    not can_reorder(torch.float32), reason="this torch keeps no reordered weights on this CPU"
)


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


def paired(inner: nn.Module, *, seed: int = 0) -> LoraLinear:
    """Put a drawn pair beside a linear."""
    generator = torch.Generator().manual_seed(seed)
    pair = LoraLinear(inner, rank=4, scaling=0.7, generator=generator)
    with torch.no_grad():
        pair.up.copy_(torch.randn(pair.up.shape, generator=generator))
    return pair


def rows_of(n: int, *, seed: int = 7) -> Tensor:
    """Draw inputs."""
    return torch.randn(n, K, generator=torch.Generator().manual_seed(seed))


MODULES = {
    "linears": lambda: [linear(8), linear(4, seed=1), linear(4, seed=2)],
    "one bias": lambda: [linear(8, bias=False), linear(4, seed=1)],
    "conv": lambda: [conv(24)],
    "pair": lambda: [linear(8), paired(linear(6, seed=1))],
    "pairs": lambda: [paired(linear(8)), paired(linear(6, bias=False, seed=1), seed=1)],
    "paired conv": lambda: [paired(conv(24))],
}


@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES.keys())
@pytest.mark.parametrize("n", [1, 3, FEW_ROWS, FEW_ROWS + 1])
@pytest.mark.parametrize("reorder", [pytest.param(True, marks=reordered), False])
@torch.no_grad()
def test_joined_is_each_by_itself(
    make: Callable[[], list[nn.Module]], n: int, *, reorder: bool
) -> None:
    """From copies or not, few rows or many, the second time as the first."""
    modules, x, linears = make(), rows_of(n), Linears(reorder=reorder)
    expected = [module(x) for module in modules]
    for _ in range(2):
        ours = linears.joined(modules, x)
        assert len(ours) == len(expected)
        for one, other in zip(ours, expected, strict=True):
            torch.testing.assert_close(one, other, **CLOSE)
        torch.testing.assert_close(linears(modules[0], x), expected[0], **CLOSE)


@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES.keys())
def test_training_goes_through_the_pairs_alone(make: Callable[[], list[nn.Module]]) -> None:
    """Gradients are those of the modules' own forward; the base's weights get none."""
    modules, linears = make(), Linears()
    grads: list[list[Tensor | None]] = []
    for ours in (True, False):
        x = rows_of(3).requires_grad_()
        parts = linears.joined(modules, x) if ours else [module(x) for module in modules]
        torch.cat(list(parts), dim=-1).square().sum().backward()
        trained = [p for module in modules for p in module.parameters() if p.requires_grad]
        grads.append([x.grad, *(p.grad for p in trained)])
        for module in modules:
            module.zero_grad()
            assert all(p.grad is None for p in module.parameters())
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


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
    x, linears = rows_of(3), Linears()
    assert torch.equal(linears(inner, x), inner(x))
    pair = paired(inner)
    torch.testing.assert_close(linears(pair, x), pair(x), **CLOSE)
    with linears.folded([pair]):
        torch.testing.assert_close(linears(pair, x), pair(x), **CLOSE)
    with linears.bare():
        assert torch.equal(linears(pair, x), inner(x))


@reordered
@torch.no_grad()
def test_copies_follow_a_changed_weight() -> None:
    """Changed in place, or in one of several joined."""
    modules, x, linears = [linear(8), linear(4, seed=1)], rows_of(2), Linears()
    for change in range(3):
        modules[change % 2].weight.mul_(-1.5)
        for one, module in zip(linears.joined(modules, x), modules, strict=True):
            torch.testing.assert_close(one, module(x), **CLOSE)


def test_a_step_of_training_is_seen_by_the_next_reading() -> None:
    """Also by the bf16 copy of the pair that reading keeps: a fused optimiser changes it unseen."""
    pair, linears = paired(linear(6).bfloat16()), Linears()
    optimizer = torch.optim.AdamW(pair.parameters(), lr=0.1, fused=True)
    x = rows_of(3).bfloat16()
    with torch.no_grad():
        before = linears(pair, x)
    linears(pair, x).float().sum().backward()
    optimizer.step()
    with torch.no_grad():
        after = linears(pair, x)
        A, B = pair.down.bfloat16(), pair.up.bfloat16()
        expected = pair.linear(x) + 0.7 * F.linear(F.linear(x, A), B)
    assert not torch.equal(after, before)
    torch.testing.assert_close(after, expected, atol=0.1, rtol=0.02)
