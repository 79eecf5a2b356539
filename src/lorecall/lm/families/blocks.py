"""The layers of each model family over packed rows, cut in two: attention, feed-forward.

The weights are the base's own modules', memories included; only the order of the work is ours.
`tests/lm` compares every family with its own `forward`.

To add a family: a class with these six methods, and its entry in `BLOCKS`.
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from lorecall.lm.engine.kernels import gated, rms_norm, rotated
from lorecall.lm.engine.linears import Linears

Heads = tuple[Tensor, Tensor, Tensor]
"""Queries, keys and values. *Shape:* (rows, heads, head width), the last two maybe of fewer."""


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

    def heads(self, layer: int, h: Tensor, positions: Tensor) -> Heads:
        """Compute queries, keys and values from h."""
        ...

    def mixed(self, layer: int, h: Tensor, values: Tensor) -> Tensor:
        """Take the mixed values, (rows, heads * width), into h."""
        ...

    def feed(self, layer: int, h: Tensor) -> Tensor:
        """Run the feed-forward block, memory included."""
        ...

    def end(self, h: Tensor) -> Tensor:
        """Finish the stream: what the head is applied to."""
        ...


class LlamaBlocks:
    """Llama: RMS norms before each half, rotary positions, a gated feed-forward.

    The stream is fp32 also where the weights are bf16: every layer adds to it, and rounding it 60
    times costs more than all products' rounding (`experiments/LOG.md`, 2026-11-26).
    """

    def __init__(self, model: PreTrainedModel, linears: Linears) -> None:
        body: Any = model.base_model
        self.body, self.layers, self.linears = body, body.layers, linears
        self.n_layers = len(self.layers)
        self._angles: tuple[Tensor, Tensor, Tensor] | None = None

    def scaling(self, layer: int) -> float:
        """Return the factor on the scores."""
        return float(self.layers[layer].self_attn.scaling)

    def embed(self, ids: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002 - rotary
        """Turn tokens into the first h."""
        h = self.body.embed_tokens(ids)
        return h.to(torch.promote_types(h.dtype, torch.float32))

    def heads(self, layer: int, h: Tensor, positions: Tensor) -> Heads:
        """Compute queries, keys and values from h."""
        block = self.layers[layer]
        attention = block.self_attn
        x = _rms(block.input_layernorm, h)
        q, k, v = self.linears.joined((attention.q_proj, attention.k_proj, attention.v_proj), x)
        cos, sin = self._rotation(positions, x)
        width = attention.head_dim
        q, k, v = (part.view(len(x), -1, width) for part in (q, k, v))
        return rotated(q, cos, sin), rotated(k, cos, sin), v

    def mixed(self, layer: int, h: Tensor, values: Tensor) -> Tensor:
        """Take the mixed values into h."""
        return h + self.linears(self.layers[layer].self_attn.o_proj, values)

    def feed(self, layer: int, h: Tensor) -> Tensor:
        """Run the feed-forward block, memory included."""
        block = self.layers[layer]
        mlp = block.mlp
        x = _rms(block.post_attention_layernorm, h)
        gate, up = self.linears.joined((mlp.gate_proj, mlp.up_proj), x)
        wide = gated(gate, up) if isinstance(mlp.act_fn, nn.SiLU) else mlp.act_fn(gate) * up
        return h + self.linears(mlp.down_proj, wide)

    def end(self, h: Tensor) -> Tensor:
        """Finish the stream."""
        return _rms(self.body.norm, h)

    def _rotation(self, positions: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the angles once for all layers: the positions are the same tensor."""
        if self._angles is None or self._angles[0] is not positions:
            cos, sin = self.body.rotary_emb(x, positions[None])
            self._angles = (positions, cos[0, :, None], sin[0, :, None])
        return self._angles[1], self._angles[2]


class GPT2Blocks:
    """GPT-2: layer norms before each half, learnt positions."""

    def __init__(self, model: PreTrainedModel, linears: Linears) -> None:
        body: Any = model.base_model
        self.body, self.layers, self.linears = body, body.h, linears
        self.n_layers = len(self.layers)

    def scaling(self, layer: int) -> float:
        """Return the factor on the scores."""
        return float(self.layers[layer].attn.scaling)

    def embed(self, ids: Tensor, positions: Tensor) -> Tensor:
        """Turn tokens into the first h."""
        return self.body.wte(ids) + self.body.wpe(positions)

    def heads(self, layer: int, h: Tensor, positions: Tensor) -> Heads:  # noqa: ARG002
        """Compute queries, keys and values from h."""
        attention = self.layers[layer].attn
        whole = self.linears(attention.c_attn, self.layers[layer].ln_1(h))
        q, k, v = (part.view(len(h), -1, attention.head_dim) for part in whole.chunk(3, dim=-1))
        return q, k, v

    def mixed(self, layer: int, h: Tensor, values: Tensor) -> Tensor:
        """Take the mixed values into h."""
        return h + self.linears(self.layers[layer].attn.c_proj, values)

    def feed(self, layer: int, h: Tensor) -> Tensor:
        """Run the feed-forward block, memory included."""
        block = self.layers[layer]
        wide = block.mlp.act(self.linears(block.mlp.c_fc, block.ln_2(h)))
        return h + self.linears(block.mlp.c_proj, wide)

    def end(self, h: Tensor) -> Tensor:
        """Finish the stream."""
        return self.body.ln_f(h)


class RobertaBlocks:
    """RoBERTa as a decoder: layer norms after each half, learnt positions."""

    def __init__(self, model: PreTrainedModel, linears: Linears) -> None:
        body: Any = model.base_model
        self.embeddings, self.layers, self.linears = body.embeddings, body.encoder.layer, linears
        self.n_layers = len(self.layers)

    def scaling(self, layer: int) -> float:
        """Return the factor on the scores."""
        return float(self.layers[layer].attention.self.scaling)

    def embed(self, ids: Tensor, positions: Tensor) -> Tensor:
        """Turn tokens into the first h."""
        return self.embeddings(input_ids=ids[None], position_ids=positions[None])[0]

    def heads(self, layer: int, h: Tensor, positions: Tensor) -> Heads:  # noqa: ARG002
        """Compute queries, keys and values from h."""
        attention = self.layers[layer].attention.self
        parts = self.linears.joined((attention.query, attention.key, attention.value), h)
        q, k, v = (part.view(len(h), -1, attention.attention_head_size) for part in parts)
        return q, k, v

    def mixed(self, layer: int, h: Tensor, values: Tensor) -> Tensor:
        """Take the mixed values into h."""
        output = self.layers[layer].attention.output
        return output.LayerNorm(self.linears(output.dense, values) + h)

    def feed(self, layer: int, h: Tensor) -> Tensor:
        """Run the feed-forward block, memory included."""
        block = self.layers[layer]
        wide = block.intermediate.intermediate_act_fn(self.linears(block.intermediate.dense, h))
        return block.output.LayerNorm(self.linears(block.output.dense, wide) + h)

    def end(self, h: Tensor) -> Tensor:
        """Finish the stream: the norm is in the head."""
        return h


BLOCKS: dict[str, Callable[[PreTrainedModel, Linears], Blocks]] = {
    "llama": LlamaBlocks,
    "gpt2": GPT2Blocks,
    "roberta": RobertaBlocks,
}


def _rms(norm: Any, h: Tensor) -> Tensor:
    if h.dtype != norm.weight.dtype or (torch.is_grad_enabled() and h.requires_grad):
        return rms_norm(h, norm.weight, norm.variance_epsilon)
    return F.rms_norm(h, norm.weight.shape, norm.weight, norm.variance_epsilon)
