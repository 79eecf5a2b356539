"""A memory on disk: written whole, read back as it was."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lorecall.core.files import sha256_of
from lorecall.decoding import Decoding
from lorecall.errors import ModelError
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.plain import acting_on
from lorecall.lm.families.tiny import tiny_base
from lorecall.lm.hooks import acting
from lorecall.memory.memory import StoredMemory, find_memory
from lorecall.records import InjectionConfig

MakeMemory = Callable[..., StoredMemory]


class TestRoundTrip:
    """What was saved is what is loaded."""

    def test_tensors_and_manifest_come_back(
        self, base: LanguageModel, make_memory: MakeMemory, tmp_path: Path
    ) -> None:
        """To the bit; only the hash of the weights is added."""
        memory = make_memory(base)
        memory.save(tmp_path / "memory")
        loaded = StoredMemory.load(tmp_path / "memory")
        assert loaded.tensors.keys() == memory.tensors.keys()
        assert all(
            torch.equal(loaded.tensors[name], memory.tensors[name]) for name in memory.tensors
        )
        assert loaded.config == memory.config
        assert loaded.manifest.weights_sha256 == sha256_of(
            tmp_path / "memory" / "memory.safetensors"
        )
        same = loaded.manifest.model_copy(update={"weights_sha256": ""})
        assert same == memory.manifest

    def test_a_loaded_memory_goes_on_its_base(
        self, base: LanguageModel, make_memory: MakeMemory, tmp_path: Path
    ) -> None:
        """The base answers as with the memory that was saved."""
        memory = make_memory(base)
        memory.save(tmp_path)
        ids = torch.tensor([[5, 9, 30, 77]])
        logits = []
        for tensors in (memory.tensors, StoredMemory.load(tmp_path).tensors):
            injection = Injection(base, memory.config, tensors=tensors)
            with torch.no_grad(), acting(acting_on(injection)):
                logits.append(base.model(ids).logits)
        assert torch.equal(logits[0], logits[1])

    @pytest.mark.parametrize(
        "config",
        [
            InjectionConfig(layers=(1,), n_loras=1, rank=1),
            InjectionConfig(layers=(0, 1, 2), n_loras=2, rank=4, placement="every", scaling=0.5),
            InjectionConfig(layers=(0, 2), n_loras=2, rank=2, inject="response"),
        ],
    )
    def test_every_theta_comes_back(
        self, llama: LanguageModel, make_memory: MakeMemory, tmp_path: Path, config: InjectionConfig
    ) -> None:
        """Placement and scaling included."""
        make_memory(llama, config).save(tmp_path)
        assert StoredMemory.load(tmp_path).config == config

    def test_how_replies_are_decoded_comes_back(
        self, base: LanguageModel, make_memory: MakeMemory, tmp_path: Path
    ) -> None:
        """A memory written before there was such a thing is decoded as then."""
        memory = make_memory(base)
        decoding = Decoding(stop_bias=-1.25, no_repeat=4)
        memory.decoded(decoding).save(tmp_path / "m")
        assert StoredMemory.load(tmp_path / "m").decoding == decoding
        path = tmp_path / "m" / "manifest.json"
        manifest = json.loads(path.read_text())
        for name in ("stop_bias", "stop_ids", "no_repeat"):
            del manifest[name]
        path.write_text(json.dumps(manifest))
        assert StoredMemory.load(tmp_path / "m").decoding == Decoding()

    def test_the_folder_of_a_run_will_do(
        self, llama: LanguageModel, make_memory: MakeMemory, tmp_path: Path
    ) -> None:
        """Its `memory/` is found, from a path or a string."""
        make_memory(llama).save(tmp_path / "memory")
        assert find_memory(tmp_path) == tmp_path / "memory"
        assert StoredMemory.load(str(tmp_path)).manifest.training.user == "user-0"

    def test_a_memory_is_replaced_whole(
        self, llama: LanguageModel, make_memory: MakeMemory, tmp_path: Path
    ) -> None:
        """The second one's files stand alone."""
        path = tmp_path / "memory"
        make_memory(llama, seed=0).save(path)
        make_memory(llama, seed=1).save(path)
        assert StoredMemory.load(path).manifest.training.user == "user-1"
        assert sorted(file.name for file in path.iterdir()) == [
            "manifest.json",
            "memory.safetensors",
        ]

    def test_the_files_are_plain(
        self, llama: LanguageModel, make_memory: MakeMemory, tmp_path: Path
    ) -> None:
        """Safetensors and JSON that other programs read."""
        memory = make_memory(llama)
        memory.save(tmp_path)
        manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
        assert manifest["theta"]["layers"] == [0, 2]
        assert manifest["base"]["fingerprint"] == llama.fingerprint
        assert set(load_file(tmp_path / "memory.safetensors")) == set(memory.tensors)

    @pytest.mark.parametrize(
        ("asked", "kept"),
        [
            (None, ("up_proj", "down_proj")),
            (("gate_proj",), ("gate_proj",)),
            (("gate_proj", "up_proj"), ("up_proj", "gate_proj")),
        ],
    )
    def test_the_linears_are_known(
        self,
        llama: LanguageModel,
        make_memory: MakeMemory,
        asked: tuple[str, ...] | None,
        kept: tuple[str, ...],
    ) -> None:
        """From the pairs themselves, in the family's order."""
        assert make_memory(llama, linears=asked).linears == kept

    def test_parameters_are_counted(self, base: LanguageModel, make_memory: MakeMemory) -> None:
        """As the injection counts them."""
        memory = make_memory(base)
        injection = Injection(base, memory.config)
        assert memory.n_parameters == injection.n_parameters


