"""Trained pairs as they are stored: a folder of safetensors and a JSON manifest.

What a person's memory and a shared one have alike. Nothing is ever unpickled, and a folder is there
whole or as it was before. This module knows nothing of models; `lorecall.lm.attach` puts the pairs
on one.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Generic, TypeVar

import safetensors
import torch
from pydantic import BaseModel as Schema
from pydantic import ConfigDict, Field, ValidationError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from lorecall.core.files import json_bytes, new_folder, read_json, write_bytes
from lorecall.decoding import Decoding
from lorecall.errors import ArtefactError, ConfigError
from lorecall.records import InjectionConfig
from lorecall.settings import TrainSettings

MEMORY_FORMAT = 1
MANIFEST_FILE = "manifest.json"
_AGAIN = "Train the memory again, or restore the folder from a copy."


class SharedIdentity(Schema):
    """The shared memory that was merged under a memory: its name or folder, and its hash."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    sha256: str


class BaseIdentity(Schema):
    """The base a memory belongs to, what was merged into it, and where its linears are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    fingerprint: str
    shared: SharedIdentity | None = None
    family: str
    n_layers: int
    paths: dict[str, str]
    peft_targets: dict[str, str]
    fan_in_fan_out: bool = False

    @property
    def title(self) -> str:
        """What it is called, with the shared memory in it."""
        return self.name if self.shared is None else f"{self.name} with {self.shared.name}"


class Recipe(Schema):
    """What a memory is computed from beside its base and samples, and what its bits depend on.

    `thetas` are those that were trained in full; the manifest's `theta` is the one that was kept.
    The same recipe gives the same bytes on the same kind of machine: `instruction_set` is the
    widest that the processor's kernels used, or the GPU's name. `prompts` says how turns are laid
    out: by which chat template, or joined by which token; `notes` what of the history was in the
    training prompts beside them: which retriever, and how many notes; empty where there was none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    thetas: tuple[InjectionConfig, ...]
    settings: TrainSettings
    prompts: str
    notes: str
    dtype: str
    device: str
    n_threads: int
    instruction_set: str
    versions: dict[str, str]


class PairsManifest(Schema):
    """What every manifest says.

    `stop_bias` is what is added, when replies are decoded, to the logits of `stop_ids`, the tokens
    that end one; 0 where their length is left free. `no_repeat` is how many tokens in a row no
    reply has twice; 0 where it may.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = MEMORY_FORMAT
    base: BaseIdentity
    theta: InjectionConfig
    recipe: Recipe
    stop_bias: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    stop_ids: tuple[Annotated[int, Field(ge=0)], ...] = ()
    no_repeat: Annotated[int, Field(ge=0)] = 0
    weights_sha256: str = ""


M_co = TypeVar("M_co", bound=PairsManifest, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact(Generic[M_co]):
    """Trained pairs with their manifest.

    `tensors` maps `layers.{layer}.{linear}.down` (R x k) and `.up` (d x R), or `.core` (R x R), to
    tensors, in bf16 as they are stored.

    Attributes:
        weights_file: What the file of the weights is called.
    """

    weights_file: ClassVar[str]

    manifest: M_co
    tensors: Mapping[str, Tensor] = field(repr=False)

    @property
    def config(self) -> InjectionConfig:
        """Return theta."""
        return self.manifest.theta

    @property
    def linears(self) -> tuple[str, ...]:
        """Which linears carry a pair."""
        names = {key.split(".", 2)[2].rpartition(".")[0] for key in self.tensors}
        return tuple(name for name in self.manifest.base.paths if name in names)

    @property
    def n_parameters(self) -> int:
        """How many numbers were trained."""
        return sum(tensor.numel() for tensor in self.tensors.values())

    @property
    def n_bytes(self) -> int:
        """What the folder takes when it is saved."""
        return sum(len(content) for content in self.files().values())

    @property
    def decoding(self) -> Decoding:
        """Return how its replies are decoded."""
        return Decoding(stop_bias=self.manifest.stop_bias, no_repeat=self.manifest.no_repeat)

    def files(self) -> dict[str, bytes]:
        """Return the content of its files, by name; the manifest holds the hash of the weights."""
        content = save_safetensors({name: t.contiguous() for name, t in self.tensors.items()})
        digest = hashlib.sha256(content).hexdigest()
        whole = self.manifest.model_copy(update={"weights_sha256": digest})
        return {
            self.weights_file: content,
            MANIFEST_FILE: json_bytes(whole.model_dump(mode="json")),
        }

    def save(self, folder: Path) -> None:
        """Write the folder whole: it is there with both files, or as it was before."""
        with new_folder(folder) as temporary:
            for name, content in self.files().items():
                write_bytes(temporary / name, content)


def in_bf16(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as they are stored: half the bytes, and nothing that is measured is lost."""
    return {name: tensor.to(torch.bfloat16) for name, tensor in tensors.items()}


