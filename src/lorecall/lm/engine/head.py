"""The loss of response tokens, without ever holding the logits of all of them.

Rows go through the head a few at a time; on the way, each row's gradient is made from its logits
while they are at hand, so that the backward pass has nothing left to do but scale it.

Notation:
    h   rows that predict a token. *Shape:* (rows, width)
    W   the head's weight, frozen. *Shape:* (vocabulary, width)
    a   factor on the logits, 1 in most models
    c   soft cap of the logits: x becomes c tanh(x / c); none in most models
"""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function

from lorecall.lm.base import LanguageModel
from lorecall.lm.families.family import bias_of

_CHUNK_BYTES = {"cpu": 2**25, "cuda": 2**29}


def token_losses(base: LanguageModel, h: Tensor, targets: Tensor) -> Tensor:
    """Compute the cross entropy of each row.

    Args:
        base: The base whose head is applied.
        h: What the head is applied to. *Shape:* (rows, width)
        targets: The tokens to predict. *Shape:* (rows,)

    Returns:
        Nats, fp32. *Shape:* (rows,)
    """
    head = base.head
    if type(head) is not nn.Linear or bias_of(head) is not None:
        return F.cross_entropy(base.logits(h), targets, reduction="none")
    return cast("Tensor", _TokenLosses.apply(h, head.weight, targets, base.logit_scale))


class _TokenLosses(Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        h, weight, targets, scale = inputs
        wants_gradient = ctx.needs_input_grad[0]
        losses = h.new_empty(len(h), dtype=torch.float32)
        gradient = torch.empty_like(h) if wants_gradient else None
        size = max(1, _CHUNK_BYTES.get(h.device.type, 2**25) // (4 * len(weight)))
        for first in range(0, len(h), size):
            rows = slice(first, first + size)
            logits = scale((h[rows] @ weight.T).float())
            chosen = targets[rows, None]
            total = logits.logsumexp(dim=-1, keepdim=True)
            losses[rows] = (total - logits.gather(1, chosen))[:, 0]
            if gradient is not None:  # softmax less one at the target
                slope = scale.slope(logits)
                logits.sub_(total).exp_()
                logits.scatter_add_(1, chosen, logits.new_full(chosen.shape, -1))
                if slope is not None:
                    logits *= slope
                torch.mm(logits.to(h.dtype), weight, out=gradient[rows])
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return losses

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * grads[0][:, None].to(gradient.dtype), None, None, None
