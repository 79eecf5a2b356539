"""One stacked pair on one linear: eq. (1), against loops and sums written out here."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from lorecall.lm.lora import LoraLinear, kaiming_uniform

KINDS = ["linear", "conv1d"]
kinds = pytest.mark.parametrize("kind", KINDS)


def make_linear(kind: str, *, d: int, k: int) -> nn.Module:
    """Make a linear with d outputs and k inputs."""
    return nn.Linear(k, d) if kind == "linear" else Conv1D(d, k)


def seeded(seed: int = 0) -> torch.Generator:
    """Make a generator."""
    return torch.Generator().manual_seed(seed)


def make_pair(kind: str, *, d: int, k: int, rank: int, scaling: float = 1.0) -> LoraLinear:
    """Make a pair with both halves drawn, on a frozen linear."""
    torch.manual_seed(0)
    linear = make_linear(kind, d=d, k=k).requires_grad_(False)
    pair = LoraLinear(linear, rank=rank, scaling=scaling, generator=seeded())
    with torch.no_grad():
        pair.up.copy_(torch.randn(d, rank, generator=seeded(1)))
    return pair


def weight_of(linear: nn.Module) -> Tensor:
    """Give W as d x k. *Shape:* (d, k)."""
    return linear.weight.T if isinstance(linear, Conv1D) else linear.weight


@given(
    kind=st.sampled_from(KINDS),
    d=st.integers(1, 12),
    k=st.integers(1, 12),
    n_modules=st.integers(1, 5),
    rank=st.integers(1, 6),
    scaling=st.sampled_from([1.0, 0.25, 3.0]),
)
def test_the_stack_equals_a_loop_of_modules(
    kind: str, d: int, k: int, n_modules: int, rank: int, scaling: float
) -> None:
    """Several parallel rank-r modules are one pair of their ranks' sum."""
    pair = make_pair(kind, d=d, k=k, rank=n_modules * rank, scaling=scaling)
    x = torch.randn(2, 3, k, generator=seeded(2))
    expected = x @ weight_of(pair.linear).T + pair.linear.bias
    for i in range(n_modules):
        rows = slice(i * rank, (i + 1) * rank)
        a, b = pair.down[rows], pair.up[:, rows]
        expected = expected + scaling * (x @ a.T @ b.T)  # eq. (1)
    torch.testing.assert_close(pair(x), expected, atol=1e-5, rtol=1e-5)


@kinds
def test_a_new_pair_changes_nothing(kind: str) -> None:
    """B is zero at the start, so the output is the base's to the bit."""
    linear = make_linear(kind, d=5, k=7)
    pair = LoraLinear(linear, rank=3, scaling=2.0, generator=seeded())
    x = torch.randn(4, 7, generator=seeded(2))
    assert torch.equal(pair(x), linear(x))
    assert pair.down.abs().max() > 0


@kinds
def test_merged_and_unmerged_give_the_same(kind: str) -> None:
    """Transposed weights included."""
    pair = make_pair(kind, d=5, k=7, rank=3, scaling=0.5)
    x = torch.randn(4, 7, generator=seeded(2))
    before = pair(x)
    pair.merge()
    torch.testing.assert_close(pair(x), before, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(pair(x), pair.linear(x))


@kinds
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_unmerge_puts_the_very_bits_back(kind: str, dtype: torch.dtype) -> None:
    """Also where adding and subtracting would round, and however often either is called."""
    pair = make_pair(kind, d=5, k=7, rank=3)
    pair.linear.to(dtype)
    before = pair.linear.weight.clone()
    for _ in range(2):
        pair.merge()
        pair.merge()
        assert not torch.equal(pair.linear.weight, before)
        pair.unmerge()
        pair.unmerge()
        assert torch.equal(pair.linear.weight, before)


def test_the_pair_is_fp32_on_a_bf16_base() -> None:
    """It is cast where it meets x; the output is the base's format."""
    linear = nn.Linear(7, 5, dtype=torch.bfloat16)
    pair = LoraLinear(linear, rank=3, scaling=1.0, generator=seeded())
    assert (pair.down.dtype, pair.up.dtype) == (torch.float32, torch.float32)
    assert pair(torch.ones(2, 7, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_the_shapes_are_those_of_the_notation() -> None:
    """A is R x k and B is d x R, also on a Conv1D."""
    for kind in KINDS:
        pair = make_pair(kind, d=5, k=7, rank=3)
        assert (tuple(pair.down.shape), tuple(pair.up.shape)) == ((3, 7), (5, 3))


def test_a_starts_as_the_linears_of_torch_do() -> None:
    """Kaiming-uniform with a bound of 1/sqrt(k), whatever the rank."""
    drawn = kaiming_uniform(200, 64, seeded())
    bound = 1 / math.sqrt(64)
    assert drawn.abs().max() <= bound
    assert drawn.abs().max() > 0.99 * bound
    assert abs(drawn.mean().item()) < 0.05 * bound
    torch.manual_seed(0)
    assert nn.Linear(64, 200).weight.std().item() == pytest.approx(drawn.std().item(), rel=0.05)


def test_the_start_is_seeded() -> None:
    """One seed, one start."""
    assert torch.equal(kaiming_uniform(4, 6, seeded(3)), kaiming_uniform(4, 6, seeded(3)))
    assert not torch.equal(kaiming_uniform(4, 6, seeded(3)), kaiming_uniform(4, 6, seeded(4)))
