"""The datasets and formats the package knows, and one way to load any of them.

A further one is a module in `lorecall.data.formats` with a `LOADER`, like `reddit`.
"""

import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import cast

from lorecall.core.unpack import documents
from lorecall.data import formats, loading
from lorecall.data.head import Head, head_of, looks_like
from lorecall.data.loader import Dataset, Loader
from lorecall.data.loading import Summary
from lorecall.data.users import UserSummary
from lorecall.errors import DataError
from lorecall.records import History

N_NAMED = 10
Files = Path | str | Sequence[Path | str] | None
"""One file of a format, several that belong together, or None for the installed one."""


def _loaders() -> Iterator[Loader]:
    for module in pkgutil.iter_modules(formats.__path__, f"{formats.__name__}."):
        yield cast("Loader", import_module(module.name).LOADER)


LOADERS: Mapping[str, Loader] = MappingProxyType({each.name: each for each in _loaders()})
DATASETS: Mapping[str, Dataset] = MappingProxyType({n: each.dataset for n, each in LOADERS.items()})
"""The catalogue: what each name that a source may have stands for."""


def load_history(
    source: str | Path, *, user: str | None = None, path: Files = None, seed: int = 0
) -> History:
    """Load one user of a dataset or of a file, or many of them as if they were one.

    Args:
        source: A name in `DATASETS`, or the path of a file.
        user: The user's id, or the start of it (case matters only where two differ by it alone);
            `pooled` for a pool of users; None for the only user there is.
        path: With a name: the files of that format; the installed one when None.
        seed: Decides the draw and the order of a pool.

    Raises:
        DataError: The source cannot be used, or the user is not in it.
        MissingExtraError: The dataset is not installed.

    Examples:
        >>> from lorecall.data import load_history
        >>> history = load_history("chat.txt", user="bob")
        >>> history.dataset, history.user, history.samples[0].response
        ('whatsapp', 'Bob', 'yes to the sea')
    """
    loader, paths = loader_for(source, path)
    history = loading.history_from(loader, paths, user=user, seed=seed)
    is_own = path is not None or source not in DATASETS
    return replace(history, files=tuple(str(p.resolve()) for p in paths)) if is_own else history


def find_users(source: str | Path, starts: Sequence[str], *, path: Files = None) -> list[str]:
    """Find users of a dataset or of a file by their ids or the starts of them.

    Args:
        source: A name in `DATASETS`, or the path of a file.
        starts: One a user.
        path: With a name: the files of that format; the installed one when None.

    Returns:
        Full ids, in the order of the starts.

    Raises:
        DataError: The source cannot be used, or no user or several fit a start.
        MissingExtraError: The dataset is not installed.

    Examples:
        >>> from lorecall.data import find_users
        >>> find_users("history.jsonl", ["b", "ANN"])
        ['bob', 'ann']
    """
    return loading.users_from(*loader_for(source, path), starts)


def list_users(source: str | Path, *, path: Files = None) -> list[UserSummary]:
    """Summarise the users of a dataset or of a file, most usable samples first.

    Args:
        source: A name in `DATASETS`, or the path of a file.
        path: With a name: the files of that format; the installed one when None.

    Raises:
        DataError: The source cannot be used.
        MissingExtraError: The dataset is not installed.

    Examples:
        >>> from lorecall.data import list_users
        >>> [(user.user, user.n_samples, user.learnable) for user in list_users("history.jsonl")]
        [('ann', 24, True), ('bob', 2, False)]
    """
    return list(summarise(source, path=path).users)


def summarise(source: str | Path, *, path: Files = None, n_users: int | None = None) -> Summary:
    """Count what a dataset or a file holds, and what of it is dropped.

    Args:
        source: A name in `DATASETS`, or the path of a file.
        path: With a name: the files of that format; the installed one when None.
        n_users: How many users to name, most samples first; None for all.

    Raises:
        DataError: The source cannot be used.
        MissingExtraError: The dataset is not installed.

    Examples:
        >>> from lorecall.data import summarise
        >>> summary = summarise("history.jsonl")
        >>> summary.n_replies, summary.n_users, summary.n_learnable
        (26, 2, 1)
    """
    return loading.summary_from(*loader_for(source, path), n_users=n_users)


