"""Sequences side by side: what is shared, where each row lies, and who sees whom."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lorecall.lm.engine.packing import Geometry, Pack, pack, packed_rows, unpacked_rows

CPU = torch.device("cpu")
START = [9, 8, 7]


def packed(
    sequences: Sequence[Sequence[int]],
    n_targets: Sequence[int],
    *,
    past: Sequence[int] | None = None,
    windows: Sequence[int] = (),
) -> Pack:
    """Pack with fp32 masks on the CPU."""
    return pack(sequences, n_targets, dtype=torch.float32, device=CPU, past=past, windows=windows)


def seen_by(geometry: Geometry, n_asking: int, window: int | None = None) -> list[list[int]]:
    """Give, for each asking row, the rows it sees: past ones as -1 and down, then packed ones."""
    places = [
        (group, b, a)
        for group in geometry.groups
        for b in range(group.queries.shape[0])
        for a in range(group.queries.shape[1])
    ]
    found: list[list[int]] = []
    for at in geometry.queries_at.tolist():
        group, b, a = places[at]
        n_past = group.bias.shape[-1] - group.keys.shape[1]
        keys = [*range(-1, -1 - n_past, -1), *group.keys[b].tolist()]
        open_ = (group.bias_of(window)[b, 0, a] == 0).tolist()
        found.append([key for key, sees in zip(keys, open_, strict=True) if sees])
        assert group.queries[b, a] == len(found) - 1
        assert not group.padding[b, a]
    assert len(found) == n_asking
    return found


def expected_sight(pack: Pack, past: Sequence[int]) -> list[list[int]]:
    """Say by hand what each packed row sees: its past, the common start, its own up to itself."""
    common = list(range(pack.n_common))
    found = [common[: i + 1] for i in common]
    first = pack.n_common
    for n, offset in zip(pack.lengths, past, strict=True):
        before = list(range(-1, -1 - offset, -1))
        found += [[*before, *common, *range(first, first + i + 1)] for i in range(n)]
        first += n
    return found


class TestCommonStart:
    """What every sequence begins with."""

    def test_it_is_there_once(self) -> None:
        """Then the rest of each sequence, places going on from the start's end."""
        pack = packed([[*START, 1, 2], [*START, 3]], [1, 1])
        assert pack.n_common == 3
        assert pack.ids.tolist() == [9, 8, 7, 1, 2, 3]
        assert pack.places.tolist() == [0, 1, 2, 3, 4, 3]
        assert pack.lengths == (2, 1)

    def test_it_ends_where_a_sequence_differs(self) -> None:
        """Also at once: then there is none."""
        assert packed([[9, 8, 1, 5], [9, 8, 2, 5], [9, 3, 2, 5]], [1, 1, 1]).n_common == 1
        assert packed([[1, 8, 7], [2, 8, 7]], [1, 1]).n_common == 0

    def test_wanted_rows_are_never_shared(self) -> None:
        """They are what the loss is taken of, sequence by sequence."""
        assert packed([[*START, 1]] * 2, [1, 3]).n_common == 1
        assert packed([[*START, 1]] * 2, [4, 1]).n_common == 0

    def test_equal_sequences_share_all_but_what_is_wanted(self) -> None:
        """The common start asks among all rows, and not among the wanted ones."""
        pack = packed([[*START, 1], [*START, 1], [*START, 2]], [1, 1, 1])
        assert (pack.n_common, pack.lengths) == (3, (1, 1, 1))
        assert seen_by(pack.whole, 6) == expected_sight(pack, (0, 0, 0))
        assert seen_by(pack.last, 3) == expected_sight(pack, (0, 0, 0))[3:]

    def test_one_sequence_shares_nothing(self) -> None:
        """There is no other one."""
        pack = packed([START], [2])
        assert (pack.n_common, pack.lengths, pack.targets.tolist()) == (0, (3,), [1, 2])
        assert len(pack.whole.groups) == 1
        assert seen_by(pack.whole, 3) == [[0], [0, 1], [0, 1, 2]]

    def test_nothing_is_shared_behind_a_past(self) -> None:
        """Equal tokens after different ones are not alike; places go on from each past."""
        pack = packed([[4, 5], [4, 5]], [1, 2], past=[3, 0])
        assert pack.n_common == 0
        assert pack.places.tolist() == [3, 4, 0, 1]
        assert seen_by(pack.whole, 4) == expected_sight(pack, (3, 0))
        assert seen_by(pack.last, 3) == expected_sight(pack, (3, 0))[1:]


def test_nothing_is_shared_where_it_must_not_be() -> None:
    """Memories side by side make other rows of the same tokens."""
    made = pack([[*START, 1], [*START, 2]], [1, 1], dtype=torch.float32, device=CPU, share=False)
    assert (made.n_common, made.lengths) == (0, (4, 4))
    assert seen_by(made.whole, 8) == expected_sight(made, (0, 0))
    assert seen_by(made.last, 2) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_wanted_rows_are_the_last_of_each_sequence() -> None:
    """In the sequences' order."""
    pack = packed([[*START, 1, 2, 3], [*START, 4, 5]], [2, 1])
    assert pack.n_targets == (2, 1)
    assert pack.ids[pack.targets].tolist() == [2, 3, 5]


