"""Greedy decoding of many prompts at once: the tokens `generate` gives, finished rows leaving.

The keys and values lie in tensors of a fixed size, each row's own tokens without a gap; a step
writes one place a row. `lorecall.lm.plain` holds the path that this one is tested against.

This module knows nothing of samples or memories.
"""

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor

from lorecall.lm.attention import Past
from lorecall.lm.base import BaseModel
from lorecall.lm.body import Body, body_of
from lorecall.lm.prefill import Prefilled, read_prompts
from lorecall.lm.prompts import PromptFormat
from lorecall.records import Inject

BATCH_SIZE = 32
_ALIKE = 0.8  # the shortest row of a group against its longest
_SHRINK = 0.75  # rows are moved together when fewer than this share of them go on


def respond(
    base: BaseModel,
    prompt_format: PromptFormat,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    inject: Inject = "all",
    on_batch: Callable[[int], None] | None = None,
) -> list[str]:
    """Answer prompts greedily, as text.

    Args:
        base: The base, with or without a memory on it.
        prompt_format: The layout the prompts were made with; it says where an answer ends.
        prompts: Token ids, one list a prompt.
        max_new_tokens: Longest answer.
        inject: Which tokens the memory acts on.
        on_batch: Called with the number of prompts that are done.
    """
    answers = decode_greedily(
        base,
        prompts,
        max_new_tokens=max_new_tokens,
        stop_ids=prompt_format.stop_ids,
        inject=inject,
        on_batch=on_batch,
    )
    return [prompt_format.text(answer) for answer in answers]


@torch.inference_mode()
def decode_greedily(
    base: BaseModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    stop_ids: Collection[int],
    batch_size: int = BATCH_SIZE,
    inject: Inject = "all",
    on_batch: Callable[[int], None] | None = None,
) -> list[list[int]]:
    """Continue each prompt with its likeliest tokens.

    Args:
        base: The base, with or without a memory on it.
        prompts: Token ids, one list a prompt.
        max_new_tokens: Longest continuation.
        stop_ids: Tokens that end a continuation; they are not part of it.
        batch_size: Prompts decoded at once; those of like length share a batch.
        inject: Which tokens the memory acts on.
        on_batch: Called with the number of prompts that are done.

    Returns:
        One list of new token ids a prompt, in the prompts' order.
    """
    body = body_of(base)
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    answers: list[list[int]] = [[] for _ in prompts]
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        prefilled = read_prompts(body, [prompts[i] for i in batch], inject)
        rows = continue_greedily(
            body, prefilled, max_new_tokens=max_new_tokens, stop_ids=frozenset(stop_ids)
        )
        for i, row in zip(batch, rows, strict=True):
            answers[i] = row
        if on_batch is not None:
            on_batch(len(batch))
    return answers


@torch.inference_mode()
def continue_greedily(
    body: Body, prefilled: Prefilled, *, max_new_tokens: int, stop_ids: frozenset[int]
) -> list[list[int]]:
    """Decode a batch of prompts that were read; arguments as `decode_greedily`."""
    answers: list[list[int]] = [[] for _ in prefilled.lengths]
    rows = sorted(range(len(answers)), key=lambda i: -prefilled.lengths[i])  # still going on
    going = [True] * len(rows)
    cache: _Cache | None = None
    hidden = prefilled.last[rows]
    for step in range(max_new_tokens):
        chosen = body.logits(hidden).argmax(dim=-1)
        for place, token in enumerate(chosen.tolist()):
            going[place] = going[place] and token not in stop_ids
            if going[place]:
                answers[rows[place]].append(token)
        if not any(going) or step == max_new_tokens - 1:
            break
        if cache is None:
            cache = _Cache(prefilled, rows, max_new_tokens)
        if sum(going) < _SHRINK * len(rows):
            keep = [place for place, goes in enumerate(going) if goes]
            cache.keep(keep)
            chosen, rows = chosen[keep], [rows[place] for place in keep]
            going = [True] * len(rows)
        hidden = _step(body, chosen, cache)
    return answers


