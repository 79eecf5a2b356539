"""What was seen before, of any number of things, in memory that does not grow with them."""

import errno
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

_N_IN_MEMORY = 200_000


class Seen:
    """Says of things, one after another, whether they are new; 64-bit hashes stand for them.

    Beyond some hundred thousand they are in SQLite's temporary database, which goes to disk.
    """

    def __init__(self) -> None:
        self._keys: set[int] = set()  # until there are too many
        self._db: sqlite3.Connection | None = None

    def is_new(self, *what: object) -> bool:
        """Whether this is the first time that it is asked of this."""
        key = hash(what)
        if key in self._keys:
            return False
        if self._db is not None:
            with disk():
                return (
                    self._db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key,)).rowcount > 0
                )
        self._keys.add(key)
        if len(self._keys) > _N_IN_MEMORY:
            self._db = self._spilt()
        return True

    def close(self) -> None:
        """Close the temporary database, if there is one."""
        if self._db is not None:
            self._db.close()

    def _spilt(self) -> sqlite3.Connection:
        db = temporary("CREATE TABLE seen (key INTEGER PRIMARY KEY)")
        with disk():
            db.executemany("INSERT INTO seen VALUES (?)", ((key,) for key in self._keys))
        self._keys.clear()
        return db


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
