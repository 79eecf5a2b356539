"""The layers of every family over packed rows, cut in two: attention, feed-forward.

The weights are the base's own modules'; only the order of the work is ours. A call's memory, if
any, is in the `linears` that it passes: nothing of a memory or a call is kept here, so calls with
different memories may run at once. `tests/lm` compares every family with its own `forward`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from lorecall.lm.engine.attention import Scoring
from lorecall.lm.engine.kernels import gated, rms_norm, rotated
from lorecall.lm.engine.linears import Linears
from lorecall.lm.families.description import Description
from lorecall.lm.families.family import Family, LayerLinears, named_family

QKV = tuple[Tensor, Tensor, Tensor]
"""Queries, keys and values. *Shape:* (rows, heads, head width), the last two maybe of fewer."""

Rotation = tuple[tuple[Tensor, Tensor] | None, ...]
"""Cosines and sines of a call's positions, a pair a layer, shared by layers that rotate alike; None
where a layer does not rotate. *Shape:* (rows, 1, rotated width) each."""

Norm = Callable[[Tensor], Tensor]
Modules = tuple[nn.Module, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """The parts of one layer, found once."""

    before_attention: Norm
    after_attention: Norm
    before_mlp: Norm
    after_mlp: Norm
    qkv: Modules
    qk_norms: tuple[Norm, Norm] | None
    output: nn.Module
    up: Modules
    down: nn.Module
    activation: Callable[[Tensor], Tensor]
    scores: Scoring
    rotary: tuple[str, ...] | None


class Blocks:
    """A model's layers, a method a step, as its family's description has them.

    h is the stream between layers, (rows, width). Where norms are of the root mean square it is
    fp32 also where the weights are bf16: every layer adds to it, and rounding it 60 times costs
    more than all products' rounding (`experiments/LOG.md`, 2026-11-26). Between the halves of a
    layer it may be wider.

    Args:
        description: The family's.
        model: A model of the family.

    Attributes:
        n_layers: L.
        windows: The sizes of the windows that some layers look through.
    """

    def __init__(self, description: Description, model: PreTrainedModel) -> None:
        body: Any = model.get_submodule(description.body)
        config: Any = body.config
        self.description, self.body, self.dtype = description, body, model.dtype
        self.parallel = description.parallel is not None and getattr(config, description.parallel)
        layers = body.get_submodule(description.layers)
        self.layers = tuple(self._layer(i, block) for i, block in enumerate(layers))
        self.n_layers = len(self.layers)
        self.windows = {w for layer in self.layers if (w := layer.scores.window) is not None}
        final = description.final_norm
        self._final_norm = self._norm(None if final is None else body.get_submodule(final))
        n, n_keys = config.num_attention_heads, getattr(config, "num_key_value_heads", None)
        width = getattr(config, "head_dim", None) or config.hidden_size // n
        self._heads, self._head_width = (n, n_keys or n, n_keys or n), width

    def scores(self, layer: int) -> Scoring:
        """Return how a layer scores what it sees."""
        return self.layers[layer].scores

    def embed(self, ids: Tensor, positions: Tensor) -> Tensor:
        """Turn tokens into the first h."""
        h = self.description.embed(self.body, ids, positions)
        finer = self.description.norm == "rms"
        return h.to(torch.promote_types(h.dtype, torch.float32)) if finer else h

    def rotation(self, positions: Tensor, like: Tensor) -> Rotation:
        """Compute the rotary angles, once a call for all layers that rotate alike.

        Args:
            positions: Position ids. *Shape:* (rows,)
            like: A tensor of the wanted number format and device.
        """
        kinds = {layer.rotary for layer in self.layers if layer.rotary is not None}
        angles: dict[tuple[str, ...] | None, tuple[Tensor, Tensor]] = {}
        for kind in kinds:
            cos, sin = self.body.rotary_emb(like, positions[None], *kind)
            angles[kind] = cos[0, :, None], sin[0, :, None]
        return tuple(angles.get(layer.rotary) for layer in self.layers)

    def qkv(self, layer: int, h: Tensor, rotation: Rotation, linears: Linears) -> QKV:
        """Compute queries, keys and values from h."""
        parts, whole = self.layers[layer], self.description.qk_norm == "whole"
        q, k, v = self._split(linears.joined(parts.qkv, parts.before_attention(h)))
        if parts.qk_norms is not None and whole:
            q, k = (norm(x) for norm, x in zip(parts.qk_norms, (q, k), strict=True))
        q, k, v = (x.reshape(len(h), -1, self._head_width) for x in (q, k, v))
        if parts.qk_norms is not None and not whole:
            q, k = (norm(x) for norm, x in zip(parts.qk_norms, (q, k), strict=True))
        angles = rotation[layer]
        return (q, k, v) if angles is None else (_turned(q, angles), _turned(k, angles), v)

    def attention_output(self, layer: int, h: Tensor, values: Tensor, linears: Linears) -> Tensor:
        """Add the attention's output to h, from the mixed values, (rows, heads * width).

        Both go on where the feed-forward block reads h.
        """
        parts = self.layers[layer]
        given = linears(parts.output, values)
        added = self._added(h, given, parts.after_attention)
        return torch.cat([h, added], dim=-1) if self.parallel else added

    def mlp(self, layer: int, h: Tensor, linears: Linears) -> Tensor:
        """Run the feed-forward block."""
        parts = self.layers[layer]
        read, h = h.chunk(2, dim=-1) if self.parallel else (h, h)
        wide = linears.joined(parts.up, parts.before_mlp(read))
        if self.description.gated:
            gate, up = wide if len(wide) > 1 else wide[0].chunk(2, dim=-1)
            silu = isinstance(parts.activation, nn.SiLU)
            middle = gated(gate, up) if silu else parts.activation(gate) * up
        else:
            middle = parts.activation(wide[0])
        given = linears(parts.down, middle)
        return self._added(h, given, parts.after_mlp)

    def final_norm(self, h: Tensor) -> Tensor:
        """Return what the head is applied to."""
        return self._final_norm(h)

    def _added(self, h: Tensor, given: Tensor, norm: Norm) -> Tensor:
        return norm(given + h) if self.description.norms_the_sum else h + norm(given)

    def _split(self, parts: Any) -> Any:
        """Bring what the linears give to queries, keys and values. *Shape:* (rows, d) each."""
        if len(parts) > 1:
            return parts
        (whole,) = parts
        if self.description.by_head:
            return whole.view(len(whole), self._heads[0], -1).chunk(3, dim=-1)
        return whole.split([n * self._head_width for n in self._heads], dim=-1)

    def _layer(self, index: int, block: nn.Module) -> _Layer:
        this, config = self.description, self.body.config
        attention: Any = block.get_submodule(this.attention)

        def norm(name: str | None) -> Norm:
            return self._norm(None if name is None else block.get_submodule(name))

        def linears(*names: str) -> Modules:
            return tuple(block.get_submodule(name) for name in names)

        qk_norms = None
        if this.qk_norm is not None:
            qk_norms = self._norm(attention.q_norm), self._norm(attention.k_norm)
        return _Layer(
            before_attention=norm(this.before_attention),
            after_attention=norm(this.after_attention),
            before_mlp=norm(this.before_mlp),
            after_mlp=norm(this.after_mlp),
            qkv=linears(*this.qkv),
            qk_norms=qk_norms,
            output=block.get_submodule(this.output),
            up=linears(*this.up),
            down=block.get_submodule(this.down),
            activation=_at(block, this.activation),
            scores=Scoring(
                scaling=float(attention.scaling),
                softcap=None if this.softcap is None else getattr(config, this.softcap),
                window=this.window(config, index),
            ),
            rotary=this.rotary(config, index),
        )

    def _norm(self, module: Any) -> Norm:
        if module is None:
            return partial(torch.Tensor.to, dtype=self.dtype)
        if self.description.norm == "layer":
            return module
        return partial(_rms, module, self.description.norm_offset)


def _rms(norm: Any, offset: float, h: Tensor) -> Tensor:
    weight, dtype = norm.weight, norm.weight.dtype
    eps = norm.variance_epsilon if hasattr(norm, "variance_epsilon") else norm.eps
    if offset:  # in fp32, as the models do: near 1, bf16 has 8 bits
        weight = weight.float() + offset
    if h.dtype != weight.dtype or (torch.is_grad_enabled() and h.requires_grad):
        return rms_norm(h, weight, eps).to(dtype)
    return F.rms_norm(h, weight.shape, weight, eps).to(dtype)


def _turned(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate each head's first part, as wide as the angles are, in the finer number format."""
    width, dtype = angles[0].shape[-1], x.dtype
    if width == x.shape[-1]:
        return rotated(x.to(angles[0].dtype), *angles).to(dtype)
    turned = rotated(x[..., :width].to(angles[0].dtype), *angles).to(dtype)
    return torch.cat([turned, x[..., width:]], dim=-1)


def _at(module: nn.Module, path: str) -> Any:
    """Return what is at a dotted path; functions are no modules."""
    parent, _, name = path.rpartition(".")
    return getattr(module.get_submodule(parent), name)


def described(name: str, description: Description, **tiny: object) -> Family:
    """Make the family that a description is of.

    Args:
        name: `model_type` in the model's configuration.
        description: What its layers are made of.
        tiny: What a tiny configuration for tests says beside the common fields.
    """
    queries_and_values = description.qkv[::2]  # of one linear for all, that one
    linears = LayerLinears(
        layer=description.layer,
        read=description.up,
        write=description.down,
        attention=queries_and_values,
        others=(*description.qkv[1:2], description.output),
    )
    blocks = partial(Blocks, description)
    return replace(named_family(name, linears), blocks=blocks, tiny=tiny)
