"""One pair beside one linear: what a call gets of it, and where gradients go."""

import torch
from torch import nn

from lorecall.lm.lora import LoraPair, merged_weight

K, D, R = 12, 20, 6


def make_pair(*, dtype: torch.dtype = torch.float32, scaling: float = 1.0) -> LoraPair:
    """Make a pair beside a linear map, both halves drawn."""
    torch.manual_seed(0)
    linear = nn.Linear(K, D).to(dtype).requires_grad_(False)
    return LoraPair(linear, torch.randn(R, K), torch.randn(D, R), scaling=scaling)


def test_the_update_is_the_product_of_both_halves() -> None:
    """Scaled; in x's number format."""
    pair, x = make_pair(scaling=0.7), torch.randn(3, K)
    expected = 0.7 * x @ pair.down.T @ pair.up.T
    torch.testing.assert_close(pair.for_call(torch.float32).update(x), expected)
    assert pair.for_call(torch.float32).update(x.bfloat16()).dtype == torch.bfloat16


def test_no_gradient_is_made_for_inputs_that_need_none() -> None:
    """Below the first active layer nothing is computed backward."""
    pair = make_pair()
    x = torch.ones(3, K)
    pair.for_call(torch.float32).update(x).sum().backward()
    assert pair.down.grad is not None
    assert pair.up.grad is not None
    assert x.grad is None


def test_without_gradients_a_call_gets_a_cast_copy() -> None:
    """In the base's format; a training gets the fp32 halves themselves."""
    pair = make_pair(dtype=torch.bfloat16)
    assert pair.for_call(torch.bfloat16).down is pair.down
    with torch.no_grad():
        cast = pair.for_call(torch.bfloat16)
    assert cast.down.dtype == cast.up.dtype == torch.bfloat16
    assert not cast.down.requires_grad


def test_a_training_step_is_seen_by_the_next_reading() -> None:
    """An optimiser's in-place step changes what is read without gradients."""
    pair = make_pair(dtype=torch.bfloat16)
    x = torch.ones(1, K, dtype=torch.bfloat16)
    optimizer = torch.optim.AdamW([pair.down, pair.up], lr=0.1, fused=True)
    with torch.no_grad():
        before = pair.for_call(torch.bfloat16).update(x)
    pair.for_call(torch.bfloat16).update(x).float().sum().backward()
    optimizer.step()
    with torch.inference_mode():
        assert not torch.equal(before, pair.for_call(torch.bfloat16).update(x))


def test_the_merged_weight_has_the_pair_in_it() -> None:
    """The linear's own weight stays as it was, to the bit."""
    pair, x = make_pair(scaling=0.7), torch.randn(3, K)
    weight = pair.linear.get_parameter("weight")
    before = weight.clone()
    expected = x @ weight.T + pair.for_call(torch.float32).update(x)
    torch.testing.assert_close(x @ merged_weight(pair).T, expected, atol=1e-5, rtol=1e-5)
    assert not merged_weight(pair).requires_grad
    assert torch.equal(weight, before)
