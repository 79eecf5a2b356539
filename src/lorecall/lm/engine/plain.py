"""The plain path: transformers' own forward pass over padded batches, and a cache that grows.

Nothing here is clever. The fast path (`body`, `decode`) is tested against it, and a family that the
fast path does not know runs on it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from lorecall.lm.base import LanguageModel
from lorecall.lm.lora import LoraLinear
from lorecall.lm.sampling import Chooser
from lorecall.records import Inject


@torch.inference_mode()
def answer_plainly(
    base: LanguageModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    chooser: Chooser,
    inject: Inject = "all",
) -> list[list[int]]:
    """Answer prompts, all at once.

    Args:
        base: The base, with or without a memory on it.
        prompts: Token ids, one list a prompt.
        max_new_tokens: Longest answer.
        chooser: Chooses every token, and says which of them end an answer.
        inject: Which tokens the memory acts on.

    Returns:
        One list of new token ids a prompt, in the prompts' order.
    """
    answers: list[list[int]] = [[] for _ in prompts]
    rows = list(range(len(prompts)))  # the prompts still going on
    ids, mask = pad_left(prompts, base.pad_id, base.device)
    cache = DynamicCache(config=base.model.config)
    if inject == "response":
        act_on(base, (torch.arange(ids.shape[1], device=base.device) == ids.shape[1] - 1)[None])
    try:
        hidden = base.hidden(ids, mask, cache=cache)
    finally:
        act_on(base, None)
    for step in range(max_new_tokens):
        chosen = chooser.choose(base.logits(hidden[:, -1]), rows, answers)
        going = [i for i, token in enumerate(chosen.tolist()) if token not in chooser.stop_ids]
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


def act_on(base: LanguageModel, tokens: Tensor | None) -> None:
    """Say on which tokens of the next padded batch the pairs act.

    Args:
        base: The base with its memory.
        tokens: True where they act; None for everywhere. *Shape:* (batch or 1, tokens)
    """
    for module in base.model.modules():
        if isinstance(module, LoraLinear):
            module.acting = None if tokens is None else tokens[..., None].to(base.dtype)


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
