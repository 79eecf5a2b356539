"""What a version is made of, and what it is called by: canonical JSON and hashes.

A recipe names everything that a build depends on. Two builds of one recipe on one class of machine
give the same bytes; docs/explain/forgetting.md says on which machines that was measured.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self, cast

import rfc8785

from lorecall.records import Inject
from lorecall.settings import DEFAULT_BASE, DesignSettings, LearnSettings, TrainSettings
from lorecall.store.rows import Row

FORMAT = 1
_LENGTH = 8
_DECIDES = ("theta", "stop_bias", "stop_ids", "no_repeat", "factor")
"""What of a manifest says how a memory replies, beside its weights."""
_PARTS = ("recipe", "again", "manifest", "measured")


@dataclass(frozen=True, slots=True, kw_only=True)
class BasePlace:
    """Which base a memory is built on, and how it is loaded.

    Args:
        name: Its name or folder.
        shared: The shared memory in it: `auto`, `none`, a name or a folder.
        device: Where it computes.
        dtype: Its number format; `auto` for the one that is faster there.

    Examples:
        >>> from lorecall.store import BasePlace
        >>> BasePlace(name="base", shared="none").device
        'cpu'
    """

    name: str = DEFAULT_BASE
    shared: str = "auto"
    device: str = "cpu"
    dtype: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """What of the settings a build depends on: the design, the training, the seed.

    Examples:
        >>> from lorecall import preset
        >>> from lorecall.store import BuildSettings
        >>> BuildSettings.of(preset("smoke")).train.max_epochs
        1
    """

    design: DesignSettings = field(default_factory=DesignSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    inject: Inject = "all"
    seed: int = 0

    @classmethod
    def of(cls, settings: LearnSettings) -> Self:
        """Return what a build takes of the settings of a run."""
        return cls(
            design=settings.design,
            train=settings.train,
            inject=settings.search.inject,
            seed=settings.seed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """All that a build is given.

    Args:
        user: What the person is called in the manifest.
        rows: What is learnt, in the order in which it is kept.
        commitments: What stands for each row in the recipe, as hexadecimal digits.
        settings: How it is trained.
        base: On which base.
        n_threads: On how many threads; the bits depend on it.
        known: The recipes that need not be built again, by their digests.

    Examples:
        >>> import lorecall
        >>> from lorecall.store import Built
        >>> seen = []
        >>> def counting(request, **_) -> Built:
        ...     seen.append(len(request.rows))
        ...     return Built(short="no time")
        >>> with lorecall.Store.open("people", builder=counting) as store:
        ...     _ = store.person("ada").remember("history.jsonl", user="ann")
        ...     try:
        ...         store.person("ada").update()
        ...     except lorecall.DataError:
        ...         seen
        [24]
    """

    user: str
    rows: tuple[Row, ...]
    commitments: tuple[str, ...]
    settings: BuildSettings
    base: BasePlace
    n_threads: int
    known: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A version as it is encrypted: its recipe, how to ask for it again, its manifest and weights.

    What was measured of it is no part of its digest: it depends on the version before.

    Args:
        recipe: Canonical JSON.
        again: The base, the settings and the threads, as a request holds them; JSON.
        manifest: As it is stored in a memory's folder.
        weights: A safetensors file.
        measured: What the gate measured of it; JSON.

    Examples:
        >>> from lorecall.store import Packed
        >>> packed = Packed(recipe="{}", again="{}", manifest="{}", weights=b"")
        >>> Packed.of_content(packed.content()) == packed
        True
    """

    recipe: str
    again: str
    manifest: str
    weights: bytes
    measured: str = "null"

    def content(self) -> bytes:
        """Return it as bytes."""
        parts = {name: getattr(self, name) for name in _PARTS}
        head = rfc8785.dumps({"format": FORMAT, **parts})
        return len(head).to_bytes(_LENGTH, "big") + head + self.weights

    @classmethod
    def of_content(cls, content: bytes) -> Self:
        """Return what `content` made bytes of."""
        end = _LENGTH + int.from_bytes(content[:_LENGTH], "big")
        head = json.loads(content[_LENGTH:end])
        parts = {name: head[name] for name in _PARTS if name in head}
        return cls(weights=content[end:], **parts)

    @property
    def digest(self) -> str:
        """Return the hash of what replies: each tensor's name, type, shape and bytes, and more."""
        return memory_digest(self.weights, json.loads(self.manifest))


def canonical(value: Mapping[str, object]) -> str:
    """Return a value as canonical JSON (RFC 8785)."""
    plain = json.loads(json.dumps(dict(value)))  # tuples as lists
    return rfc8785.dumps(plain).decode()


def digest_of(text: str) -> str:
    """Return a text's SHA-256, 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def tensors_in(weights: bytes) -> dict[str, tuple[str, list[int], bytes]]:
    """Return the tensors of a safetensors file: their type, shape and bytes, by name."""
    start = _LENGTH + int.from_bytes(weights[:_LENGTH], "little")
    head = cast("dict[str, dict[str, object]]", json.loads(weights[_LENGTH:start]))
    found: dict[str, tuple[str, list[int], bytes]] = {}
    for name, entry in head.items():
        if name != "__metadata__":
            first, end = cast("list[int]", entry["data_offsets"])
            content = weights[start + first : start + end]
            found[name] = (str(entry["dtype"]), cast("list[int]", entry["shape"]), content)
    return found


def memory_digest(weights: bytes, manifest: dict[str, object]) -> str:
    """Hash what decides how a memory replies, whatever the order and the metadata of its file."""
    digest = hashlib.sha256()
    for name, (dtype, shape, content) in sorted(tensors_in(weights).items()):
        digest.update(rfc8785.dumps([name, dtype, [*shape], len(content)]))
        digest.update(content)
    digest.update(canonical({name: manifest[name] for name in _DECIDES}).encode())
    return digest.hexdigest()
