"""Where the linears of each model family are that a memory can be on (SPEC sections 2 and 7).

A memory is on feed-forward linears; those of attention are for the systems it is compared with.

To add a family: give its entry in `FAMILIES`, with the dotted path of a layer's linears and which
of them take a module; `tests/lm` runs every check on each family listed here.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from lorecall.errors import ConfigError, ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How one architecture names the parts that a memory touches.

    Args:
        name: `model_type` in the model's configuration.
        linears: The feed-forward ones: name -> dotted path, `{layer}` standing for the layer's
            index.
        attention: Those that make queries and values, likewise.
        default: The linears that take a module unless the caller says otherwise.
        peft_targets: name -> what PEFT's `target_modules` must hold to match this linear alone.
        transposed: Weights are stored k x d (`Conv1D`), which PEFT calls `fan_in_fan_out`.
        positions_after_padding: Position ids start after the padding token's id, not at 0.
    """

    name: str
    linears: dict[str, str]
    attention: dict[str, str]
    default: tuple[str, ...]
    peft_targets: dict[str, str]
    transposed: bool = False
    positions_after_padding: bool = False

    @property
    def paths(self) -> dict[str, str]:
        """Return every linear that can take a module: name -> dotted path."""
        return {**self.linears, **self.attention}

    def seed_place(self, name: str) -> int:
        """Return a linear's number in the seeds of its pair: one that never changes."""
        if name in self.linears:
            return sorted(self.linears).index(name)
        return len(self.linears) + sorted(self.attention).index(name)


LLAMA = Family(
    name="llama",
    linears={
        "up_proj": "model.layers.{layer}.mlp.up_proj",
        "down_proj": "model.layers.{layer}.mlp.down_proj",
        "gate_proj": "model.layers.{layer}.mlp.gate_proj",
    },
    attention={
        "q_proj": "model.layers.{layer}.self_attn.q_proj",
        "v_proj": "model.layers.{layer}.self_attn.v_proj",
    },
    default=("up_proj", "down_proj"),
    peft_targets={name: name for name in ("up_proj", "down_proj", "gate_proj", "q_proj", "v_proj")},
)
GPT2 = Family(
    name="gpt2",
    linears={
        "c_fc": "transformer.h.{layer}.mlp.c_fc",
        "c_proj": "transformer.h.{layer}.mlp.c_proj",
    },
    # one linear makes queries, keys and values, so a pair on it acts on all three
    attention={"c_attn": "transformer.h.{layer}.attn.c_attn"},
    default=("c_fc", "c_proj"),
    # attention has a `c_proj` too
    peft_targets={"c_fc": "mlp.c_fc", "c_proj": "mlp.c_proj", "c_attn": "attn.c_attn"},
    transposed=True,
)
ROBERTA = Family(
    name="roberta",
    linears={
        "intermediate.dense": "roberta.encoder.layer.{layer}.intermediate.dense",
        "output.dense": "roberta.encoder.layer.{layer}.output.dense",
    },
    attention={
        "query": "roberta.encoder.layer.{layer}.attention.self.query",
        "value": "roberta.encoder.layer.{layer}.attention.self.value",
    },
    default=("intermediate.dense", "output.dense"),
    # attention has an `output.dense` too, so the layer's index is part of the name
    peft_targets={
        "intermediate.dense": "{layer}.intermediate.dense",
        "output.dense": "{layer}.output.dense",
        "query": "attention.self.query",
        "value": "attention.self.value",
    },
    positions_after_padding=True,
)
FAMILIES = {family.name: family for family in (LLAMA, GPT2, ROBERTA)}


def family_of(config: PretrainedConfig) -> Family:
    """Find the family of a model.

    Raises:
        ModelError: The architecture is not supported.
    """
    kind = str(config.model_type)
    check_supported(kind)
    return FAMILIES[kind]


def check_supported(kind: str) -> None:
    """Refuse a `model_type` that is no family's.

    Raises:
        ModelError: It is not supported.
    """
    if kind not in FAMILIES:
        raise ModelError(
            "the architecture must be supported",
            expected=f"model_type {', '.join(FAMILIES)}",
            got=repr(kind),
            next_step="Name the paths of its linears in lorecall/lm/ffn.py to add it.",
        )


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


def ffn_linear(model: PreTrainedModel, path: str) -> nn.Module:
    """Get the linear at a dotted path."""
    return model.get_submodule(path)


def linear_shape(linear: nn.Module) -> tuple[int, int]:
    """Give (d, k): the numbers of outputs and inputs, however the weight is stored."""
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
