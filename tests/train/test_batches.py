"""Encoded samples to padded batches."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lorecall.lm.encoded import Encoded
from lorecall.train.batches import collate, epoch_batches, length_batches

CPU = torch.device("cpu")
tokens = st.lists(st.integers(1, 99), min_size=1, max_size=9).map(tuple)


def test_a_batch_by_hand() -> None:
    """Padding on the right; the token before each response token predicts it."""
    samples = [
        Encoded(prompt=(11, 12, 13), response=(21, 22)),
        Encoded(prompt=(31,), response=(41,)),
    ]
    batch = collate(samples, pad_id=7, device=CPU)
    assert batch.input_ids.tolist() == [[11, 12, 13, 21, 22], [31, 41, 7, 7, 7]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]
    assert batch.rows.tolist() == [2, 3, 5]
    assert batch.targets.tolist() == [21, 22, 41]


@given(texts=st.lists(st.tuples(tokens, tokens), min_size=1, max_size=6))
def test_rows_point_at_the_token_before_each_target(
    texts: list[tuple[tuple[int, ...], tuple[int, ...]]],
) -> None:
    """For every response token of every sample, and for no other token."""
    samples = [Encoded(prompt=prompt, response=response) for prompt, response in texts]
    batch = collate(samples, pad_id=0, device=CPU)
    flat, longest = batch.input_ids.flatten(), batch.input_ids.shape[1]
    assert torch.equal(flat[batch.rows + 1], batch.targets)
    per_sample = torch.bincount(batch.rows // longest, minlength=len(samples))
    assert per_sample.tolist() == [len(s.response) for s in samples]
    assert batch.attention_mask.sum(dim=1).tolist() == [s.n_tokens for s in samples]
    kept = [row[mask == 1] for row, mask in zip(batch.input_ids, batch.attention_mask, strict=True)]
    assert [tuple(row.tolist()) for row in kept] == [s.prompt + s.response for s in samples]


@given(
    lengths=st.lists(st.integers(1, 640), min_size=1, max_size=200),
    batch_size=st.integers(1, 16),
    seed=st.integers(0, 5),
)
def test_every_sample_is_in_one_batch_of_an_epoch(
    lengths: list[int], batch_size: int, seed: int
) -> None:
    """All batches are full but for one at most."""
    batches = epoch_batches(lengths, batch_size, random.Random(seed))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // batch_size)
    assert sum(len(batch) < batch_size for batch in batches) <= 1
    assert all(batches)


def test_an_epochs_order_is_seeded_and_new_each_time() -> None:
    """One seed gives one sequence of epochs; two epochs of it differ."""
    lengths = list(range(64))
    one, other = random.Random(3), random.Random(3)
    first, second = (epoch_batches(lengths, 8, one) for _ in range(2))
    assert [first, second] == [epoch_batches(lengths, 8, other) for _ in range(2)]
    assert first != second
    assert epoch_batches(lengths, 8, random.Random(4)) != first


def test_samples_of_like_length_share_a_batch() -> None:
    """Little padding: a batch of 64 samples' eight spans an eighth of their lengths."""
    lengths = list(range(100, 164))
    for batch in epoch_batches(lengths, 8, random.Random(0)):
        spread = [lengths[i] for i in batch]
        assert max(spread) - min(spread) == 7


def test_no_samples_no_batches() -> None:
    """Nothing to deal."""
    assert epoch_batches([], 8, random.Random(0)) == []


@pytest.mark.parametrize(
    ("size", "expected"), [(1, [[4], [2], [9]]), (2, [[4, 2], [9]]), (5, [[4, 2, 9]])]
)
def test_an_order_is_cut_as_it_is(size: int, expected: list[list[int]]) -> None:
    """The last batch may be smaller."""
    assert length_batches((4, 2, 9), size) == expected
