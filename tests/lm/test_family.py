"""Where the linears are: of the families, of what others install, of what structure shows."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from lorecall.errors import ConfigError, ModelError
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.family import (
    LayerLinears,
    check_linears,
    linear_shape,
    named_family,
)
from lorecall.lm.families.head import lm_head_of
from lorecall.lm.families.registry import FAMILIES, check_config, check_structure, family_of
from lorecall.lm.families.structure import found_family
from lorecall.lm.families.tiny import tiny_base, tiny_tokenizer
from lorecall.lm.generate import decode

COMMON = {
    "vocab_size": 262,
    "hidden_size": 32,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
BY_STRUCTURE = {
    "opt": ({"ffn_dim": 96, "word_embed_proj_dim": 32}, ("fc1", "fc2")),
    "bloom": ({}, ("dense_h_to_4h", "dense_4h_to_h")),
    "falcon": ({}, ("dense_h_to_4h", "dense_4h_to_h")),
    "stablelm": ({"num_key_value_heads": 2}, ("up_proj", "down_proj")),
    "cohere": ({"num_key_value_heads": 2, "logit_scale": 0.25}, ("up_proj", "down_proj")),
    "granite": (
        {"num_key_value_heads": 2, "logits_scaling": 4.0, "embedding_multiplier": 3.0},
        ("up_proj", "down_proj"),
    ),
    "starcoder2": ({"num_key_value_heads": 2, "sliding_window": 8}, ("c_fc", "c_proj")),
    "mpt": ({}, ("up_proj", "down_proj")),
    "gptj": ({"rotary_dim": 4}, ("fc_in", "fc_out")),
    "gemma": ({"num_key_value_heads": 2, "head_dim": 64}, ("up_proj", "down_proj")),
    "glm4": (
        {"num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0},
        ("gate_up_proj", "down_proj"),
    ),
    "xlm-roberta": (
        {"is_decoder": True, "pad_token_id": 0},
        ("intermediate.dense", "output.dense"),
    ),
    "biogpt": ({}, ("fc1", "fc2")),
}


def model_of(kind: str, **fields: object) -> PreTrainedModel:
    """Build a tiny model of any architecture, its weights large enough to differ.

    A field that is None is left to the architecture.
    """
    given = {name: value for name, value in {**COMMON, **fields}.items() if value is not None}
    config = AutoConfig.for_model(kind, **given)
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    torch.random.set_rng_state(state)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(6.0)
    return model


def test_every_path_leads_to_a_linear_of_the_block(base: LanguageModel) -> None:
    """In every layer: one side is the model's width, the other the block's."""
    family = base.family
    for layer in range(base.n_layers):
        for path in family.linears.values():
            linear = base.model.get_submodule(path.format(layer=layer))
            assert isinstance(linear, Conv1D if family.transposed else nn.Linear)
            width = base.model.config.hidden_size
            assert width in linear_shape(linear)
            assert max(linear_shape(linear)) > width


def test_attention_takes_modules_where_it_is_asked_for(base: LanguageModel) -> None:
    """Its paths lead to linears that read the model's width, none of them a feed-forward one."""
    family = base.family
    assert not set(family.attention) & {*family.linears, *family.default}
    for layer in range(base.n_layers):
        for path in family.attention.values():
            linear = base.model.get_submodule(path.format(layer=layer))
            assert isinstance(linear, Conv1D if family.transposed else nn.Linear)
            assert linear_shape(linear)[1] == base.model.config.hidden_size


@pytest.mark.parametrize("kind", sorted(FAMILIES))
def test_the_defaults_are_linears_of_the_family(kind: str) -> None:
    """SPEC section 2: two linears a layer, and a PEFT target for each linear."""
    family = FAMILIES[kind]
    assert len(family.default) == 2
    assert set(family.default) <= set(family.linears)
    assert set(family.peft_targets) == set(family.paths)


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


def test_the_seeds_of_a_llama_are_what_they_were() -> None:
    """`make demo` gives the same numbers."""
    places = {name: FAMILIES["llama"].seed_place(name) for name in FAMILIES["llama"].paths}
    assert places == {"down_proj": 0, "gate_proj": 1, "up_proj": 2, "q_proj": 3, "v_proj": 4}


def test_a_fused_linear_is_one() -> None:
    """Phi 3's gate and values are read by one linear; a pair on it acts on both."""
    base = tiny_base("phi3")
    assert base.family.default == ("gate_up_proj", "down_proj")
    assert base.max_rank == base.model.config.hidden_size


def test_shapes_are_outputs_by_inputs_however_stored() -> None:
    """Conv1D keeps its weight transposed."""
    assert linear_shape(nn.Linear(3, 7)) == (7, 3)
    assert linear_shape(Conv1D(7, 3)) == (7, 3)


def test_what_is_no_linear_has_no_shape() -> None:
    """A module of another kind is refused by name."""
    with pytest.raises(ConfigError, match=r"expected nn\.Linear or Conv1D, got LayerNorm"):
        linear_shape(nn.LayerNorm(3))


