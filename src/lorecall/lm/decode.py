"""Greedy decoding of many prompts at once: the tokens `generate` gives, finished rows leaving.

This module knows nothing of samples or memories.
"""

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from lorecall.lm.base import BaseModel
from lorecall.lm.prompts import PromptFormat


def respond(
    base: BaseModel,
    prompt_format: PromptFormat,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    on_batch: Callable[[int], None] | None = None,
) -> list[str]:
    """Answer prompts greedily, as text.

    Args:
        base: The base, with or without a memory on it.
        prompt_format: The layout the prompts were made with; it says where an answer ends.
        prompts: Token ids, one list a prompt.
        max_new_tokens: Longest answer.
        on_batch: Called with the number of prompts that are done.
    """
    answers = decode_greedily(
        base,
        prompts,
        max_new_tokens=max_new_tokens,
        stop_ids=prompt_format.stop_ids,
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
    batch_size: int = 32,
    on_batch: Callable[[int], None] | None = None,
) -> list[list[int]]:
    """Continue each prompt with its likeliest tokens.

    Args:
        base: The base, with or without a memory on it.
        prompts: Token ids, one list a prompt.
        max_new_tokens: Longest continuation.
        stop_ids: Tokens that end a continuation; they are not part of it.
        batch_size: Prompts decoded at once; those of like length share a batch.
        on_batch: Called with the number of prompts that are done.

    Returns:
        One list of new token ids a prompt, in the prompts' order.
    """
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    answers: list[list[int]] = [[] for _ in prompts]
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        rows = _decode_batch(base, [prompts[i] for i in batch], max_new_tokens, frozenset(stop_ids))
        for i, row in zip(batch, rows, strict=True):
            answers[i] = row
        if on_batch is not None:
            on_batch(len(batch))
    return answers


def _decode_batch(
    base: BaseModel, prompts: list[Sequence[int]], max_new_tokens: int, stop_ids: frozenset[int]
) -> list[list[int]]:
    answers: list[list[int]] = [[] for _ in prompts]
    rows = list(range(len(prompts)))  # the prompts still going on
    ids, mask = pad_left(prompts, base.pad_id, base.device)
    cache = DynamicCache(config=base.model.config)
    hidden = base.hidden(ids, mask, cache=cache)
    for step in range(max_new_tokens):
        chosen = base.logits(hidden[:, -1]).argmax(dim=-1)
        going = [i for i, token in enumerate(chosen.tolist()) if token not in stop_ids]
        for i in going:
            answers[rows[i]].append(int(chosen[i]))
        if not going or step == max_new_tokens - 1:
            break
        if len(going) < len(rows):
            keep = torch.tensor(going, device=base.device)
            cache.batch_select_indices(keep)
            chosen, mask = chosen[keep], mask[keep]
            rows = [rows[i] for i in going]
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
        positions = base.positions(mask)[:, -1:]
        hidden = base.hidden(chosen[:, None], mask, positions=positions, cache=cache)
    return answers


def pad_left(
    rows: Sequence[Sequence[int]], pad_id: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Make one tensor of rows that end together.

    Returns:
        Token ids and attention mask. *Shape:* (rows, longest) each
    """
    longest = max(len(row) for row in rows)
    ids = [[pad_id] * (longest - len(row)) + list(row) for row in rows]
    mask = [[0] * (longest - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)
