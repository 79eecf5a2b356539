"""The feed-forward linears of a model that no family names, found by its structure.

A decoder is a list of layers that are alike. In each, the feed-forward block is the linears that
go from the stream's width to a wider one and back: one that reads, or two where there is a gate, or
one of twice the width where both are one; and one that writes. Attention may be wider than the
stream too; but there, keys and values are read beside queries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from lorecall.errors import ModelError
from lorecall.lm.families.family import Family, LayerLinears, linear_shape, named_family

Shapes = Mapping[str, tuple[int, int]]
"""The linears of a layer by their paths in it: (d, k), the numbers of outputs and inputs."""

MOST_NAMES = 16
"""A linear's place in the seeds of pairs is below this."""


def found_family(model: PreTrainedModel) -> Family:
    """Find where the linears of a model are.

    Raises:
        ModelError: Nothing is found, layers differ, or there are experts.
    """
    prefix, layers = _layers(model)
    if _has_experts(layers):
        raise _refused(model, "a mixture of experts, or other weights that are no matrices,")
    width = model.config.get_text_config().hidden_size
    shapes = [_shapes(layer) for layer in layers]
    if any(own != shapes[0] for own in shapes):
        raise _refused(model, "layers that differ from one another")
    read, write = _feed_forward(model, shapes[0], width)
    rest = [name for name in shapes[0] if name not in {*read, write}]
    attention = [name for name in rest if shapes[0][name][1] == width][: MOST_NAMES - 3]
    inside = {id(module) for layer in layers for module in layer.modules()}
    outside = [name for name, m in model.named_modules() if _is_linear(m) and id(m) not in inside]
    linears = LayerLinears(
        layer=f"{prefix}.{{layer}}",
        read=tuple(read),
        write=write,
        attention=tuple(attention),
        others=tuple(name for name in rest if name not in attention),
        outside=tuple(outside),
    )
    family = named_family(str(model.config.model_type), linears)
    return replace(
        family,
        transposed=isinstance(layers[0].get_submodule(write), Conv1D),
        positions_after_padding=_skips_padding(model),
    )


def _layers(model: PreTrainedModel) -> tuple[str, list[nn.Module]]:
    """Find the list of as many layers as the configuration says, the one with most weights."""
    n = model.config.get_text_config().num_hidden_layers
    lists = {
        name: list(module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == n
    }
    if not lists:
        raise _refused(model, f"no list of {n} layers")
    name = max(lists, key=lambda name: sum(p.numel() for m in lists[name] for p in m.parameters()))
    return name, lists[name]


def _shapes(layer: nn.Module) -> Shapes:
    return {name: linear_shape(m) for name, m in layer.named_modules() if _is_linear(m)}


def _feed_forward(model: PreTrainedModel, shapes: Shapes, width: int) -> tuple[list[str], str]:
    """Return what reads and what writes, of the widest block that goes there and back."""
    found: dict[int, list[tuple[list[str], str]]] = {}
    for write, (d, wide) in shapes.items():
        reads = _read_for(write, shapes, width)
        if d == width < wide and reads:
            found.setdefault(wide, []).append((reads, write))
    blocks = found[max(found)] if found else []
    if len(blocks) != 1:
        many = "more than one block" if blocks else "no linears"
        raise _refused(model, f"{many} from the stream's width to a wider one and back")
    return blocks[0]


def _read_for(write: str, shapes: Shapes, width: int) -> list[str]:
    """Find what reads for a linear that writes, in the smallest part of the layer that has it.

    In attention others read beside: keys and values beside queries. That is no block.
    """
    parts, wide = write.split("."), shapes[write][1]
    for depth in range(len(parts) - 1, -1, -1):
        scope = "".join(f"{part}." for part in parts[:depth])
        inside = [name for name in shapes if name.startswith(scope)]
        reads = [name for name in inside if shapes[name] == (wide, width)]
        reads = reads or [name for name in inside if shapes[name] == (2 * wide, width)]
        if reads:
            parents = {name.rpartition(".")[0] for name in reads}
            readers = [
                n for n in inside if n.rpartition(".")[0] in parents and shapes[n][1] == width
            ]
            return reads if readers == reads and len(reads) <= 2 else []  # noqa: PLR2004
    return []


def _skips_padding(model: PreTrainedModel) -> bool:
    """Whether learnt positions begin behind the padding token's id, as in RoBERTa and its kin."""
    named = model.base_model.named_modules()
    learnt = [m for name, m in named if isinstance(m, nn.Embedding) and "position" in name]
    return any(embedding.padding_idx is not None for embedding in learnt)


def _has_experts(layers: Sequence[nn.Module]) -> bool:
    """Whether a layer has weights for several experts: by name, or a matrix for each in one."""
    modules = any("expert" in name for layer in layers for name, _ in layer.named_modules())
    weights = [named for layer in layers for named in layer.named_parameters()]
    return modules or any("expert" in n or (p.dim() > 2 and "conv" not in n) for n, p in weights)  # noqa: PLR2004


def _is_linear(module: Any) -> bool:
    return isinstance(module, nn.Linear | Conv1D)


def _refused(model: PreTrainedModel, got: str) -> ModelError:
    return ModelError(
        "a memory goes on feed-forward linears, one block a layer",
        expected="layers that are alike, each with one feed-forward block",
        got=f"{got} in {model.config.model_type}",
        next_step="Take a dense model, such as a Llama, Qwen or Gemma model.",
    )
