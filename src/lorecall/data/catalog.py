"""The datasets the package knows by name, and one way to load them or a JSONL file.

A further dataset is a module with `load_history(user, *, path)` and `list_users(*, path)`, like
`chitchat`, and an entry in `DATASETS`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from lorecall.data import chitchat, jsonl
from lorecall.data.jsonl import FileReport, check_file
from lorecall.data.rows import Problem
from lorecall.data.users import UserSummary, resolve_user
from lorecall.errors import DataError
from lorecall.records import History

__all__ = [
    "DATASETS",
    "Dataset",
    "FileReport",
    "Loader",
    "Problem",
    "UserSummary",
    "check_file",
    "describe",
    "list_users",
    "load_history",
    "resolve_user",
]


@runtime_checkable
class Loader(Protocol):
    """How one dataset is read; `path` is a file of its format, None for the installed one."""

    def load_history(self, user: str, *, path: Path | None = None) -> History:
        """Load one user, by id or the start of it."""
        ...

    def list_users(self, *, path: Path | None = None) -> list[UserSummary]:
        """Summarise the users, most samples first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """An entry of the catalogue.

    `sha256` is the checksum of its file; the counts are those of the published file. A reply is a
    turn after another speaker's turn, whether usable or not; a user is someone who replied.
    """

    name: str
    title: str
    licence: str
    origin: str
    sha256: str
    n_conversations: int
    n_replies: int
    n_users: int


DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {
        chitchat.NAME: Dataset(
            name=chitchat.NAME,
            title="Chit-Chat Challenge: open conversations between people",
            licence="MIT",
            origin="PyPI wheel chitchat-dataset 0.9.0",
            sha256=chitchat.SHA256,
            n_conversations=7_168,
            n_replies=131_569,
            n_users=1_113,
        )
    }
)
_LOADERS: Mapping[str, Loader] = MappingProxyType({chitchat.NAME: chitchat})


def load_history(source: str | Path, *, user: str, path: Path | None = None) -> History:
    """Load one user of a dataset or of a JSONL file.

    Args:
        source: A name in `DATASETS`, or the path of a JSONL file.
        user: The user's id, or the start of it.
        path: With a name: a file of that dataset's format instead of the installed one.

    Raises:
        DataError: The source cannot be used, or the user is not in it.
        MissingExtraError: The dataset is not installed.
    """
    if loader := _loader(source):
        return loader.load_history(user, path=path)
    return jsonl.load_history(_file(source), user=user)


def list_users(source: str | Path, *, path: Path | None = None) -> list[UserSummary]:
    """Summarise the users of a dataset or of a JSONL file, most usable samples first.

    Args:
        source: A name in `DATASETS`, or the path of a JSONL file.
        path: With a name: a file of that dataset's format instead of the installed one.

    Raises:
        DataError: The source cannot be used.
        MissingExtraError: The dataset is not installed.
    """
    if loader := _loader(source):
        return loader.list_users(path=path)
    return jsonl.list_users(_file(source))


def describe(
    name: str, *, path: Path | None = None, users: Sequence[UserSummary] | None = None
) -> dict[str, object]:
    """Give a dataset's entry and its numbers as in the paper's Table 1, for users with a sample.

    `Len(History)` is the mean number of texts a user wrote, `Len(Content)` the mean words of such
    a text, `Len(Response)` the mean words of a usable response.

    Args:
        name: A name in `DATASETS`.
        path: A file of that dataset's format instead of the installed one.
        users: Its users from `list_users`, where they are known already.

    Raises:
        DataError: An unknown name, or a file that cannot be used.
        MissingExtraError: The dataset is not installed.
    """
    if name not in DATASETS:
        raise _unknown(name)
    known = list_users(name, path=path) if users is None else users
    counted = [user for user in known if user.n_samples]
    n_samples = sum(user.n_samples for user in counted)
    n_texts = sum(user.n_texts for user in counted)
    entry: dict[str, object] = asdict(DATASETS[name])
    return entry | {
        "# User": len(counted),
        "# Samples": n_samples,
        "# Len(History)": n_texts / max(1, len(counted)),
        "Avg. Len(Content)": _mean((user.text_words, user.n_texts) for user in counted),
        "Avg. Len(Response)": _mean((user.response_words, user.n_samples) for user in counted),
    }


def _mean(parts: Iterable[tuple[float, int]]) -> float:
    """Give the mean over all items of (mean of a part, number of its items)."""
    known = list(parts)
    return sum(mean * n for mean, n in known) / max(1, sum(n for _, n in known))


def _loader(source: str | Path) -> Loader | None:
    return _LOADERS.get(source) if isinstance(source, str) else None


def _file(source: str | Path) -> Path:
    if not Path(source).is_file():
        raise _unknown(str(source))
    return Path(source)


def _unknown(source: str) -> DataError:
    return DataError(
        "the source must be a dataset or a file",
        expected=f"one of {', '.join(DATASETS)}, or the path of a JSONL file",
        got=repr(source),
        next_step="Check the name or the path.",
    )
