"""GPT-2: learnt positions, layer norms, weights stored transposed."""

from dataclasses import replace
from typing import Any

from torch import Tensor

from lorecall.lm.families.blocks import described
from lorecall.lm.families.description import Description, no_rotary


def embed(body: Any, ids: Tensor, positions: Tensor) -> Tensor:
    """Add the learnt positions."""
    return body.wte(ids) + body.wpe(positions)


GPT2 = replace(
    described(
        "gpt2",
        Description(
            body="transformer",
            layers="h",
            embed=embed,
            final_norm="ln_f",
            norm="layer",
            before_attention="ln_1",
            before_mlp="ln_2",
            attention="attn",
            qkv=("attn.c_attn",),
            output="attn.c_proj",
            rotary=no_rotary,
            up=("mlp.c_fc",),
            gated=False,
            down="mlp.c_proj",
            activation="mlp.act",
        ),
        bos_token_id=2,
    ),
    transposed=True,
)
FAMILIES = (GPT2,)
