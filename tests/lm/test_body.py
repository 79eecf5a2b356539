"""The fast path through every family, against its own forward pass over padded batches."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.body import Body, KeysValues, body_of
from lorecall.lm.engine.packing import Pack, unpacked_rows
from lorecall.lm.engine.prefill import bare_past
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
    base: LanguageModel, sequences: Sequence[Sequence[int]], tails: Sequence[int]
) -> Tensor:
    """Take the wanted rows of the plain path."""
    hidden = base.hidden(*padded(base, sequences))
    rows = [
        hidden[i, len(s) - n : len(s)]
        for i, (s, n) in enumerate(zip(sequences, tails, strict=True))
    ]
    return torch.cat(rows)


def batch(body: Body, *, start: Sequence[int] = START) -> tuple[list[list[int]], list[int], Pack]:
    """Make a ragged batch, one to three wanted rows each."""
    sequences = ragged(7, start=start)
    tails = [min(1 + i % 3, len(s) - len(start)) for i, s in enumerate(sequences)]
    return sequences, tails, body.pack(sequences, tails)


@pytest.mark.parametrize("start", [START, []], ids=["common", "nothing common"])
@pytest.mark.parametrize("memory", [False, True], ids=["bare", "memory"])
@pytest.mark.parametrize("grad", [False, True], ids=["reading", "training"])
def test_wanted_rows_are_those_of_the_plain_path(
    base: LanguageModel, start: list[int], fill: Fill, *, memory: bool, grad: bool
) -> None:
    """Ragged batches, with and without a memory, from the copies and from the weights."""
    body = Body(base)
    sequences, tails, packed = batch(body, start=start)
    assert (packed.n_common >= len(start)) == bool(start) or packed.n_common == 0
    injection = Injection(base, MEMORY) if memory else None
    if injection is not None:
        fill(injection)
    with torch.set_grad_enabled(grad):
        ours = body.wanted(body.embed(packed), packed)
    assert ours.requires_grad == (grad and memory)
    with torch.no_grad():
        expected = plain_rows(base, sequences, tails)
    torch.testing.assert_close(ours.detach(), expected, **CLOSE)


@pytest.mark.parametrize("sequences", [[[7]], [[7], [8]], [[7, 8, 9]] * 3, [[7, 8], [7, 8, 9]]])
def test_small_batches_are_those_of_the_plain_path(
    base: LanguageModel, sequences: list[list[int]]
) -> None:
    """One token, one sequence, the same sequence again, one that begins another."""
    body = Body(base)
    tails = [1] * len(sequences)
    packed = body.pack(sequences, tails)
    with torch.no_grad():
        ours = body.wanted(body.embed(packed), packed)
        torch.testing.assert_close(ours, plain_rows(base, sequences, tails), **CLOSE)


@torch.no_grad()
def test_going_on_from_a_layer_is_no_other_than_going_through(base: LanguageModel) -> None:
    """From the feed-forward of every layer, kept keys and values included."""
    body = Body(base)
    _, _, packed = batch(body)
    kept: list[KeysValues] = []
    whole = body.wanted(body.embed(packed), packed, kept=kept)
    for layer in range(base.n_layers):
        below: list[KeysValues] = []
        above: list[KeysValues] = []
        h = body.to_feed(body.embed(packed), packed, layer=layer, kept=below)
        ours = body.wanted(h, packed, start=layer, kept=above)
        torch.testing.assert_close(ours, whole, atol=1e-5, rtol=1e-5)
        assert (len(below), len(above)) == (layer + 1, base.n_layers - layer - 1)
        for one, other in zip([*below, *above], kept, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
        for lower in range(layer):
            h_low = body.to_feed(body.embed(packed), packed, layer=lower)
            again = body.to_feed(h_low, packed, layer=layer, start=lower)
            torch.testing.assert_close(again, h, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_kept_keys_and_values_are_complete(base: LanguageModel) -> None:
    """A pair a layer, a row a token, as transformers' own cache holds them."""
    body = Body(base)
    sequences, _, packed = batch(body)
    kept: list[KeysValues] = []
    body.wanted(body.embed(packed), packed, kept=kept)
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
    past = bare_past(body, [s[:cut] for s, cut in zip(sequences, cuts, strict=True)])
    rest = [s[cut:] for s, cut in zip(sequences, cuts, strict=True)]
    packed = body.pack(rest, [len(s) for s in rest], past=cuts)
    ours = body.wanted(body.embed(packed), packed, past=past)
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


def test_one_body_a_base(base: LanguageModel, make_base: Callable[..., LanguageModel]) -> None:
    """Its copies of the weights are shared by all who decode; another base has its own."""
    assert body_of(base) is body_of(base)
    assert body_of(base).base is base
    assert body_of(make_base("llama")) is not body_of(base)


def test_a_bf16_llama_adds_up_in_fp32() -> None:
    """Over many layers its rows lie nearer to those of fp32 arithmetic than the plain path's."""
    low = tiny_base(n_layers=16, dtype=torch.bfloat16)
    exact = tiny_base(n_layers=16, dtype=torch.bfloat16)
    exact.model.float()
    body = Body(low)
    sequences, tails, packed = batch(body)
    with torch.no_grad():
        expected = plain_rows(exact, sequences, tails)
        plain = plain_rows(low, sequences, tails).float()
        fast = body.wanted(body.embed(packed), packed).float()
    off, plain_off = ((x - expected).norm().item() for x in (fast, plain))
    assert off < 0.8 * plain_off
