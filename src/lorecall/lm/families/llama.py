"""Llama and those that differ from it by one thing.

Mistral looks through a window; Qwen 2 has biases on queries, keys and values (the modules hold
them) and a window in its upper layers; Qwen 3 norms each head's queries and keys; SmolLM 3 has
layers without rotary positions; OLMo 2 norms what each half gives instead of what it reads, and all
queries and keys at once.
"""

from typing import Any

from lorecall.lm.families.blocks import described
from lorecall.lm.families.description import Description, one_window, window_by_type


def rotates(config: Any, layer: int) -> tuple[str, ...] | None:
    """Return None for SmolLM 3's layers without rotary positions."""
    return () if config.no_rope_layers[layer] else None


LLAMA = described("llama", Description())
MISTRAL = described("mistral", Description(window=one_window), sliding_window=8)
_QWEN_WINDOW = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}
QWEN2 = described("qwen2", Description(window=window_by_type), **_QWEN_WINDOW)
QWEN3 = described("qwen3", Description(window=window_by_type, qk_norm="head"), head_dim=16)
SMOLLM3 = described(
    "smollm3", Description(window=window_by_type, rotary=rotates), no_rope_layer_interval=2
)
OLMO2 = described(
    "olmo2",
    Description(
        before_attention=None,
        after_attention="post_attention_layernorm",
        before_mlp=None,
        after_mlp="post_feedforward_layernorm",
        qk_norm="whole",
    ),
)
FAMILIES = (LLAMA, MISTRAL, QWEN2, QWEN3, SMOLLM3, OLMO2)
