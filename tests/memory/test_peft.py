"""A memory as a standard PEFT adapter, loaded back with `peft` itself."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import peft
import pytest
import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file
from torch import Tensor
from transformers import GenerationConfig

from lorecall.decoding import Decoding
from lorecall.errors import ConfigError, ModelError, RunError
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.plain import acting_on
from lorecall.lm.families.tiny import tiny_base
from lorecall.lm.generate import decode
from lorecall.lm.hooks import acting
from lorecall.lm.prompts import PromptFormat
from lorecall.memory.memory import StoredMemory
from lorecall.memory.peft import adapter_config, adapter_tensors, export_peft
from lorecall.memory.shared import SharedMemory
from lorecall.records import Form, InjectionConfig

MakeMemory = Callable[..., StoredMemory]
MakeShared = Callable[..., SharedMemory]
IDS = torch.tensor([[5, 9, 30, 77, 8, 200], [6, 6, 101, 12, 40, 41]])
FAMILIES = pytest.mark.parametrize("family", ["llama", "gpt2", "roberta"])
CONFIGS = {
    "one layer": InjectionConfig(layers=(1,), n_loras=1, rank=4),
    "unequal ranks, scaled": InjectionConfig(layers=(0, 2), n_loras=3, rank=4, scaling=0.7),
    "fewer modules than layers": InjectionConfig(layers=(0, 1, 2), n_loras=2, rank=8, scaling=3.0),
    "every": InjectionConfig(layers=(0, 1), n_loras=2, rank=3, placement="every"),
}


def ours(
    base: LanguageModel, memory: StoredMemory, linears: tuple[str, ...] | None = None
) -> Tensor:
    """Return the logits of a base with a memory on it."""
    injection = Injection(base, memory.config, linears=linears, tensors=memory.tensors)
    with torch.no_grad(), acting(acting_on(injection)):
        return base.model(IDS).logits


def with_peft(base: LanguageModel, folder: Path) -> peft.PeftModel:
    """Load an adapter on a fresh copy of a base."""
    return peft.PeftModel.from_pretrained(copy.deepcopy(base.model), folder).eval()


def adapted(model: peft.PeftModel) -> set[str]:
    """Name the linears that carry an adapter."""
    return {
        name.removeprefix("base_model.model.")
        for name, module in model.named_modules()
        if isinstance(module, LoraLayer)
    }


@FAMILIES
@pytest.mark.parametrize("case", sorted(CONFIGS))
def test_peft_gives_our_logits(
    family: str, case: str, make_memory: MakeMemory, tmp_path: Path
) -> None:
    """To 1e-5, with unequal ranks named and the scaling folded into B."""
    base = tiny_base(family)
    memory = make_memory(base, CONFIGS[case])
    export_peft(memory, tmp_path / "out")
    model = with_peft(base, tmp_path / "out")
    with torch.no_grad():
        theirs, vanilla = model(IDS).logits, base.model(IDS).logits
    torch.testing.assert_close(theirs, ours(base, memory), atol=1e-5, rtol=1e-5)
    assert (theirs - vanilla).abs().max() > 0.02


@FAMILIES
def test_only_the_memorys_linears_are_adapted(
    family: str, make_memory: MakeMemory, tmp_path: Path
) -> None:
    """Not attention's `c_proj` or `output.dense`, nor layer 10 where layer 0 is meant."""
    base = tiny_base(family, n_layers=11)
    config = InjectionConfig(layers=(0, 2), n_loras=2, rank=4)
    export_peft(make_memory(base, config), tmp_path / "out")
    paths = [base.family.linears[name] for name in base.family.default]
    assert adapted(with_peft(base, tmp_path / "out")) == {
        path.format(layer=layer) for path in paths for layer in (0, 2)
    }


