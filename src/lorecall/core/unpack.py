"""Files as bytes of UTF-8, whatever they were packed in: gzip, the ZIP of an export, UTF-16."""

import codecs
import gzip
import zipfile
import zlib
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, cast

from lorecall.errors import DataError

BLOCK = 1 << 20
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_MAIN = ("conversations.json", "_chat.txt", "result.json")  # as exports call them
_SUFFIXES = (".txt", ".json", ".jsonl", ".mbox", ".eml")
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_N_SNIFFED, _N_ALIKE = 64, 8


@contextmanager
def opened(path: Path) -> Generator[BinaryIO]:
    """Open a plain, gzip or ZIP file (its first bytes decide, not its name) behind its BOM.

    What is in UTF-16 or UTF-32 comes out in UTF-8. Of a ZIP it is the one file of messages in it,
    or the one that the path leads to.

    Raises:
        DataError: It cannot be opened; or, while it is read, it turns out to be damaged.
    """
    outer = next((each for each in path.parents if each.is_file()), path)
    try:
        file = outer.open("rb")
    except (OSError, ValueError) as reason:  # the latter for a NUL in the path
        raise unreadable(path, got=f"{type(reason).__name__}: {reason}") from reason
    try:
        with file, ExitStack() as stack:
            start = file.peek(len(_ZIP))
            if start.startswith(_ZIP):
                stream = stack.enter_context(_member(path, outer, path.relative_to(outer)))
            elif outer != path:
                raise unreadable(path, got=f"{outer.name}, which is no archive")
            elif start.startswith(_GZIP):
                stream = _buffered(gzip.GzipFile(fileobj=file))
            else:
                stream = file
            yield _in_utf8(stream)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as reason:
        raise unreadable(path, got=f"{type(reason).__name__}: {reason}") from reason


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


def documents(path: Path) -> list[Path]:
    """Return the files of text or JSON in a ZIP that has several, as paths into it; else the path.

    Where some are called as exports call their messages, those are meant.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_ZIP)) != _ZIP:
                return [path]
        names = _named(_archive(path))
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return [path]  # whoever opens it is told why it cannot be read
    return [path / name for name in sorted(names)] if len(names) > 1 else [path]


def beside(path: Path, name: str) -> Path | None:
    """Return the file of this name beside one of messages, in its archive or its folder."""
    outer = next((each for each in (path, *path.parents) if each.is_file()), path)
    try:
        if not zipfile.is_zipfile(outer):
            found = path.with_name(name)
            return found if found.is_file() else None
        archive = _archive(outer)
        inside = Path(_named(archive)[0]) if path == outer else path.relative_to(outer)
        found = inside.with_name(name)
        return outer / found if found.as_posix() in archive.namelist() else None
    except (OSError, ValueError, IndexError, zipfile.BadZipFile, NotImplementedError):
        return None


def _named(archive: zipfile.ZipFile) -> list[str]:
    """Return the files of an archive that may hold messages."""
    names = [
        name
        for name in archive.namelist()
        if name.lower().endswith(_SUFFIXES) and not name.startswith(("/", "__MACOSX/"))
    ]
    return [name for name in names if Path(name).name.lower() in _MAIN] or names


def _archive(path: Path) -> zipfile.ZipFile:
    """Return an archive; the last one stays open, for the next of its files."""
    found = path.stat()
    return _opened_archive(path, found.st_ino, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=1)
def _opened_archive(path: Path, *_: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)  # closes its file when it goes


def _member(path: Path, outer: Path, name: Path) -> BufferedReader:
    """Open a file in an archive: the one of this name, or the only one of messages or of text."""
    try:
        archive = _archive(outer)
        names = [name.as_posix()] if name.parts else _named(archive)
        for found in (names, [each for each in names if each.lower().endswith(".txt")]):
            if len(found) == 1:
                return _buffered(archive.open(found[0]))
        got = f"a ZIP archive with {len(names)} files of text or JSON in it"
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as reason:
        got = f"a ZIP archive that cannot be read: {reason}"  # it is damaged, or has a password
    except KeyError:
        got = "no such file in the archive"
    raise unreadable(
        path,
        got=got,
        expected="an export, with one file of messages in it,",
        next_step="Unpack it, and give the file of messages that is in it.",
    )


def _in_utf8(stream: BufferedReader) -> BufferedReader:
    """Pass over a byte order mark, and recode what is in UTF-16 or UTF-32."""
    start = stream.peek(_N_SNIFFED)[:_N_SNIFFED]
    if start.startswith(codecs.BOM_UTF8):
        stream.read(len(codecs.BOM_UTF8))
        return stream
    encoding = next((name for mark, name in _MARKS if start.startswith(mark)), None)
    encoding = encoding or _without_mark(start)
    return _buffered(_Recoded(stream, encoding)) if encoding else stream


def _without_mark(start: bytes) -> str | None:
    """Return which UTF-16 it is, where every other byte is zero as in no other text."""
    even, odd = start[::2], start[1::2]
    if len(odd) < _N_ALIKE:
        return None
    if not any(odd) and all(even):
        return "utf-16-le"
    return "utf-16-be" if not any(even) and all(odd) else None


def _buffered(raw: object) -> BufferedReader:
    return BufferedReader(cast("Any", raw), BLOCK)  # what reads as a raw file does


class _Recoded(RawIOBase):
    """A stream in another encoding, read as UTF-8."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream, self._encoding = stream, encoding
        self._decode = codecs.getincrementaldecoder(encoding)().decode
        self._left = b""

    def readable(self) -> bool:
        """Whether it can be read: always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, as far as the next bytes go; 0 is the end."""
        while not self._left:
            block = self._stream.read(BLOCK)
            try:
                self._left = self._decode(block, final=not block).encode()
            except UnicodeError:
                raise OSError(f"text in {self._encoding} that is broken") from None
            if not block:
                break
        n = min(len(buffer), len(self._left))
        buffer[:n], self._left = self._left[:n], self._left[n:]
        return n
