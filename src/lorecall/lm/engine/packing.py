"""Token sequences side by side without padding; what they all begin with is there once.

A prompt's system text is the same in every sample and, in a causal model, so is all that the model
makes of it: its rows are computed once a batch. The rest of each sequence follows, sequence after
sequence. The last response token is left out: it predicts nothing.

This module knows nothing of models or memories.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

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
        queries: For each sequence, its rows among those that ask, padded. *Shape:* (group, queries)
        padding: Where `queries` is padding. *Shape:* (group, queries)
        keys: For each sequence, the rows it sees, padded. *Shape:* (group, keys)
        bias: 0 where a row sees a key, -inf elsewhere. *Shape:* (group, 1, queries, past + keys)
        windowed: The same by the size of a window, of those that are shorter than a sequence.
    """

    members: tuple[int, ...]
    n_common: int
    queries: Tensor
    padding: Tensor
    keys: Tensor
    bias: Tensor
    windowed: Mapping[int, Tensor] = field(default_factory=dict[int, Tensor])

    def bias_of(self, window: int | None) -> Tensor:
        """Return the bias of a layer whose rows see no farther back than its window."""
        return self.bias if window is None else self.windowed.get(window, self.bias)


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Which rows ask, and which rows each of them sees.

    Args:
        groups: Who attends together.
        queries_at: Where each query lies in the groups' `queries`, flat. *Shape:* (queries,)
        keys_at: Where each row lies in the groups' `keys`, flat; -1 for the common start where it
            does not ask. *Shape:* (rows,)
    """

    groups: tuple[Group, ...]
    queries_at: Tensor
    keys_at: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A batch of sequences as rows.

    Args:
        ids: Tokens. *Shape:* (rows,)
        places: Each token's place in its sequence, from 0. *Shape:* (rows,)
        n_common: Rows of the common start.
        lengths: Own rows of each sequence.
        n_targets: How many of the last rows of each sequence predict a target.
        whole: Attention of every row.
        last: Attention of the target rows alone, for the last layer.
        targets: The rows that predict a target, sequence after sequence. *Shape:* (targets,)
    """

    ids: Tensor
    places: Tensor
    n_common: int
    lengths: tuple[int, ...]
    n_targets: tuple[int, ...]
    whole: Geometry
    last: Geometry
    targets: Tensor


