"""The fast path through every family, against its own forward pass over padded batches."""

import gc
import weakref
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.body import Body
from lorecall.lm.engine.packing import Pack, unpacked_rows
from lorecall.lm.engine.plain import acting_on
from lorecall.lm.engine.prefill import base_past
from lorecall.lm.families.tiny import tiny_base
from lorecall.records import InjectionConfig

Fill = Callable[..., dict[str, Tensor]]
START = list(range(40, 52))
CLOSE = {"atol": 2e-4, "rtol": 2e-4}
MEMORY = InjectionConfig(layers=(0, 2), n_loras=3, rank=4, scaling=0.7)


def ragged(n: int, *, start: Sequence[int] = START, seed: int = 0) -> list[list[int]]:
    """Draw sequences of 1 to 30 own tokens behind a common start."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 31, (n,), generator=generator).tolist()
    return [
        [*start, *torch.randint(6, 262, (length,), generator=generator).tolist()]
        for length in lengths
    ]


def padded(base: LanguageModel, sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Pad on the right: token ids and mask."""
    longest = max(map(len, sequences))
    ids = [[*s, *[base.pad_id] * (longest - len(s))] for s in sequences]
    mask = [[1] * len(s) + [0] * (longest - len(s)) for s in sequences]
    return torch.tensor(ids), torch.tensor(mask)


def plain_rows(
    base: LanguageModel,
    sequences: Sequence[Sequence[int]],
    n_targets: Sequence[int],
    injection: Injection | None = None,
) -> Tensor:
    """Take the target rows of the plain path."""
    hidden = base.hidden(*padded(base, sequences), memory=acting_on(injection))
    rows = [
        hidden[i, len(s) - n : len(s)]
        for i, (s, n) in enumerate(zip(sequences, n_targets, strict=True))
    ]
    return torch.cat(rows)


def batch(body: Body, *, start: Sequence[int] = START) -> tuple[list[list[int]], list[int], Pack]:
    """Make a ragged batch, one to three target rows each."""
    sequences = ragged(7, start=start)
    n_targets = [min(1 + i % 3, len(s) - len(start)) for i, s in enumerate(sequences)]
    return sequences, n_targets, body.pack(sequences, n_targets)


@pytest.mark.parametrize("start", [START, []], ids=["common", "nothing common"])
@pytest.mark.parametrize("memory", [False, True], ids=["bare", "memory"])
@pytest.mark.parametrize("grad", [False, True], ids=["reading", "training"])
def test_target_rows_are_those_of_the_plain_path(
    base: LanguageModel, start: list[int], fill: Fill, *, memory: bool, grad: bool
) -> None:
    """Ragged batches, with and without a memory, from the copies and from the weights."""
    injection = Injection(base, MEMORY) if memory else None
    if injection is not None:
        fill(injection)
    with torch.set_grad_enabled(grad):
        body = Body(base, injection)
        sequences, n_targets, packed = batch(body, start=start)
        assert (packed.n_common >= len(start)) == bool(start) or packed.n_common == 0
        ours = body.targets(body.embed(packed), packed).h
    assert ours.requires_grad == (grad and memory)
    with torch.no_grad():
        expected = plain_rows(base, sequences, n_targets, injection)
    torch.testing.assert_close(ours.detach(), expected, **CLOSE)


@pytest.mark.parametrize("sequences", [[[7]], [[7], [8]], [[7, 8, 9]] * 3, [[7, 8], [7, 8, 9]]])
def test_small_batches_are_those_of_the_plain_path(
    base: LanguageModel, sequences: list[list[int]]
) -> None:
    """One token, one sequence, the same sequence again, one that begins another."""
    body = Body(base)
    n_targets = [1] * len(sequences)
    packed = body.pack(sequences, n_targets)
    with torch.no_grad():
        ours = body.targets(body.embed(packed), packed).h
        torch.testing.assert_close(ours, plain_rows(base, sequences, n_targets), **CLOSE)


