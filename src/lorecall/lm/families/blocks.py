"""The layers of each model family over packed rows, cut in two: attention, feed-forward.

The weights are the base's own modules'; only the order of the work is ours. A call's memory, if
any, is in the `linears` that it passes: nothing of a memory or a call is kept here, so calls with
different memories may run at once. `tests/lm` compares every family with its own `forward`.

To add a family: a class with these methods, and its entry in `BLOCKS`.
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from lorecall.lm.engine.kernels import gated, rms_norm, rotated
from lorecall.lm.engine.linears import Linears

QKV = tuple[Tensor, Tensor, Tensor]
"""Queries, keys and values. *Shape:* (rows, heads, head width), the last two maybe of fewer."""

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines of rotary positions. *Shape:* (rows, 1, head width) each."""


@runtime_checkable
class Blocks(Protocol):
    """A model's layers, a method a step; h is the stream between layers, (rows, width).

    Its number format is the family's choice: what is added up over many layers may be kept finer
    than the weights are.
    """

    n_layers: int

    def scaling(self, layer: int) -> float:
        """Return the factor on the scores."""
        ...

    def embed(self, ids: Tensor, positions: Tensor) -> Tensor:
        """Turn tokens into the first h."""
        ...

    def rotation(self, positions: Tensor, like: Tensor) -> Rotation | None:
        """Compute the rotary angles, once a call for all layers; None where there are none.

        Args:
            positions: Position ids. *Shape:* (rows,)
            like: A tensor of the wanted number format and device.
        """
        ...

    def qkv(self, layer: int, h: Tensor, rotation: Rotation | None, linears: Linears) -> QKV:
        """Compute queries, keys and values from h."""
        ...

    def attention_output(self, layer: int, h: Tensor, values: Tensor, linears: Linears) -> Tensor:
        """Add the attention's output to h, from the mixed values, (rows, heads * width)."""
        ...

    def mlp(self, layer: int, h: Tensor, linears: Linears) -> Tensor:
        """Run the feed-forward block."""
        ...

    def final_norm(self, h: Tensor) -> Tensor:
        """Return what the head is applied to."""
        ...


