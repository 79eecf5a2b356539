"""A memory that comes, changes and goes on a base, as the fast path's linear maps see it."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import torch
from torch import Tensor

from lorecall.lm.attach import Injection, InjectionGroup
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.body import Body
from lorecall.lm.engine.linears import can_reorder
from lorecall.records import InjectionConfig

Fill = Callable[..., dict[str, Tensor]]
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
MEMORY = InjectionConfig(layers=(0, 2), n_loras=3, rank=4, scaling=0.7)
reordered = pytest.mark.skipif(
    not can_reorder(torch.float32), reason="this torch keeps no reordered weights on this CPU"
)


@pytest.fixture(params=[pytest.param(True, marks=reordered), False], ids=["copies", "plain"])
def body(request: pytest.FixtureRequest, base: LanguageModel) -> Body:
    """Return the fast path with and without copies."""
    return Body(base, reorder=request.param)


@pytest.fixture
def injection(base: LanguageModel, fill: Fill) -> Iterator[Injection]:
    """Put a drawn memory on."""
    with Injection(base, MEMORY) as injection:
        fill(injection)
        yield injection


@torch.no_grad()
def ours(body: Body) -> Tensor:
    """Read the last rows of two prompts."""
    packed = body.pack([[7, 8, 9, 10], [7, 8, 11]], [2, 1])
    return body.wanted(body.embed(packed), packed)


@torch.no_grad()
def plain(base: LanguageModel) -> Tensor:
    """Read the same on the plain path."""
    one = base.hidden(torch.tensor([[7, 8, 9, 10]]), torch.ones(1, 4))[0, -2:]
    other = base.hidden(torch.tensor([[7, 8, 11]]), torch.ones(1, 3))[0, -1:]
    return torch.cat([one, other])


def same(body: Body) -> Tensor:
    """Compare, and give the plain result."""
    expected = plain(body.base)
    torch.testing.assert_close(ours(body), expected, atol=2e-4, rtol=2e-4)
    return expected


def test_copies_follow_merging_and_loading(body: Body, injection: Injection, fill: Fill) -> None:
    """Merge, load under it, unmerge, load, take off: each is seen by the next reading."""
    with_memory = same(body)
    injection.merge()
    torch.testing.assert_close(same(body), with_memory, atol=1e-3, rtol=1e-3)
    fill(injection, seed=5)
    other = same(body)
    assert not torch.allclose(other, with_memory, atol=1e-2)
    injection.unmerge()
    torch.testing.assert_close(same(body), other, atol=1e-3, rtol=1e-3)
    fill(injection)
    torch.testing.assert_close(same(body), with_memory)
    injection.remove()
    assert not torch.allclose(same(body), with_memory, atol=1e-2)


def test_folded_is_unfolded(body: Body, injection: Injection, fill: Fill) -> None:
    """Within rounding; nothing of it is left after the block, not even after an error."""
    before, weights = ours(body), [m.linear.weight.clone() for m in injection.modules]
    with body.linears.folded(injection.modules):
        torch.testing.assert_close(ours(body), before, **CLOSE)
    kept = len(body.linears._copies)
    fill(injection, seed=5)
    with body.linears.folded(injection.modules):
        same(body)
    with suppress(ZeroDivisionError), body.linears.folded(injection.modules):
        ours(body)
        _ = 1 / 0
    same(body)
    assert len(body.linears._copies) == kept
    assert not body.linears._folded
    for module, weight in zip(injection.modules, weights, strict=True):
        assert torch.equal(module.linear.weight, weight)


def test_a_merged_memory_is_not_folded_again(body: Body, injection: Injection) -> None:
    """It is in the weights already."""
    before = ours(body)
    injection.merge()
    with body.linears.folded(injection.modules):
        torch.testing.assert_close(ours(body), before, atol=1e-3, rtol=1e-3)


def test_bare_ignores_a_memory(body: Body, injection: Injection) -> None:
    """Folded or not; after the block it acts again."""
    with_memory = ours(body)
    with body.linears.bare():
        bare = ours(body)
    with body.linears.folded(injection.modules):
        with body.linears.bare():
            assert torch.equal(ours(body), bare)
        torch.testing.assert_close(ours(body), with_memory, **CLOSE)
    assert torch.equal(ours(body), with_memory)
    injection.remove()
    torch.testing.assert_close(bare, plain(body.base), atol=2e-4, rtol=2e-4)
    assert not torch.allclose(bare, with_memory, atol=1e-2)


def test_bare_ignores_memories_side_by_side(body: Body, fill: Fill) -> None:
    """As it ignores one."""
    bare = plain(body.base)
    with InjectionGroup(body.base, [MEMORY, MEMORY]) as group:
        for seed, member in enumerate(group.members):
            fill(member, seed=seed)
        group.activate([1])
        with body.linears.bare():
            torch.testing.assert_close(ours(body), bare, atol=2e-4, rtol=2e-4)
        assert not torch.allclose(ours(body), bare, atol=1e-2)


def test_a_bf16_base_is_never_folded(make_base: Callable[..., LanguageModel], fill: Fill) -> None:
    """Rounded to bf16, the sum would lose most of a small update."""
    base = make_base("llama", dtype=torch.bfloat16)
    body = Body(base)
    with Injection(base, MEMORY) as injection:
        fill(injection)
        before = ours(body)
        with body.linears.folded(injection.modules):
            assert not body.linears._folded
            assert torch.equal(ours(body), before)