def pack(
    sequences: Sequence[Sequence[int]],
    n_targets: Sequence[int],
    *,
    dtype: torch.dtype,
    device: torch.device,
    past: Sequence[int] | None = None,
    share: bool = True,
    windows: Collection[int] = (),
) -> Pack:
    """Pack sequences.

    Args:
        sequences: Token ids of each, at least one token.
        n_targets: How many of the last rows of each predict a target, at least one.
        dtype: Number format of the masks: the model's.
        device: Where the tensors go.
        past: For each sequence, how many tokens came before it, their keys and values given from
            outside; nothing is shared then.
        share: Whether what all begin with is there once: not where their memories differ.
        windows: The sizes of the windows that some layers look through.
    """
    n_common = _n_common(sequences, n_targets) if share and past is None else 0
    own = [sequence[n_common:] for sequence in sequences]
    lengths = tuple(len(tokens) for tokens in own)
    offsets = [0] * len(own) if past is None else list(past)
    ids = [*sequences[0][:n_common], *(token for tokens in own for token in tokens)]
    places = [*range(n_common)]
    for n, offset in zip(lengths, offsets, strict=True):
        places += range(n_common + offset, n_common + offset + n)
    targets: list[int] = []
    end = n_common
    for n, n_last in zip(lengths, n_targets, strict=True):
        end += n
        targets += range(end - n_last, end)
    shape = _Shape(
        lengths=lengths, n_common=n_common, offsets=tuple(offsets), windows=tuple(windows)
    )
    return Pack(
        ids=torch.tensor(ids, device=device),
        places=torch.tensor(places, device=device),
        n_common=n_common,
        lengths=lengths,
        n_targets=tuple(n_targets),
        whole=_geometry(shape, lengths, dtype, device, whole=True),
        last=_geometry(shape, tuple(n_targets), dtype, device, whole=False),
        targets=torch.tensor(targets, device=device),
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
    windows: tuple[int, ...]


def _n_common(sequences: Sequence[Sequence[int]], n_targets: Sequence[int]) -> int:
    """Count the tokens that every sequence begins with, the target rows left out."""
    if len(sequences) == 1:
        return 0
    limit = min(len(s) - n for s, n in zip(sequences, n_targets, strict=True))
    first = sequences[0]
    for i in range(limit):
        if any(sequence[i] != first[i] for sequence in sequences):
            return i
    return limit


def _geometry(
    shape: _Shape, n_last: tuple[int, ...], dtype: torch.dtype, device: torch.device, *, whole: bool
) -> Geometry:
    """Lay out attention where the last `n_last` rows of each sequence are queries.

    `whole` says that the common start asks too; it cannot be told from `n_last`, for all own rows
    may predict targets.
    """
    n_common, lengths = shape.n_common, shape.lengths
    key_starts = [n_common, *(n_common + end for end in accumulate(lengths))]
    n_before = n_common if whole else 0
    query_starts = [n_before, *(n_before + end for end in accumulate(n_last))]
    groups: list[Group] = []
    if n_common and whole:
        common = _Rows(n_keys=n_common, n_queries=n_common, key_start=0, query_start=0, n_past=0)
        groups.append(_group((), [common], 0, dtype, shape.windows))
    for members in _alike(lengths):
        rows = [
            _Rows(
                n_keys=lengths[i],
                n_queries=n_last[i],
                key_start=key_starts[i],
                query_start=query_starts[i],
                n_past=shape.offsets[i],
            )
            for i in members
        ]
        groups.append(_group(members, rows, n_common, dtype, shape.windows))
    queries_at, keys_at = _places(groups, query_starts[-1], key_starts[-1])
    return Geometry(
        groups=tuple(_on(group, device) for group in groups),
        queries_at=queries_at.to(device),
        keys_at=keys_at.to(device),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """One sequence's own rows: how many there are, how many ask, where both start, its past."""

    n_keys: int
    n_queries: int
    key_start: int
    query_start: int
    n_past: int


def _alike(lengths: Sequence[int]) -> list[tuple[int, ...]]:
    """Put sequences of like length together: padding costs attention twice."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    groups: list[list[int]] = []
    for i in order:
        if not groups or lengths[i] < _ALIKE * lengths[groups[-1][0]]:
            groups.append([])
        groups[-1].append(i)
    return [tuple(group) for group in groups]


def _group(
    members: tuple[int, ...],
    rows: Sequence[_Rows],
    n_common: int,
    dtype: torch.dtype,
    windows: tuple[int, ...],
) -> Group:
    n_keys = torch.tensor([row.n_keys for row in rows])[:, None]
    n_queries = torch.tensor([row.n_queries for row in rows])[:, None]
    key_start = torch.tensor([row.key_start for row in rows])[:, None]
    query_start = torch.tensor([row.query_start for row in rows])[:, None]
    past = torch.tensor([row.n_past for row in rows])[:, None]
    size, n_past = len(rows), int(past.max())
    key, query = torch.arange(int(n_keys.max())), torch.arange(int(n_queries.max()))
    # a row sees its sequence's up to itself; padding must see some too, or it is no number
    place = torch.minimum(n_keys - n_queries + query, n_keys - 1)[:, :, None]
    sees = torch.cat(
        [
            (torch.arange(n_past) < past)[:, None].expand(size, len(query), n_past),
            torch.ones(size, len(query), n_common, dtype=torch.bool),
            (key <= place) & (key < n_keys[:, :, None]),
        ],
        dim=-1,
    )
    common = torch.arange(n_common).expand(size, n_common)
    windowed: dict[int, Tensor] = {}
    for window in windows:
        if window < n_common + int((past + n_keys).max()):
            before = torch.cat([torch.arange(n_past), torch.arange(n_common)]).expand(size, -1)
            places = torch.cat([before, n_common + past + key], dim=-1)[:, None]
            near = (n_common + past)[:, :, None] + place - places < window
            windowed[window] = _bias(sees & near, dtype)
    return Group(
        members=members,
        n_common=n_common,
        queries=torch.where(query < n_queries, query_start + query, query_start),
        padding=query >= n_queries,
        keys=torch.cat([common, torch.where(key < n_keys, key_start + key, key_start)], dim=-1),
        bias=_bias(sees, dtype),
        windowed=windowed,
    )


def _bias(sees: Tensor, dtype: torch.dtype) -> Tensor:
    bias = torch.zeros(sees.shape, dtype=dtype).masked_fill_(~sees, float("-inf"))
    return bias[:, None]


def _places(groups: Sequence[Group], n_queries: int, n_rows: int) -> tuple[Tensor, Tensor]:
    """Find each query, and each own row, in the groups laid one after another."""
    queries_at, keys_at = torch.full((n_queries,), -1), torch.full((n_rows,), -1)
    n_before = n_keys_before = 0
    for group in groups:
        used = torch.nonzero(~group.padding.flatten()).flatten()
        queries_at[group.queries.flatten()[used]] = n_before + used
        keys = group.keys.clone()
        keys[:, : group.n_common] = -1
        # padding repeats its sequence's first own row
        later = keys[:, group.n_common + 1 :]
        later[later == keys[:, group.n_common, None]] = -1
        own = torch.nonzero(keys.flatten() >= 0).flatten()
        keys_at[keys.flatten()[own]] = n_keys_before + own
        n_before += group.queries.numel()
        n_keys_before += group.keys.numel()
    return queries_at, keys_at


def _on(group: Group, device: torch.device) -> Group:
    return replace(
        group,
        queries=group.queries.to(device),
        padding=group.padding.to(device),
        keys=group.keys.to(device),
        bias=group.bias.to(device),
        windowed={window: bias.to(device) for window, bias in group.windowed.items()},
    )