class LlamaBlocks:
    """Llama: RMS norms before each half, rotary positions, a gated feed-forward.

    The stream is fp32 also where the weights are bf16: every layer adds to it, and rounding it 60
    times costs more than all products' rounding (`experiments/LOG.md`, 2026-11-26).
    """

    def __init__(self, model: PreTrainedModel) -> None:
        body: Any = model.base_model
        self.body, self.layers = body, body.layers
        self.n_layers = len(self.layers)

    def scaling(self, layer: int) -> float:
        """Return the factor on the scores."""
        return float(self.layers[layer].self_attn.scaling)

    def embed(self, ids: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002 - rotary
        """Turn tokens into the first h."""
        h = self.body.embed_tokens(ids)
        return h.to(torch.promote_types(h.dtype, torch.float32))

    def rotation(self, positions: Tensor, like: Tensor) -> Rotation | None:
        """Compute the rotary angles."""
        cos, sin = self.body.rotary_emb(like, positions[None])
        return cos[0, :, None], sin[0, :, None]

    def qkv(self, layer: int, h: Tensor, rotation: Rotation | None, linears: Linears) -> QKV:
        """Compute queries, keys and values from h."""
        block = self.layers[layer]
        attention = block.self_attn
        x = _rms(block.input_layernorm, h)
        q, k, v = linears.joined((attention.q_proj, attention.k_proj, attention.v_proj), x)
        assert rotation is not None
        width = attention.head_dim
        q, k, v = (part.view(len(x), -1, width) for part in (q, k, v))
        return rotated(q, *rotation), rotated(k, *rotation), v

    def attention_output(self, layer: int, h: Tensor, values: Tensor, linears: Linears) -> Tensor:
        """Add the attention's output to h."""
        return h + linears(self.layers[layer].self_attn.o_proj, values)

    def mlp(self, layer: int, h: Tensor, linears: Linears) -> Tensor:
        """Run the feed-forward block."""
        block = self.layers[layer]
        mlp = block.mlp
        x = _rms(block.post_attention_layernorm, h)
        gate, up = linears.joined((mlp.gate_proj, mlp.up_proj), x)
        wide = gated(gate, up) if isinstance(mlp.act_fn, nn.SiLU) else mlp.act_fn(gate) * up
        return h + linears(mlp.down_proj, wide)

    def final_norm(self, h: Tensor) -> Tensor:
        """Return what the head is applied to."""
        return _rms(self.body.norm, h)


class GPT2Blocks:
    """GPT-2: layer norms before each half, learnt positions."""

    def __init__(self, model: PreTrainedModel) -> None:
        body: Any = model.base_model
        self.body, self.layers = body, body.h
        self.n_layers = len(self.layers)

    def scaling(self, layer: int) -> float:
        """Return the factor on the scores."""
        return float(self.layers[layer].attn.scaling)

    def embed(self, ids: Tensor, positions: Tensor) -> Tensor:
        """Turn tokens into the first h."""
        return self.body.wte(ids) + self.body.wpe(positions)

    def rotation(self, positions: Tensor, like: Tensor) -> Rotation | None:  # noqa: ARG002
        """Return none: positions are learnt."""
        return None

    def qkv(self, layer: int, h: Tensor, rotation: Rotation | None, linears: Linears) -> QKV:  # noqa: ARG002
        """Compute queries, keys and values from h."""
        attention = self.layers[layer].attn
        whole = linears(attention.c_attn, self.layers[layer].ln_1(h))
        q, k, v = (part.view(len(h), -1, attention.head_dim) for part in whole.chunk(3, dim=-1))
        return q, k, v

    def attention_output(self, layer: int, h: Tensor, values: Tensor, linears: Linears) -> Tensor:
        """Add the attention's output to h."""
        return h + linears(self.layers[layer].attn.c_proj, values)

    def mlp(self, layer: int, h: Tensor, linears: Linears) -> Tensor:
        """Run the feed-forward block."""
        block = self.layers[layer]
        wide = block.mlp.act(linears(block.mlp.c_fc, block.ln_2(h)))
        return h + linears(block.mlp.c_proj, wide)

    def final_norm(self, h: Tensor) -> Tensor:
        """Return what the head is applied to."""
        return self.body.ln_f(h)


class RobertaBlocks:
    """RoBERTa as a decoder: layer norms after each half, learnt positions."""

    def __init__(self, model: PreTrainedModel) -> None:
        body: Any = model.base_model
        self.embeddings, self.layers = body.embeddings, body.encoder.layer
        self.n_layers = len(self.layers)

    def scaling(self, layer: int) -> float:
        """Return the factor on the scores."""
        return float(self.layers[layer].attention.self.scaling)

    def embed(self, ids: Tensor, positions: Tensor) -> Tensor:
        """Turn tokens into the first h."""
        return self.embeddings(input_ids=ids[None], position_ids=positions[None])[0]

    def rotation(self, positions: Tensor, like: Tensor) -> Rotation | None:  # noqa: ARG002
        """Return none: positions are learnt."""
        return None

    def qkv(self, layer: int, h: Tensor, rotation: Rotation | None, linears: Linears) -> QKV:  # noqa: ARG002
        """Compute queries, keys and values from h."""
        attention = self.layers[layer].attention.self
        parts = linears.joined((attention.query, attention.key, attention.value), h)
        q, k, v = (part.view(len(h), -1, attention.attention_head_size) for part in parts)
        return q, k, v

    def attention_output(self, layer: int, h: Tensor, values: Tensor, linears: Linears) -> Tensor:
        """Add the attention's output to h."""
        output = self.layers[layer].attention.output
        return output.LayerNorm(linears(output.dense, values) + h)

    def mlp(self, layer: int, h: Tensor, linears: Linears) -> Tensor:
        """Run the feed-forward block."""
        block = self.layers[layer]
        wide = block.intermediate.intermediate_act_fn(linears(block.intermediate.dense, h))
        return block.output.LayerNorm(linears(block.output.dense, wide) + h)

    def final_norm(self, h: Tensor) -> Tensor:
        """Return h: the norm is in the head."""
        return h


BLOCKS: dict[str, Callable[[PreTrainedModel], Blocks]] = {
    "llama": LlamaBlocks,
    "gpt2": GPT2Blocks,
    "roberta": RobertaBlocks,
}


def _rms(norm: Any, h: Tensor) -> Tensor:
    if h.dtype != norm.weight.dtype or (torch.is_grad_enabled() and h.requires_grad):
        return rms_norm(h, norm.weight, norm.variance_epsilon)
    return F.rms_norm(h, norm.weight.shape, norm.weight, norm.variance_epsilon)
