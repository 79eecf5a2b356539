"""A person's memory as it is stored: the trained pairs, theta, and where they came from."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel as Schema
from pydantic import ConfigDict, Field

from lorecall.decoding import Decoding
from lorecall.errors import ModelError
from lorecall.memory.artefact import (
    MANIFEST_FILE,
    Artefact,
    PairsManifest,
    find_manifest,
    read_manifest,
    read_weights,
)


class Training(Schema):
    """What a memory was trained on: ids and a hash, never the text.

    `redacted` counts by kind what placeholders stood for in the history; None where it was not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    user: str
    dataset: str
    seed: int
    sample_ids: tuple[str, ...]
    samples_sha256: str
    valid_sha256: str
    split: dict[str, int]
    redacted: dict[str, int] | None = None


class Manifest(PairsManifest):
    """`manifest.json`.

    `factor` is what the trained pairs were multiplied by, as validation chose; the weights hold it.
    `stop_bias` makes replies as long as the person's.

    Examples:
        >>> from lorecall.memory import StoredMemory
        >>> manifest = StoredMemory.load("runs/ann").manifest
        >>> manifest.base.name, manifest.base.shared, manifest.training.split
        ('tiny-llama', None, {'train': 18, 'valid': 3, 'test': 3})
    """

    training: Training
    factor: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMemory(Artefact[Manifest]):
    """The trained pairs of one person, with their manifest.

    Examples:
        >>> from lorecall import StoredMemory
        >>> memory = StoredMemory.load("runs/ann")
        >>> memory.manifest.training.user, memory.manifest.base.name, memory.linears
        ('ann', 'tiny-llama', ('up_proj', 'down_proj'))
        >>> memory.n_parameters == sum(tensor.numel() for tensor in memory.tensors.values())
        True
    """

    weights_file = "memory.safetensors"

    def decoded(self, decoding: Decoding) -> Self:
        """Return the same memory with replies decoded another way."""
        own = {"stop_bias": decoding.stop_bias, "no_repeat": decoding.no_repeat}
        manifest = self.manifest.model_copy(update=own)
        return replace(self, manifest=manifest)

    def multiplied(self, factor: float) -> Self:
        """Return the same memory with all that it adds multiplied; the manifest says by what.

        Args:
            factor: 0 takes everything away, 1 nothing.
        """
        tensors = {
            name: tensor if name.endswith(".down") else tensor * factor
            for name, tensor in self.tensors.items()
        }
        manifest = self.manifest.model_copy(update={"factor": factor * self.manifest.factor})
        return replace(self, manifest=manifest, tensors=tensors)

    def check_base(self, name: str, fingerprint: str, *, prompts: str) -> None:
        """Refuse a base that this memory was not trained for, or that lays turns out otherwise.

        Args:
            name: The base's, with the shared memory in it.
            fingerprint: Its hash.
            prompts: How turns are laid out with it, as a recipe says it.

        Raises:
            ModelError: The hashes or the layouts differ.
        """
        own = self.manifest.base
        if fingerprint != own.fingerprint:
            raise ModelError(
                "a memory works on the base it was trained for",
                expected=f"{own.title} ({own.fingerprint[:12]})",
                got=f"{name} ({fingerprint[:12]})",
                next_step=f"Load {own.title}, or train a memory for {name}.",
            )
        if prompts != self.manifest.recipe.prompts:
            raise ModelError(
                "a memory is asked as it was taught",
                expected=self.manifest.recipe.prompts,
                got=f"{prompts} of {name}",
                next_step=f"Load {own.name} with the tokeniser it had, or train the memory again.",
            )

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a memory folder, or the run directory that holds one.

        Raises:
            ArtefactError: It is missing, corrupt, truncated or of another version.
        """
        path = find_memory(Path(folder))
        manifest = read_manifest(path / MANIFEST_FILE, Manifest)
        tensors = read_weights(path / cls.weights_file, manifest.weights_sha256, manifest.base)
        return cls(manifest=manifest, tensors=tensors)


def find_memory(folder: Path) -> Path:
    """Find the memory folder: the folder itself, or its `memory/`.

    Raises:
        ArtefactError: There is none.
    """
    return find_manifest(folder, "memory", what="a memory", made_by="learn")
