"""Attention of packed rows, with a backward pass that keeps no attention weights.

Notation:
    Q, K, V   queries, keys, values. *Shape:* (rows, heads, head width); K and V may have fewer
              heads, each then serves a group of Q's
    P         attention weights, computed again on the way back
    s         scaling of the scores
    c         soft cap of the scores: x becomes c tanh(x / c)
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from lorecall.lm.engine.packing import Geometry, Group

PastKeyValues = tuple[Tensor, Tensor]
"""Keys and values of what came before, padded. *Shape:* (batch, past, key heads, head width)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """How a layer scores the rows that it sees.

    Args:
        scaling: s.
        softcap: c; None for none.
        window: A row sees this many rows, itself and the last before it; None for all.
    """

    scaling: float
    softcap: float | None = None
    window: int | None = None


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    geometry: Geometry,
    *,
    scores: Scoring,
    past: PastKeyValues | None = None,
) -> Tensor:
    """Let queries attend to the rows that they see.

    Args:
        q: Queries. *Shape:* (queries, heads, head width)
        k: Keys of all rows. *Shape:* (rows, key heads, head width)
        v: Values of all rows. *Shape:* (rows, key heads, head width)
        geometry: Who sees whom.
        scores: How they are scored.
        past: Keys and values from outside; no gradient goes there.

    Returns:
        Mixed values. *Shape:* (queries, heads * head width)
    """
    if q.device.type == "cuda" and scores.softcap is None:  # the fused kernels have no cap
        return attend_fused(q, k, v, geometry, scores=scores, past=past)
    past_k, past_v = past or (None, None)
    return cast("Tensor", _Attention.apply(q, k, v, geometry, scores, past_k, past_v))


def attend_fused(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    geometry: Geometry,
    *,
    scores: Scoring,
    past: PastKeyValues | None = None,
) -> Tensor:
    """Attend by torch's fused kernels, the fastest on a GPU; arguments as `attend`."""
    parts: list[Tensor] = []
    for group in geometry.groups:
        K, V = (_keys(x, group, past and past[i]) for i, x in enumerate((k, v)))
        mixed = F.scaled_dot_product_attention(
            q[group.queries].transpose(1, 2),
            K.transpose(1, 2),
            V.transpose(1, 2),
            attn_mask=group.bias_of(scores.window),
            scale=scores.scaling,
            enable_gqa=True,
        )
        parts.append(mixed.transpose(1, 2).flatten(2).flatten(0, 1))
    return torch.cat(parts)[geometry.queries_at]


class _Attention(Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        q, k, v, geometry, scores, past_k, past_v = inputs
        ctx.geometry, ctx.scores = geometry, scores
        ctx.save_for_backward(q, k, v, past_k, past_v)
        parts = [
            _mix(q[g.queries], _keys(k, g, past_k), _keys(v, g, past_v), g, scores)
            for g in geometry.groups
        ]
        return torch.cat([part.flatten(0, 1) for part in parts])[geometry.queries_at]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, past_k, past_v = ctx.saved_tensors
        geometry: Geometry = ctx.geometry
        dout = grads[0].view(len(q), *q.shape[1:])
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        for g in geometry.groups:
            wanted = dout[g.queries].masked_fill_(g.padding[:, :, None, None], 0)
            K, V = _keys(k, g, past_k), _keys(v, g, past_v)
            dq, dk, dv = _mix_back(q[g.queries], K, V, (g, ctx.scores), wanted)
            parts.append((dq, dk[:, _n_past(g) :], dv[:, _n_past(g) :]))
        dq = torch.cat([part[0].flatten(0, 1) for part in parts])[geometry.queries_at]
        dk, dv = (_at_rows([part[i] for part in parts], geometry) for i in (1, 2))
        return dq, dk, dv, None, None, None, None


def _keys(rows: Tensor, group: Group, past: Tensor | None) -> Tensor:
    own = rows[group.keys]
    if past is None:
        return own
    before = past[list(group.members), : _n_past(group)]
    return torch.cat([before, own], dim=1)


def _n_past(group: Group) -> int:
    return group.bias.shape[-1] - group.keys.shape[1]


def _at_rows(grads: list[Tensor], geometry: Geometry) -> Tensor:
    """Bring the groups' gradients at their keys to the rows; the common start's add up."""
    rows = torch.cat([grad.flatten(0, 1) for grad in grads])[geometry.keys_at]
    groups = geometry.groups
    n_common = groups[-1].n_common
    if n_common:
        shared = [
            x[:, :n_common].sum(dim=0) for g, x in zip(groups, grads, strict=True) if g.n_common
        ]
        alone = (
            0 if len(shared) == len(groups) else rows[:n_common]
        )  # -1 stands for no own gradient
        rows[:n_common] = alone + torch.stack(shared).sum(dim=0)
    return rows


def _by_head(x: Tensor, n_groups: int) -> Tensor:
    """Bring (batch, rows, heads, width) to (batch * groups, heads a group * rows, width)."""
    batch, rows, heads, width = x.shape
    split = x.view(batch, rows, n_groups, heads // n_groups, width)
    return split.permute(0, 2, 3, 1, 4).reshape(batch * n_groups, -1, width)


def _by_row(x: Tensor, shape: torch.Size) -> Tensor:
    """Undo `_by_head` for a tensor of this shape."""
    batch, rows, heads, width = shape
    n_groups = len(x) // batch
    split = x.view(batch, n_groups, heads // n_groups, rows, width)
    return split.permute(0, 3, 1, 2, 4).reshape(shape)


def capped(x: Tensor, softcap: float | None) -> Tensor:
    """Return c tanh(x / c); x itself where there is no cap."""
    return x if softcap is None else softcap * torch.tanh(x / softcap)


def _weights(S: Tensor, shape: torch.Size, bias: Tensor) -> Tensor:
    """Softmax of the scores, in fp32; S is written to."""
    batch, rows, heads, _ = shape
    scores = S.view(batch, heads, rows, -1)
    scores += bias
    return torch.softmax(scores, dim=-1, dtype=torch.float32).to(S.dtype).view(S.shape)


def _mix(q: Tensor, k: Tensor, v: Tensor, group: Group, scores: Scoring) -> Tensor:
    n = k.shape[2]
    S = capped(torch.bmm(_by_head(q * scores.scaling, n), _by_head(k, n).mT), scores.softcap)
    P = _weights(S, q.shape, group.bias_of(scores.window))
    return _by_row(torch.bmm(P, _by_head(v, n)), q.shape).flatten(2)


def _mix_back(
    q: Tensor, k: Tensor, v: Tensor, scored: tuple[Group, Scoring], dout: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    (group, scores), n = scored, k.shape[2]
    Q, K, V, D = _by_head(q * scores.scaling, n), _by_head(k, n), _by_head(v, n), _by_head(dout, n)
    S = capped(torch.bmm(Q, K.mT), scores.softcap)
    slope = None if scores.softcap is None else 1 - (S / scores.softcap).square()
    P = _weights(S, q.shape, group.bias_of(scores.window))
    dV = torch.bmm(P.mT, D)
    dP = torch.bmm(D, V.mT)
    dS = torch.ops.aten._softmax_backward_data(dP, P, -1, P.dtype)  # noqa: SLF001
    if slope is not None:
        dS *= slope
    dQ = torch.bmm(dS, K).mul_(scores.scaling)
    dK = torch.bmm(dS.mT, Q)
    return _by_row(dQ, q.shape), _by_row(dK, k.shape), _by_row(dV, v.shape)
