"""Files and folders that are whole or not there: temporary name, fsync, rename.

Also: reading JSON and text with a clear error, and where the cache lives.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import cast

from lorecall.errors import InputError, RunError

CACHE_VARIABLE = "LORECALL_CACHE"
_SPARE_BYTES = 16 << 20  # what else is written beside


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync(path.parent)


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file as `write_bytes` does."""
    write_bytes(path, content.encode())


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Write an indented JSON object as `write_bytes` does.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall.core import write_json
        >>> write_json(Path("figures.json"), {"loss": 4.1, "unit": "nats per token"})
        >>> print(Path("figures.json").read_text(encoding="utf-8"), end="")
        {
          "loss": 4.1,
          "unit": "nats per token"
        }
    """
    write_bytes(path, json_bytes(value))


def json_bytes(value: Mapping[str, object]) -> bytes:
    """Return an indented JSON object as it is written: UTF-8, a newline at its end."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_json(
    path: Path,
    *,
    what: str,
    error: type[InputError],
    next_step: str = "Check the path, or make the file again.",
) -> dict[str, object]:
    """Read a JSON object.

    Raises:
        InputError: (of class `error`) the file is missing, not UTF-8, not JSON or not an object.
    """
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as reason:
        raise error(
            f"{what} must be readable",
            expected=f"a JSON object in {path}",
            got=f"{type(reason).__name__}: {reason}",
            next_step=next_step,
        ) from reason
    if not isinstance(value, dict):
        raise error(
            f"{what} must be a JSON object",
            expected="{...}",
            got=type(value).__name__,
            next_step=next_step,
        )
    return cast("dict[str, object]", value)


@contextlib.contextmanager
def new_folder(path: Path) -> Generator[Path]:
    """Fill a temporary folder beside `path`; it takes that name when the block ends well.

    A folder that already has the name is replaced. Nothing is left behind when the block raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "a file is in the folder's place", str(path))
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                file.chmod(0o644)
                _sync(file)
        temporary.chmod(0o755)
        _sync(temporary)
        if path.exists():
            old = path.with_name(f".{path.name}.old-{os.getpid()}")
            path.replace(old)
            temporary.replace(path)
            shutil.rmtree(old)
        else:
            temporary.replace(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync(path.parent)


@contextlib.contextmanager
def locked(path: Path, *, wait: bool) -> Generator[bool]:
    """Hold a lock file; the system lets go of it when the process ends, however it does.

    Yields whether it is held: without `wait` it is not while another process holds it.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            held = True
        except BlockingIOError:
            held = False
        yield held
    finally:
        os.close(handle)


def check_room(path: Path, n_bytes: int, *, what: str) -> None:
    """Refuse to begin what would end on a full disk."""
    there = next(parent for parent in (path, *path.resolve().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if free < n_bytes + _SPARE_BYTES:
        raise RunError(
            f"there must be room for {what}",
            expected=f"{(n_bytes + _SPARE_BYTES) / 1e6:.0f} MB free for {path}",
            got=f"{free / 1e6:.0f} MB",
            next_step="Make room and give the same command again: what is finished is kept.",
        )


def sha256_of(*paths: Path) -> str:
    """Hash the contents of files, in the order given."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def cache_folder() -> Path:
    """Return the folder for things that can be made again.

    The environment variable `LORECALL_CACHE`, else `$XDG_CACHE_HOME/lorecall`.
    """
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lorecall"


def renamed(old: Path, new: Path) -> None:
    """Rename a file, and have that written to the disk."""
    old.replace(new)
    _sync(new.parent)


def _sync(path: Path) -> None:
    """Have a file or a folder written to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
