"""What a store does, in plain sqlite3: a loop that a store's figures are compared with.

It works on the store's own two files, about people whom the store is not asked about, and is as
durable: each file has a write-ahead log and is synchronised at every commit (`synchronous = FULL`,
`secure_delete`). What is added is committed to the keys' file first and to the data's then, with
the person's counter and a line of the audit log, for a store promises that no record is ever
without its key, and that no line is missing. It reads the same rows.

It leaves out what a store is there for: nothing is encrypted, decrypted, hashed or signed, no name
is hidden, no record is looked up before it is added, and no file is read that might be of any
format.
"""

import json
import random
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "secure_delete = ON",
    "foreign_keys = ON",
    "busy_timeout = 30000",
)
_REVISION = "SELECT version_num FROM alembic_version"
_PERSON = "SELECT uid, head FROM person WHERE name_index = ?"
_VERSIONS = "SELECT * FROM version WHERE person = ? ORDER BY n"
_N_RECORDS = "SELECT count(*) FROM event WHERE person = ?"
_CERTIFICATES = "SELECT envelope FROM certificate WHERE person = ? ORDER BY made"
_ADD_KEYS = "INSERT INTO data_key (uid, person, wrapped) VALUES (?, ?, ?)"
_ADD_EVENTS = (
    "INSERT INTO event (uid, person, source, place, commitment, content) VALUES (?, ?, ?, ?, ?, ?)"
)
_COUNT_UP = "UPDATE person SET last_source = last_source + 1 WHERE uid = ? RETURNING last_source"
_ADD_LINE = (
    "INSERT INTO audit (seq, at, person, action, details, previous, hash)"
    " SELECT seq + 1, ?, ?, 'remembered', '{}', hash, ? FROM audit ORDER BY seq DESC LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Bare:
    """The two files, opened.

    Args:
        data: The store's.
        keys: The keys'.
        draw: Draws what stands for ciphertext.
    """

    data: sqlite3.Connection
    keys: sqlite3.Connection
    draw: random.Random

    @classmethod
    def open(cls, data: Path, keys: Path, draw: random.Random) -> "Bare":
        """Open both as safely as a store opens them, and read of which revision each is."""
        opened = [sqlite3.connect(path, isolation_level=None) for path in (data, keys)]
        for connection in opened:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            connection.execute(_REVISION).fetchone()
        return cls(*opened, draw)

    def close(self) -> None:
        """Close both."""
        self.data.close()
        self.keys.close()

    def head(self, name: bytes) -> tuple[str, int | None]:
        """Return a person's random name, and their head."""
        return self.data.execute(_PERSON, (name,)).fetchone()

    def log(self, name: bytes) -> Sequence[object]:
        """Return a person's versions, how many records they have, and certificates."""
        self.data.execute("BEGIN")
        uid, _ = self.head(name)
        found = [
            self.data.execute(query, (uid,)).fetchall()
            for query in (_VERSIONS, _N_RECORDS, _CERTIFICATES)
        ]
        self.data.execute("COMMIT")
        return found

    def add(self, name: bytes, file: Path) -> None:
        """Add what is in a file, a record a line."""
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        uids = [f"{self.draw.getrandbits(128):032x}" for _ in rows]
        uid, _ = self.head(name)
        self.keys.execute("BEGIN IMMEDIATE")
        self.keys.executemany(_ADD_KEYS, [(each, uid, self.draw.randbytes(40)) for each in uids])
        self.keys.execute("COMMIT")
        self.data.execute("BEGIN IMMEDIATE")
        ((source,),) = self.data.execute(_COUNT_UP, (uid,)).fetchall()
        events = [
            (each, uid, source, i, self.draw.randbytes(32), self.draw.randbytes(220))
            for i, each in enumerate(uids)
        ]
        self.data.executemany(_ADD_EVENTS, events)
        at, hashed = "2026-01-01T00:00:00.000000+00:00", self.draw.randbytes(32).hex()
        self.data.execute(_ADD_LINE, (at, uid, hashed))
        self.data.execute("COMMIT")


def filled_people(data: Path, *, n: int, n_filled: int, draw: random.Random) -> list[bytes]:
    """Return by what some people are found who are only rows.

    Args:
        data: The store's file.
        n: How many are drawn.
        n_filled: How many there are.
        draw: Draws them.
    """
    query = "SELECT name_index FROM person WHERE uid >= ? ORDER BY uid LIMIT 1"
    connection = sqlite3.connect(data)
    chosen = draw.sample(range(n_filled), min(n, n_filled))
    found = [connection.execute(query, (f"{i:08x}",)).fetchone()[0] for i in chosen]
    connection.close()
    return found
