"""Looking for what was forgotten in every file where the store could have left it."""

import contextlib
import json
import mmap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from lorecall.core.files import cache_folder
from lorecall.store.recipe import Packed, tensors_in
from lorecall.store.rows import Row
from lorecall.store.schema import data
from lorecall.store.site import Site

_SHORTEST = 12
DATABASE = "database, its log and its free pages"
SERVER = "database, the person's rows; its files and its log are the server's"
_PIECE = 32  # a longer text may lie in two pages of a database


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What would be found if it were still somewhere.

    Args:
        pieces: Parts of texts and of weights.
        n_too_short: How many texts are too short to be told from chance.
    """

    pieces: frozenset[bytes]
    n_too_short: int

    @classmethod
    def of(cls, rows: Iterable[Row], versions: Iterable[Packed]) -> "Traces":
        """Return the traces of records and of versions that held them."""
        texts = {text for row in rows for text in (row.text, row.query) if text}
        pieces: set[bytes] = set()
        n_too_short = 0
        for text in texts:
            if len(text.encode()) < _SHORTEST:
                n_too_short += 1
                continue
            for form in (text, json.dumps(text)[1:-1]):
                content = form.encode()
                pieces |= {content[:_PIECE], content[-_PIECE:]}
        for packed in versions:
            for _, _, content in tensors_in(packed.weights).values():
                middle = len(content) // 2
                piece = content[middle : middle + _PIECE]
                if len(piece) >= _SHORTEST and any(piece):
                    pieces.add(piece)
        return cls(pieces=frozenset(pieces), n_too_short=n_too_short)


def search(site: Site, person: str, traces: Traces, *, since: float) -> list[dict[str, object]]:
    """Look for traces; return each place with what was searched and how much was found.

    Args:
        site: The store.
        person: Whose blobs are searched; others' are theirs alone.
        traces: What is looked for.
        since: Files of the cache that were last changed before are left out, in Unix seconds.
    """
    cached = (path for path in _files(cache_folder()) if path.stat().st_mtime >= since)
    files = site.database_files
    places: Mapping[str, Iterable[Path | bytes]] = {
        DATABASE if files else SERVER: files or _rows(site, person),
        "blobs": _blobs(site, person),
        "keys": _files(site.keys_folder),
        "cache": cached,
    }
    found: list[dict[str, object]] = []
    for place, contents in places.items():
        n_files = n_bytes = n_hits = 0
        for content in contents:
            n_files += 1
            n_bytes += len(content) if isinstance(content, bytes) else content.stat().st_size
            n_hits += _hits(content, traces.pieces)
        found.append({"place": place, "files": n_files, "bytes": n_bytes, "hits": n_hits})
    return found


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


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


def _hits(path: Path | bytes, pieces: frozenset[bytes]) -> int:
    if isinstance(path, bytes):
        return sum(piece in path for piece in pieces)
    if not path.stat().st_size:
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return sum(content.find(piece) >= 0 for piece in pieces)
