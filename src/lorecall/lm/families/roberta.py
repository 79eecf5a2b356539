"""RoBERTa as a decoder: learnt positions, layer norms of each half's sum with the stream.

The last norm is in its head.
"""

from dataclasses import replace
from typing import Any

from torch import Tensor

from lorecall.lm.families.blocks import described
from lorecall.lm.families.description import Description, no_rotary


def embed(body: Any, ids: Tensor, positions: Tensor) -> Tensor:
    """Add the learnt positions, and norm."""
    return body.embeddings(input_ids=ids[None], position_ids=positions[None])[0]


_ATTENTION = "attention.self"
ROBERTA = replace(
    described(
        "roberta",
        Description(
            body="roberta",
            layers="encoder.layer",
            embed=embed,
            final_norm=None,
            norm="layer",
            before_attention=None,
            after_attention="attention.output.LayerNorm",
            before_mlp=None,
            after_mlp="output.LayerNorm",
            norms_the_sum=True,
            attention=_ATTENTION,
            qkv=(f"{_ATTENTION}.query", f"{_ATTENTION}.key", f"{_ATTENTION}.value"),
            output="attention.output.dense",
            rotary=no_rotary,
            up=("intermediate.dense",),
            gated=False,
            down="output.dense",
            activation="intermediate.intermediate_act_fn",
        ),
        is_decoder=True,
        max_position_embeddings=1026,
    ),
    positions_after_padding=True,
)
FAMILIES = (ROBERTA,)
