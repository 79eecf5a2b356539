"""What is told of a person: their versions, a version built again, what would be forgotten."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lorecall.store.certificate import Certificate
from lorecall.store.records import Record
from lorecall.store.versions import Version

Outcome = Literal["identical", "other-class", "differs", "unverifiable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLog:
    """A person's versions, and how far the head is behind.

    Args:
        head: Which version answers; None where the base does.
        versions: All there ever were, the first first.
        n_records: How many records there are.
        n_behind: How many of them the head was not built from.
        certificates: What was forgotten, the first first.
        held_back: Why versions are candidates, by their numbers.
    """

    head: int | None
    versions: tuple[Version, ...]
    n_records: int
    n_behind: int
    certificates: tuple[Certificate, ...]
    held_back: Mapping[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What building a version again came to.

    Args:
        n: Which version.
        outcome: `identical`; `other-class`, the bytes differ and so does the machine;
            `unverifiable`, it cannot be built here as it was; or `differs`, which alone accuses.
        digest: Of what was published.
        found: Of what was built now; empty where nothing was.
    """

    n: int
    outcome: Outcome
    digest: str
    found: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToForget:
    """What would go, and what else says the same.

    Args:
        gone: The records.
        alike: Records that would stay though they hold one of the same texts.
        versions: The versions that would be destroyed.
    """

    gone: tuple[Record, ...]
    alike: tuple[Record, ...]
    versions: tuple[int, ...]