def find_manifest(folder: Path, within: str, *, what: str, made_by: str) -> Path:
    """Find the folder of an artefact: the one given, or a folder within it.

    Args:
        folder: Where to look.
        within: The name of the folder that may hold it.
        what: What is looked for.
        made_by: The command that makes one.

    Raises:
        ArtefactError: There is none.
    """
    for path in (folder, folder / within):
        if (path / MANIFEST_FILE).is_file():
            return path
    raise ArtefactError(
        f"{what} must be there",
        expected=f"{folder}/{MANIFEST_FILE} or {folder}/{within}/{MANIFEST_FILE}",
        got="a file"
        if folder.is_file()
        else "a folder without one"
        if folder.is_dir()
        else "no such folder",
        next_step=f"Run `lorecall {made_by}` to its end, or check the path.",
    )


_M = TypeVar("_M", bound=Schema)


def read_manifest(path: Path, kind: type[_M]) -> _M:
    """Read an artefact's manifest.

    Args:
        path: The file.
        kind: What it must be.

    Raises:
        ArtefactError: It is not there, not whole, or of another version.
    """
    raw = read_json(path, what="a memory's manifest", error=ArtefactError)
    if raw.get("format") != MEMORY_FORMAT:
        raise ArtefactError(
            "the memory must be of this version's format",
            expected=f"format {MEMORY_FORMAT}",
            got=f"format {json.dumps(raw.get('format'))}",
            next_step="Use the lorecall that wrote it, or train the memory again.",
        )
    try:
        return kind.model_validate(raw)
    except (ValidationError, ConfigError) as reason:
        raise ArtefactError(
            "a memory's manifest must be whole",
            expected="every field of its format",
            got=_first_line(reason),
            next_step=_AGAIN,
        ) from reason


def read_weights(path: Path, sha256: str, base: BaseIdentity) -> dict[str, Tensor]:
    """Read an artefact's pairs.

    Args:
        path: The file.
        sha256: The hash that it must have.
        base: The base that they are for.

    Raises:
        ArtefactError: It is not there, not whole, another, or its tensors are no pairs.
    """
    try:
        content = path.read_bytes()
    except OSError as reason:
        raise _corrupt(path, reason) from reason
    try:
        tensors = load_safetensors(content)
    except (safetensors.SafetensorError, ValueError, KeyError) as reason:
        raise _corrupt(path, reason) from reason
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ArtefactError(
            "a memory's weights must be those of its manifest",
            expected=f"sha256 {sha256[:12]}",
            got=f"sha256 {found[:12]}",
            next_step=_AGAIN,
        )
    if not all(_is_pair(name, base) for name in tensors):
        odd = next(name for name in tensors if not _is_pair(name, base))
        raise ArtefactError(
            "a memory's tensors must be named for its base's linears",
            expected="layers.{layer}.{linear}.down, .up or .core",
            got=repr(odd),
            next_step=_AGAIN,
        )
    return tensors


def _is_pair(name: str, base: BaseIdentity) -> bool:
    linear = re.fullmatch(r"layers\.\d+\.(.+)\.(?:down|up|core)", name)
    return linear is not None and linear[1] in base.paths


def _corrupt(path: Path, reason: Exception) -> ArtefactError:
    return ArtefactError(
        "a memory's weights must be a whole safetensors file",
        expected=str(path),
        got=f"{type(reason).__name__}: {_first_line(reason)}",
        next_step=_AGAIN,
    )


def _first_line(reason: Exception) -> str:
    if isinstance(reason, ValidationError):
        first = reason.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(reason).splitlines()[0][:160]
