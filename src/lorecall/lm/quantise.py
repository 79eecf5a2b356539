"""The base's linear maps in 4 bits, for cards of 12 GB: an option, by bitsandbytes.

Weights are stored as NF4 (Dettmers et al., 2023) and taken back to the base's format at every
product; pairs stay fp32 beside them. What is computed differs from the plain base a little, so a
run says which of the two it used. A memory learnt on one is accepted on the other.
"""

from importlib import import_module
from typing import Any, cast

import torch
from torch import nn
from transformers import PreTrainedModel

from lorecall.errors import MissingExtraError, ModelError
from lorecall.lm.families.family import bias_of


def quantise(model: PreTrainedModel, device: torch.device) -> None:
    """Put every linear of the body into 4 bits and the model onto a device; the head stays.

    Args:
        model: A model in memory, not on the device yet.
        device: Where it goes; the weights are quantised on the way, one by one.

    Raises:
        MissingExtraError: bitsandbytes is not installed.
        ModelError: The model has no plain linears: GPT-2's are of another kind.
    """
    bitsandbytes = _library()
    found = [
        (name, module)
        for name, module in model.base_model.named_modules()
        if type(module) is nn.Linear
    ]
    if not found:
        raise ModelError(
            "a 4-bit base needs plain linear maps",
            expected="a model of the Llama or RoBERTa family",
            got=f"{model.config.model_type}, whose maps are Conv1D",
            next_step="Leave --four-bit out.",
        )
    for name, linear in found:
        parent, _, last = name.rpartition(".")
        setattr(
            model.base_model.get_submodule(parent), last, _four_bit(bitsandbytes, linear, device)
        )
    nn.Module.to(model, device)


def _four_bit(bitsandbytes: Any, linear: nn.Linear, device: torch.device) -> nn.Module:
    bias = bias_of(linear)
    quantised = bitsandbytes.nn.Linear4bit(
        linear.in_features,
        linear.out_features,
        bias=bias is not None,
        compute_dtype=linear.weight.dtype,
        quant_type="nf4",
    )
    # its repacking for AVX512-bf16 refuses widths below its blocks, and changes weights in place
    quantised.support_avx512bf16_for_cpu = False
    quantised.weight = bitsandbytes.nn.Params4bit(
        linear.weight.data, requires_grad=False, quant_type="nf4"
    )
    if bias is not None:
        quantised.bias = nn.Parameter(bias, requires_grad=False)
    return cast("nn.Module", quantised.to(device)).requires_grad_(False)


def _library() -> Any:
    try:
        return import_module("bitsandbytes")
    except ImportError as reason:
        raise MissingExtraError(
            "a 4-bit base", package="bitsandbytes", install="pip install 'lorecall[four-bit]'"
        ) from reason
