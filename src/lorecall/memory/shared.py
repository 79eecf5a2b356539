"""A shared memory: what many consenting people taught a base, merged under everyone's own memory.

It is a folder of two files, as a person's memory is: `shared.safetensors` holds the pairs in bf16,
`manifest.json` says which base they are for, who gave them (as salted hashes), under which licence,
and what they were computed from. The package brings some; anyone can learn their own.
"""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Literal, Self

import torch
from pydantic import BaseModel as Schema
from pydantic import ConfigDict
from torch import Tensor

from lorecall.errors import ModelError
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel, SharedName
from lorecall.lm.device import DTypeName
from lorecall.lm.elsewhere import BaseAt, check_loadable
from lorecall.lm.merging import merge
from lorecall.memory.artefact import (
    MANIFEST_FILE,
    Artefact,
    BaseIdentity,
    PairsManifest,
    find_manifest,
    in_bf16,
    read_manifest,
    read_weights,
)
from lorecall.settings import DEFAULT_BASE

AUTO, NONE = "auto", "none"
_PACKAGED = "shared_memories"


class DonorRecords(Schema):
    """Who gave what: hashes that tell nothing to those who do not know whom they look for.

    `people` are those whose words are in it, `samples` the replies that were learnt; each is the
    start of SHA-256 of `salt` and an id.

    Examples:
        >>> from lorecall.memory import DonorRecords
        >>> donors = DonorRecords.of(["ann", "bob"], ["17c3"], salt="a grain")
        >>> donors.has_person("ann"), donors.has_person("eve"), donors.has_sample("17c3")
        (True, False, True)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    salt: str
    people: tuple[str, ...]
    samples: tuple[str, ...]

    @classmethod
    def of(cls, people: Iterable[str], samples: Iterable[str], *, salt: str) -> Self:
        """Hash ids.

        Args:
            people: Ids of people.
            samples: Ids of samples.
            salt: What is hashed with each.
        """
        return cls(
            salt=salt,
            people=tuple(sorted(_hashed(salt, each) for each in people)),
            samples=tuple(sorted(_hashed(salt, each) for each in samples)),
        )

    def has_person(self, user: str) -> bool:
        """Whether a person's words are in it."""
        return _hashed(self.salt, user) in self.people

    def has_sample(self, sample_id: str) -> bool:
        """Whether a reply was learnt."""
        return _hashed(self.salt, sample_id) in self.samples


