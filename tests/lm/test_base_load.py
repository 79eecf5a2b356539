"""Loading a base from a folder or a hub, and what is refused."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from lorecall.errors import ModelError
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.tiny import tiny_base, tiny_tokenizer
from lorecall.lm.source import find_base

StateHash = Callable[[LanguageModel], str]
WEIGHTS = "model.safetensors"


def save(folder: Path, family: str = "llama", **options: object) -> Path:
    """Save a tiny base as transformers does."""
    tiny = tiny_base(family, n_layers=2, **options)
    tiny.model.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    return folder


class Trap:
    """Unpickling this writes a file: proof that something was unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.write_text, (self.path, "unpickled"))


@pytest.mark.parametrize("family", ["llama", "gpt2", "roberta"])
def test_a_folder_is_loaded(tmp_path: Path, family: str, state_hash: StateHash) -> None:
    """The same weights, frozen, with their tokeniser and the folder's name."""
    folder = save(tmp_path / "model", family)
    base = LanguageModel.load(str(folder), device="cpu", dtype="float32")
    assert state_hash(base) == state_hash(tiny_base(family, n_layers=2))
    assert not any(parameter.requires_grad for parameter in base.model.parameters())
    assert base.format_reason == "weights in float32: asked for"
    assert (base.name, base.n_layers, base.family.name) == (str(folder), 2, family)
    assert base.tokenizer("hi")["input_ids"] == tiny_base().tokenizer("hi")["input_ids"]


def test_the_fingerprint_is_that_of_the_files(tmp_path: Path) -> None:
    """Two loads have one, whatever the format; two models have two."""
    a, b = save(tmp_path / "a"), save(tmp_path / "b", seed=1)
    first = LanguageModel.load(str(a), device="cpu", dtype="float32")
    again = LanguageModel.load(str(a), device="cpu", dtype="bfloat16")
    other = LanguageModel.load(str(b), device="cpu", dtype="float32")
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert (first.dtype, again.dtype) == (torch.float32, torch.bfloat16)


def test_the_same_files_elsewhere_are_the_same_base(tmp_path: Path) -> None:
    """A memory goes with the weights, not with the path."""
    a, b = save(tmp_path / "a"), save(tmp_path / "b")
    assert find_base(str(a)).fingerprint == find_base(str(b)).fingerprint


def test_roberta_is_loaded_to_decode(tmp_path: Path) -> None:
    """Its published checkpoints read both ways; a base must not see the future."""
    folder = save(tmp_path / "model", "roberta")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "is_decoder": False}))
    base = LanguageModel.load(str(folder), device="cpu", dtype="float32")
    ids = torch.tensor([[9, 10, 11, 12], [9, 10, 11, 99]])
    with torch.no_grad():
        hidden = base.hidden(ids, torch.ones_like(ids))
    assert torch.equal(hidden[0, :3], hidden[1, :3])
    assert not torch.equal(hidden[0, 3], hidden[1, 3])


