"""What was found by structure is tried once, on a few tokens, before anything is built on it.

The plain path passes padded rows with position ids and a cache through a model's body, and applies
its head by itself. A model may count positions, read padding, keep its past or finish its logits in
a way of its own: then it is refused, rather than learnt wrongly.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from lorecall.errors import ModelError

_ROWS = ((3, 5, 4, 6, 3, 7), (5, 4, 3))
_NEXT = 4


@torch.no_grad()
def check_computes(base: Any) -> None:
    """Refuse a base whose padded rows do not answer as its model answers each row alone.

    Args:
        base: A `LanguageModel`, which is built on this module.

    Raises:
        ModelError: They do not, or the model does not run so.
    """
    try:
        ours, theirs = _by_us(base), _by_model(base.model)
    except Exception as reason:  # each model's code raises its own
        raise _refused(base, f"{type(reason).__name__}: {str(reason)[:120]}") from reason
    exact = base.model.dtype == torch.float32
    off = float((ours - theirs).abs().max() / theirs.abs().max())
    if not off <= (1e-3 if exact else 0.1):
        raise _refused(base, f"logits that differ by {off:.1%}")


def _by_us(base: Any) -> Tensor:
    """Return the logits of each row's end and of one token more, padded, with a cache."""
    longest = max(len(row) for row in _ROWS)
    device = base.model.device
    ids = torch.tensor([[0] * (longest - len(row)) + list(row) for row in _ROWS], device=device)
    mask = torch.tensor(
        [[0] * (longest - len(row)) + [1] * len(row) for row in _ROWS], device=device
    )
    cache = DynamicCache(config=base.model.config)
    first = base.logits(base.hidden(ids, mask, cache=cache)[:, -1])
    mask = torch.cat([mask, mask.new_ones(len(_ROWS), 1)], dim=1)
    after = torch.full((len(_ROWS), 1), _NEXT, device=device)
    positions = base.positions(mask)[:, -1:]
    hidden = base.hidden(after, mask, positions=positions, cache=cache)
    return torch.stack([first, base.logits(hidden[:, -1])], dim=1)


def _by_model(model: PreTrainedModel) -> Tensor:
    rows = [torch.tensor([[*row, _NEXT]], device=model.device) for row in _ROWS]
    return torch.stack([model(input_ids=row).logits[0, -2:].float() for row in rows])


def _refused(base: Any, got: str) -> ModelError:
    return ModelError(
        "a base without a family of its own must compute as others do",
        expected="padded rows to answer as each row alone",
        got=f"{got} in {base.model.config.model_type}",
        next_step="Take a base of another architecture, or add a family for this one.",
    )