class SharedManifest(PairsManifest):
    """`manifest.json` of a shared memory.

    `consent` says why those people's words may be used, `valid` holds (replies learnt, loss of
    replies of other conversations), the base's own first.

    Examples:
        >>> from lorecall.memory import SharedMemory
        >>> manifest = SharedMemory.load("shared").manifest
        >>> manifest.dataset, manifest.consent, manifest.valid[0][0]
        ('crowd.jsonl', 'they were made up', 0)
    """

    kind: Literal["shared"] = "shared"
    dataset: str
    licence: str
    consent: str
    donors: DonorRecords
    valid: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedMemory(Artefact[SharedManifest]):
    """The pairs that many people's replies taught, with their manifest.

    Examples:
        >>> from lorecall.memory import SharedMemory
        >>> shared = SharedMemory.load("shared")
        >>> len(shared.manifest.donors.people) >= 10, shared.manifest.donors.has_person("nobody")
        (True, False)
    """

    weights_file = "shared.safetensors"

    @property
    def sha256(self) -> str:
        """Return the hash of its weights."""
        return self.manifest.weights_sha256

    @classmethod
    def of(cls, manifest: SharedManifest, tensors: Mapping[str, Tensor]) -> Self:
        """Make one from trained pairs, in bf16 from then on.

        Args:
            manifest: Its manifest; the weights' hash is filled in.
            tensors: The pairs, named as `lorecall.lm.attach.Injection` names them.
        """
        made = cls(manifest=manifest, tensors=in_bf16(tensors))
        digest = hashlib.sha256(made.files()[cls.weights_file]).hexdigest()
        return replace(made, manifest=manifest.model_copy(update={"weights_sha256": digest}))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read one.

        Raises:
            ArtefactError: It is missing, corrupt, truncated or of another version.
        """
        path = find_manifest(Path(folder), "shared", what="a shared memory", made_by="share learn")
        manifest = read_manifest(path / MANIFEST_FILE, SharedManifest)
        tensors = read_weights(path / cls.weights_file, manifest.weights_sha256, manifest.base)
        return cls(manifest=manifest, tensors=tensors)

    def cut(self, rank: int) -> Self:
        """Return the shared memory of at most a rank that comes nearest to this one.

        Of each update B A the largest singular values are kept (Eckart and Young, 1936), for most
        of what is learnt is in few directions. The pairs come in singular form: the rows of A and
        the columns of B at right angles, the largest first.

        Args:
            rank: What is left of each module, where it has more.

        Examples:
            >>> from lorecall.memory import SharedMemory
            >>> shared = SharedMemory.load("shared")
            >>> shared.config.rank, shared.cut(1).config.rank
            (2, 1)
        """
        theta = replace(self.config, rank=min(rank, self.config.rank))
        tensors: dict[str, Tensor] = {}
        for key in (name.removesuffix(".down") for name in self.tensors if name.endswith(".down")):
            kept = theta.ranks()[int(key.split(".")[1])]
            down, up = (self.tensors[f"{key}.{half}"].float() for half in ("down", "up"))
            across, triangle = torch.linalg.qr(down.T)
            left, sizes, right = torch.linalg.svd(up @ triangle.T, full_matrices=False)
            root = sizes[:kept].sqrt()
            tensors[f"{key}.down"] = root[:, None] * (right @ across.T)[:kept]
            tensors[f"{key}.up"] = left[:, :kept] * root
        return self.of(self.manifest.model_copy(update={"theta": theta}), tensors)

    def merge_into(self, base: LanguageModel, *, name: str) -> None:
        """Add it to a base's weights, before the base is used for anything.

        Raises:
            ModelError: The base is another one, holds one already, or is in 4 bits.
        """
        own = self.manifest.base
        if base.weights_hash != own.fingerprint:
            raise ModelError(
                "a shared memory works on the base it was learnt for",
                expected=f"{own.name} ({own.fingerprint[:12]})",
                got=f"{base.name} ({base.weights_hash[:12]})",
                next_step=f"Load {own.name}, take base.shared=none, or learn one for {base.name}"
                " with `lorecall share learn`.",
            )
        merge(Injection.of(base, self), name=name, sha256=self.sha256)


def new_salt() -> str:
    """Return a salt for the hashes of one shared memory."""
    return secrets.token_hex(16)


def packaged() -> dict[str, Path]:
    """Return the folders of the shared memories that come with the package, by name.

    Examples:
        >>> from lorecall.memory import SharedMemory, packaged
        >>> memories = [SharedMemory.load(folder) for folder in packaged().values()]
        >>> all(memory.manifest.consent and memory.manifest.licence for memory in memories)
        True
    """
    folder = Path(str(files("lorecall"))) / _PACKAGED
    return {each.parent.name: each.parent for each in sorted(folder.glob(f"*/{MANIFEST_FILE}"))}


def load_base(
    name: str = DEFAULT_BASE,
    *,
    shared: str | SharedName = AUTO,
    device: str = "auto",
    dtype: DTypeName = "auto",
    four_bit: bool = False,
) -> LanguageModel:
    """Load a base with a shared memory in its weights.

    Args:
        name: The default base's name, a local folder, or a Hugging Face id.
        shared: `auto` for the one that comes with the package for this base, if one does; `none`;
            the name of one that comes with it; the folder of one; or the very one of an earlier
            load.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        dtype: `auto` takes bf16 where the device is faster in it.
        four_bit: Keep the linear maps in 4 bits; without a shared memory.

    Raises:
        ModelError: The base is not there, or the shared memory is another base's.
        ArtefactError: The shared memory is not there, or not whole.

    Examples:
        >>> from lorecall import load_base
        >>> load_base("base", shared="none").shared is None
        True
        >>> load_base("base", shared="shared").shared.name.endswith("shared")
        True
    """
    base = LanguageModel.load(name, device=device, dtype=dtype, four_bit=four_bit)
    asked = shared.name if isinstance(shared, SharedName) else shared
    if asked == AUTO:
        found = next((k for k, path in packaged().items() if _fits(path, base)), NONE)
        asked = NONE if four_bit else found
    if asked != NONE:
        _merge(base, asked, sha256=shared.sha256 if isinstance(shared, SharedName) else None)
    return base


def load_base_of(identity: BaseIdentity) -> LanguageModel:
    """Load the base that a memory belongs to, with the shared memory that it was trained on.

    Raises:
        ModelError: The base is not there, or the shared memory is another.
        ArtefactError: The shared memory is not there.
    """
    return load_base(identity.name, shared=shared_of(identity))


def shared_of(identity: BaseIdentity) -> str | SharedName:
    """Return which shared memory a memory was trained on, as `load_base` takes it."""
    own = identity.shared
    return NONE if own is None else SharedName(name=own.name, sha256=own.sha256)


def shared_in(base: LanguageModel) -> SharedMemory | None:
    """Return the shared memory that is in a base's weights, if one is.

    Raises:
        ArtefactError: Its folder is not there any more.
    """
    if base.shared is None:
        return None
    return SharedMemory.load(packaged().get(base.shared.name) or base.shared.name)


def load_at(place: BaseAt) -> LanguageModel:
    """Load a base as another process holds it."""
    return load_base(
        place.name,
        shared=place.shared or NONE,
        device=place.device,
        dtype=place.dtype,
        four_bit=place.four_bit,
    )


def load_bare(base: LanguageModel) -> LanguageModel:
    """Load a base again as it was before a shared memory was merged into it.

    Raises:
        ModelError: It cannot be loaded by its name, or has other weights there.
    """
    check_loadable(base)
    return load_at(replace(BaseAt.of(base, 0), shared=None))


def _fits(folder: Path, base: LanguageModel) -> bool:
    own = read_manifest(folder / MANIFEST_FILE, SharedManifest).base
    return own.fingerprint == base.weights_hash


def find_shared(asked: str, *, sha256: str | None = None) -> SharedMemory:
    """Read a shared memory.

    Args:
        asked: The name of one that comes with the package, or a folder.
        sha256: The hash of its weights, where it must be a certain one.

    Raises:
        ArtefactError: It is not there, or not whole.
        ModelError: It is another one.
    """
    memory = SharedMemory.load(packaged().get(asked, Path(asked)))
    if sha256 is not None and memory.sha256 != sha256:
        raise ModelError(
            "a memory works on the shared memory it was trained on",
            expected=f"{asked} ({sha256[:12]})",
            got=f"{asked} ({memory.sha256[:12]})",
            next_step="Bring that shared memory back, or train the memory again.",
        )
    return memory


def _merge(base: LanguageModel, asked: str, *, sha256: str | None) -> None:
    name = asked if asked in packaged() else str(Path(asked).resolve())
    find_shared(asked, sha256=sha256).merge_into(base, name=name)


def _hashed(salt: str, text: str) -> str:
    return hashlib.sha256(f"{salt} {text}".encode()).hexdigest()[:16]
