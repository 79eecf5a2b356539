"""Where the feed-forward linears are, checked on a real model of each family."""

import pytest
from torch import nn
from transformers import AutoConfig
from transformers.pytorch_utils import Conv1D

from lorecall.errors import ConfigError, ModelError
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.family import (
    FAMILIES,
    check_linears,
    family_of,
    ffn_linear,
    linear_shape,
)


def test_every_path_leads_to_a_linear_of_the_block(base: LanguageModel) -> None:
    """In every layer: one side is the model's width, the other the block's."""
    family = base.family
    for layer in range(base.n_layers):
        for path in family.linears.values():
            linear = ffn_linear(base.model, path.format(layer=layer))
            assert isinstance(linear, Conv1D if family.transposed else nn.Linear)
            width = base.model.config.hidden_size
            assert width in linear_shape(linear)
            assert max(linear_shape(linear)) > width


def test_the_defaults_are_linears_of_the_family(base: LanguageModel) -> None:
    """SPEC section 2: two linears a layer, and a PEFT target for each linear."""
    assert len(base.family.default) == 2
    assert set(base.family.default) <= set(base.family.linears)
    assert set(base.family.peft_targets) == set(base.family.paths)


def test_attention_takes_modules_where_it_is_asked_for(base: LanguageModel) -> None:
    """Its paths lead to linears that read the model's width, none of them a feed-forward one."""
    family = base.family
    assert not set(family.attention) & {*family.linears, *family.default}
    for layer in range(base.n_layers):
        for path in family.attention.values():
            linear = ffn_linear(base.model, path.format(layer=layer))
            assert isinstance(linear, Conv1D if family.transposed else nn.Linear)
            assert linear_shape(linear)[1] == base.model.config.hidden_size


@pytest.mark.parametrize("kind", sorted(FAMILIES))
def test_every_linear_has_a_seed_of_its_own(kind: str) -> None:
    """Feed-forward linears keep the one they always had: stored results can be made again."""
    family = FAMILIES[kind]
    places = [family.seed_place(name) for name in family.paths]
    assert sorted(places) == list(range(len(places)))
    assert len(places) <= 16
    assert [family.seed_place(name) for name in sorted(family.linears)] == list(
        range(len(family.linears))
    )


def test_shapes_are_outputs_by_inputs_however_stored() -> None:
    """Conv1D keeps its weight transposed."""
    assert linear_shape(nn.Linear(3, 7)) == (7, 3)
    assert linear_shape(Conv1D(7, 3)) == (7, 3)


def test_what_is_no_linear_has_no_shape() -> None:
    """A module of another kind is refused by name."""
    with pytest.raises(ConfigError, match=r"expected nn\.Linear or Conv1D, got LayerNorm"):
        linear_shape(nn.LayerNorm(3))


@pytest.mark.parametrize("kind", sorted(FAMILIES))
def test_a_supported_architecture_is_found(kind: str) -> None:
    """By the `model_type` of its configuration."""
    assert family_of(AutoConfig.for_model(kind)).name == kind


@pytest.mark.parametrize("kind", ["bert", "opt", "t5"])
def test_an_unknown_architecture_is_refused(kind: str) -> None:
    """The message lists the supported ones and says where to add one."""
    with pytest.raises(ModelError, match=f"model_type llama, gpt2, roberta, got '{kind}'.*ffn.py"):
        family_of(AutoConfig.for_model(kind))


@pytest.mark.parametrize("names", [(), ("k_proj",), ("up_proj", "nothing")])
def test_unknown_linears_are_refused(names: tuple[str, ...]) -> None:
    """None, one that takes no module, and one that is not there."""
    with pytest.raises(ConfigError, match="expected some of up_proj, down_proj, gate_proj"):
        check_linears(FAMILIES["llama"], names)


def test_optional_linears_are_accepted() -> None:
    """`gate_proj` is an option of the Llama family."""
    check_linears(FAMILIES["llama"], ("gate_proj", "up_proj"))
