"""Files as bytes of UTF-8, whatever they were packed in: gzip, the ZIP of an export, UTF-16."""

import codecs
import gzip
import zipfile
import zlib
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, cast

from lorecall.errors import DataError

BLOCK = 1 << 20
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_MAIN = ("conversations.json", "_chat.txt", "result.json")  # as exports call them
_SUFFIXES = (".txt", ".json", ".jsonl")
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

    What is in UTF-16 or UTF-32 comes out in UTF-8. Of a ZIP it is the one file of messages in it.

    Raises:
        DataError: It cannot be opened; or, while it is read, it turns out to be damaged.
    """
    try:
        file = path.open("rb")
    except (OSError, ValueError) as reason:  # the latter for a NUL in the path
        raise unreadable(path, got=f"{type(reason).__name__}: {reason}") from reason
    try:
        with file, ExitStack() as stack:
            start = file.peek(len(_ZIP))
            if start.startswith(_ZIP):
                stream = stack.enter_context(_member(path, file))
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


def _member(path: Path, file: BinaryIO) -> BufferedReader:
    """Open the file of messages in an archive: the one that an export is known by, or the only."""
    try:
        archive = zipfile.ZipFile(file)
        names = [name for name in archive.namelist() if name.lower().endswith(_SUFFIXES)]
        known = [name for name in names if Path(name).name.lower() in _MAIN]
        of_text = [name for name in names if name.lower().endswith(".txt")]
        for found in (known, names, of_text):
            if len(found) == 1:
                return _buffered(archive.open(found[0]))
        got = f"a ZIP archive with {len(names)} files of text or JSON in it"
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as reason:
        got = f"a ZIP archive that cannot be read: {reason}"  # it is damaged, or has a password
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
