"""What a family of decoders is made of: one record, read by one implementation (`blocks`).

Names are those of transformers' modules, dotted, relative to a layer unless it says otherwise. The
defaults are Llama's, so that a family says only what is different about it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor
from transformers import PretrainedConfig

Embed = Callable[[Any, Tensor, Tensor], Tensor]
"""From the body, token ids and position ids, (rows,) each, to the first stream, (rows, width)."""


def token_embedding(body: Any, ids: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG001 - rotary
    """Embed tokens alone, for models whose layers tell positions."""
    return body.get_input_embeddings()(ids)


def no_window(config: PretrainedConfig, layer: int) -> int | None:  # noqa: ARG001
    """Return None: every row sees all before it."""
    return None


def one_window(config: PretrainedConfig, layer: int) -> int | None:  # noqa: ARG001
    """Return the configuration's window, where it has one, for every layer."""
    return config.sliding_window


def window_by_type(config: PretrainedConfig, layer: int) -> int | None:
    """Return the configuration's window for the layers that it calls sliding."""
    return config.sliding_window if config.layer_types[layer] == "sliding_attention" else None


def rotary(config: PretrainedConfig, layer: int) -> tuple[str, ...] | None:  # noqa: ARG001
    """Return what the rotary module is called with beside the positions: nothing."""
    return ()


def no_rotary(config: PretrainedConfig, layer: int) -> tuple[str, ...] | None:  # noqa: ARG001
    """Return None: no layer rotates."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """How a family's layers are computed, and where in a layer the parts are.

    Args:
        body: Where the model's body is, from the model.
        layers: Where its layers are, from the body.
        embed: Makes the first stream.
        final_norm: The norm after the last layer, from the body; None where there is none.
        norm: Root mean square, or layer norm.
        norm_offset: What is added to a norm's weight: 1 in Gemma.
        before_attention: The norm of what attention reads; None where it reads the stream itself.
        after_attention: The norm of what attention gives, before it is added.
        before_mlp: The norm of what the feed-forward block reads, likewise.
        after_mlp: The norm of what it gives, likewise.
        norms_the_sum: The norms after a half are of the sum with the stream.
        parallel: The configuration's field that says whether the feed-forward block reads what
            attention reads, and both are added at once.
        attention: The module that holds the factor on the scores (`scaling`).
        qkv: The linears of queries, keys and values: three, or one for all.
        by_head: One linear for all gives them head by head.
        output: The linear of what attention gives.
        qk_norm: The norms of queries and keys, `q_norm` and `k_norm`: of each head, of all heads
            at once, or none.
        softcap: The configuration's field for the soft cap of the scores.
        window: A layer's window, from the configuration.
        rotary: What a layer's rotary angles depend on beside the positions, from the configuration;
            None where it has none.
        up: The linears that read in the feed-forward block: the gate comes first.
        gated: Whether there is a gate; one linear then gives both.
        down: The linear that writes.
        activation: The function between.
    """

    body: str = "model"
    layers: str = "layers"
    embed: Embed = token_embedding
    final_norm: str | None = "norm"
    norm: Literal["rms", "layer"] = "rms"
    norm_offset: float = 0.0
    before_attention: str | None = "input_layernorm"
    after_attention: str | None = None
    before_mlp: str | None = "post_attention_layernorm"
    after_mlp: str | None = None
    norms_the_sum: bool = False
    parallel: str | None = None
    attention: str = "self_attn"
    qkv: tuple[str, ...] = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")
    by_head: bool = False
    output: str = "self_attn.o_proj"
    qk_norm: Literal["head", "whole"] | None = None
    softcap: str | None = None
    window: Callable[[PretrainedConfig, int], int | None] = no_window
    rotary: Callable[[PretrainedConfig, int], tuple[str, ...] | None] = rotary
    up: tuple[str, ...] = ("mlp.gate_proj", "mlp.up_proj")
    gated: bool = True
    down: str = "mlp.down_proj"
    activation: str = "mlp.act_fn"

    @property
    def layer(self) -> str:
        """Return the dotted path of a layer, `{layer}` standing for its index."""
        return f"{self.body}.{self.layers}.{{layer}}"

    @property
    def linears(self) -> tuple[str, ...]:
        """Return every linear of a layer, those of the feed-forward block first."""
        return (*self.up, self.down, *self.qkv, self.output)
