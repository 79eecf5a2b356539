"""GPT-NeoX and Pythia: both halves of a layer read the stream before it, and are added at once."""

from lorecall.lm.families.blocks import described
from lorecall.lm.families.description import Description

GPT_NEOX = described(
    "gpt_neox",
    Description(
        body="gpt_neox",
        final_norm="final_layer_norm",
        norm="layer",
        parallel="use_parallel_residual",
        attention="attention",
        qkv=("attention.query_key_value",),
        by_head=True,
        output="attention.dense",
        up=("mlp.dense_h_to_4h",),
        gated=False,
        down="mlp.dense_4h_to_h",
        activation="mlp.act",
    ),
)
FAMILIES = (GPT_NEOX,)
