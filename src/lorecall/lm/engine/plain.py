"""The plain path: transformers' own forward pass over padded batches, and a cache that grows.

Nothing here is clever. The fast path (`body`, `steps`) is tested against it, and a family without a
fast path runs on it.
"""

from collections import deque
from collections.abc import Generator, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.hooks import Acting
from lorecall.lm.sampling import Chooser


def answer_plainly(
    base: LanguageModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    chooser: Chooser,
    injection: Injection | None = None,
) -> list[list[int]]:
    """Answer prompts, all at once.

    Args:
        base: The base.
        prompts: Token ids, one list a prompt.
        max_new_tokens: Longest answer.
        chooser: Chooses every token, and says which of them end an answer.
        injection: The memory, if any.

    Returns:
        One list of new token ids a prompt, in the prompts' order.
    """
    steps = plain_steps(
        base, prompts, max_new_tokens=max_new_tokens, chooser=chooser, injection=injection
    )
    return deque(steps, maxlen=1).pop()


@torch.inference_mode()
def plain_steps(
    base: LanguageModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    chooser: Chooser,
    injection: Injection | None = None,
) -> Generator[list[list[int]]]:
    """Answer prompts as `answer_plainly` does; yield the answers so far, empty ones first."""
    answers: list[list[int]] = [[] for _ in prompts]
    yield answers
    rows = list(range(len(prompts)))  # the prompts still going on
    ids, mask = pad_left(prompts, base.pad_id, base.device)
    cache = DynamicCache(config=base.model.config)
    last = torch.arange(ids.shape[1], device=base.device) == ids.shape[1] - 1
    hidden = base.hidden(ids, mask, cache=cache, memory=acting_on(injection, last[None]))
    memory = acting_on(injection)
    for step in range(max_new_tokens):
        chosen = chooser.choose(base.logits(hidden[:, -1]), rows, answers)
        going = [i for i, token in enumerate(chosen.tolist()) if token not in chooser.stop_ids]
        for i in going:
            answers[rows[i]].append(int(chosen[i]))
        yield answers
        if not going or step == max_new_tokens - 1:
            break
        if len(going) < len(rows):
            keep = torch.tensor(going, device=base.device)
            cache.batch_select_indices(keep)
            chosen, mask = chosen[keep], mask[keep]
            rows = [rows[i] for i in going]
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
        positions = base.positions(mask)[:, -1:]
        hidden = base.hidden(chosen[:, None], mask, positions=positions, cache=cache, memory=memory)


def acting_on(injection: Injection | None, responses: Tensor | None = None) -> Acting | None:
    """Return the pairs of a memory for one forward pass over a padded batch.

    Args:
        injection: The memory, if any.
        responses: True on the response side: where a memory acts that acts there alone; None where
            all tokens are. *Shape:* (batch or 1, tokens)
    """
    if injection is None:
        return None
    tokens = responses if injection.config.inject == "response" else None
    return Acting(
        pairs=injection.for_call(),
        tokens=None if tokens is None else tokens[..., None].to(injection.base.dtype),
    )


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
