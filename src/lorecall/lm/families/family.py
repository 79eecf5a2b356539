"""What a memory must know of a family of models: where its linears are, and how it is computed.

A memory is on feed-forward linears (SPEC sections 2 and 7); those of attention are for the systems
it is compared with.

To add a family: a file beside this one that declares `FAMILIES`, made by `described` from what is
different about them, and its name in `registry`; or, from outside, an entry point of the group
`lorecall.families` whose name is the `model_type`. `tests/lm/test_families.py` runs every check on
each family.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from lorecall.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How one architecture names the parts that a memory touches, and how it is computed.

    Args:
        name: `model_type` in the model's configuration.
        linears: The feed-forward ones: name -> dotted path, `{layer}` standing for the layer's
            index. Where one linear makes gate and values, a pair on it acts on both.
        attention: Those that make queries and values, likewise.
        default: The linears that take a module unless the caller says otherwise.
        peft_targets: name -> what PEFT's `target_modules` must hold to match this linear alone.
        transposed: Weights are stored k x d (`Conv1D`), which PEFT calls `fan_in_fan_out`.
        positions_after_padding: Position ids start after the padding token's id, not at 0.
        blocks: Makes the layers of a model for the fast path (`lorecall.lm.families.blocks`); None
            where there is the plain path alone.
        tiny: What a tiny configuration for tests says beside the common fields.
    """

    name: str
    linears: dict[str, str]
    attention: dict[str, str]
    default: tuple[str, ...]
    peft_targets: dict[str, str]
    transposed: bool = False
    positions_after_padding: bool = False
    blocks: Callable[[PreTrainedModel], Any] | None = None
    tiny: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def paths(self) -> dict[str, str]:
        """Return every linear that can take a module: name -> dotted path."""
        return {**self.linears, **self.attention}

    def seed_place(self, name: str) -> int:
        """Return a linear's number in the seeds of its pair: one that never changes."""
        if name in self.linears:
            return sorted(self.linears).index(name)
        return len(self.linears) + sorted(self.attention).index(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerLinears:
    """The linears of a layer, by their dotted paths in it.

    Args:
        layer: The layer's own path, `{layer}` standing for its index.
        read: Those that read in the feed-forward block, the gate first where there is one.
        write: The one that writes.
        attention: Those of attention that may take a module.
        others: The rest of the layer's, which take none.
        outside: The paths of those of the model that are in no layer.
    """

    layer: str
    read: tuple[str, ...]
    write: str
    attention: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()


def named_family(name: str, linears: LayerLinears) -> Family:
    """Name the linears of a layer, for us and for PEFT: by the ends of their paths.

    Args:
        name: `model_type` in the model's configuration.
        linears: What there is.
    """
    up, gates = linears.read[-1], linears.read[:-1]
    feed_forward = (up, linears.write, *gates)
    offered = (*feed_forward, *linears.attention)
    names = {path: _shortest(path, offered) for path in offered}
    paths = {path: f"{linears.layer}.{path}" for path in offered}
    rest = (*(f"{linears.layer}.{path}" for path in linears.others), *linears.outside)
    endings = _endings(tuple(paths.values()), rest)
    return Family(
        name=name,
        linears={names[path]: paths[path] for path in feed_forward},
        attention={names[path]: paths[path] for path in linears.attention},
        default=(names[up], names[linears.write]),
        peft_targets={names[path]: endings[paths[path]] for path in offered},
    )


def _shortest(path: str, others: Sequence[str]) -> str:
    """Return the shortest ending of a path that is no other's."""
    for depth in range(1, path.count(".") + 1):
        ending = _ending(path, depth)
        if [_ending(other, depth) for other in others].count(ending) == 1:
            return ending
    return path


def _endings(paths: Sequence[str], rest: Sequence[str]) -> dict[str, str]:
    """Return each path's ending, all equally deep, by which PEFT finds it and no other.

    Indices are all alike to PEFT, which takes `{layer}` for those of the layers that it is told.
    """
    everything = (*paths, *(re.sub(r"\.\d+\.", ".{layer}.", path) for path in rest))
    endings = {path: path for path in paths}
    for depth in range(max(path.count(".") for path in paths), 0, -1):
        shorter = {path: _ending(path, depth) for path in paths}
        if all(sum(_ends(o, e) for o in set(everything)) == 1 for e in shorter.values()):
            endings = shorter
    return endings


def _ending(path: str, depth: int) -> str:
    return ".".join(path.split(".")[-depth:])


def _ends(path: str, ending: str) -> bool:
    return path == ending or path.endswith(f".{ending}")


def check_linears(family: Family, names: tuple[str, ...]) -> None:
    """Refuse linears that the family does not have.

    Raises:
        ConfigError: A name is unknown or given twice, or none is given.
    """
    if not names or not set(names) <= set(family.paths) or len(set(names)) < len(names):
        raise ConfigError(
            "the linears must be ones of the model that take a module",
            expected=f"some of {', '.join(family.paths)}, each once",
            got=", ".join(names) or "none",
            next_step="Leave the linears out to take the family's default.",
        )


def linear_shape(linear: nn.Module) -> tuple[int, int]:
    """Return (d, k): the numbers of outputs and inputs, however the weight is stored.

    Examples:
        >>> from torch import nn
        >>> from transformers.pytorch_utils import Conv1D
        >>> from lorecall.lm import linear_shape
        >>> linear_shape(nn.Linear(3, 5)), linear_shape(Conv1D(5, 3))
        ((5, 3), (5, 3))
    """
    if isinstance(linear, Conv1D):  # weight is k x d
        k, d = linear.weight.shape
        return d, k
    if isinstance(linear, nn.Linear):
        return linear.out_features, linear.in_features
    raise ConfigError(
        "a module is injected into a linear map",
        expected="nn.Linear or Conv1D",
        got=type(linear).__name__,
        next_step="Name other linears of this family.",
    )


def weight_of(linear: nn.Module) -> Tensor:
    """Return the weight as (d, k), however it is stored."""
    weight = linear.weight
    assert isinstance(weight, Tensor)
    return weight.T if isinstance(linear, Conv1D) else weight


def bias_of(linear: nn.Module) -> Tensor | None:
    """Return the bias, if there is one."""
    bias = getattr(linear, "bias", None)
    assert bias is None or isinstance(bias, Tensor)
    return bias