def check(source: str | Path, *, path: Files = None, pii: bool = False) -> Summary:
    """Read everything and report it, broken rows included, of which the first are named.

    Args:
        source: A name in `DATASETS`, or the path of a file.
        path: With a name: the files of that format; the installed one when None.
        pii: Whether to count what names someone outright, by kind.

    Raises:
        DataError: The source cannot be read at all.
        MissingExtraError: The dataset is not installed.

    Examples:
        >>> from lorecall.data import check
        >>> found = check("chat.txt")
        >>> found.n_problems, found.n_learnable, str(found.refusal)[:29]
        (0, 0, 'nobody in it can be learnt: a')
    """
    return loading.summary_from(*loader_for(source, path), n_users=N_NAMED, strict=False, pii=pii)


def describe(source: str | Path, summary: Summary) -> dict[str, object]:
    """Return a source's entry in the catalogue and its numbers as in the paper's Table 1.

    They are those of users with a sample. `Len(History)` is the mean number of texts a user
    wrote, `Len(Content)` the mean words of such a text, `Len(Response)` the mean words of a usable
    response.

    Args:
        source: A name in `DATASETS`, or the path of a file.
        summary: What `summarise` found in it.

    Examples:
        >>> from lorecall.data import describe, summarise
        >>> describe("history.jsonl", summarise("history.jsonl"))["# Samples"]
        26
    """
    found = DATASETS.get(str(source))
    itself: dict[str, object] = {"name": str(source), "title": summary.dataset.title}
    entry: dict[str, object] = asdict(found) if found else itself
    totals = summary.totals
    return entry | {
        "# User": totals.n_users,
        "# Samples": totals.n_samples,
        "# Len(History)": totals.n_texts / max(1, totals.n_users),
        "Avg. Len(Content)": totals.text_words,
        "Avg. Len(Response)": totals.response_words,
    }


def recognised(path: Path) -> Loader:
    """Return the loader of a file, found by what the file begins with.

    Raises:
        DataError: It cannot be read, or is of no known format, or may be of several.
    """
    fitting = (_fitting(head_of(each)) for each in documents(path))
    found = next(filter(None, fitting), [])  # of an archive the first of a known format tells
    if len(found) == 1:
        (loader,) = found
        own = loader.name == "jsonl"  # each such file is a dataset of its own, called by its name
        return replace(loader, dataset=replace(loader.dataset, name=path.name)) if own else loader
    if found:
        names = " and ".join(each.name for each in found)
        got, next_step = (
            f"one that may be {names}",
            "Name the format: learn --data NAME --history FILE.",
        )
    else:
        got, next_step = looks_like(head_of(path))
    told = ", ".join(name for name, each in LOADERS.items() if each.recognises)
    raise DataError(
        "the file must be of a known format",
        expected=f"{told} at {path}",
        got=got,
        next_step=next_step,
    )


def _fitting(head: Head) -> list[Loader]:
    """Return the loaders that take a file for one of theirs."""
    return [each for each in LOADERS.values() if each.recognises and each.recognises(head)]


def loader_for(source: str | Path, path: Files) -> tuple[Loader, tuple[Path, ...]]:
    """Find the loader of a source, and its files."""
    paths = (path,) if isinstance(path, str | Path) else tuple(path or ())
    loader = LOADERS.get(source) if isinstance(source, str) else None
    if loader is None:
        if not Path(source).is_file():
            raise DataError(
                "the source must be a dataset or a file",
                expected=f"one of {', '.join(DATASETS)}, or the path of a file",
                got=f"{str(source)!r}, which is {_what_is(Path(source))}",
                next_step="Check the name or the path.",
            )
        if paths:
            raise DataError(
                "a path belongs to the name of a dataset",
                expected=f"one of {', '.join(DATASETS)}",
                got=f"the file {source}",
                next_step="Name the format of the files, or leave the path out.",
            )
        return recognised(Path(source)), (Path(source),)
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


def _what_is(path: Path) -> str:
    """Return what stands where a file was expected."""
    return "a folder" if path.is_dir() else "neither"
