"""The key above all others: a file, or a key service; and all that it wraps, wrapped by another."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from sqlalchemy import Connection, Engine, insert, select, update

from lorecall.core.files import write_bytes
from lorecall.errors import ConflictError, IntegrityError
from lorecall.store.database import writing
from lorecall.store.schema import person_key, secret

_BYTES = 32
_GENERATION = "generation"
_PLAIN = (_GENERATION, "check")
"""What of the secrets is none: it is not wrapped."""


class RootKey(Protocol):
    """Who holds the key above all others: a file, or a key service that never gives it away.

    Examples:
        >>> from lorecall.store import FileRootKey, RootKey
        >>> class Counted:
        ...     def __init__(self, inner: RootKey) -> None:
        ...         self.inner, self.n_opened = inner, 0
        ...     def wrap(self, key: bytes) -> bytes:
        ...         return self.inner.wrap(key)
        ...     def unwrap(self, wrapped: bytes) -> bytes:
        ...         self.n_opened += 1
        ...         return self.inner.unwrap(wrapped)
        >>> root = Counted(FileRootKey("root.key"))
        >>> root.unwrap(root.wrap(bytes(32))) == bytes(32), root.n_opened
        (True, 1)
    """

    def wrap(self, key: bytes) -> bytes:
        """Return a key encrypted."""
        ...

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return a key that `wrap` encrypted.

        Raises:
            IntegrityError: This holder did not encrypt it.
        """
        ...


class FileRootKey:
    """A root key in a file that its owner alone may read; it is made if it is not there.

    Args:
        path: The file. Who loses it loses all that the store holds: keep a copy elsewhere.

    Raises:
        IntegrityError: It is no key, or others may read it.

    Examples:
        >>> from lorecall.store import FileRootKey
        >>> root = FileRootKey("root.key")
        >>> FileRootKey("root.key").unwrap(root.wrap(b"k" * 32)) == b"k" * 32
        True
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _create(path, os.urandom(_BYTES))
        content, mode = path.read_bytes(), path.stat().st_mode & 0o077
        if len(content) != _BYTES or mode:
            raise IntegrityError(
                "a root key is read by its owner alone",
                expected=f"{_BYTES} bytes with mode 600 at {path}",
                got=f"{len(content)} bytes with mode {path.stat().st_mode & 0o777:o}",
                next_step=f"Run chmod 600 {path}, or restore the key from its copy.",
            )
        self._key = content

    @property
    def fingerprint(self) -> str:
        """What copies are told apart by: it opens nothing."""
        return hashlib.sha256(b"lorecall root key" + self._key).hexdigest()[:16]

    def export(self, path: str | Path) -> None:
        """Write a copy that its owner alone may read.

        Raises:
            ConflictError: Something is there already.
        """
        if Path(path).exists():
            raise ConflictError(
                "a copy of a key replaces nothing",
                expected=f"nothing at {path}",
                got="a file",
                next_step="Choose another name.",
            )
        _create(Path(path), self._key)

    def wrap(self, key: bytes) -> bytes:
        """Return a key encrypted (RFC 3394)."""
        return aes_key_wrap(self._key, key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return a key that `wrap` encrypted.

        Raises:
            IntegrityError: Another key encrypted it, or it was changed.
        """
        try:
            return aes_key_unwrap(self._key, wrapped)
        except InvalidUnwrap:
            raise IntegrityError(
                "a store is opened with its own keys",
                expected="the root key that was made with it",
                got="a root key that opens nothing here",
                next_step="Name the folder of its keys (--keys), or restore the root key from its"
                " copy.",
            ) from None


class CurrentRoot:
    """A root key that refuses to wrap or to open once another has taken its place.

    What it wrapped then would be lost with it.

    Args:
        root: The key.
        engine: The keys' database.
        generation: How many root keys there were before it.
    """

    def __init__(self, root: RootKey, engine: Engine, *, generation: int) -> None:
        self.inner, self._engine, self._generation = root, engine, generation

    def wrap(self, key: bytes) -> bytes:
        """Return a key encrypted.

        Raises:
            ConflictError: Another root key has taken its place.
        """
        self._check()
        return self.inner.wrap(key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return a key that `wrap` encrypted.

        Raises:
            IntegrityError: Another key encrypted it.
            ConflictError: Another root key has taken its place.
        """
        try:
            return self.inner.unwrap(wrapped)
        except IntegrityError:
            self._check()
            raise

    def _check(self) -> None:
        with self._engine.connect() as connection:
            now = _generation(connection)
        if now != self._generation:
            raise ConflictError(
                "a store is worked on with the root key of now",
                expected="the one that it was opened with",
                got="another, which has taken its place since",
                next_step="Open the store again.",
            )


def generation_in(secrets: Mapping[str, bytes]) -> int:
    """Return how many root keys there were before the one that wraps some secrets."""
    return int(secrets.get(_GENERATION, 0))


def wrap_again(engine: Engine, old: RootKey, new: RootKey) -> int:
    """Wrap all that one root key wraps by another, in one transaction.

    Args:
        engine: The keys' database.
        old: The one that opens it now.
        new: The one that opens it from then on.

    Returns:
        How many root keys there were before the new one.

    Raises:
        IntegrityError: The new one does not open what it wraps.
    """
    with writing(engine) as connection:
        for name, wrapped in connection.execute(select(secret.c.name, secret.c.wrapped)).all():
            if name not in _PLAIN:
                again = _again(wrapped, old, new)
                connection.execute(
                    update(secret).where(secret.c.name == name).values(wrapped=again)
                )
        for row in connection.execute(select(person_key)).all():
            values = {name: _again(getattr(row, name), old, new) for name in ("wrapped", "salt")}
            of_person = person_key.c.person == row.person
            connection.execute(update(person_key).where(of_person).values(**values))
        generation = _generation(connection) + 1
        value = {"wrapped": str(generation).encode()}
        if generation == 1:
            connection.execute(insert(secret).values(name=_GENERATION, **value))
        else:
            connection.execute(update(secret).where(secret.c.name == _GENERATION).values(**value))
    return generation


def _create(path: Path, content: bytes) -> None:
    """Write a file that nobody else can read at any moment."""
    before = os.umask(0o077)
    try:
        write_bytes(path, content)
        path.chmod(0o600)
    finally:
        os.umask(before)


def _again(wrapped: bytes, old: RootKey, new: RootKey) -> bytes:
    key = old.unwrap(wrapped)
    again = new.wrap(key)
    if new.unwrap(again) != key:
        raise IntegrityError(
            "a root key must open what it wraps",
            expected="the key that was wrapped",
            got="another",
            next_step="Nothing was changed. Look at who holds the new root key.",
        )
    return again


def _generation(connection: Connection) -> int:
    query = select(secret.c.wrapped).where(secret.c.name == _GENERATION)
    return int(connection.execute(query).scalar() or 0)