def test_sequences_of_like_length_attend_together() -> None:
    """The shortest of a group has three quarters of its longest; every sequence is in one."""
    pack = packed([[1] * 8, [2] * 20, [3] * 6, [4] * 19, [5] * 15, [6]], [1] * 6)
    assert [group.members for group in pack.whole.groups] == [(1, 3, 4), (0, 2), (5,)]
    assert [group.queries.shape for group in pack.last.groups] == [(3, 1), (2, 1), (1, 1)]


def test_masks_are_in_the_models_format() -> None:
    """They are added to scores."""
    made = pack([[1, 2], [3]], [1, 1], dtype=torch.bfloat16, device=CPU)
    assert {g.bias.dtype for g in (*made.whole.groups, *made.last.groups)} == {torch.bfloat16}


@pytest.mark.parametrize("n_targets", [[1], [1, 1, 1]])
def test_as_many_n_targets_as_sequences(n_targets: list[int]) -> None:
    """Anything else is a mistake of the caller."""
    with pytest.raises(ValueError, match="zip"):
        packed([[1, 2], [3, 4]], n_targets)


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[list[int]], list[int]]:
    """Draw sequences with a common start now and then, few tokens so that they meet."""
    start = draw(st.lists(st.integers(0, 1), max_size=5))
    rest = st.lists(st.integers(0, 1), min_size=1, max_size=12)
    sequences = [[*start, *own] for own in draw(st.lists(rest, min_size=1, max_size=5))]
    return sequences, [draw(st.integers(1, len(sequence))) for sequence in sequences]


@given(batches())
def test_every_row_sees_its_own_sequence_up_to_itself(
    batch: tuple[list[list[int]], list[int]],
) -> None:
    """Whatever the lengths: tokens, places, sight and wanted rows are those of the sequences."""
    sequences, n_targets = batch
    pack = packed(sequences, n_targets)
    sight = expected_sight(pack, [0] * len(sequences))
    assert seen_by(pack.whole, len(pack.ids)) == sight
    assert seen_by(pack.last, sum(n_targets)) == [sight[row] for row in pack.targets.tolist()]
    ids, places = (unpacked_rows(pack, x) for x in (pack.ids, pack.places))
    assert [x.tolist() for x in ids] == sequences
    assert [x.tolist() for x in places] == [list(range(len(s))) for s in sequences]
    by_hand = [t for s, n in zip(sequences, n_targets, strict=True) for t in s[-n:]]
    assert pack.ids[pack.targets].tolist() == by_hand


@given(batches())
def test_each_row_knows_where_it_is_seen(batch: tuple[list[list[int]], list[int]]) -> None:
    """For gradients at the keys: every own row has one place; the common start one if it asks."""
    pack = packed(*batch)
    for geometry, n_alone in ((pack.whole, 0), (pack.last, pack.n_common)):
        laid = torch.cat([group.keys.flatten() for group in geometry.groups])
        assert geometry.keys_at[:n_alone].tolist() == [-1] * n_alone
        rows = torch.arange(n_alone, len(pack.ids))
        assert torch.equal(laid[geometry.keys_at[n_alone:]], rows)


@given(batches(), st.lists(st.integers(0, 6), min_size=5, max_size=5))
def test_a_past_is_seen_before_the_own_rows(
    batch: tuple[list[list[int]], list[int]], offsets: list[int]
) -> None:
    """As much of it as the sequence has."""
    sequences, n_targets = batch
    past = offsets[: len(sequences)]
    pack = packed(sequences, n_targets, past=past)
    sight = expected_sight(pack, past)
    assert seen_by(pack.whole, len(pack.ids)) == sight
    assert seen_by(pack.last, sum(n_targets)) == [sight[row] for row in pack.targets.tolist()]
    expected = [n + i for n, s in zip(past, sequences, strict=True) for i in range(len(s))]
    assert pack.places.tolist() == expected


@given(batches(), st.lists(st.integers(0, 6), min_size=5, max_size=5), st.booleans())
def test_a_window_leaves_the_last_of_what_is_seen(
    batch: tuple[list[list[int]], list[int]],
    offsets: list[int],
    has_past: bool,  # noqa: FBT001 - drawn
) -> None:
    """The row itself among them; what is longer than every sequence needs no mask of its own."""
    sequences, n_targets = batch
    past = offsets[: len(sequences)] if has_past else None
    pack = packed(sequences, n_targets, past=past, windows=(3, 10**6))
    sight = [seen[-3:] for seen in expected_sight(pack, past or [0] * len(sequences))]
    assert seen_by(pack.whole, len(pack.ids), 3) == sight
    assert seen_by(pack.last, sum(n_targets), 3) == [sight[row] for row in pack.targets.tolist()]
    for group in (*pack.whole.groups, *pack.last.groups):
        assert set(group.windowed) <= {3}
        assert group.bias_of(10**6) is group.bias
        for bias in (group.bias, *group.windowed.values()):  # padding too: it must be a number
            assert (bias == 0).any(dim=-1).all()


@given(batches())
def test_packing_rows_and_back_is_no_change(batch: tuple[list[list[int]], list[int]]) -> None:
    """What is known of whole sequences comes back, the common start in each."""
    sequences, n_targets = batch
    pack = packed(sequences, n_targets)
    rows: list[Tensor] = []
    for sequence in sequences:  # rows depend on what came before, as a causal model's do
        ids = torch.tensor(sequence)
        rows.append(torch.stack([ids.cumsum(0), ids], dim=1))
    laid = packed_rows(pack, rows)
    assert laid.shape == (len(pack.ids), 2)
    for one, other in zip(unpacked_rows(pack, laid), rows, strict=True):
        assert torch.equal(one, other)
