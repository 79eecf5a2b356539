"""Gemma 2, and the text models of Gemma 3.

Norms stand before and after each half, their weights are kept less 1, and embeddings are scaled (by
the embedding itself). Every other layer of Gemma 2, and five of six of Gemma 3, look through a
window; Gemma 2 caps its scores, Gemma 3 norms queries and keys and turns the two kinds of layers by
angles of their own.
"""

from dataclasses import replace
from typing import Any

from lorecall.lm.families.blocks import described
from lorecall.lm.families.description import Description, window_by_type


def angles_by_type(config: Any, layer: int) -> tuple[str, ...] | None:
    """Return the kind of a layer, which its angles depend on."""
    return (config.layer_types[layer],)


_GEMMA = Description(
    norm_offset=1.0,
    after_attention="post_attention_layernorm",
    before_mlp="pre_feedforward_layernorm",
    after_mlp="post_feedforward_layernorm",
    window=window_by_type,
)
GEMMA2 = described(
    "gemma2",
    replace(_GEMMA, softcap="attn_logit_softcapping"),
    head_dim=16,
    query_pre_attn_scalar=24,
    sliding_window=8,
    attn_logit_softcapping=2.0,
    final_logit_softcapping=3.0,
)
GEMMA3 = described(
    "gemma3_text",
    replace(_GEMMA, qk_norm="head", rotary=angles_by_type),
    head_dim=16,
    query_pre_attn_scalar=24,
    sliding_window=8,
    sliding_window_pattern=2,
)
FAMILIES = (GEMMA2, GEMMA3)
