"""The key above all others: a file, or a key service."""

import os
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from lorecall.core.files import write_bytes
from lorecall.errors import IntegrityError

_BYTES = 32


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


def _create(path: Path, content: bytes) -> None:
    """Write a file that nobody else can read at any moment."""
    before = os.umask(0o077)
    try:
        write_bytes(path, content)
        path.chmod(0o600)
    finally:
        os.umask(before)
