"""A format: its entry in the catalogue, how its files are recognised, how they are read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lorecall.data.events import Event
from lorecall.data.head import Head
from lorecall.data.samples import Rules

Paths = Sequence[Path]

NOT_STATED = "not stated; for research"
YOURS = "the chat's own"
EXPORT = "an export of your own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """An entry of the catalogue.

    `sha256` is the checksum of `file`, the counts are those of it: its conversations, replies
    (whether usable or not) and users (who replied). All are None where a format has no published
    file.

    Examples:
        >>> from lorecall.data import DATASETS
        >>> DATASETS["chitchat"].licence, DATASETS["chitchat"].n_users
        ('MIT', 1113)
    """

    name: str
    title: str
    licence: str
    origin: str
    file: str | None = None
    sha256: str | None = None
    n_conversations: int | None = None
    n_replies: int | None = None
    n_users: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """How the files of one format are recognised and read.

    Args:
        dataset: Its entry in the catalogue.
        record: What a row is, for messages.
        rules: Which replies are usable.
        read: Yields the events of the files, front to back, without keeping them.
        recognises: Whether a file that begins so is of this format; None where no single file can
            tell.
        strict: Whether a broken row is an error; it is a drop otherwise.
        installed: Finds the file where none is given.
    """

    dataset: Dataset
    record: str
    rules: Rules
    read: Callable[[Paths], Iterator[Event]]
    recognises: Callable[[Head], bool] | None = None
    strict: bool = False
    installed: Callable[[], Path] | None = None

    @property
    def name(self) -> str:
        """What a history of this format says it is from."""
        return self.dataset.name