class TestRefusals:
    """One clear line for each."""

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"model_type": "made-up"}, "expected model_type llama, mistral"),
            ({"model_type": "t5", "is_encoder_decoder": True}, "encodes one text"),
            ({"model_type": "mixtral", "num_hidden_layers": 1}, "got a mixture of experts"),
            ({"model_type": "vit"}, "or another of transformers', got 'vit'"),
        ],
    )
    def test_an_architecture_that_can_be_no_base(
        self, tmp_path: Path, config: dict[str, object], message: str
    ) -> None:
        """Before weights are read, also where transformers knows it no more than we do."""
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / WEIGHTS).touch()
        with pytest.raises(ModelError, match=message):
            LanguageModel.load(str(tmp_path), device="cpu")

    def test_a_model_of_no_family_is_loaded(self, tmp_path: Path) -> None:
        """It runs on the plain path."""
        config = AutoConfig.for_model(
            "opt",
            vocab_size=262,
            hidden_size=16,
            num_hidden_layers=1,
            ffn_dim=32,
            num_attention_heads=2,
            word_embed_proj_dim=16,
        )
        AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
        tiny_tokenizer(chat=False).save_pretrained(tmp_path)
        base = LanguageModel.load(str(tmp_path), device="cpu", dtype="float32")
        assert base.family.default == ("fc1", "fc2")
        assert not base.has_fast_path

    @pytest.mark.parametrize("name", ["some-one/no-such-model", "no-such-folder", "a/b/c"])
    def test_a_base_that_is_not_there(self, name: str) -> None:
        """Neither a folder nor, without a network, an id that can be downloaded."""
        with pytest.raises(ModelError, match="the base must be there"):
            LanguageModel.load(name, device="cpu")

    def test_a_file_in_the_folders_place(self, tmp_path: Path) -> None:
        """A path to the weights themselves is no base."""
        folder = save(tmp_path / "model")
        with pytest.raises(ModelError, match="the base must be there"):
            LanguageModel.load(str(folder / WEIGHTS), device="cpu")

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        """There is no configuration."""
        with pytest.raises(ModelError, match=r"config\.json"):
            LanguageModel.load(str(tmp_path), device="cpu")

    @pytest.mark.parametrize("content", ["{", "[]", "{}", ""])
    def test_a_corrupt_configuration(self, tmp_path: Path, content: str) -> None:
        """Cut short, another kind of value, nothing in it."""
        folder = save(tmp_path / "model")
        (folder / "config.json").write_text(content)
        with pytest.raises(ModelError):
            LanguageModel.load(str(folder), device="cpu")

    def test_pickled_weights_are_not_read(self, tmp_path: Path) -> None:
        """A folder with a `.bin` alone is refused before it is opened."""
        folder, proof = save(tmp_path / "model"), tmp_path / "proof"
        (folder / WEIGHTS).unlink()
        (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(proof)))
        with pytest.raises(ModelError, match=r"safetensors alone.*got .*pytorch_model\.bin"):
            LanguageModel.load(str(folder), device="cpu")
        assert not proof.exists()

    def test_a_pickle_named_safetensors_is_not_executed(self, tmp_path: Path) -> None:
        """The name decides nothing."""
        folder, proof = save(tmp_path / "model"), tmp_path / "proof"
        (folder / WEIGHTS).write_bytes(pickle.dumps(Trap(proof)))
        with pytest.raises(ModelError, match="the base must be readable"):
            LanguageModel.load(str(folder), device="cpu")
        assert not proof.exists()

    @pytest.mark.parametrize("keep", [0, 4, 200, 5000])
    def test_truncated_weights(self, tmp_path: Path, keep: int) -> None:
        """Wherever the file was cut."""
        folder = save(tmp_path / "model")
        whole = (folder / WEIGHTS).read_bytes()
        (folder / WEIGHTS).write_bytes(whole[:keep])
        with pytest.raises(ModelError, match="whole safetensors files"):
            LanguageModel.load(str(folder), device="cpu")

    def test_weights_of_another_shape(self, tmp_path: Path) -> None:
        """A configuration that does not belong to the weights is not guessed at."""
        folder = save(tmp_path / "model")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 64}))
        with pytest.raises(ModelError):
            LanguageModel.load(str(folder), device="cpu", dtype="float32")

    def test_weights_with_a_tensor_missing(self, tmp_path: Path) -> None:
        """Weights drawn at random in their place would answer nonsense."""
        folder = save(tmp_path / "model")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))
        with pytest.raises(ModelError):
            LanguageModel.load(str(folder), device="cpu", dtype="float32")

    def test_a_folder_without_a_tokeniser(self, tmp_path: Path) -> None:
        """In one clear line, as for the weights."""
        tiny_base(n_layers=2).model.save_pretrained(tmp_path)
        with pytest.raises(ModelError):
            LanguageModel.load(str(tmp_path), device="cpu")
