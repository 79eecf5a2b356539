"""What was seen before, of any number of things, in memory that does not grow with them."""

import errno
import mmap
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

_N_IN_MEMORY = 1 << 20
_N_SLOTS = 1 << 21  # of 8 bytes; with two for each key the next free one is near


class Seen:
    """Says of things, one after another, whether they are new; 64-bit hashes stand for them.

    The first million is in a table in memory, of which only what is used takes room; the others
    are in SQLite's temporary database, which goes to disk.
    """

    def __init__(self) -> None:
        self._table = memoryview(mmap.mmap(-1, 8 * _N_SLOTS)).cast("q")
        self._n_kept = 0
        self._db: sqlite3.Connection | None = None

    def is_new(self, *what: object) -> bool:
        """Whether this is the first time that it is asked of this."""
        key = hash(what) or 1  # 0 is a free slot
        table, slot = self._table, key % _N_SLOTS
        while kept := table[slot]:
            if kept == key:
                return False
            slot = (slot + 1) % _N_SLOTS
        if self._n_kept < _N_IN_MEMORY:
            table[slot] = key
            self._n_kept += 1
            return True
        if self._db is None:
            self._db = temporary("CREATE TABLE seen (key INTEGER PRIMARY KEY)")
        with disk():
            return self._db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key,)).rowcount > 0

    def close(self) -> None:
        """Close the temporary database, if there is one."""
        if self._db is not None:
            self._db.close()


def temporary(*tables: str) -> sqlite3.Connection:
    """Open a database that is gone when it is closed, and make its tables."""
    db = sqlite3.connect("", isolation_level=None)
    cache = f"PRAGMA cache_size = -{16_384}"  # in KiB
    settings = ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", cache)
    for line in (*settings, *tables, "BEGIN"):
        db.execute(line)
    return db


@contextmanager
def disk() -> Generator[None]:
    """Raise SQLite's error for a full disk as the `OSError` that the command line reports."""
    try:
        yield
    except sqlite3.OperationalError as reason:
        raise OSError(errno.ENOSPC, f"no room for the counts of users: {reason}") from reason
