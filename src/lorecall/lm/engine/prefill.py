"""Prompts read once: the keys and values that decoding goes on from.

This module knows nothing of samples; a response read along with its prompt is left out of what is
kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.attention import PastKeyValues
from lorecall.lm.engine.body import Body, KeysValues
from lorecall.lm.engine.packing import Pack


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefilled:
    """A batch of prompts after they were read.

    Args:
        lengths: Tokens of each prompt.
        layers: Keys and values of each layer, padded on the right.
        last: What the head is applied to for the first new token. *Shape:* (batch, width)
    """

    lengths: tuple[int, ...]
    layers: tuple[PastKeyValues, ...]
    last: Tensor

    @property
    def n_bytes(self) -> int:
        """Memory that the keys and values take."""
        return sum(x.numel() * x.element_size() for past in self.layers for x in past)


@torch.no_grad()
def read_prompts(body: Body, prompts: Sequence[Sequence[int]]) -> Prefilled:
    """Read prompts for decoding.

    A memory that acts on responses alone acts on the prompt's last token too, for that predicts
    the first response token.

    Args:
        body: The base, with the memory of this call if there is one.
        prompts: Token ids, at least one a prompt.
    """
    lengths = tuple(len(prompt) for prompt in prompts)
    one_each = [1] * len(prompts)
    if body.inject == "response":
        past = base_past(body.base, [prompt[:-1] for prompt in prompts])
        packed = body.pack(
            [prompt[-1:] for prompt in prompts], one_each, past=[n - 1 for n in lengths]
        )
        passed = body.targets(body.embed(packed), packed, keep=True, past=past)
        layers = with_first_rows(past, packed, passed.keys_values)
    else:
        packed = body.pack(prompts, one_each)
        passed = body.targets(body.embed(packed), packed, keep=True)
        layers = prompt_past(packed, lengths, passed.keys_values)
    return Prefilled(lengths=lengths, layers=layers, last=passed.h)


@torch.no_grad()
def base_past(base: LanguageModel, prompts: Sequence[Sequence[int]]) -> tuple[PastKeyValues, ...]:
    """Read prompts, which may be empty, with the base alone."""
    body = Body(base)
    sequences = [prompt or (base.pad_id,) for prompt in prompts]
    packed = body.pack(sequences, [1] * len(prompts))
    passed = body.to_mlp(body.embed(packed), packed, layer=body.n_layers - 1, keep=True)
    return prompt_past(packed, [len(prompt) for prompt in prompts], passed.keys_values)


def prompt_past(
    packed: Pack, lengths: Sequence[int], keys_values: Sequence[KeysValues]
) -> tuple[PastKeyValues, ...]:
    """Return each sequence its own first `lengths` rows of keys and values, padded on the right."""
    column = torch.arange(max(1, *lengths) if len(lengths) > 1 else max(1, lengths[0]))
    starts = torch.tensor([sum(packed.lengths[:i]) for i in range(len(lengths))])[:, None]
    index = torch.where(column < packed.n_common, column, starts + column)
    index = torch.where(column < torch.tensor(lengths)[:, None], index, 0).to(packed.ids.device)
    return tuple((k[index], v[index]) for k, v in keys_values)


def with_first_rows(
    past: Sequence[PastKeyValues], packed: Pack, keys_values: Sequence[KeysValues]
) -> tuple[PastKeyValues, ...]:
    """Put the first own row of each sequence behind its past, where decoding looks for it."""
    device = packed.ids.device
    starts = torch.tensor([sum(packed.lengths[:i]) for i in range(len(packed.lengths))])
    at = packed.places[starts.to(device)]
    batch = torch.arange(len(at), device=device)
    layers: list[PastKeyValues] = []
    for halves, rows in zip(past, keys_values, strict=True):
        room = [torch.cat([x, x.new_zeros(len(x), 1, *x.shape[2:])], dim=1) for x in halves]
        for x, new in zip(room, rows, strict=True):
            x[batch, at] = new[starts.to(device)]
        layers.append((room[0], room[1]))
    return tuple(layers)
