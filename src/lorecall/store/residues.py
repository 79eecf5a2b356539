"""Looking for what was forgotten in every file where it could have been left."""

import contextlib
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import select

from lorecall.core.files import cache_folder
from lorecall.errors import LorecallError
from lorecall.store.schema import data
from lorecall.store.site import Site
from lorecall.store.traces import Traces

_MOST_BYTES = 1 << 30
DATABASE = "database, its log and its free pages"
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
            DATABASE if files else SERVER: files or _rows(site, person),
            "blobs": _blobs(site, person),
            "keys": _files(site.keys_folder),
            "cache": _changed(cache_folder(), since),
            "temporary folder": _changed(Path(tempfile.gettempdir()), since, without=own),
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


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _changed(folder: Path, since: float, *, without: Iterable[Path] = ()) -> Iterator[Path]:
    """Yield this user's own files in a folder that were changed since, but some folders'."""
    left_out = {*map(str, without)}
    for top, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if str(Path(top, each).resolve()) not in left_out]
        for name in names:
            path = Path(top, name)
            try:
                found = path.lstat()
            except OSError:
                continue  # it has gone
            is_own = found.st_uid == os.getuid() and found.st_mtime >= since
            if is_own and path.is_file() and not path.is_symlink():
                yield path


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
    """Yield a person's rows, where a server has the files."""
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
