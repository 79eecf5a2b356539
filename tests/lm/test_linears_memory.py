"""Memories that come, change and go, as the fast path's calls see them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.body import Body
from lorecall.lm.engine.linears import WeightCopies, can_reorder
from lorecall.lm.engine.plain import acting_on
from lorecall.records import InjectionConfig

Fill = Callable[..., dict[str, Tensor]]
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
LOOSE = {"atol": 2e-4, "rtol": 2e-4}
MEMORY = InjectionConfig(layers=(0, 2), n_loras=3, rank=4, scaling=0.7)
reordered = pytest.mark.skipif(
    not can_reorder(torch.float32), reason="this torch keeps no reordered weights on this CPU"
)


@pytest.fixture(params=[pytest.param(True, marks=reordered), False], ids=["copies", "plain"])
def copies(request: pytest.FixtureRequest) -> WeightCopies:
    """Return the fast path's weights with and without copies."""
    return WeightCopies(reorder=request.param)


@pytest.fixture
def injection(base: LanguageModel, fill: Fill) -> Injection:
    """Make a drawn memory."""
    injection = Injection(base, MEMORY)
    fill(injection)
    return injection


@torch.no_grad()
def ours(body: Body) -> Tensor:
    """Read the last rows of two prompts."""
    packed = body.pack([[7, 8, 9, 10], [7, 8, 11]], [2, 1])
    return body.targets(body.embed(packed), packed).h


@torch.no_grad()
def plain(base: LanguageModel, injection: Injection | None = None) -> Tensor:
    """Read the same on the plain path."""
    memory = acting_on(injection)
    one = base.hidden(torch.tensor([[7, 8, 9, 10]]), torch.ones(1, 4), memory=memory)[0, -2:]
    other = base.hidden(torch.tensor([[7, 8, 11]]), torch.ones(1, 3), memory=memory)[0, -1:]
    return torch.cat([one, other])


@pytest.mark.parametrize("merge", [False, True])
def test_each_call_sees_the_pairs_as_they_are(
    base: LanguageModel, injection: Injection, copies: WeightCopies, fill: Fill, *, merge: bool
) -> None:
    """Loaded, loaded again, and none: each is seen by the next call, as by the plain path."""
    first = ours(Body(base, injection, merge=merge, copies=copies))
    torch.testing.assert_close(first, plain(base, injection), **LOOSE)
    fill(injection, seed=5)
    second = ours(Body(base, injection, merge=merge, copies=copies))
    torch.testing.assert_close(second, plain(base, injection), **LOOSE)
    assert not torch.allclose(first, second, atol=1e-2)
    alone = ours(Body(base, copies=copies))
    torch.testing.assert_close(alone, plain(base), **LOOSE)
    assert not torch.allclose(alone, second, atol=1e-2)


def test_merging_leaves_nothing_behind(
    base: LanguageModel,
    injection: Injection,
    copies: WeightCopies,
    state_hash: Callable[[LanguageModel], str],
) -> None:
    """Within rounding the same; the base and its copies are as they were."""
    before, alone = state_hash(base), ours(Body(base, copies=copies))
    beside = ours(Body(base, injection, copies=copies))
    merged = ours(Body(base, injection, merge=True, copies=copies))
    torch.testing.assert_close(merged, beside, **CLOSE)
    assert torch.equal(ours(Body(base, injection, copies=copies)), beside)
    assert torch.equal(ours(Body(base, copies=copies)), alone)
    assert state_hash(base) == before


def test_memories_side_by_side_are_each_alone(
    base: LanguageModel, injection: Injection, copies: WeightCopies, fill: Fill
) -> None:
    """Rows are shared out in order; what a member gets is what it gets by itself."""
    second = Injection(base, MEMORY)
    fill(second, seed=3)
    sequences = [[7, 8, 9, 10], [7, 8, 11]]
    body = Body(base, injection, second, copies=copies)
    with torch.no_grad():
        packed = body.pack(sequences * 2, [2, 1] * 2, share=False)
        both = body.targets(body.embed(packed), packed).h
    for found, own in zip(both.chunk(2), (injection, second), strict=True):
        torch.testing.assert_close(found, plain(base, own), **LOOSE)
