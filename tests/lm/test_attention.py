"""Attention of packed rows against a masked softmax, one sequence at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from lorecall.lm.engine.attention import PastKeyValues, Scoring, attend, attend_fused
from lorecall.lm.engine.packing import Pack, pack, unpacked_rows

WIDTH, SCALING = 8, 0.3
SCORES = Scoring(scaling=SCALING)
NEAR = Scoring(scaling=SCALING, window=4)
CAPPED = Scoring(scaling=SCALING, window=4, softcap=0.8)
START = [9, 8, 7, 6]
CLOSE = {"atol": 2e-6, "rtol": 2e-5}
Attend = Callable[..., Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A batch of sequences, and how many tokens came before each."""

    sequences: tuple[tuple[int, ...], ...]
    n_targets: tuple[int, ...]
    past: tuple[int, ...] | None = None
    scores: Scoring = SCORES

    def pack(self, dtype: torch.dtype = torch.float32) -> Pack:
        """Pack it."""
        return pack(
            self.sequences,
            self.n_targets,
            dtype=dtype,
            device=torch.device("cpu"),
            past=self.past,
            windows=() if self.scores.window is None else (self.scores.window,),
        )


def ragged(*lengths: int, start: Sequence[int] = ()) -> tuple[tuple[int, ...], ...]:
    """Make sequences of these own lengths that differ from their first own token on."""
    return tuple((*start, *(10 + i,) * n) for i, n in enumerate(lengths))


CASES = {
    "one": Case(sequences=ragged(5), n_targets=(2,)),
    "ragged": Case(sequences=ragged(3, 11, 2, 10, 1), n_targets=(2, 4, 1, 10, 1)),
    "common": Case(sequences=ragged(3, 11, 2, 10, start=START), n_targets=(2, 4, 1, 9)),
    "alike": Case(sequences=ragged(4, 4, 4, start=START), n_targets=(1, 1, 1)),
    "own rows are targets": Case(sequences=ragged(3, 1, 2, start=START), n_targets=(3, 1, 2)),
    "past": Case(sequences=ragged(3, 11, 2), n_targets=(2, 4, 2), past=(5, 2, 9)),
    "some past": Case(sequences=ragged(3, 2, 9), n_targets=(3, 1, 1), past=(0, 4, 0)),
    "window": Case(
        sequences=ragged(3, 11, 2, 10, start=START), n_targets=(2, 4, 1, 9), scores=NEAR
    ),
    "window, all short": Case(sequences=ragged(3, 2), n_targets=(2, 1), scores=NEAR),
    "window, past": Case(
        sequences=ragged(3, 11, 2), n_targets=(2, 4, 2), past=(5, 2, 9), scores=NEAR
    ),
    "no past": Case(sequences=ragged(3, 2), n_targets=(3, 1), past=(0, 0)),
}
EACH = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
HEADS = pytest.mark.parametrize("n_heads", [(4, 4), (4, 2), (3, 1)], ids=lambda n: f"{n[0]}x{n[1]}")
WAYS = pytest.mark.parametrize("way", [attend, attend_fused])
LAST = pytest.mark.parametrize("last", [False, True], ids=["whole", "last"])


