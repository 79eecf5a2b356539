"""Token sequences side by side without padding; what they all begin with is there once.

A prompt's system text is the same in every sample and, in a causal model, so is all that the model
makes of it: its rows are computed once a batch. The rest of each sequence follows, sequence after
sequence. The last response token is left out: it predicts nothing.

This module knows nothing of models or memories.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

_ALIKE = 0.75  # the shortest of a group against its longest


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Sequences of like length, which attend together; the common start is one by itself.

    A sequence sees its past (given from outside, padded), the common start, and its own rows.

    Args:
        members: The sequences, by their place in the batch; none for the common start.
        n_common: How many of the rows seen are the common start.
        asking: For each sequence, its rows among those that ask, padded. *Shape:* (group, asking)
        padding: Where `asking` is padding. *Shape:* (group, asking)
        seen: For each sequence, the rows it sees, padded. *Shape:* (group, keys)
        bias: 0 where a row sees a key, -inf elsewhere. *Shape:* (group, 1, asking, past + keys)
    """

    members: tuple[int, ...]
    n_common: int
    asking: Tensor
    padding: Tensor
    seen: Tensor
    bias: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Which rows ask, and which rows each of them sees.

    Args:
        groups: Who attends together.
        asked_at: Where each asking row lies in the groups' `asking`, flat. *Shape:* (asking rows,)
        seen_at: Where each row lies in the groups' `seen`, flat; -1 for the common start where it
            does not ask. *Shape:* (rows,)
    """

    groups: tuple[Group, ...]
    asked_at: Tensor
    seen_at: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A batch of sequences as rows.

    Args:
        ids: Tokens. *Shape:* (rows,)
        places: Each token's place in its sequence, from 0. *Shape:* (rows,)
        n_common: Rows of the common start.
        lengths: Own rows of each sequence.
        tails: How many of the last rows of each sequence are wanted at the end.
        whole: Attention of every row.
        last: Attention of the wanted rows alone, for the last layer.
        wanted: The wanted rows, sequence after sequence. *Shape:* (wanted,)
    """

    ids: Tensor
    places: Tensor
    n_common: int
    lengths: tuple[int, ...]
    tails: tuple[int, ...]
    whole: Geometry
    last: Geometry
    wanted: Tensor


def pack(
    sequences: Sequence[Sequence[int]],
    tails: Sequence[int],
    *,
    dtype: torch.dtype,
    device: torch.device,
    past: Sequence[int] | None = None,
    share: bool = True,
) -> Pack:
    """Pack sequences.

    Args:
        sequences: Token ids of each, at least one token.
        tails: How many of the last rows of each are wanted at the end, at least one.
        dtype: Number format of the masks: the model's.
        device: Where the tensors go.
        past: For each sequence, how many tokens came before it, their keys and values given from
            outside; nothing is shared then.
        share: Whether what all begin with is there once: not where their memories differ.
    """
    n_common = _n_common(sequences, tails) if share and past is None else 0
    own = [sequence[n_common:] for sequence in sequences]
    lengths = tuple(len(tokens) for tokens in own)
    offsets = [0] * len(own) if past is None else list(past)
    ids = [*sequences[0][:n_common], *(token for tokens in own for token in tokens)]
    places = [*range(n_common)]
    for n, offset in zip(lengths, offsets, strict=True):
        places += range(n_common + offset, n_common + offset + n)
    wanted: list[int] = []
    end = n_common
    for n, tail in zip(lengths, tails, strict=True):
        end += n
        wanted += range(end - tail, end)
    shape = _Shape(lengths=lengths, n_common=n_common, offsets=tuple(offsets))
    return Pack(
        ids=torch.tensor(ids, device=device),
        places=torch.tensor(places, device=device),
        n_common=n_common,
        lengths=lengths,
        tails=tuple(tails),
        whole=_geometry(shape, lengths, dtype, device, whole=True),
        last=_geometry(shape, tuple(tails), dtype, device, whole=False),
        wanted=torch.tensor(wanted, device=device),
    )


def packed_rows(pack: Pack, rows: Sequence[Tensor]) -> Tensor:
    """Pack what is known of whole sequences as the sequences are packed.

    Args:
        pack: The sequences.
        rows: One tensor a sequence, a row a token, the common start among them.
    """
    own = [tensor[pack.n_common :] for tensor in rows]
    return torch.cat([rows[0][: pack.n_common], *own])


