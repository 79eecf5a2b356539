"""The base's linear maps in 4 bits, for cards of 12 GB: an option, by bitsandbytes.

Weights are stored as NF4 (Dettmers et al., 2023) and taken back to the base's format at every
product; pairs stay fp32 beside them. What is computed differs from the plain base a little, so a
run says which of the two it used. A memory learnt on one is accepted on the other.
"""

from importlib.util import find_spec
from typing import Any, cast

import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PretrainedConfig, PreTrainedModel

from lorecall.errors import MissingExtraError


def four_bit_config(config: PretrainedConfig, dtype: torch.dtype) -> BitsAndBytesConfig:
    """Return what transformers reads every linear of the body into 4 bits by; the head stays.

    Args:
        config: The model's configuration.
        dtype: The base's number format.

    Raises:
        MissingExtraError: bitsandbytes or accelerate is not installed.
    """
    for package in ("bitsandbytes", "accelerate"):
        if find_spec(package) is None:
            raise MissingExtraError(
                "a 4-bit base", package=package, install="pip install 'lorecall[four-bit]'"
            )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    heads = [name for name, _ in model.named_children() if name != model.base_model_prefix]
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=heads,
    )


def keep_layout(model: PreTrainedModel) -> None:
    """Leave 4-bit weights as they are laid out.

    The repacking for AVX512-bf16 refuses widths below its blocks, and changes weights in place.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            cast("Any", module).support_avx512bf16_for_cpu = False
