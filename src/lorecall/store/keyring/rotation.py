"""Another key in a root key's file, and what a killed change of it leaves.

1. The new key is written beside the old one (`root.key.new`).
2. All that the old one wraps is wrapped by the new one, in one transaction; what was overwritten
   leaves the database's log.
3. The new file takes the old one's place.

Killed before 2 is committed, the old key opens all, and the new file is nobody's. Killed after it,
the new file opens all, and takes its place when the store is opened.
"""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select

from lorecall.core.files import locked, renamed
from lorecall.errors import ConflictError, IntegrityError
from lorecall.store.database import connect, scrub
from lorecall.store.keyring.root import FileRootKey
from lorecall.store.schema import secret

ROOT, NEW, LOCK = "root.key", "root.key.new", "root.lock"


def rotate_file(folder: Path, use: Callable[[FileRootKey], None]) -> None:
    """Put another key into a root key's file.

    Args:
        folder: Of the keys.
        use: Wraps all by the new key, and sees that nothing of the old bytes is left.

    Raises:
        ConflictError: Another process is at it.
    """
    with locked(folder / LOCK, wait=False) as held:
        if not held:
            raise ConflictError(
                "one changes a root key at a time",
                expected="nobody else at it",
                got="another process",
                next_step="Wait for it.",
            )
        (folder / NEW).unlink(missing_ok=True)  # nobody's: see `settle`
        use(FileRootKey(folder / NEW))
        renamed(folder / NEW, folder / ROOT)


def settle(folder: Path) -> None:
    """Finish a change of the root key that was killed; while one goes on, wait for it.

    Args:
        folder: Of the keys.
    """
    if not (folder / NEW).exists():
        return
    with locked(folder / LOCK, wait=True):
        if not (folder / NEW).exists() or not (folder / "keys.db").exists():
            return
        engine = connect(folder / "keys.db")
        try:
            with engine.connect() as connection:
                query = select(secret.c.wrapped).where(secret.c.name == "index")
                wrapped = connection.execute(query).scalar()
            if wrapped and _opens(folder / NEW, wrapped) and not _opens(folder / ROOT, wrapped):
                scrub(engine)
                renamed(folder / NEW, folder / ROOT)
        finally:
            engine.dispose()


def _opens(path: Path, wrapped: bytes) -> bool:
    try:
        return path.exists() and bool(FileRootKey(path).unwrap(wrapped))
    except IntegrityError:
        return False
