"""Encoded samples to padded batches; rows of like length share a batch.

This module knows nothing of models or memories.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lorecall.lm.encoded import Encoded

_WINDOW = 8  # batches sorted by length together: little padding, and still a new mix every epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Samples side by side, padded on the right, with the rows that predict response tokens.

    Args:
        input_ids: Prompt and response tokens. *Shape:* (batch, tokens)
        attention_mask: 1 for tokens, 0 for padding. *Shape:* (batch, tokens)
        rows: For each response token, the flat index of the position that predicts it.
            *Shape:* (response tokens,)
        targets: The response tokens. *Shape:* (response tokens,)
    """

    input_ids: Tensor
    attention_mask: Tensor
    rows: Tensor
    targets: Tensor


def collate(samples: Sequence[Encoded], *, pad_id: int, device: torch.device) -> Batch:
    """Make one batch of samples."""
    longest = max(sample.n_tokens for sample in samples)
    ids: list[list[int]] = []
    mask: list[list[int]] = []
    rows: list[int] = []
    targets: list[int] = []
    for i, sample in enumerate(samples):
        padding = longest - sample.n_tokens
        ids.append([*sample.prompt, *sample.response, *[pad_id] * padding])
        mask.append([1] * sample.n_tokens + [0] * padding)
        first = i * longest + len(sample.prompt) - 1  # the prompt's last token predicts the first
        rows += [first + place for place in sample.places]
        targets += sample.targets
    return Batch(
        input_ids=torch.tensor(ids, device=device),
        attention_mask=torch.tensor(mask, device=device),
        rows=torch.tensor(rows, device=device),
        targets=torch.tensor(targets, device=device),
    )


def epoch_batches(lengths: Sequence[int], batch_size: int, rng: random.Random) -> list[list[int]]:
    """Deal samples into the batches of one epoch.

    Samples are shuffled, sorted by length within windows of a few batches, cut, and the batches
    shuffled again.

    Args:
        lengths: Tokens of each sample.
        batch_size: Samples a batch; the last one may be smaller.
        rng: Source of the order.

    Returns:
        Lists of sample indices; each sample is in exactly one.

    Examples:
        >>> import random
        >>> from lorecall.train import epoch_batches
        >>> batches = epoch_batches([5, 90, 7, 80, 6], 2, random.Random(0))
        >>> sorted(sorted(batch) for batch in batches)  # long ones with long ones
        [[0, 4], [1], [2, 3]]
    """
    order = list(range(len(lengths)))
    rng.shuffle(order)
    window = batch_size * _WINDOW
    by_length: list[int] = []
    for start in range(0, len(order), window):
        by_length += sorted(order[start : start + window], key=lambda i: lengths[i])
    batches = length_batches(by_length, batch_size)
    rng.shuffle(batches)
    return batches


def length_batches(order: Sequence[int], batch_size: int) -> list[list[int]]:
    """Cut an order of samples into batches."""
    return [list(order[i : i + batch_size]) for i in range(0, len(order), batch_size)]