class TestBase:
    """A memory works on the base it was trained for."""

    def test_its_own_base_is_accepted(self, base: LanguageModel, make_memory: MakeMemory) -> None:
        """Whatever it is called here."""
        own = make_memory(base)
        own.check_base("another name", base.fingerprint, prompts=own.manifest.recipe.prompts)

    def test_another_base_is_refused(self, llama: LanguageModel, make_memory: MakeMemory) -> None:
        """Both names and hashes are in the message."""
        other = tiny_base("gpt2")
        with pytest.raises(ModelError) as caught:
            make_memory(llama).check_base(other.name, other.fingerprint, prompts="the same")
        for part in (llama.name, llama.fingerprint[:12], other.name, other.fingerprint[:12]):
            assert part in str(caught.value)

    def test_another_layout_of_turns_is_refused(
        self, llama: LanguageModel, make_memory: MakeMemory
    ) -> None:
        """Both are in the message."""
        own = make_memory(llama)
        with pytest.raises(ModelError, match=f"{own.manifest.recipe.prompts}, got joined by x"):
            own.check_base(llama.name, llama.fingerprint, prompts="joined by x")


class TestWhenWritingFails:
    """The folder is there with both files, or as it was before."""

    def test_nothing_is_left_of_a_first_memory(
        self,
        llama: LanguageModel,
        make_memory: MakeMemory,
        tmp_path: Path,
        file_size_limit: Callable[[int], None],
    ) -> None:
        """As on a disk that fills up."""
        memory = make_memory(llama)
        file_size_limit(2000)
        with pytest.raises(OSError, match="File too large"):
            memory.save(tmp_path / "memory")
        assert list(tmp_path.iterdir()) == []

    def test_an_earlier_memory_stays(
        self,
        llama: LanguageModel,
        make_memory: MakeMemory,
        tmp_path: Path,
        file_size_limit: Callable[[int], None],
    ) -> None:
        """It can still be loaded."""
        make_memory(llama, seed=0).save(tmp_path / "memory")
        second = make_memory(llama, seed=1)
        file_size_limit(2000)
        with pytest.raises(OSError, match="File too large"):
            second.save(tmp_path / "memory")
        assert StoredMemory.load(tmp_path).manifest.training.user == "user-0"
        assert [file.name for file in tmp_path.iterdir()] == ["memory"]
