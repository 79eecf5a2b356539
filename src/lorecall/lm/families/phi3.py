"""Phi 3 and Phi 4: one linear for queries, keys and values, and one for gate and values.

A memory is on `gate_up_proj` as a whole: its pair reads once and acts on both halves.
"""

from lorecall.lm.families.blocks import described
from lorecall.lm.families.description import Description, one_window

PHI3 = described(
    "phi3",
    Description(
        qkv=("self_attn.qkv_proj",),
        up=("mlp.gate_up_proj",),
        activation="mlp.activation_fn",
        window=one_window,
    ),
    sliding_window=8,
    rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5},
)
FAMILIES = (PHI3,)