def unpacked_rows(pack: Pack, rows: Tensor) -> list[Tensor]:
    """Undo `packed_rows`: one tensor a sequence, the common start in each."""
    common, own = rows[: pack.n_common], rows[pack.n_common :]
    return [torch.cat([common, part]) for part in own.split(pack.lengths)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    lengths: tuple[int, ...]
    n_common: int
    offsets: tuple[int, ...]


def _n_common(sequences: Sequence[Sequence[int]], tails: Sequence[int]) -> int:
    """Count the tokens that every sequence begins with, the wanted rows left out."""
    if len(sequences) == 1:
        return 0
    limit = min(len(s) - tail for s, tail in zip(sequences, tails, strict=True))
    first = sequences[0]
    for i in range(limit):
        if any(sequence[i] != first[i] for sequence in sequences):
            return i
    return limit


def _geometry(
    shape: _Shape, asking: tuple[int, ...], dtype: torch.dtype, device: torch.device, *, whole: bool
) -> Geometry:
    """Lay out attention where the last `asking` rows of each sequence ask.

    `whole` says that the common start asks too; it cannot be told from `asking`, for all own rows
    may be wanted.
    """
    n_common, lengths = shape.n_common, shape.lengths
    starts = [n_common + sum(lengths[:i]) for i in range(len(lengths))]
    first = [(n_common if whole else 0) + sum(asking[:i]) for i in range(len(lengths))]
    groups: list[Group] = []
    if n_common and whole:
        own = _Rows(lengths=(n_common,), asking=(n_common,), starts=(0,), first=(0,), offsets=(0,))
        groups.append(_group((), own, 0, dtype))
    for members in _alike(lengths):
        chosen = _Rows(
            **{
                name: tuple(values[i] for i in members)
                for name, values in {
                    "lengths": lengths,
                    "asking": asking,
                    "starts": starts,
                    "first": first,
                    "offsets": shape.offsets,
                }.items()
            }
        )
        groups.append(_group(members, chosen, n_common, dtype))
    n_asking = sum(asking) + (n_common if whole else 0)
    asked_at, seen_at = _places(groups, n_asking, n_common + sum(lengths))
    return Geometry(
        groups=tuple(_on(group, device) for group in groups),
        asked_at=asked_at.to(device),
        seen_at=seen_at.to(device),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """The sequences of one group: own rows, asking rows, where both start, tokens before."""

    lengths: tuple[int, ...]
    asking: tuple[int, ...]
    starts: tuple[int, ...]
    first: tuple[int, ...]
    offsets: tuple[int, ...]


def _alike(lengths: Sequence[int]) -> list[tuple[int, ...]]:
    """Put sequences of like length together: padding costs attention twice."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    groups: list[list[int]] = []
    for i in order:
        if not groups or lengths[i] < _ALIKE * lengths[groups[-1][0]]:
            groups.append([])
        groups[-1].append(i)
    return [tuple(group) for group in groups]


def _group(members: tuple[int, ...], rows: _Rows, n_common: int, dtype: torch.dtype) -> Group:
    n, a, offset, start, first = (
        torch.tensor(values)[:, None]
        for values in (rows.lengths, rows.asking, rows.offsets, rows.starts, rows.first)
    )
    size, n_past = len(rows.lengths), max(rows.offsets)
    column, row = torch.arange(max(rows.lengths)), torch.arange(max(rows.asking))
    place = (n - a + row)[:, :, None]  # a row sees its sequence's rows up to itself
    sees = torch.cat(
        [
            (torch.arange(n_past) < offset)[:, None].expand(size, len(row), n_past),
            torch.ones(size, len(row), n_common, dtype=torch.bool),
            (column <= place) & (column < n[:, :, None]),
        ],
        dim=-1,
    )
    common = torch.arange(n_common).expand(size, n_common)
    bias = torch.zeros(sees.shape, dtype=dtype).masked_fill_(~sees, float("-inf"))
    return Group(
        members=members,
        n_common=n_common,
        asking=torch.where(row < a, first + row, first),
        padding=row >= a,
        seen=torch.cat([common, torch.where(column < n, start + column, start)], dim=-1),
        bias=bias[:, None],
    )


def _places(groups: Sequence[Group], n_asking: int, n_rows: int) -> tuple[Tensor, Tensor]:
    """Find each asking row, and each own row, in the groups laid one after another."""
    asked_at, seen_at = torch.full((n_asking,), -1), torch.full((n_rows,), -1)
    asked = seen = 0
    for group in groups:
        used = torch.nonzero(~group.padding.flatten()).flatten()
        asked_at[group.asking.flatten()[used]] = asked + used
        keys = group.seen.clone()
        keys[:, : group.n_common] = -1
        # padding repeats its sequence's first own row
        later = keys[:, group.n_common + 1 :]
        later[later == keys[:, group.n_common, None]] = -1
        own = torch.nonzero(keys.flatten() >= 0).flatten()
        seen_at[keys.flatten()[own]] = seen + own
        asked += group.asking.numel()
        seen += group.seen.numel()
    return asked_at, seen_at


def _on(group: Group, device: torch.device) -> Group:
    return replace(
        group,
        asking=group.asking.to(device),
        padding=group.padding.to(device),
        seen=group.seen.to(device),
        bias=group.bias.to(device),
    )
