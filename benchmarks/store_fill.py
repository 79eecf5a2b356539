"""Fills a store's tables with people, and a bare SQLite file beside with the same.

Some people are remembered as anyone would be, and are the ones that are measured. The others only
make the tables as large: their rows have the sizes of real ones, and random bytes for contents.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import psycopg

Tables = dict[str, list[tuple[object, ...]]]
_AT_ONCE = 50  # people
_CONTENT, _WRAPPED, _HASH = 220, 40, 32
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = ON",
    "busy_timeout = 30000",
)
_BARE = """
CREATE TABLE person (uid TEXT PRIMARY KEY, name BLOB UNIQUE, head INTEGER);
CREATE TABLE event (
    uid TEXT PRIMARY KEY, person TEXT, source INTEGER, place INTEGER, commitment BLOB, content BLOB,
    UNIQUE (person, commitment)
);
CREATE INDEX event_order ON event (person, source, place);
CREATE TABLE version (person TEXT, n INTEGER, made TEXT, digest TEXT, PRIMARY KEY (person, n));
"""


def fill(database: Path | str, keys: Path, *, n_people: int, n_events: int) -> None:
    """Add people who are only rows to a store's two databases.

    Args:
        database: A SQLite file, or PostgreSQL's URL.
        keys: The keys' SQLite file.
        n_people: How many.
        n_events: How many records each has.
    """
    with _fast(keys) as wrapped:
        if isinstance(database, Path):
            with _fast(database) as data:
                for some in _people(n_people, n_events):
                    _insert(data, some, of_keys=False)
                    _insert(wrapped, some, of_keys=True)
        else:
            with psycopg.connect(database) as connection, connection.cursor() as cursor:
                for some in _people(n_people, n_events):
                    for table, columns, rows in _parts(some, of_keys=False):
                        with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                            for row in rows:
                                copy.write_row(row)
                    _insert(wrapped, some, of_keys=True)
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute("ANALYZE")


def bare(path: Path, *, names: Sequence[str], n_people: int, n_events: int) -> None:
    """Make a SQLite file with as many rows, for a loop without a store.

    Args:
        path: The file.
        names: People who are looked up by name; the others have random ones.
        n_people: How many people in all.
        n_events: How many records each has.
    """
    with _fast(path) as data:
        data.executescript(_BARE)
        for i in range(n_people):
            uid = _uid()
            name = names[i].encode() if i < len(names) else os.urandom(_HASH)
            data.execute("INSERT INTO person VALUES (?, ?, 1)", (uid, name))
            data.executemany(
                "INSERT INTO event VALUES (?, ?, 1, ?, ?, ?)",
                (
                    (_uid(), uid, i, os.urandom(_HASH), os.urandom(_CONTENT))
                    for i in range(n_events)
                ),
            )
            rows = ((uid, n, "2026-01-01T00:00:00.000000+00:00", 2 * _uid()) for n in (1,))
            data.executemany("INSERT INTO version VALUES (?, ?, ?, ?)", rows)


def bare_connection(path: Path) -> sqlite3.Connection:
    """Open the file as safely as a store opens its own."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _people(n_people: int, n_events: int) -> Iterator[Tables]:
    for start in range(0, n_people, _AT_ONCE):
        made: Tables = {"person": [], "event": [], "person_key": [], "data_key": []}
        for _ in range(min(_AT_ONCE, n_people - start)):
            uid = _uid()
            random = [os.urandom(_HASH) for _ in range(2)]
            made["person"].append((uid, os.urandom(40), *random, None, 0, 1))
            made["person_key"].append((uid, 1, os.urandom(_WRAPPED), os.urandom(_WRAPPED)))
            made["data_key"].append((_uid(), uid, os.urandom(_WRAPPED)))
            for i in range(n_events):
                event = _uid()
                hashed, content = os.urandom(_HASH), os.urandom(_CONTENT)
                made["event"].append((event, uid, 1, i, hashed, content))
                made["data_key"].append((event, uid, os.urandom(_WRAPPED)))
        yield made


def _parts(
    made: Tables, *, of_keys: bool
) -> Iterator[tuple[str, str, Iterable[tuple[object, ...]]]]:
    if of_keys:
        yield "person_key", "person, generation, wrapped, salt", made["person_key"]
        yield "data_key", "uid, person, wrapped", made["data_key"]
        return
    yield (
        "person",
        "uid, name, name_index, look_index, head, last_n, last_source",
        made["person"],
    )
    yield "event", "uid, person, source, place, commitment, content", made["event"]


def _insert(connection: sqlite3.Connection, made: Tables, *, of_keys: bool) -> None:
    for table, columns, rows in _parts(made, of_keys=of_keys):
        marks = ", ".join("?" * (columns.count(",") + 1))
        connection.executemany(
            f"INSERT INTO {table} ({columns}) VALUES ({marks})",  # noqa: S608 - names of ours
            rows,
        )


class _fast:  # noqa: N801 - a context manager that reads as a verb
    """One transaction on a SQLite file, quickly: what is half filled is filled anew."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=60)

    def __enter__(self) -> sqlite3.Connection:
        for pragma in ("synchronous = OFF", "cache_size = -1000000", "journal_mode = WAL"):
            self._connection.execute(f"PRAGMA {pragma}")
        return self._connection

    def __exit__(self, *error: object) -> None:
        if error == (None, None, None):
            self._connection.commit()
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()


def _uid() -> str:
    return os.urandom(16).hex()
