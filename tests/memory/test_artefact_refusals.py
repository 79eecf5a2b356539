"""Memories that are missing, corrupt, swapped or of another version."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lorecall.core.files import sha256_of
from lorecall.errors import ArtefactError
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.memory.memory import StoredMemory
from lorecall.reply.responder import ModelResponder

MakeMemory = Callable[..., StoredMemory]


class Trap:
    """Unpickling this writes a file: proof that something was unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.write_text, (self.path, "unpickled"))


@pytest.fixture
def folder(llama: LanguageModel, make_memory: MakeMemory, tmp_path: Path) -> Path:
    """Return the folder of a whole memory."""
    make_memory(llama).save(tmp_path / "memory")
    return tmp_path / "memory"


@pytest.fixture
def weights(folder: Path) -> Path:
    """Return its weights."""
    return folder / "memory.safetensors"


@pytest.fixture
def manifest(folder: Path) -> Path:
    """Return its manifest."""
    return folder / "manifest.json"


def restamp(folder: Path) -> None:
    """Write the hash of the weights that are there into the manifest."""
    path = folder / "manifest.json"
    raw = json.loads(path.read_text())
    path.write_text(json.dumps({**raw, "weights_sha256": sha256_of(folder / "memory.safetensors")}))


class TestPlace:
    """Nothing there, or not a memory."""

    def test_no_folder(self, tmp_path: Path) -> None:
        """Both places that were looked at are named."""
        with pytest.raises(ArtefactError, match=r"none/manifest\.json or .*no such folder"):
            StoredMemory.load(tmp_path / "none")

    def test_a_folder_without_a_memory(self, tmp_path: Path) -> None:
        """The message says what to run."""
        with pytest.raises(ArtefactError, match=r"a folder without one.*lorecall learn"):
            StoredMemory.load(tmp_path)


class TestWeights:
    """The safetensors file."""

    @pytest.mark.parametrize("keep", [0, 7, 8, 100, 3000, -1])
    def test_truncated_weights_are_refused(self, weights: Path, keep: int) -> None:
        """Wherever the file was cut."""
        weights.write_bytes(weights.read_bytes()[:keep])
        with pytest.raises(ArtefactError, match="whole safetensors file"):
            StoredMemory.load(weights.parent)

    def test_missing_weights_are_refused(self, weights: Path) -> None:
        """A manifest alone is no memory."""
        weights.unlink()
        with pytest.raises(ArtefactError, match="FileNotFoundError"):
            StoredMemory.load(weights.parent)

    @pytest.mark.parametrize("content", [b"\x00" * 64, b"\xff" * 64, b"no safetensors at all"])
    def test_other_content_is_refused(self, weights: Path, content: bytes) -> None:
        """Whatever it is."""
        weights.write_bytes(content)
        with pytest.raises(ArtefactError, match="whole safetensors file"):
            StoredMemory.load(weights.parent)

    @pytest.mark.parametrize("position", [8, 200, -1])
    def test_a_changed_byte_is_noticed(self, weights: Path, position: int) -> None:
        """In the header or in a number."""
        content = bytearray(weights.read_bytes())
        content[position] ^= 1
        weights.write_bytes(bytes(content))
        with pytest.raises(ArtefactError):
            StoredMemory.load(weights.parent)

    def test_swapped_weights_are_noticed(
        self, llama: LanguageModel, make_memory: MakeMemory, weights: Path, tmp_path: Path
    ) -> None:
        """Two people's memories look alike; the hashes tell them apart."""
        make_memory(llama, seed=1).save(tmp_path / "other")
        weights.write_bytes((tmp_path / "other" / "memory.safetensors").read_bytes())
        with pytest.raises(ArtefactError, match="those of its manifest: expected sha256"):
            StoredMemory.load(weights.parent)

    @pytest.mark.parametrize("protocol", [0, 2, 5])
    def test_a_pickle_is_refused_and_not_executed(
        self, weights: Path, tmp_path: Path, protocol: int
    ) -> None:
        """Weights are never unpickled, also where the manifest vouches for them."""
        proof = tmp_path / "proof"
        weights.write_bytes(pickle.dumps(Trap(proof), protocol=protocol))
        restamp(weights.parent)
        with pytest.raises(ArtefactError, match="whole safetensors file"):
            StoredMemory.load(weights.parent)
        assert not proof.exists()

    def test_a_pickle_of_torch_is_refused_and_not_executed(
        self, weights: Path, tmp_path: Path
    ) -> None:
        """`torch.save` writes an archive with a pickle in it."""
        proof = tmp_path / "proof"
        torch.save({"trap": Trap(proof)}, weights)
        restamp(weights.parent)
        with pytest.raises(ArtefactError, match="whole safetensors file"):
            StoredMemory.load(weights.parent)
        assert not proof.exists()

    def test_pairs_of_another_theta_do_not_go_on(self, llama: LanguageModel, weights: Path) -> None:
        """A folder that agrees with itself but not with its theta is refused by the injection."""
        tensors = load_file(weights)
        save_file({name: tensor[:1].clone() for name, tensor in tensors.items()}, weights)
        restamp(weights.parent)
        memory = StoredMemory.load(weights.parent)
        with pytest.raises(ArtefactError, match="the pairs must fit theta"):
            Injection.of(llama, memory)

    @pytest.mark.parametrize("name", ["odd", "layers.0", "layers.x.up_proj.down"])
    def test_pairs_of_odd_names_do_not_go_on(
        self, llama: LanguageModel, weights: Path, name: str
    ) -> None:
        """In one clear line, at loading or at the first reply."""
        save_file({name: torch.zeros(2, 2)}, weights)
        restamp(weights.parent)
        with pytest.raises(ArtefactError):
            ModelResponder(llama, StoredMemory.load(weights.parent)).reply("hi")


