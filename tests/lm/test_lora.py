"""One pair on one linear: where gradients go, and the cast it keeps for decoding."""

import torch
from torch import nn

from lorecall.lm.lora import LoraLinear

K, D, R = 12, 20, 6


def make_pair(*, dtype: torch.dtype = torch.float32) -> LoraLinear:
    """Make a pair on a linear map, both halves drawn."""
    generator = torch.Generator().manual_seed(0)
    linear = nn.Linear(K, D)
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    linear.to(dtype).requires_grad_(False)
    pair = LoraLinear(linear, rank=R, scaling=1.0, generator=generator)
    with torch.no_grad():
        pair.up.copy_(torch.randn(D, R, generator=generator))
    return pair


def test_no_gradient_is_made_for_inputs_that_need_none() -> None:
    """Below the first active layer nothing is computed backward."""
    pair = make_pair()
    pair(torch.ones(3, K)).sum().backward()
    assert pair.down.grad is not None
    assert pair.linear.weight.grad is None


def test_cast_for_decoding_follows_the_pair() -> None:
    """The bf16 copy used without gradients is made again whenever the fp32 pair changes."""
    pair = make_pair(dtype=torch.bfloat16)
    x = torch.ones(1, K, dtype=torch.bfloat16)
    with torch.no_grad():
        before = pair(x)
        assert torch.equal(before, pair(x))
        pair.up.zero_()
        assert torch.equal(pair(x), pair.linear(x))


def test_training_step_is_seen_by_the_next_reading() -> None:
    """An optimiser's in-place step changes what is read without gradients."""
    pair = make_pair(dtype=torch.bfloat16)
    x = torch.ones(1, K, dtype=torch.bfloat16)
    optimizer = torch.optim.AdamW(pair.parameters(), lr=0.1, fused=True)
    with torch.no_grad():
        before = pair(x)
    pair(x).float().sum().backward()
    optimizer.step()
    with torch.inference_mode():
        assert not torch.equal(before, pair(x))