@torch.no_grad()
def test_going_on_from_a_layer_is_no_other_than_going_through(base: LanguageModel) -> None:
    """From the feed-forward of every layer, kept keys and values included."""
    body = Body(base)
    _, _, packed = batch(body)
    whole, kept = body.targets(body.embed(packed), packed, keep=True)
    for layer in range(base.n_layers):
        h, below = body.to_mlp(body.embed(packed), packed, layer=layer, keep=True)
        ours, above = body.targets(h, packed, start=layer, keep=True)
        torch.testing.assert_close(ours, whole, atol=1e-5, rtol=1e-5)
        assert (len(below), len(above)) == (layer + 1, base.n_layers - layer - 1)
        for one, other in zip([*below, *above], kept, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
        for lower in range(layer):
            h_low, none = body.to_mlp(body.embed(packed), packed, layer=lower)
            again, _ = body.to_mlp(h_low, packed, layer=layer, start=lower)
            assert none == []
            torch.testing.assert_close(again, h, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_kept_keys_and_values_are_complete(base: LanguageModel) -> None:
    """A pair a layer, a row a token, as transformers' own cache holds them."""
    body = Body(base)
    sequences, _, packed = batch(body)
    kept = body.targets(body.embed(packed), packed, keep=True).keys_values
    cache = DynamicCache(config=base.model.config)
    base.hidden(*padded(base, sequences), cache=cache)
    assert len(kept) == base.n_layers
    for (k, v), layer in zip(kept, cache.layers, strict=True):
        for rows, other in ((k, layer.keys), (v, layer.values)):
            assert other is not None
            assert len(rows) == len(packed.ids)
            for i, own in enumerate(unpacked_rows(packed, rows)):
                expected = other[i, :, : len(own)].transpose(0, 1)
                torch.testing.assert_close(own, expected, **CLOSE)


@torch.no_grad()
def test_a_past_stands_for_its_tokens(base: LanguageModel) -> None:
    """What follows it is as if all had been read together; some sequences may have none."""
    body = Body(base)
    sequences = ragged(5, start=())
    cuts = [0, 3, len(sequences[2]) - 1, 1, 2]
    cuts = [min(cut, len(s) - 1) for cut, s in zip(cuts, sequences, strict=True)]
    past = base_past(base, [s[:cut] for s, cut in zip(sequences, cuts, strict=True)])
    rest = [s[cut:] for s, cut in zip(sequences, cuts, strict=True)]
    packed = body.pack(rest, [len(s) for s in rest], past=cuts)
    ours = body.targets(body.embed(packed), packed, past=past).h
    expected = plain_rows(base, sequences, [len(s) for s in rest])
    torch.testing.assert_close(ours, expected, **CLOSE)


@torch.no_grad()
def test_logits_are_the_bases(base: LanguageModel) -> None:
    """In fp32, of few rows and of many."""
    body, width = Body(base), base.model.config.hidden_size
    for rows in (1, 5, 200):
        h = torch.randn(rows, width, generator=torch.Generator().manual_seed(rows))
        ours = body.logits(h)
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, base.logits(h), **CLOSE)


def test_layers_are_counted(base: LanguageModel) -> None:
    """L is the base's."""
    assert Body(base).n_layers == base.n_layers


def test_what_is_costly_is_made_once_a_base(
    base: LanguageModel, make_base: Callable[..., LanguageModel]
) -> None:
    """Calls share the copies of the weights, with a memory or none; another base has its own."""
    one, other = Body(base), Body(base, Injection(base, MEMORY))
    assert one.blocks is other.blocks
    assert one.linears.copies is other.linears.copies
    assert Body(make_base("llama")).linears.copies is not one.linears.copies


def test_a_base_that_is_gone_leaves_nothing_behind() -> None:
    """What calls share does not keep it alive."""
    base = tiny_base()
    Body(base)
    gone = weakref.ref(base.model)
    del base
    gc.collect()
    assert gone() is None


def test_a_bf16_llama_adds_up_in_fp32() -> None:
    """Over many layers its rows lie nearer to those of fp32 arithmetic than the plain path's."""
    low = tiny_base(n_layers=16, dtype=torch.bfloat16)
    exact = tiny_base(n_layers=16, dtype=torch.bfloat16)
    exact.model.float()
    body = Body(low)
    sequences, n_targets, packed = batch(body)
    with torch.no_grad():
        expected = plain_rows(exact, sequences, n_targets)
        plain = plain_rows(low, sequences, n_targets).float()
        fast = body.targets(body.embed(packed), packed).h.float()
    off, plain_off = ((x - expected).norm().item() for x in (fast, plain))
    assert off < 0.8 * plain_off
