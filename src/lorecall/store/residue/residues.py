"""Looking for what was forgotten in every file where it could have been left."""

import contextlib
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Self

from sqlalchemy import select

from lorecall.core.files import cache_folder
from lorecall.errors import LorecallError
from lorecall.store.residue.freed import free_pages
from lorecall.store.residue.traces import Traces
from lorecall.store.schema import data
from lorecall.store.site import Site

_MOST_BYTES = 1 << 30
_WHOLE_BYTES = 1 << 28
"""Above it a database is not searched whole, which takes some ten seconds a gigabyte."""
_OWN = ("lorecall-", "etilqs_")
"""How files and folders begin that are made in a temporary folder: this program's, and SQLite's."""
_OF_RUN = frozenset({"run.json", "study.db", "stages", "memory.safetensors"})
"""What tells that a folder is a run's, a bench's or a memory's, or what a killed one left of it."""
DATABASE = "database, its log and its free pages"
LARGE = "database, the person's rows, its log and its free pages"
SERVER = "database, the person's rows; its files and its log are the server's"


@dataclass(frozen=True, slots=True, kw_only=True)
class Residues:
    """What was searched, and how much was found.

    Args:
        places: Each with how many files and bytes were searched, how many were left out, and in
            how many pieces something was found.
        paths: Files that hold something. They are told on the spot; no certificate has them.
    """

    places: tuple[dict[str, object], ...]
    paths: tuple[Path, ...]

    @classmethod
    def of(cls, site: Site, person: str, traces: Traces, *, since: float) -> Self:
        """Look for traces.

        Args:
            site: The store.
            person: Whose blobs are searched; others' are theirs alone.
            traces: What is looked for.
            since: Files outside of the store that were last changed before are left out, in Unix
                seconds.
        """
        files = site.database_files
        folders = [cache_folder(), site.keys_folder, *(path.parent for path in files)]
        own = [folder.resolve() for folder in folders]
        places: Mapping[str, Iterable[Path | bytes]] = {
            _name_of(files): _database(site, person, files),
            "blobs": _blobs(site, person),
            "keys": _or_free_pages(_files(site.keys_folder)),
            "cache": _changed(cache_folder(), since),
            "temporary folder": _left(Path(tempfile.gettempdir()).resolve(), since, without=own),
        }
        found: list[dict[str, object]] = []
        paths: list[Path] = []
        for place, contents in places.items():
            n_files = n_bytes = n_hits = n_left = 0
            for content in contents:
                hits = _hits(content, traces)
                if hits is None:
                    n_left += 1
                    continue
                n_files, n_hits = n_files + 1, n_hits + hits
                if isinstance(content, bytes):
                    n_bytes += len(content)
                else:
                    n_bytes += content.stat().st_size
                    paths += [content] * bool(hits)
            counts = {"files": n_files, "bytes": n_bytes, "left_out": n_left, "hits": n_hits}
            found.append({"place": place, **counts})
        return cls(places=tuple(found), paths=tuple(paths))

    @property
    def n_hits(self) -> int:
        """How much was found in all."""
        return sum(int(str(each["hits"])) for each in self.places)


def tokens_of(base: str, texts: Iterable[str]) -> list[list[int]] | None:
    """Return the tokens of texts, by themselves and after a blank; None where the base is gone.

    Args:
        base: Whose tokens: its name or folder.
        texts: The texts.
    """
    from transformers import AutoTokenizer  # noqa: PLC0415

    from lorecall.lm.source import find_base  # noqa: PLC0415

    try:
        tokenizer = AutoTokenizer.from_pretrained(find_base(base).folder)
    except (LorecallError, OSError, ValueError):
        return None
    forms = [form for text in sorted(texts) for form in (text, f" {text}")]
    return [list(ids) for ids in tokenizer(forms, add_special_tokens=False)["input_ids"]]


def _name_of(files: Sequence[Path]) -> str:
    if not files:
        return SERVER
    return LARGE if any(map(_is_large, files)) else DATABASE


def _database(site: Site, person: str, files: Sequence[Path]) -> Iterator[Path | bytes]:
    """Yield what of the database is searched: all, or what can hold something of a person's."""
    yield from _or_free_pages(files)
    if _name_of(files) != DATABASE:
        yield from _rows(site, person)


def _or_free_pages(files: Iterable[Path]) -> Iterator[Path | bytes]:
    """Yield files; of a large database the pages that nothing is in."""
    for path in files:
        yield from free_pages(path) if _is_large(path) else (path,)


def _is_large(path: Path) -> bool:
    return path.suffix == ".db" and path.stat().st_size > _WHOLE_BYTES  # its log is searched whole


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _left(
    folder: Path, since: float, *, without: Sequence[Path], is_own: bool = False
) -> Iterator[Path]:
    """Yield what may be left of this program in a temporary folder, wherever below.

    Other programs' files are not read: a short text is in some of them by chance.

    Args:
        folder: The temporary folder, or one below.
        since: What was last changed before is left out, in Unix seconds.
        without: Folders that are searched elsewhere.
        is_own: Whether all in it is this program's.
    """
    entries = _entries(folder)
    is_own = is_own or not _OF_RUN.isdisjoint(each.name for each in entries)
    for each in entries:
        path, own = Path(each.path), is_own or each.name.startswith(_OWN)
        if each.is_dir(follow_symlinks=False):
            if path not in without:
                yield from _left(path, since, without=without, is_own=own)
        elif own and _is_changed(path, since):
            yield path


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return [*found]
    except OSError:  # it has gone, or is another's
        return []


def _changed(folder: Path, since: float) -> Iterator[Path]:
    """Yield this user's own files in a folder that were changed since."""
    return (path for path in folder.rglob("*") if _is_changed(path, since))


def _is_changed(path: Path, since: float) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False  # it has gone
    return S_ISREG(found.st_mode) and found.st_uid == os.getuid() and found.st_mtime >= since


def _hits(path: Path | bytes, traces: Traces) -> int | None:
    """Return how much is found in a file; None where it cannot be read, or is too large."""
    if isinstance(path, bytes):
        return traces.found_in(path)
    try:
        size = path.stat().st_size
        if not size or size > _MOST_BYTES:
            return None if size else 0
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            return traces.found_in(content)
    except (OSError, ValueError):  # it has gone, or was emptied
        return None


def _rows(site: Site, person: str) -> Iterator[bytes]:
    """Yield a person's rows."""
    with site.engine.connect() as connection:
        for table in data.sorted_tables:
            column = table.c.get("person", table.c.get("uid"))
            if column is not None:
                for row in connection.execute(select(table).where(column == person)):
                    yield b"\0".join(x if isinstance(x, bytes) else str(x).encode() for x in row)


def _blobs(site: Site, person: str) -> Iterator[bytes]:
    for uid in site.blobs.names(person):
        with contextlib.suppress(FileNotFoundError):
            yield site.blobs.get(person, uid)