def _step(body: Body, tokens: Tensor, cache: "_Cache") -> Tensor:
    """Take one token a row through the model. *Shape:* (rows,) to (rows, width)"""
    blocks = body.blocks
    cache.grow()
    positions = cache.places + body.base.first_position
    h = blocks.embed(tokens, positions)
    for layer in range(blocks.n_layers):
        q, k, v = blocks.heads(layer, h, positions)
        mixed = cache.attend(layer, q * blocks.scaling(layer), k, v)
        h = blocks.feed(layer, blocks.mixed(layer, h, mixed))
    return blocks.end(h)


def _attend_one(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Attend from one row a sequence.

    Args:
        q: Scaled queries. *Shape:* (batch, heads, head width)
        k: Keys. *Shape:* (batch, key heads, tokens, head width)
        v: Values, likewise.
        bias: 0 for tokens, -inf for what is not written yet. *Shape:* (batch, 1, 1, tokens)
    """
    batch, n_groups, _, width = k.shape
    grouped = q.view(batch, n_groups, -1, width)
    scores = grouped @ k.mT + bias
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype)
    return (weights @ v).view(batch, -1)


class _Cache:
    """Keys and values of a batch, longest rows first, with room for what is to come.

    Args:
        prefilled: The prompts.
        rows: Their order here.
        n_new: Most new tokens a row.

    Attributes:
        places: The place of each row's newest token. *Shape:* (batch,)
    """

    def __init__(self, prefilled: Prefilled, rows: Sequence[int], n_new: int) -> None:
        self._device = prefilled.last.device
        self._lengths = [prefilled.lengths[i] for i in rows]
        order = torch.tensor(rows, device=self._device)
        size = max(self._lengths) + n_new
        self._layers = [
            (_with_room(k, order, size), _with_room(v, order, size)) for k, v in prefilled.layers
        ]
        self._biases: list[Tensor] = []

    def grow(self) -> None:
        """Make place for one more token a row and settle what each row sees then."""
        self.places = torch.tensor(self._lengths, device=self._device)
        self._lengths = [n + 1 for n in self._lengths]
        self._batch = torch.arange(len(self._lengths), device=self._device)
        self._groups = _alike(self._lengths)
        dtype = self._layers[0][0].dtype
        self._biases = [self._bias(first, last, dtype) for first, last in self._groups]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Write the new token of each row and let it attend to its row.

        Args:
            layer: Which layer.
            q: Scaled queries. *Shape:* (batch, heads, head width)
            k: Keys. *Shape:* (batch, key heads, head width)
            v: Values, likewise.

        Returns:
            Mixed values. *Shape:* (batch, heads * head width)
        """
        keys, values = self._layers[layer]
        keys[self._batch, :, self.places] = k
        values[self._batch, :, self.places] = v
        mixed = [
            _attend_one(q[a:b], keys[a:b, :, : bias.shape[-1]], values[a:b, :, : bias.shape[-1]], bias)
            for (a, b), bias in zip(self._groups, self._biases, strict=True)
        ]
        return torch.cat(mixed) if len(mixed) > 1 else mixed[0]

    def keep(self, rows: list[int]) -> None:
        """Keep some rows alone, moved together."""
        self._lengths = [self._lengths[i] for i in rows]
        index = torch.tensor(rows, device=self._device)
        self._layers = [(k[index], v[index]) for k, v in self._layers]

    def _bias(self, first: int, last: int, dtype: torch.dtype) -> Tensor:
        lengths = torch.tensor(self._lengths[first:last])
        sees = torch.arange(int(lengths.max())) < lengths[:, None]
        bias = torch.zeros(sees.shape, dtype=dtype).masked_fill_(~sees, float("-inf"))
        return bias[:, None, None].to(self._device)


def _with_room(x: Tensor, order: Tensor, size: int) -> Tensor:
    """Bring (batch, tokens, heads, width) to (batch, heads, size, width)."""
    batch, n, heads, width = x.shape
    room = x.new_zeros(batch, heads, size, width)  # what is masked must still be a number
    room[:, :, :n] = x[order].transpose(1, 2)
    return room


def _alike(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Cut rows, longest first, into groups of like length: padding is read from memory too."""
    cuts = [0]
    for i, n in enumerate(lengths):
        if n < _ALIKE * lengths[cuts[-1]]:
            cuts.append(i)
    return list(zip(cuts, [*cuts[1:], len(lengths)], strict=True))
