"""Files read front to back: plain or gzip, line by line, in memory that does not grow with them."""

import codecs
import gzip
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from lorecall.data.events import Dropped
from lorecall.errors import DataError

MAX_LINE_BYTES = 8 << 20
_GZIP = b"\x1f\x8b"
_BLOCK = 1 << 20


class Line(NamedTuple):
    """A line: its number from 1 and its text without the line end."""

    number: int
    text: str


@contextmanager
def opened(path: Path) -> Generator[BinaryIO]:
    """Open a plain or gzip file (its first bytes decide, not its name) behind its BOM.

    Raises:
        DataError: It cannot be opened; or, while it is read, it turns out to be damaged.
    """
    try:
        file = path.open("rb")
    except (OSError, ValueError) as reason:  # the latter for a NUL in the path
        raise unreadable(path, got=f"{type(reason).__name__}: {reason}") from reason
    try:
        with file:
            packed = file.peek(len(_GZIP)).startswith(_GZIP)
            raw = cast("Any", gzip.GzipFile(fileobj=file))  # it reads as a raw file does
            stream = BufferedReader(raw, _BLOCK) if packed else file
            if stream.peek(len(codecs.BOM_UTF8)).startswith(codecs.BOM_UTF8):
                stream.read(len(codecs.BOM_UTF8))
            yield stream
    except (OSError, EOFError, zlib.error) as reason:
        raise unreadable(path, got=f"{type(reason).__name__}: {reason}") from reason


def lines(path: Path, *, blank: bool = False) -> Iterator[Line | Dropped]:
    """Return each line, or why it cannot be read.

    Args:
        path: A text file, plain or gzip.
        blank: Whether blank lines are given too.

    Raises:
        DataError: The file cannot be read.
    """
    with opened(path) as file:
        offset, number = file.tell(), 0
        while content := file.readline(MAX_LINE_BYTES):
            number += 1
            size = len(content)
            if size == MAX_LINE_BYTES and not content.endswith(b"\n"):
                size += _skip_line(file)
                yield Dropped("line too long", number, detail=f"more than {MAX_LINE_BYTES} bytes")
            elif blank or content.strip():
                yield _decoded(content, number=number, offset=offset)
            offset += size


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """Return the files, those of a folder in its place, by name.

    Raises:
        DataError: A folder cannot be read.
    """
    for path in paths:
        try:
            yield from sorted(path.iterdir()) if path.is_dir() else [path]
        except (OSError, ValueError) as reason:  # the latter for a NUL in the path
            raise unreadable(path, got=f"{type(reason).__name__}: {reason}") from reason


def first_byte(path: Path) -> bytes:
    """Return the first byte that is no white space; nothing of an empty file.

    Raises:
        DataError: The file cannot be read.
    """
    with opened(path) as file:
        while block := file.read(_BLOCK):
            if bare := block.lstrip():
                return bare[:1]
    return b""


def unreadable(
    path: Path, *, got: str, expected: str = "a file", next_step: str = "Check the path."
) -> DataError:
    """Make the error of a file that cannot be used."""
    return DataError(
        "the data file must be readable",
        expected=f"{expected} at {path}",
        got=got,
        next_step=next_step,
    )


def _skip_line(file: BinaryIO) -> int:
    """Read to the end of the line; give the number of bytes."""
    size = 0
    while part := file.readline(_BLOCK):
        size += len(part)
        if part.endswith(b"\n"):
            break
    return size


def _decoded(content: bytes, *, number: int, offset: int) -> Line | Dropped:
    try:
        return Line(number, content.decode("utf-8").rstrip("\r\n"))
    except UnicodeDecodeError as reason:
        where = f"at byte {offset + reason.start} of the file"
        return Dropped("not UTF-8", number, detail=f"not UTF-8 {where}")