@pytest.mark.parametrize("names", [(), ("k_proj",), ("up_proj", "nothing")])
def test_unknown_linears_are_refused(names: tuple[str, ...]) -> None:
    """None, one that takes no module, and one that is not there."""
    with pytest.raises(ConfigError, match="expected some of up_proj, down_proj, gate_proj"):
        check_linears(FAMILIES["llama"], names)


def test_optional_linears_are_accepted() -> None:
    """`gate_proj` is an option of the Llama family."""
    check_linears(FAMILIES["llama"], ("gate_proj", "up_proj"))


class TestNames:
    """Linears are named by the ends of their paths, for us and for PEFT."""

    def test_the_shortest_end_that_no_other_has(self) -> None:
        """As deep for PEFT as the deepest needs to be, since others end so too."""
        linears = LayerLinears(
            layer="body.h.{layer}",
            read=("mlp.gate", "mlp.up"),
            write="mlp.out",
            attention=("attn.in",),
            others=("attn.out",),
            outside=("head.up",),
        )
        family = named_family("some", linears)
        assert family.linears == {
            "up": "body.h.{layer}.mlp.up",
            "out": "body.h.{layer}.mlp.out",
            "gate": "body.h.{layer}.mlp.gate",
        }
        assert family.attention == {"in": "body.h.{layer}.attn.in"}
        assert family.default == ("up", "out")
        assert family.peft_targets == {
            "up": "mlp.up",
            "out": "mlp.out",
            "gate": "mlp.gate",
            "in": "attn.in",
        }

    def test_layers_outside_have_indices_too(self) -> None:
        """A picture's layers beside a text's: what PEFT is told says which of them it is."""
        linears = LayerLinears(
            layer="text.h.{layer}", read=("up",), write="down", outside=("picture.h.0.up", "down")
        )
        targets = named_family("some", linears).peft_targets
        assert targets == {"up": "text.h.{layer}.up", "down": "text.h.{layer}.down"}


