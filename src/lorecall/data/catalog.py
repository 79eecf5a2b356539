"""The datasets and formats the package knows by name, and one way to load them or a JSONL file.

A further one is a module with a `Loader`, like `reddit`, and an entry in `DATASETS`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType

from lorecall.data import loading
from lorecall.data.formats import (
    amazon_qa,
    amazon_qa_processed,
    chitchat,
    jsonl,
    med_dialogue,
    openai,
    reddit,
    telegram,
    whatsapp,
)
from lorecall.data.loading import Loader, Problem, Summary
from lorecall.data.users import UserSummary
from lorecall.errors import DataError
from lorecall.records import History

__all__ = [
    "DATASETS",
    "Dataset",
    "Problem",
    "Summary",
    "UserSummary",
    "check",
    "describe",
    "find_users",
    "list_users",
    "load_history",
    "summarise",
]

N_NAMED = 10
Files = Path | str | Sequence[Path | str] | None
"""One file of a format, several that belong together, or None for the installed one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """An entry of the catalogue.

    `sha256` is the checksum of `file`, the counts are those of it: its conversations, replies
    (whether usable or not) and users (who replied). All are None where a format has no published
    file.
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


_NOT_STATED = "not stated; for research"
_YOURS = "the chat's own"
_EXPORT = "an export of your own"

_ENTRIES = (
    Dataset(
        name="chitchat",
        title="Chit-Chat Challenge: open conversations between people",
        licence="MIT",
        origin="PyPI wheel chitchat-dataset 0.9.0",
        file="dataset.json",
        sha256=chitchat.SHA256,
        n_conversations=7_168,
        n_replies=131_569,
        n_users=1_113,
    ),
    Dataset(
        name="amazon_qa",
        title="AmazonQA: questions on products, several answers each; reviews and items beside",
        licence=_NOT_STATED,
        origin="J. McAuley, UC San Diego: QA_<Category>, reviews_<Category>_5, meta_<Category>",
        file="QA_Video_Games.json.gz",
        sha256="dd0890a6aa1d2e709627c30f67f5992b2f237bcb14329019cbe974b7c0536138",
        n_conversations=1_183,
        n_replies=28_893,
        n_users=23_825,
    ),
    Dataset(
        name="amazon_qa_processed",
        title="AmazonQA as parallel files: src, tgt, fact, pers",
        licence=_NOT_STATED,
        origin="Deng et al. 2022",
    ),
    Dataset(
        name="reddit",
        title="Reddit: posts and responses with the author's history",
        licence=_NOT_STATED,
        origin="Zhong et al. 2022 (MSP), a sample file of the same format in Chinese",
        file="msp_sample_1498.txt",
        sha256="63573299dc98c911f999b7066d45006ecd5f973632d00fe9ab4f598174b961ba",
        n_conversations=1_498,
        n_replies=1_498,
        n_users=1_498,
    ),
    Dataset(
        name="med_dialogue",
        title="MedDia: patients and an assistant as their doctor",
        licence="MIT",
        origin="K. Zhang et al. 2023 (MaLP): dialogues_3_cleaned, profiles_3",
        file="dialogues_3_cleaned.json",
        sha256="53b825fc987acbaeb508ec088f3eebe6d98937ec8967c9a0c8692f5ee52e4379",
        n_conversations=555,
        n_replies=2_775,
        n_users=555,
    ),
    Dataset(
        name="openai",
        title="Chats with an assistant: OpenAI messages, or a ChatGPT export",
        licence=_YOURS,
        origin=_EXPORT,
    ),
    Dataset(name="telegram", title="Telegram: result.json", licence=_YOURS, origin=_EXPORT),
    Dataset(name="whatsapp", title="WhatsApp: _chat.txt", licence=_YOURS, origin=_EXPORT),
)
DATASETS: Mapping[str, Dataset] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
_MODULES = (
    *(chitchat, amazon_qa, amazon_qa_processed, reddit, med_dialogue),
    *(openai, telegram, whatsapp),
)
LOADERS: Mapping[str, Loader] = MappingProxyType({m.LOADER.name: m.LOADER for m in _MODULES})


def load_history(source: str | Path, *, user: str, path: Files = None, seed: int = 0) -> History:
    """Load one user of a dataset or of a JSONL file, or many of them as if they were one.

    Args:
        source: A name in `DATASETS`, or the path of a JSONL file.
        user: The user's id, or the start of it; `pooled` for a pool of users.
        path: With a name: the files of that format; the installed one when None.
        seed: Decides the draw and the order of a pool.

    Raises:
        DataError: The source cannot be used, or the user is not in it.
        MissingExtraError: The dataset is not installed.
    """
    loader, paths = _opened(source, path)
    history = loading.load_history(loader, paths, user=user, seed=seed)
    is_own = path is not None or source not in DATASETS
    return replace(history, files=tuple(str(p.resolve()) for p in paths)) if is_own else history


def find_users(source: str | Path, starts: Sequence[str], *, path: Files = None) -> list[str]:
    """Find users of a dataset or of a JSONL file by their ids or the starts of them.

    Args:
        source: A name in `DATASETS`, or the path of a JSONL file.
        starts: One a user.
        path: With a name: the files of that format; the installed one when None.

    Returns:
        Full ids, in the order of the starts.

    Raises:
        DataError: The source cannot be used, or no user or several fit a start.
        MissingExtraError: The dataset is not installed.
    """
    return loading.find_users(*_opened(source, path), starts)


def list_users(source: str | Path, *, path: Files = None) -> list[UserSummary]:
    """Summarise the users of a dataset or of a JSONL file, most usable samples first.

    Args:
        source: A name in `DATASETS`, or the path of a JSONL file.
        path: With a name: the files of that format; the installed one when None.

    Raises:
        DataError: The source cannot be used.
        MissingExtraError: The dataset is not installed.
    """
    return list(summarise(source, path=path).users)


def summarise(source: str | Path, *, path: Files = None, n_users: int | None = None) -> Summary:
    """Count what a dataset or a JSONL file holds, and what of it is dropped.

    Args:
        source: A name in `DATASETS`, or the path of a JSONL file.
        path: With a name: the files of that format; the installed one when None.
        n_users: How many users to name, most samples first; None for all.

    Raises:
        DataError: The source cannot be used.
        MissingExtraError: The dataset is not installed.
    """
    return loading.summarise(*_opened(source, path), n_users=n_users)


def check(source: str | Path, *, path: Files = None) -> Summary:
    """Read everything and report it, broken rows included, of which the first are named.

    Args:
        source: A name in `DATASETS`, or the path of a JSONL file.
        path: With a name: the files of that format; the installed one when None.

    Raises:
        DataError: The source cannot be read at all.
        MissingExtraError: The dataset is not installed.
    """
    return loading.summarise(*_opened(source, path), n_users=N_NAMED, strict=False)


def describe(source: str | Path, summary: Summary) -> dict[str, object]:
    """Return a source's entry in the catalogue and its numbers as in the paper's Table 1.

    They are those of users with a sample. `Len(History)` is the mean number of texts a user
    wrote, `Len(Content)` the mean words of such a text, `Len(Response)` the mean words of a usable
    response.

    Args:
        source: A name in `DATASETS`, or the path of a JSONL file.
        summary: What `summarise` found in it.
    """
    found = DATASETS.get(str(source))
    entry: dict[str, object] = asdict(found) if found else {"name": str(source)}
    totals = summary.totals
    return entry | {
        "# User": totals.n_users,
        "# Samples": totals.n_samples,
        "# Len(History)": totals.n_texts / max(1, totals.n_users),
        "Avg. Len(Content)": totals.text_words,
        "Avg. Len(Response)": totals.response_words,
    }


def _opened(source: str | Path, path: Files) -> tuple[Loader, tuple[Path, ...]]:
    """Find the loader of a source, and its files."""
    paths = (path,) if isinstance(path, str | Path) else tuple(path or ())
    loader = LOADERS.get(source) if isinstance(source, str) else None
    if loader is None:
        if not Path(source).is_file():
            raise _unknown(str(source))
        if paths:
            raise DataError(
                "a path belongs to the name of a dataset",
                expected=f"one of {', '.join(DATASETS)}",
                got=f"the file {source}",
                next_step="Name the format of the files, or leave the path out.",
            )
        return jsonl.loader(Path(source)), (Path(source),)
    if paths:
        return loader, tuple(map(Path, paths))
    if loader.installed is None:
        raise DataError(
            f"the files of {loader.name} must be given",
            expected="the path of one or more",
            got="none",
            next_step="It does not come with the package: name its files (--path FILE).",
        )
    return loader, (loader.installed(),)


def _unknown(source: str) -> DataError:
    return DataError(
        "the source must be a dataset or a file",
        expected=f"one of {', '.join(DATASETS)}, or the path of a JSONL file",
        got=repr(source),
        next_step="Check the name or the path.",
    )
