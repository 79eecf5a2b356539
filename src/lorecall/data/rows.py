"""One line of a JSONL file: its fields, their types, and what can be wrong with it.

The only module that knows pydantic.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
)

from lorecall.data.samples import unix_seconds
from lorecall.errors import DataError
from lorecall.records import Authorship

MAX_SECONDS = 1e11  # later than the year 5000: surely milliseconds
_MESSAGES = {
    "missing": "is missing",
    "extra_forbidden": "is unknown",
    "unexpected_keyword_argument": "is unknown",
    "string_pattern_mismatch": "must not be blank",
    "less_than": "must be in seconds; this looks like milliseconds",
}


def _seconds(value: object) -> object:
    return unix_seconds(value) if isinstance(value, str) else value


_Name = Annotated[str, StringConstraints(pattern=r"\S")]
_Number = Annotated[float, Field(allow_inf_nan=False, lt=MAX_SECONDS)]


class Row(BaseModel):
    """One line of the file, with its types checked."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    user: _Name
    query: str
    response: str
    time: Annotated[_Number | None, BeforeValidator(_seconds)] = None
    conversation: _Name | None = None
    profile: str | list[str] | None = None
    authored_by: Authorship = "user"
    meta: dict[str, JsonValue] | None = None

    @property
    def own_text(self) -> str:
        """What the user wrote in this pair."""
        return self.response if self.authored_by == "user" else self.query

    def sentences(self) -> list[str]:
        """Give the profile as a list."""
        given = [self.profile] if isinstance(self.profile, str) else self.profile or []
        return [sentence.strip() for sentence in given if sentence.strip()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A line that cannot be used, counted from 1, and why."""

    line: int
    reason: str


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Give each row with its line number, counted from 1.

    Raises:
        DataError: The file cannot be read or is empty, or a line of it is broken.
    """
    n_rows = 0
    for n_rows, (line, row) in enumerate(scan(path), start=1):  # noqa: B007 - used below
        if isinstance(row, Problem):
            raise DataError(
                "each line must be one JSON object with user, query and response",
                expected=f"such a line in {path}",
                got=f"line {line}: {row.reason}",
                next_step="Correct it; `lorecall data check` lists every broken line.",
            )
        yield line, row
    if n_rows == 0:
        raise _unreadable(path, got="an empty file")


def scan(path: Path) -> Iterator[tuple[int, Row | Problem]]:
    """Give each line that is not blank, with its number, as a row or as what is wrong with it.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for line, offset, content in _lines(file):
                yield line, _parse(content, line=line, offset=offset)
    except OSError as reason:
        raise _unreadable(path, got=f"{type(reason).__name__}: {reason}") from reason


def _lines(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Give number, byte offset and content of each line that is not blank, without a BOM."""
    offset = 0
    for line, content in enumerate(file, start=1):
        bare = content.removeprefix(codecs.BOM_UTF8) if line == 1 else content
        if bare.strip():
            yield line, offset + len(content) - len(bare), bare
        offset += len(content)


def _parse(content: bytes, *, line: int, offset: int) -> Row | Problem:
    try:
        content.decode("utf-8")
        return Row.model_validate_json(content.rstrip())
    except UnicodeDecodeError as reason:
        return Problem(line=line, reason=f"not UTF-8 at byte {offset + reason.start} of the file")
    except ValidationError as reason:
        return Problem(line=line, reason=explain(reason))


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


def _unreadable(path: Path, *, got: str) -> DataError:
    return DataError(
        "the data file must be readable",
        expected=f"a JSONL file at {path}",
        got=got,
        next_step="Check the path; a line is an object with user, query and response.",
    )