class TestStructure:
    """A model that no family names runs on the plain path, where its structure can be read."""

    @pytest.mark.parametrize("kind", sorted(BY_STRUCTURE))
    def test_linears_are_found(self, kind: str) -> None:
        """And the base answers as the model does: that is tried when it is made."""
        fields, default = BY_STRUCTURE[kind]
        model = model_of(kind, **fields)
        base = LanguageModel(model, tiny_tokenizer(chat=False), name=kind)
        assert base.family.default == default
        assert not base.has_fast_path
        assert f"{kind} is a {kind}, which has no fast path" in base.notes[0]
        ids = torch.tensor([[5, 9, 30, 77, 8]])
        with torch.no_grad():
            ours = base.logits(base.hidden(ids, torch.ones_like(ids)))
            torch.testing.assert_close(ours, model(ids).logits, atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize("kind", ["bloom", "starcoder2", "xlm-roberta"])
    def test_answers_are_those_of_the_model(self, kind: str) -> None:
        """Token by token, of prompts of different lengths at once."""
        base = LanguageModel(
            model_of(kind, **BY_STRUCTURE[kind][0]), tiny_tokenizer(chat=False), name=kind
        )
        prompts = [[5, 9, 30, 77, 8, 12, 40, 41, 42, 43], [6, 7, 8]]
        ours = decode(base, prompts, max_new_tokens=6, stop_ids=(2,))
        for prompt, answer in zip(prompts, ours, strict=True):
            whole = list(prompt)
            for _ in range(6):
                with torch.no_grad():
                    whole.append(int(base.model(torch.tensor([whole])).logits[0, -1].argmax()))
            expected = whole[len(prompt) :]
            assert (expected[: expected.index(2)] if 2 in expected else expected) == answer

    def test_a_model_without_a_limit_has_room(self) -> None:
        """MPT names its limit otherwise, BLOOM none; a huge one stays a number of tokens."""
        for kind, limit, expected in (
            ("bloom", None, 2**20),
            ("mpt", None, 2048),
            ("stablelm", 2**40, 2**20),
        ):
            model = model_of(kind, max_position_embeddings=limit, num_key_value_heads=2)
            assert LanguageModel(model, tiny_tokenizer(chat=False), name="x").max_tokens == expected

    @pytest.mark.parametrize(
        ("kind", "fields"),
        [
            ("mixtral", {"num_local_experts": 2}),
            ("qwen3_moe", {"num_experts": 4}),
            ("olmoe", {"num_experts": 4}),
        ],
    )
    def test_mixtures_of_experts_are_refused(self, kind: str, fields: dict[str, int]) -> None:
        """Before their weights are read, and clearly."""
        config = AutoConfig.for_model(kind, **{**COMMON, "num_key_value_heads": 2, **fields})
        with pytest.raises(
            ModelError, match=f"got a mixture of experts, .* in {kind}. Take a dense"
        ):
            check_structure(config)
        with pytest.raises(ModelError, match="a mixture of experts"):
            family_of(AutoModelForCausalLM.from_config(config))

    def test_a_family_needs_no_structure(self) -> None:
        """Its own file says where its linears are."""
        check_structure(AutoConfig.for_model("llama"))

    def test_without_a_block_there_is_no_place(self) -> None:
        """One no wider than the stream is none."""
        model = model_of("opt", ffn_dim=32, word_embed_proj_dim=32)
        with pytest.raises(ModelError, match=r"got no linears from the stream's .* in opt"):
            found_family(model)

    def test_two_blocks_are_refused(self) -> None:
        """A memory could be on either."""
        model = model_of("opt", ffn_dim=96, word_embed_proj_dim=32)
        for layer in model.base_model.decoder.layers:
            layer.other = nn.Sequential(nn.Linear(32, 96), nn.Linear(96, 32))
        with pytest.raises(ModelError, match="got more than one block"):
            found_family(model)

    def test_layers_that_differ_are_refused(self) -> None:
        """A path with the layer's index must lead somewhere in each."""
        model = model_of("opt", ffn_dim=96, word_embed_proj_dim=32)
        model.base_model.decoder.layers[1].fc1 = nn.Linear(32, 64)
        with pytest.raises(ModelError, match="got layers that differ"):
            found_family(model)

    def test_a_model_without_a_list_of_layers_is_refused(self) -> None:
        """As many as its configuration says."""
        model = model_of("opt", ffn_dim=96, word_embed_proj_dim=32)
        model.config.num_hidden_layers = 3
        with pytest.raises(ModelError, match="got no list of 3 layers"):
            found_family(model)

    def test_a_model_that_computes_otherwise_is_refused(self) -> None:
        """Mamba keeps a state instead of keys and values: padded rows do not answer as alone."""
        model = model_of("mamba", intermediate_size=64, state_size=4)
        with pytest.raises(ModelError, match="a base without a family of its own must compute"):
            LanguageModel(model, tiny_tokenizer(chat=False), name="x")

    def test_a_model_with_two_heads_is_refused(self) -> None:
        """Its head is what stands beside its body."""
        with pytest.raises(ModelError, match="expected one part beside the body, got 2 in electra"):
            lm_head_of(model_of("electra", is_decoder=True))


class TestWhatIsABase:
    """Said from `config.json` alone."""

    @pytest.mark.parametrize("kind", ["llama", "gpt_neox", "opt", "mpt"])
    def test_a_decoder_is(self, kind: str) -> None:
        """Of a family or not."""
        check_config({"model_type": kind})

    @pytest.mark.parametrize("kind", ["t5", "bart"])
    def test_what_encodes_and_decodes_is_not(self, kind: str) -> None:
        """It has no one text to go on with."""
        with pytest.raises(ModelError, match=f"got '{kind}', which encodes one text and decodes"):
            check_config({"model_type": kind, "is_encoder_decoder": True})

    @pytest.mark.parametrize("kind", ["vit", "made-up", None])
    def test_what_transformers_has_no_decoder_of_is_not(self, kind: str | None) -> None:
        """The message lists the families, and the way out."""
        with pytest.raises(ModelError, match=r"expected model_type llama, mistral, .* adds this"):
            check_config({"model_type": kind})


class TestEntryPoint:
    """Others add a family by a package."""

    @pytest.fixture
    def install(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Put a distribution on the path that says what `made-up` is."""
        folder = tmp_path / "made_up_family-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: made-up-family\nVersion: 1\n"
        )
        (folder / "entry_points.txt").write_text("[lorecall.families]\nopt = made_up_family:OPT\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "made_up_family", raising=False)
        return tmp_path / "made_up_family.py"

    def test_it_is_found_by_its_model_type(self, install: Path) -> None:
        """And used instead of what structure shows."""
        install.write_text(
            "from lorecall.lm.families.family import LayerLinears, named_family\n"
            "OPT = named_family('opt', LayerLinears(\n"
            "    layer='model.decoder.layers.{layer}', read=('fc1',), write='fc2'))\n"
        )
        model = model_of("opt", ffn_dim=96, word_embed_proj_dim=32)
        family = family_of(model)
        assert family.attention == {}
        assert family.default == ("fc1", "fc2")
        assert LanguageModel(model, tiny_tokenizer(chat=False), name="x").family == family
        check_config({"model_type": "opt"})

    @pytest.mark.parametrize(
        ("text", "got"),
        [("OPT = 3\n", "int"), ("raise ValueError('broken')\n", "ValueError: broken")],
    )
    def test_what_is_no_family_is_refused(self, install: Path, text: str, got: str) -> None:
        """By the name of the package that brought it."""
        install.write_text(text)
        model = model_of("opt", ffn_dim=96, word_embed_proj_dim=32)
        with pytest.raises(ModelError, match=f"of made-up-family to be one, got {got}"):
            family_of(model)

    def test_ours_come_first(self, install: Path) -> None:
        """Nothing that is installed changes what a Llama is."""
        (install.parent / "made_up_family-1.dist-info" / "entry_points.txt").write_text(
            "[lorecall.families]\nllama = made_up_family:OPT\n"
        )
        assert tiny_base("llama").family is FAMILIES["llama"]
