"""What was seen before, of any number of things, in memory that does not grow with them."""

import errno
import mmap
import sqlite3
from collections.abc import Generator, Iterable
from contextlib import contextmanager

_N_IN_SET = 1 << 14
_N_IN_MEMORY = 1 << 20
_SLOTS = 2  # of 8 bytes, for each key at least: the next free one is near


class Seen:
    """Says of things, one after another, whether they are new; 64-bit hashes stand for them.

    Few are in a set, up to a million in a table that grows, which takes less, and the others in
    SQLite's temporary database, which goes to disk.
    """

    def __init__(self) -> None:
        self._keys: set[int] = set()
        self._n_keys = 0
        self._table: memoryview | None = None
        self._db: sqlite3.Connection | None = None

    def is_new(self, *what: object) -> bool:
        """Whether this is the first time that it is asked of this."""
        key = hash(what) or 1  # 0 is a free slot
        if self._table is not None:
            return self._is_new_in_table(key, self._table)
        if key in self._keys:
            return False
        self._keys.add(key)
        if len(self._keys) > _N_IN_SET:
            self._grow(4 * _SLOTS * _N_IN_SET, self._keys)
            self._keys.clear()
        return True

    def _grow(self, n_slots: int, keys: Iterable[int]) -> None:
        """Put keys into a new table of so many slots."""
        self._table, self._n_keys = memoryview(mmap.mmap(-1, 8 * n_slots)).cast("q"), 0
        for key in keys:
            self._is_new_in_table(key, self._table)

    def _is_new_in_table(self, key: int, table: memoryview) -> bool:
        n_slots = len(table)
        slot = key % n_slots
        while kept := table[slot]:
            if kept == key:
                return False
            slot = (slot + 1) % n_slots
        if self._n_keys < _N_IN_MEMORY:
            table[slot] = key
            self._n_keys += 1
            if _SLOTS * self._n_keys > n_slots:
                self._grow(2 * n_slots, filter(None, table))
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