def one_sequence(q: Tensor, k: Tensor, v: Tensor, given: Scoring) -> Tensor:
    """Mix the values of one sequence whose last rows ask. *Shape:* (queries, heads * width)."""
    n_queries, n_heads = q.shape[:2]
    k, v = (x.repeat_interleave(n_heads // x.shape[1], dim=1) for x in (k, v))
    scores = torch.einsum("ahw,khw->hak", q, k) * SCALING
    if given.softcap is not None:
        scores = given.softcap * torch.tanh(scores / given.softcap)
    row = torch.arange(len(k))
    asking = row[len(k) - n_queries :, None]
    hidden = row > asking
    if given.window is not None:
        hidden |= row <= asking - given.window
    weights = scores.masked_fill(hidden, float("-inf")).softmax(dim=-1)
    return torch.einsum("hak,khw->ahw", weights, v).flatten(1)


def reference(
    q: Tensor, k: Tensor, v: Tensor, packed: Pack, past: PastKeyValues | None, scores: Scoring
) -> Tensor:
    """Attend sequence by sequence and bring the rows into the packed order."""
    whole = len(q) == len(packed.ids)
    wholes = [unpacked_rows(packed, x) for x in (k, v)]
    all_queries = unpacked_rows(packed, q) if whole else q.split(packed.n_targets)
    rows: list[Tensor] = []
    for i, (queries, *halves) in enumerate(zip(all_queries, *wholes, strict=True)):
        if past is not None:
            n = int(packed.places[sum(packed.lengths[:i])])
            k_seen, v_seen = (torch.cat([x[i, :n], y]) for x, y in zip(past, halves, strict=True))
        else:
            k_seen, v_seen = halves
        mixed = one_sequence(queries, k_seen, v_seen, scores)
        rows.append(mixed[packed.n_common :] if whole else mixed)
        if i == 0 and whole:
            rows.insert(0, mixed[: packed.n_common])
    return torch.cat(rows)


def drawn(packed: Pack, n_heads: tuple[int, int], *, last: bool) -> list[Tensor]:
    """Draw queries, keys and values that train."""
    generator = torch.Generator().manual_seed(0)
    n_queries = len(packed.targets) if last else len(packed.ids)
    sizes = ((n_queries, n_heads[0]), (len(packed.ids), n_heads[1]), (len(packed.ids), n_heads[1]))
    return [torch.randn(*size, WIDTH, generator=generator, requires_grad=True) for size in sizes]


def past_of(case: Case, n_key_heads: int) -> PastKeyValues | None:
    """Draw a past, padded with numbers that must not matter."""
    if case.past is None:
        return None
    generator = torch.Generator().manual_seed(1)
    shape = (len(case.past), max(case.past), n_key_heads, WIDTH)
    k, v = (torch.randn(shape, generator=generator) for _ in range(2))
    for i, n in enumerate(case.past):
        k[i, n:], v[i, n:] = 1e3, -1e3
    return k, v


@WAYS
@EACH
@HEADS
@LAST
def test_equals_a_masked_softmax(
    way: Attend, case: Case, n_heads: tuple[int, int], *, last: bool
) -> None:
    """Values and gradients: of all rows, and of those alone that predict a target."""
    check_values_and_gradients(way, case, n_heads, last=last)


@pytest.mark.parametrize("name", ["common", "past", "window"])
@HEADS
@LAST
def test_scores_may_be_capped(name: str, n_heads: tuple[int, int], *, last: bool) -> None:
    """Softly, before a row's window is looked through."""
    case = replace(CASES[name], scores=CAPPED)
    check_values_and_gradients(attend, case, n_heads, last=last)


def check_values_and_gradients(
    way: Attend, case: Case, n_heads: tuple[int, int], *, last: bool
) -> None:
    """Compare with the reference, under an uneven loss."""
    packed, past = case.pack(), past_of(case, n_heads[1])
    geometry = packed.last if last else packed.whole
    results: list[list[Tensor]] = []
    for ours in (True, False):
        q, k, v = drawn(packed, n_heads, last=last)
        out = (
            way(q, k, v, geometry, scores=case.scores, past=past)
            if ours
            else reference(q, k, v, packed, past, case.scores)
        )
        uneven = torch.linspace(-1, 2, out.numel()).view(out.shape)
        (out * uneven).sum().backward()
        grads = [x.grad for x in (q, k, v)]
        results.append([out.detach(), *(grad for grad in grads if grad is not None)])
    assert len(results[0]) == len(results[1]) == 4
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@EACH
@LAST
def test_gradients_are_those_of_finite_differences(case: Case, *, last: bool) -> None:
    """Within what fp32 weights in the middle allow; the common start's gradients add up."""
    packed = case.pack(torch.float64)
    geometry = packed.last if last else packed.whole
    past = past_of(case, 2)
    wide = None if past is None else (past[0].double(), past[1].double())
    inputs = tuple(x.detach().double().requires_grad_() for x in drawn(packed, (4, 2), last=last))
    assert torch.autograd.gradcheck(
        lambda q, k, v: attend(q, k, v, geometry, scores=case.scores, past=wide),
        inputs,
        eps=1e-3,
        atol=1e-3,
        fast_mode=True,
    )


@WAYS
def test_the_past_gets_no_gradient_and_its_padding_no_weight(way: Attend) -> None:
    """It comes from the base alone."""
    case = CASES["past"]
    packed = case.pack()
    q, k, v = drawn(packed, (4, 2), last=False)
    past = past_of(case, 2)
    assert past is not None
    assert case.past is not None
    one = way(q, k, v, packed.whole, scores=SCORES, past=past)
    one.sum().backward()
    assert all(not x.requires_grad for x in past)
    for i, n in enumerate(case.past):
        past[0][i, n:], past[1][i, n:] = 0, 0
    other = way(q, k, v, packed.whole, scores=SCORES, past=past)
    torch.testing.assert_close(one, other, **CLOSE)


@WAYS
def test_nothing_trains_where_nothing_is_asked_to(way: Attend) -> None:
    """Reading leaves no graph."""
    packed = CASES["common"].pack()
    q, k, v = (x.detach() for x in drawn(packed, (4, 2), last=False))
    assert not way(q, k, v, packed.whole, scores=SCORES).requires_grad


@WAYS
def test_keys_alone_may_train(way: Attend) -> None:
    """As in a first active layer that is below this one: queries need no gradient of their own."""
    packed = CASES["common"].pack()
    grads: list[Tensor | None] = []
    for frozen in (True, False):
        q, k, v = drawn(packed, (4, 2), last=True)
        queries = q.detach() if frozen else q
        way(queries, k, v, packed.last, scores=SCORES).square().sum().backward()
        grads.append(k.grad)
    torch.testing.assert_close(*grads, **CLOSE)


def test_a_gradient_that_lies_otherwise_in_memory_is_taken() -> None:
    """Spread from one number, or transposed."""
    packed = CASES["common"].pack()
    q, k, v = drawn(packed, (4, 2), last=False)
    attend(q, k, v, packed.whole, scores=SCORES).sum().backward()
    spread = q.grad
    q.grad = None
    attend(q, k, v, packed.whole, scores=SCORES).T.contiguous().sum().backward()
    assert q.grad is not None
    torch.testing.assert_close(q.grad, spread, **CLOSE)


@WAYS
def test_bf16_is_near_fp32(way: Attend) -> None:
    """Weights are taken in fp32 and rounded."""
    case = CASES["common"]
    q, k, v = (x.detach() for x in drawn(case.pack(), (4, 2), last=False))
    exact = way(q, k, v, case.pack().whole, scores=SCORES)
    low = way(
        q.bfloat16(), k.bfloat16(), v.bfloat16(), case.pack(torch.bfloat16).whole, scores=SCORES
    )
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), exact, atol=0.05, rtol=0.05)
