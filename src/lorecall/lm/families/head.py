"""From the body's last rows to logits: the head, and what some models do to its logits."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from lorecall.errors import ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class LogitScale:
    """What is done to logits, in fp32: y = c tanh(a x / c).

    Args:
        factor: a.
        softcap: c; None for y = a x.
    """

    factor: float = 1.0
    softcap: float | None = None

    def __call__(self, logits: Tensor) -> Tensor:
        """Apply it. *Shape:* that of the logits."""
        scaled = logits if self.factor == 1 else logits * self.factor
        return scaled if self.softcap is None else torch.tanh(scaled / self.softcap) * self.softcap

    def slope(self, y: Tensor) -> Tensor | float | None:
        """Return the derivative where it gave y; None where it is 1 everywhere."""
        if self.softcap is not None:
            return (1 - (y / self.softcap).square()) * self.factor
        return None if self.factor == 1 else self.factor


def logit_scale_of(model: PreTrainedModel) -> LogitScale:
    """Read what a model does to its logits: Cohere and Granite scale them, Gemma caps them."""
    config = model.config.get_text_config()
    factor = float(getattr(model, "logit_scale", None) or 1.0)
    factor /= float(getattr(config, "logits_scaling", None) or 1.0)
    return LogitScale(factor=factor, softcap=getattr(config, "final_logit_softcapping", None))


def lm_head_of(model: PreTrainedModel) -> nn.Module:
    """Find the head: what stands beside the body, whatever it is called.

    Raises:
        ModelError: There is more than one such part, or none.
    """
    beside = [module for module in model.children() if module is not model.base_model]
    if len(beside) != 1:
        raise ModelError(
            "a base is a body with a head",
            expected="one part beside the body",
            got=f"{len(beside)} in {model.config.model_type}",
            next_step="Take another base.",
        )
    return beside[0]
