"""Lines of files, and records in them: a frozen dataclass a line, its types checked when read.

Files are read front to back, plain or packed, in memory that does not grow with them
(`numbered_lines`). One that is only ever added to (`append_records`) is read with `whole_records`:
a line counts with its end. One that was torn off by a killing is passed over, and cut away before
the next is added.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError

from lorecall.core.files import locked, read_json, write_text
from lorecall.core.unpack import BLOCK, opened
from lorecall.errors import DataError, InputError

MAX_LINE_BYTES = 8 << 20
_BLOCK = 1 << 16
_BLANKS = " \t\n\r\v\f"
_TOO_LONG = ("line too long", f"more than {MAX_LINE_BYTES} bytes")
_Record = TypeVar("_Record")
_MESSAGES = {
    "missing": "is missing",
    "extra_forbidden": "is unknown",
    "unexpected_keyword_argument": "is unknown",
    "string_pattern_mismatch": "must not be blank",
    "string_unicode": "holds half a surrogate pair",
    "less_than": "must be in seconds; this looks like milliseconds",
}


class Line(NamedTuple):
    """A line: its number from 1 and its text without the line end."""

    number: int
    text: str


class BadLine(NamedTuple):
    """A line that cannot be read: its number from 1, why in a few fixed words, and where."""

    number: int
    reason: str
    detail: str


def numbered_lines(path: Path, *, blank: bool = False) -> Iterator[Line | BadLine]:
    """Return each line, or why it cannot be read."""
    with opened(path) as file:
        offset, number = file.tell() if file.seekable() else 0, 0
        rest = b""
        while block := file.read(max(_BLOCK, len(rest) // 2)):
            content = rest + block
            whole, rest = content[: content.rfind(b"\n") + 1], content[content.rfind(b"\n") + 1 :]
            yield from _lines_in(whole, number, offset, blank=blank)
            number, offset = number + whole.count(b"\n"), offset + len(whole)
            if len(rest) >= MAX_LINE_BYTES:
                offset, number = offset + len(rest) + _skip_line(file), number + 1
                rest = b""
                yield BadLine(number, *_TOO_LONG)
        yield from _lines_in(rest, number, offset, blank=blank)


def _lines_in(content: bytes, number: int, offset: int, *, blank: bool) -> Iterator[Line | BadLine]:
    """Return the lines of a part of a file, those before it counted in lines and bytes."""
    try:
        texts = content.decode().split("\n") if len(content) < MAX_LINE_BYTES else None
    except UnicodeDecodeError:
        texts = None
    if texts is None:
        yield from _one_by_one(content, number, offset, blank=blank)
        return
    if not texts[-1]:  # behind the last end of a line there is none
        texts.pop()
    for text in texts:
        number += 1
        if blank or text.strip(_BLANKS):
            yield Line(number, text.rstrip("\r"))


def _one_by_one(
    content: bytes, number: int, offset: int, *, blank: bool
) -> Iterator[Line | BadLine]:
    """Return the lines of a part that has one which cannot be read."""
    for line in content.removesuffix(b"\n").split(b"\n"):
        number += 1
        if len(line) >= MAX_LINE_BYTES:
            yield BadLine(number, *_TOO_LONG)
        elif blank or line.strip():
            try:
                yield Line(number, line.decode().rstrip("\r"))
            except UnicodeDecodeError as reason:
                where = f"at byte {offset + reason.start} of the file"
                yield BadLine(number, "not UTF-8", f"not UTF-8 {where}")
        offset += len(line) + 1


def read_records(path: Path, kind: type[_Record], *, what: str) -> list[_Record]:
    """Read a file of records; blank lines and a byte order mark are passed over.

    Raises:
        DataError: The file cannot be read or holds none, or a line is no such record.
    """
    adapter = TypeAdapter(kind)
    records: list[_Record] = []
    for line in numbered_lines(path):
        if isinstance(line, BadLine):
            raise _refused(path, what, got=f"line {line.number}: {line.detail}")
        try:
            records.append(adapter.validate_json(line.text))
        except ValidationError as reason:
            raise _refused(path, what, got=f"line {line.number}: {explain(reason)}") from reason
    if not records:
        raise _refused(path, what, got="an empty file")
    return records


def read_record(
    path: Path, kind: type[_Record], *, what: str, error: type[InputError], next_step: str
) -> _Record:
    """Read a file that holds one record.

    Raises:
        InputError: (of class `error`) it cannot be read, or it is no such record.
    """
    value = read_json(path, what=what, error=error, next_step=next_step)
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as reason:
        raise error(
            f"{what} must be whole",
            expected=f"{path}, read as it was written",
            got=explain(reason),
            next_step=next_step,
        ) from reason


def write_records(path: Path, records: Iterable[Any]) -> None:
    """Write dataclasses, one a line; the file is replaced whole, or left as it was."""
    write_text(path, _dumped(records))


def append_records(path: Path, records: Iterable[Any]) -> None:
    """Add dataclasses, one a line, after what is whole; several processes may.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall import Interval
        >>> from lorecall.core import append_records
        >>> for value in (4.1, 3.9):
        ...     one = Interval(value=value, low=value - 0.2, high=value + 0.2)
        ...     append_records(Path("losses.jsonl"), [one])
        >>> len(Path("losses.jsonl").read_text(encoding="utf-8").splitlines())
        2
    """
    added = _dumped(records).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock"), wait=True), path.open("ab+") as file:
        file.seek(0)
        file.truncate(len(_whole(file.read())))
        file.write(added)
        file.flush()
        os.fsync(file.fileno())


def whole_records(
    path: Path, kind: type[_Record], *, error: type[InputError], next_step: str
) -> list[_Record]:
    """Read what `append_records` wrote; none where there is no file.

    Raises:
        InputError: (of class `error`) a whole line is no such record.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall import Interval, RunError
        >>> from lorecall.core import append_records, whole_records
        >>> path, wrong = Path("scores.jsonl"), {"error": RunError, "next_step": "Remove the line."}
        >>> append_records(path, [Interval(value=4.0, low=3.5, high=4.5)])
        >>> with path.open("a", encoding="utf-8") as file:  # torn off by a killing
        ...     _ = file.write('{"value": 3.')
        >>> whole_records(path, Interval, **wrong)
        [Interval(value=4.0, low=3.5, high=4.5)]
        >>> with path.open("a", encoding="utf-8") as file:  # a line like the others
        ...     print("9}", file=file)
        >>> whole_records(path, Interval, **wrong)
        Traceback (most recent call last):
            ...
        lorecall.errors.RunError: every line of scores.jsonl must be whole: expected what was
        written there, got line 2 of scores.jsonl: field 'low' is missing; field 'high' is missing.
        Remove the line.
    """
    if not path.exists():
        return []
    adapter = TypeAdapter(kind)
    found: list[_Record] = []
    for number, line in enumerate(_whole(path.read_bytes()).split(b"\n")[:-1], start=1):
        try:
            found.append(adapter.validate_json(line))
        except ValidationError as reason:
            raise error(
                f"every line of {path.name} must be whole",
                expected="what was written there",
                got=f"line {number} of {path}: {explain(reason)}",
                next_step=next_step,
            ) from reason
    return found


def _dumped(records: Iterable[Any]) -> str:
    each = (json.dumps(asdict(r), ensure_ascii=False, allow_nan=False) for r in records)
    return "".join(f"{line}\n" for line in each)


def _whole(content: bytes) -> bytes:
    """Return what ends with a newline; the rest was torn off."""
    return content[: content.rfind(b"\n") + 1]


def _skip_line(file: BinaryIO) -> int:
    """Read to the end of the line; give the number of bytes."""
    size = 0
    while part := file.readline(BLOCK):
        size += len(part)
        if part.endswith(b"\n"):
            break
    return size


def _refused(path: Path, what: str, *, got: str) -> DataError:
    return DataError(
        f"each line must be {what}, as a JSON object",
        expected=f"such lines in {path}",
        got=got,
        next_step="Correct it, or make the file again.",
    )


def explain(error: ValidationError) -> str:
    """Name every wrong field once."""
    reasons: dict[str, str] = {}
    for detail in error.errors(include_url=False, include_input=False):
        message = _MESSAGES.get(detail["type"], detail["msg"]).replace(
            "at line 1 column", "at column"
        )
        field = f"field {str(detail['loc'][0])[:60]!r} " if detail["loc"] else ""
        reasons.setdefault(field, f"{field}{message}".replace("Input should", "should"))
    return "; ".join(reasons.values())
