"""Compiled element-wise functions: the path of a GPU, on the CPU."""

from collections.abc import Iterator

import pytest
import torch

from lorecall.lm.engine import kernels


@pytest.fixture
def _fusing() -> Iterator[None]:
    if not kernels.set_fusing(on=True):
        pytest.skip("torch.compile finds no C++ compiler on this machine")
    yield
    kernels.set_fusing(on=False)


def gradients_of_a_layer() -> list[torch.Tensor]:
    """Run every element-wise function forward and back on the same numbers."""
    torch.manual_seed(0)
    x, gate, up = (torch.randn(7, 16, requires_grad=True) for _ in range(3))
    heads = torch.randn(7, 2, 8, requires_grad=True)
    angle = torch.randn(7, 1, 4).repeat(1, 1, 2)
    outputs = [
        kernels.rms_norm(x, torch.rand(16), 1e-5),
        kernels.gated(gate, up),
        kernels.rotated(heads, angle.cos(), angle.sin()),
    ]
    torch.stack([(out * out).sum() for out in outputs]).sum().backward()
    inputs = (x, gate, up, heads)
    return [*(out.detach() for out in outputs), *(t.grad for t in inputs if t.grad is not None)]


@pytest.mark.usefixtures("_fusing")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_functions_give_the_same_numbers() -> None:
    """Values and gradients, up to rounding."""
    compiled = gradients_of_a_layer()
    kernels.set_fusing(on=False)
    plain = gradients_of_a_layer()
    assert len(compiled) == len(plain) == 7
    for one, other in zip(compiled, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_it_is_off_unless_asked_for() -> None:
    """A CPU starts at once: nothing is compiled."""
    assert kernels.fused(torch.relu) is torch.relu
    assert kernels.set_fusing(on=False) is False
