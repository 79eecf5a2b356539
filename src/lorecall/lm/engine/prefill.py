"""Prompts read once: the keys and values that decoding goes on from.

This module knows nothing of samples; a response read along with its prompt is left out of what is
kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lorecall.lm.engine.attention import Past
from lorecall.lm.engine.body import Body, KeysValues
from lorecall.lm.engine.packing import Pack
from lorecall.records import Inject


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefilled:
    """A batch of prompts after they were read.

    Args:
        lengths: Tokens of each prompt.
        layers: Keys and values of each layer, padded on the right.
        last: What the head is applied to for the first new token. *Shape:* (batch, width)
    """

    lengths: tuple[int, ...]
    layers: tuple[Past, ...]
    last: Tensor

    @property
    def n_bytes(self) -> int:
        """Memory that the keys and values take."""
        return sum(x.numel() * x.element_size() for past in self.layers for x in past)


@torch.no_grad()
def read_prompts(body: Body, prompts: Sequence[Sequence[int]], inject: Inject) -> Prefilled:
    """Read prompts for decoding.

    Args:
        body: The base, with or without a memory on it.
        prompts: Token ids, at least one a prompt.
        inject: Where the memory acts: on `all` tokens, or on the `response` side, which begins
            with the prompt's last token, for that predicts the first response token.
    """
    lengths = tuple(len(prompt) for prompt in prompts)
    if inject == "response":
        past = bare_past(body, [prompt[:-1] for prompt in prompts])
        packed = body.pack(
            [prompt[-1:] for prompt in prompts], [1] * len(prompts), past=[n - 1 for n in lengths]
        )
        kept: list[KeysValues] = []
        last = body.wanted(body.embed(packed), packed, kept=kept, past=past)
        return Prefilled(lengths=lengths, layers=with_first_rows(past, packed, kept), last=last)
    packed = body.pack(prompts, [1] * len(prompts))
    kept = []
    last = body.wanted(body.embed(packed), packed, kept=kept)
    return Prefilled(lengths=lengths, layers=prompt_past(packed, lengths, kept), last=last)


@torch.no_grad()
def bare_past(body: Body, prompts: Sequence[Sequence[int]]) -> tuple[Past, ...]:
    """Read prompts, which may be empty, with the base alone: a memory on it does not take part."""
    kept: list[KeysValues] = []
    lengths = [len(prompt) for prompt in prompts]
    sequences = [prompt or (body.base.pad_id,) for prompt in prompts]
    packed = body.pack(sequences, [1] * len(prompts))
    with body.linears.bare():
        body.to_feed(body.embed(packed), packed, layer=body.n_layers - 1, kept=kept)
    return prompt_past(packed, lengths, kept)


def prompt_past(
    packed: Pack, lengths: Sequence[int], kept: Sequence[KeysValues]
) -> tuple[Past, ...]:
    """Return each sequence its own first `lengths` rows of keys and values, padded on the right."""
    column = torch.arange(max(1, *lengths) if len(lengths) > 1 else max(1, lengths[0]))
    starts = torch.tensor([sum(packed.lengths[:i]) for i in range(len(lengths))])[:, None]
    index = torch.where(column < packed.n_common, column, starts + column)
    index = torch.where(column < torch.tensor(lengths)[:, None], index, 0).to(packed.ids.device)
    return tuple((k[index], v[index]) for k, v in kept)


def with_first_rows(
    past: Sequence[Past], packed: Pack, kept: Sequence[KeysValues]
) -> tuple[Past, ...]:
    """Put the first own row of each sequence behind its past, where decoding looks for it."""
    device = packed.ids.device
    starts = torch.tensor([sum(packed.lengths[:i]) for i in range(len(packed.lengths))])
    at = packed.places[starts.to(device)]
    batch = torch.arange(len(at), device=device)
    layers: list[Past] = []
    for halves, rows in zip(past, kept, strict=True):
        room = [torch.cat([x, x.new_zeros(len(x), 1, *x.shape[2:])], dim=1) for x in halves]
        for x, new in zip(room, rows, strict=True):
            x[batch, at] = new[starts.to(device)]
        layers.append((room[0], room[1]))
    return tuple(layers)