def test_a_layer_without_a_module_is_left_out(make_memory: MakeMemory, tmp_path: Path) -> None:
    """Active, but n did not reach it: `r = 0` would be refused by `peft`."""
    memory = make_memory(tiny_base(), CONFIGS["fewer modules than layers"])
    export_peft(memory, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["layers_to_transform"] == [0, 2]


@FAMILIES
def test_the_configuration_is_the_plain_kind(
    family: str, make_memory: MakeMemory, tmp_path: Path
) -> None:
    """The rank of most layers, its own factor 1, lists; the others' ranks by the linears' paths."""
    export_peft(make_memory(tiny_base(family)), tmp_path / "out")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["peft_type"] == "LORA"
    assert config["r"] == config["lora_alpha"] == 8
    assert config["use_rslora"] is False
    assert config["layers_to_transform"] == [0, 2]
    assert config["fan_in_fan_out"] is (family == "gpt2")
    assert isinstance(config["target_modules"], list)
    assert config["target_modules"]
    assert config["rank_pattern"] == config["alpha_pattern"]
    assert set(config["rank_pattern"].values()) == {4}
    assert all(".2." in path for path in config["rank_pattern"])
    assert config["base_model_name_or_path"] == f"tiny-{family}"


def test_every_layer_keeps_its_own_rank(make_memory: MakeMemory, tmp_path: Path) -> None:
    """Nothing is padded: an export is as large as the memory's weights."""
    memory = make_memory(tiny_base())
    export_peft(memory, tmp_path / "out")
    tensors = load_file(tmp_path / "out" / "adapter_model.safetensors")
    ranks = {name: t.shape[0] for name, t in tensors.items() if "lora_A" in name}
    assert {rank for name, rank in ranks.items() if ".layers.0." in name} == {8}
    assert {rank for name, rank in ranks.items() if ".layers.2." in name} == {4}
    assert sum(t.numel() for t in tensors.values()) == memory.n_parameters


def test_the_default_base_is_named_as_on_the_hub(make_memory: MakeMemory) -> None:
    """Its own name is known to nobody else."""
    memory = make_memory(tiny_base())
    base = memory.manifest.base.model_copy(update={"name": "smollm2-135m-instruct"})
    manifest = memory.manifest.model_copy(update={"base": base})
    known = replace(memory, manifest=manifest)
    named = adapter_config(known, adapter_tensors(known))["base_model_name_or_path"]
    assert named == "HuggingFaceTB/SmolLM2-135M-Instruct"


def test_chosen_linears_alone_are_exported(make_memory: MakeMemory, tmp_path: Path) -> None:
    """`gate_proj`, where it was asked for."""
    base = tiny_base()
    memory = make_memory(base, linears=("gate_proj",))
    export_peft(memory, tmp_path / "out")
    model = with_peft(base, tmp_path / "out")
    assert adapted(model) == {f"model.layers.{i}.mlp.gate_proj" for i in (0, 2)}
    with torch.no_grad():
        theirs = model(IDS).logits
    torch.testing.assert_close(theirs, ours(base, memory, ("gate_proj",)), atol=1e-5, rtol=1e-5)


@FAMILIES
def test_queries_and_values_are_exported(
    family: str, make_memory: MakeMemory, tmp_path: Path
) -> None:
    """Those alone, of the layers with a module alone, and `peft` gives our logits."""
    base = tiny_base(family, n_layers=11)
    linears = tuple(base.family.attention)
    memory = make_memory(base, CONFIGS["unequal ranks, scaled"], linears=linears)
    export_peft(memory, tmp_path / "out")
    model = with_peft(base, tmp_path / "out")
    assert adapted(model) == {
        path.format(layer=layer) for path in base.family.attention.values() for layer in (0, 2)
    }
    with torch.no_grad():
        theirs, vanilla = model(IDS).logits, base.model(IDS).logits
    torch.testing.assert_close(theirs, ours(base, memory, linears), atol=1e-5, rtol=1e-5)
    assert (theirs - vanilla).abs().max() > 1e-3


class TestFolder:
    """An export goes to a folder of its own."""

    def test_an_earlier_export_is_replaced(self, make_memory: MakeMemory, tmp_path: Path) -> None:
        """Also an empty folder."""
        base = tiny_base()
        for seed in (0, 1):
            export_peft(make_memory(base, seed=seed), tmp_path)
        with torch.no_grad():
            theirs = with_peft(base, tmp_path)(IDS).logits
        expected = ours(base, make_memory(base, seed=1))
        torch.testing.assert_close(theirs, expected, atol=1e-5, rtol=1e-5)

    def test_a_folder_of_someone_else_is_refused(
        self, make_memory: MakeMemory, tmp_path: Path
    ) -> None:
        """A memory's own folder among them; nothing of it is touched."""
        memory = make_memory(tiny_base())
        memory.save(tmp_path / "memory")
        with pytest.raises(RunError, match="an export goes to a folder of its own"):
            export_peft(memory, tmp_path / "memory")
        assert StoredMemory.load(tmp_path / "memory").config == memory.config

    def test_a_file_is_refused(self, make_memory: MakeMemory, tmp_path: Path) -> None:
        """It stays as it is."""
        (tmp_path / "file").write_text("mine")
        with pytest.raises(RunError, match=r"got .*file"):
            export_peft(make_memory(tiny_base()), tmp_path / "file")
        assert (tmp_path / "file").read_text() == "mine"

    def test_a_failed_export_leaves_nothing(
        self,
        make_memory: MakeMemory,
        tmp_path: Path,
        file_size_limit: Callable[[int], None],
    ) -> None:
        """As on a disk that fills up."""
        memory = make_memory(tiny_base())
        file_size_limit(2000)
        with pytest.raises(OSError, match="File too large"):
            export_peft(memory, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []


def test_a_memory_on_responses_alone_is_refused(
    llama: LanguageModel, make_memory: MakeMemory, tmp_path: Path
) -> None:
    """PEFT would let it act on the prompt too; nothing is written."""
    config = InjectionConfig(layers=(0,), n_loras=1, rank=4, inject="response")
    with pytest.raises(ConfigError, match="every token"):
        export_peft(make_memory(llama, config), tmp_path / "out")
    assert not (tmp_path / "out").exists()


class TestShared:
    """A shared memory is exported as a person's is."""

    @FAMILIES
    def test_peft_merges_it_as_we_do(
        self, family: str, make_shared: MakeShared, tmp_path: Path
    ) -> None:
        """The same logits as the base that is loaded with it."""
        base = tiny_base(family)
        shared = make_shared(base)
        export_peft(shared, tmp_path / "out")
        theirs = with_peft(base, tmp_path / "out").merge_and_unload().eval()
        shared.merge_into(base, name="shared")
        with torch.no_grad():
            expected, found = base.model(IDS).logits, theirs(IDS).logits
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)

    @FAMILIES
    @pytest.mark.parametrize("form", ["pair", "core"])
    def test_a_persons_holds_both(
        self,
        family: str,
        form: Form,
        make_shared: MakeShared,
        make_memory: MakeMemory,
        tmp_path: Path,
    ) -> None:
        """One adapter for the base as it was shipped; a layer without a pair keeps the shared."""
        base, bare = tiny_base(family), tiny_base(family)
        shared = make_shared(base)
        shared.save(tmp_path / "shared")
        shared.merge_into(base, name=str(tmp_path / "shared"))
        config = InjectionConfig(layers=(0, 2), n_loras=2, rank=3, scaling=2.0, form=form)
        memory = make_memory(base, config)
        export_peft(memory, tmp_path / "own")
        with torch.no_grad():
            theirs, without = with_peft(bare, tmp_path / "own")(IDS).logits, base.model(IDS).logits
        torch.testing.assert_close(theirs, ours(base, memory), atol=2e-5, rtol=2e-5)
        assert (theirs - without).abs().max() > 0.01

    def test_another_shared_memory_in_its_place_is_refused(
        self, make_shared: MakeShared, make_memory: MakeMemory, tmp_path: Path
    ) -> None:
        """The adapter would hold what the memory was not trained on."""
        base = tiny_base()
        make_shared(base, seed=1).save(tmp_path / "shared")
        make_shared(base).merge_into(base, name=str(tmp_path / "shared"))
        with pytest.raises(ModelError, match="the shared memory it was trained on"):
            export_peft(make_memory(base), tmp_path / "own")
        assert not (tmp_path / "own").exists()

    def test_its_tokens_that_end_a_reply_go_with_it(
        self, make_shared: MakeShared, tmp_path: Path
    ) -> None:
        """Where its replies have a length of their own."""
        shared = make_shared(tiny_base())
        manifest = shared.manifest.model_copy(update={"stop_bias": -1.5})
        export_peft(replace(shared, manifest=manifest), tmp_path / "out")
        written = json.loads((tmp_path / "out" / "generation_config.json").read_text())
        assert written["sequence_bias"] == [[[token], -1.5] for token in manifest.stop_ids]
        export_peft(shared, tmp_path / "out")
        assert not (tmp_path / "out" / "generation_config.json").exists()


class TestLength:
    """What makes replies as long as the person's goes beside the adapter."""

    def test_transformers_ends_replies_as_we_do(
        self, make_memory: MakeMemory, tmp_path: Path
    ) -> None:
        """The same tokens, by `generate` with the configuration that is written."""
        base = tiny_base()
        layout = PromptFormat(base.tokenizer)
        prompts = [layout.prompt("where do you live"), layout.prompt("so tired")]
        lengths: list[int] = []
        for i, bias in enumerate((-9.0, 9.0)):
            memory = make_memory(base, CONFIGS["one layer"]).decoded(Decoding(stop_bias=bias))
            export_peft(memory, tmp_path / str(i))
            written = GenerationConfig.from_pretrained(tmp_path / str(i))
            model = with_peft(base, tmp_path / str(i))
            own = decode(
                base,
                prompts,
                max_new_tokens=6,
                stop_ids=layout.stop_ids,
                decoding=memory.decoding,
                injection=Injection.of(base, memory),
            )
            for prompt, answer in zip(prompts, own, strict=True):
                whole = model.generate(
                    input_ids=torch.tensor([prompt]),
                    max_new_tokens=6,
                    do_sample=False,
                    eos_token_id=sorted(layout.stop_ids),
                    sequence_bias=written.sequence_bias,
                )
                theirs = whole[0, len(prompt) :].tolist()
                assert [t for t in theirs if t not in layout.stop_ids] == list(answer)
            lengths.append(sum(map(len, own)))
        assert lengths[0] > lengths[1]

    @pytest.mark.parametrize("is_old", [False, True], ids=["free length", "of before"])
    def test_nothing_is_written_where_there_is_nothing_to_say(
        self, *, is_old: bool, make_memory: MakeMemory, tmp_path: Path
    ) -> None:
        """Free length, or a memory that does not name the tokens that end a reply."""
        memory = make_memory(tiny_base()).decoded(Decoding(stop_bias=-1.0 if is_old else 0.0))
        assert memory.manifest.stop_ids
        if is_old:
            manifest = memory.manifest.model_copy(update={"stop_ids": ()})
            memory = replace(memory, manifest=manifest)
        export_peft(memory, tmp_path / "out")
        assert not (tmp_path / "out" / "generation_config.json").exists()

    def test_an_export_replaces_one_with_a_length(
        self, make_memory: MakeMemory, tmp_path: Path
    ) -> None:
        """The earlier one's configuration goes with it."""
        memory = make_memory(tiny_base())
        export_peft(memory.decoded(Decoding(stop_bias=-1.0)), tmp_path / "out")
        assert (tmp_path / "out" / "generation_config.json").exists()
        export_peft(memory, tmp_path / "out")
        assert not (tmp_path / "out" / "generation_config.json").exists()
