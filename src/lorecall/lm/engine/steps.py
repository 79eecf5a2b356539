"""One token a row through the model, with the keys and values of what came before.

Both kinds keep them in tensors with room for the tokens to come, each row's without a gap. On a CPU
a step costs what it reads from memory: so rows of like length attend together, and only the part of
the room that is filled is read. On a GPU a step costs the launch of its kernels: so its shapes stay
the same, and it is replayed as one CUDA graph.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from lorecall.lm.engine.attention import PastKeyValues, Scoring, capped
from lorecall.lm.engine.body import Body
from lorecall.lm.engine.prefill import Prefilled

_ALIKE = 0.8  # the shortest row of a group against its longest


@runtime_checkable
class Steps(Protocol):
    """Takes a batch forward token by token; `shrink` is the share of rows below which to `keep`."""

    shrink: float

    def next(self, tokens: Tensor) -> Tensor:
        """Read one token a row and give the logits of the next, until the next call.

        *Shape:* (batch,) to (batch, vocabulary)
        """
        ...

    def keep(self, rows: list[int]) -> None:
        """Go on with some rows alone, moved together."""
        ...


class GrowingSteps:
    """Steps that read what is there and no more.

    Args:
        body: The base.
        prefilled: The prompts.
        rows: Their order here, longest first.
        n_new: Most new tokens a row.
    """

    shrink = 0.75

    def __init__(self, body: Body, prefilled: Prefilled, rows: Sequence[int], n_new: int) -> None:
        self._body, self._device = body, prefilled.last.device
        self._lengths = [prefilled.lengths[i] for i in rows]
        self._layers = _with_room(prefilled, rows, n_new)

    def next(self, tokens: Tensor) -> Tensor:
        """Read one token a row and give the logits of the next."""
        places = torch.tensor(self._lengths, device=self._device)
        self._lengths = [n + 1 for n in self._lengths]
        cuts = _alike(self._lengths)
        after = (places + 1).split([b - a for a, b in cuts])
        dtype, windows = self._layers[0][0].dtype, self._body.blocks.windows
        groups = [
            (a, b, _biases(n, self._lengths[a], dtype, windows))
            for (a, b), n in zip(cuts, after, strict=True)
        ]

        def attend(q: Tensor, keys: Tensor, values: Tensor, scores: Scoring) -> Tensor:
            mixed = [
                _attend_one(
                    q[a:b],
                    keys[a:b, :, : self._lengths[a]],
                    values[a:b, :, : self._lengths[a]],
                    biases[scores.window],
                    scores,
                )
                for a, b, biases in groups
            ]
            return torch.cat(mixed) if len(mixed) > 1 else mixed[0]

        return _step(self._body, self._layers, tokens, places, attend)

    def keep(self, rows: list[int]) -> None:
        """Go on with some rows alone, moved together."""
        self._lengths = [self._lengths[i] for i in rows]
        index = torch.tensor(rows, device=self._device)
        self._layers = [(k[index], v[index]) for k, v in self._layers]


class FixedSteps:
    """Steps of fixed shapes: one CUDA graph on a GPU, called plainly elsewhere.

    Arguments as `GrowingSteps`.
    """

    shrink = 0.5  # a smaller batch is another graph

    def __init__(self, body: Body, prefilled: Prefilled, rows: Sequence[int], n_new: int) -> None:
        device = prefilled.last.device
        self._body = body
        self._layers = _with_room(prefilled, rows, n_new)
        self._lengths = torch.tensor([prefilled.lengths[i] for i in rows], device=device)
        self._tokens = torch.zeros_like(self._lengths)
        self._graph: tuple[torch.cuda.CUDAGraph, Tensor] | None = None

    def next(self, tokens: Tensor) -> Tensor:
        """Read one token a row and give the logits of the next, until the next call."""
        self._tokens.copy_(tokens)
        if tokens.device.type != "cuda":
            return self._run()
        if self._graph is None:
            self._graph = self._captured()
        graph, logits = self._graph
        graph.replay()
        return logits

    def keep(self, rows: list[int]) -> None:
        """Go on with some rows alone, moved together."""
        index = torch.tensor(rows, device=self._lengths.device)
        self._lengths, self._tokens = self._lengths[index], self._tokens[index]
        self._layers = [(k[index], v[index]) for k, v in self._layers]
        self._graph = None

    def _run(self) -> Tensor:
        """Take one step on the tensors at hand, in place: nothing here waits for the device."""
        places = self._lengths.clone()
        self._lengths += 1
        first = self._layers[0][0]
        biases = _biases(self._lengths, first.shape[2], first.dtype, self._body.blocks.windows)

        def attend(q: Tensor, keys: Tensor, values: Tensor, scores: Scoring) -> Tensor:
            return _attend_one(q, keys, values, biases[scores.window], scores)

        return _step(self._body, self._layers, self._tokens, places, attend)

    def _captured(self) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        """Record a step, and where its logits will be; what the warm-up changes is put back."""
        lengths = self._lengths.clone()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self._run()
        torch.cuda.current_stream().wait_stream(side)
        self._lengths.copy_(lengths)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = self._run()
        self._lengths.copy_(lengths)
        return graph, logits


def _with_room(prefilled: Prefilled, rows: Sequence[int], n_new: int) -> list[PastKeyValues]:
    """Bring (batch, tokens, heads, width) to (batch, heads, room, width), layer by layer."""
    order = torch.tensor(rows, device=prefilled.last.device)
    size = max(prefilled.lengths) + n_new
    layers: list[PastKeyValues] = []
    for halves in prefilled.layers:
        batch, n, heads, width = halves[0].shape
        # zeros, not empty: what is masked must still be a number
        k, v = (x.new_zeros(batch, heads, size, width) for x in halves)
        for room, x in zip((k, v), halves, strict=True):
            room[:, :, :n] = x[order].transpose(1, 2)
        layers.append((k, v))
    return layers


def _step(
    body: Body,
    layers: Sequence[PastKeyValues],
    tokens: Tensor,
    places: Tensor,
    attend: Callable[[Tensor, Tensor, Tensor, Scoring], Tensor],
) -> Tensor:
    """Read one token a row, write its keys and values at its place, and return the next's logits.

    Args:
        body: The base.
        layers: Keys and values of each layer. *Shape:* (batch, key heads, room, head width)
        tokens: Token ids. *Shape:* (batch,)
        places: Each one's place in its sequence. *Shape:* (batch,)
        attend: From queries, keys, values and how a layer scores to the mixed values.
    """
    blocks, linears = body.blocks, body.linears
    batch = torch.arange(len(places), device=places.device)
    positions = body.positions(places)
    h = blocks.embed(tokens, positions)
    rotation = body.rotation(positions)
    for layer, (keys, values) in enumerate(layers):
        q, k, v = blocks.qkv(layer, h, rotation, linears)
        keys[batch, :, places], values[batch, :, places] = k, v
        mixed = attend(q, keys, values, blocks.scores(layer))
        h = blocks.attention_output(layer, h, mixed, linears)
        h = blocks.mlp(layer, h, linears)
    return body.logits(blocks.final_norm(h))


def _biases(
    lengths: Tensor, room: int, dtype: torch.dtype, windows: Collection[int]
) -> dict[int | None, Tensor]:
    """Return, by window, 0 for the tokens seen, -inf for the rest: *shape* (batch, 1, 1, room)."""
    place = torch.arange(room, device=lengths.device)
    there = place < lengths[:, None]
    bias = torch.zeros(there.shape, dtype=dtype, device=lengths.device)
    bias = bias.masked_fill_(~there, float("-inf"))[:, None, None]
    biases: dict[int | None, Tensor] = {None: bias}
    for window in windows:
        far = (place < lengths[:, None] - window)[:, None, None]
        biases[window] = bias if room <= window else bias.masked_fill(far, float("-inf"))
    return biases


def _attend_one(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, scores: Scoring) -> Tensor:
    """Attend from one row a sequence.

    Args:
        q: Queries. *Shape:* (batch, heads, head width)
        k: Keys. *Shape:* (batch, key heads, tokens, head width)
        v: Values, likewise.
        bias: 0 for what is seen, -inf for what is not there or too far. *Shape:* (batch, 1, 1,
            tokens)
        scores: How the layer scores.
    """
    batch, n_groups, _, width = k.shape
    grouped = (q * scores.scaling).view(batch, n_groups, -1, width)
    scored = capped(grouped @ k.mT, scores.softcap) + bias
    weights = torch.softmax(scored, dim=-1, dtype=torch.float32).to(q.dtype)
    return (weights @ v).view(batch, -1)


def _alike(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Cut rows, longest first, into groups of like length: padding is read from memory too."""
    cuts = [0]
    for i, n in enumerate(lengths):
        if n < _ALIKE * lengths[cuts[-1]]:
            cuts.append(i)
    return list(zip(cuts, [*cuts[1:], len(lengths)], strict=True))