class TestManifest:
    """The JSON file."""

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1, "\xff": 2}'])
    def test_what_is_no_json_object_is_refused(self, manifest: Path, content: bytes) -> None:
        """Empty, cut short, another kind of value, not UTF-8."""
        manifest.write_bytes(content)
        with pytest.raises(ArtefactError, match="a memory's manifest must be"):
            StoredMemory.load(manifest.parent)

    @pytest.mark.parametrize("value", [0, 2, "1", None])
    def test_another_format_is_refused(self, manifest: Path, value: object) -> None:
        """The version that wrote it can still read it."""
        raw = json.loads(manifest.read_text())
        manifest.write_text(json.dumps({**raw, "format": value}))
        with pytest.raises(ArtefactError, match="expected format 1, got format"):
            StoredMemory.load(manifest.parent)

    @pytest.mark.parametrize("field", ["base", "theta", "training", "recipe"])
    def test_a_missing_field_is_refused(self, manifest: Path, field: str) -> None:
        """By name."""
        raw = json.loads(manifest.read_text())
        del raw[field]
        manifest.write_text(json.dumps(raw))
        with pytest.raises(ArtefactError, match=f"got {field}: "):
            StoredMemory.load(manifest.parent)

    @pytest.mark.parametrize(
        ("part", "field", "value"),
        [
            ("base", "n_layers", "many"),
            ("base", "fingerprint", None),
            ("base", "color", "red"),
            ("training", "sample_ids", 3),
            ("theta", "rank", "eight"),
            ("theta", "placement", "anywhere"),
            ("theta", "rank", 0),
            ("theta", "layers", []),
            ("theta", "layers", [2, 0]),
        ],
    )
    def test_a_field_of_another_kind_is_refused(
        self, manifest: Path, part: str, field: str, value: object
    ) -> None:
        """An unknown field and an impossible theta too."""
        raw = json.loads(manifest.read_text())
        raw[part][field] = value
        manifest.write_text(json.dumps(raw))
        with pytest.raises(ArtefactError, match="a memory's manifest must be whole"):
            StoredMemory.load(manifest.parent)

    def test_a_manifest_without_a_hash_vouches_for_nothing(self, manifest: Path) -> None:
        """Its weights are not taken on trust."""
        raw = json.loads(manifest.read_text())
        del raw["weights_sha256"]
        manifest.write_text(json.dumps(raw))
        with pytest.raises(ArtefactError):
            StoredMemory.load(manifest.parent)
