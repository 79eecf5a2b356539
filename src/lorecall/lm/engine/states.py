"""The last hidden states of a base alone: what the head, or an embedding, is made from."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.body import Body


@torch.no_grad()
def last_states(base: LanguageModel, ids: Sequence[int]) -> Tensor:
    """Run the base alone over one text's tokens. *Shape:* (tokens, width)."""
    if not base.has_fast_path:
        row = torch.tensor([list(ids)], device=base.device)
        return base.hidden(row, torch.ones_like(row))[0]
    body = Body(base)
    packed = body.pack([ids], [len(ids)], share=False)
    return body.targets(body.embed(packed), packed).h
