"""JSONL: what a user of the package has, one object a line, or a JSON list of such objects.

    {"user": "ann", "query": "Fancy a film?", "response": "Only if it is a western.",
     "time": "2024-05-02T19:38:15Z", "conversation": "c1", "profile": ["likes westerns"]}

`user`, `query` and `response` are needed. `time` is in Unix seconds or an ISO-8601 string,
`conversation` joins lines (without it each line stands alone), `profile` is a string or a list of
them, `authored_by` says who wrote the response (`user`, the default, or `assistant`), `meta` is an
object that is not read. Any other field is an error: a typo must not lose data silently. Only
empty queries and responses are dropped.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
)

from lorecall.data.events import Dropped, Event, Known, Reply
from lorecall.data.head import Head
from lorecall.data.lines import Line, first_byte, lines
from lorecall.data.loader import YOURS, Dataset, Loader, Paths
from lorecall.data.rows import Name, Record, Text, explain
from lorecall.data.samples import MAX_SECONDS, Rules, unix_seconds
from lorecall.data.values import members
from lorecall.records import Authorship


def _seconds(value: object) -> object:
    return unix_seconds(value) if isinstance(value, str) else value


_Number = Annotated[float, Field(allow_inf_nan=False, lt=MAX_SECONDS)]


BY_LINE = "line "
"""How the conversation of a row begins that names none."""


_Name = Annotated[str, StringConstraints(pattern=r"\S")]


class Row(Record):
    """One line of the file, with its types checked; no line can hold half a surrogate pair."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    user: _Name
    query: str
    response: str
    time: Annotated[_Number, BeforeValidator(_seconds)] | None = None
    conversation: _Name | None = None
    profile: str | list[str] | None = None
    authored_by: Authorship = "user"
    meta: dict[str, JsonValue] | None = None

    def sentences(self) -> list[str]:
        """Return the profile as a list."""
        return [self.profile] if isinstance(self.profile, str) else self.profile or []


def read(paths: Paths) -> Iterator[Event]:
    """Return each line's pair and profile."""
    for n_before, path in enumerate(paths):
        of_file = f" of file {n_before + 1}" if n_before else ""
        n_rows = 0
        for n_rows, row in enumerate(_rows(path), start=1):  # noqa: B007 - used below
            yield from [row] if isinstance(row, Dropped) else _events(row, of_file)
        if n_rows == 0:
            yield Dropped("an empty file", 1)


def recognises(head: Head) -> bool:
    """Whether lines have two of the three needed fields, so that one may be mistyped."""
    needed = {"user", "query", "response"}
    members = {field for field in needed if head.has(rf"\[\]\.{field}")}
    return len(needed & head.fields()) > 1 or len(members) > 1


LOADER = Loader(
    dataset=Dataset(
        name="jsonl",
        title="JSONL of your own: user, query and response on each line",
        licence=YOURS,
        origin="a file of your own",
    ),
    record="one JSON object with user, query and response",
    rules=Rules(),
    read=read,
    recognises=recognises,
    strict=True,
)


class Member(Row):
    """One member of a list."""

    user: Name
    query: Text
    response: Text
    conversation: Name | None = None
    profile: Text | list[Text] | None = None


class Numbered(NamedTuple):
    """A row and its line, or its place in a list, from 1."""

    number: int
    row: Row


def _rows(path: Path) -> Iterator[Numbered | Dropped]:
    """Return the rows of lines, or of a JSON list, however it is laid out."""
    found = lines(path) if first_byte(path) != b"[" else enumerate(members(path), start=1)
    for each in found:
        if isinstance(each, Dropped):
            yield each
            continue
        try:
            if isinstance(each, Line):
                yield Numbered(each.number, Row.model_validate_json(each.text))
            else:
                yield Numbered(each[0], Member.model_validate(each[1][1]))
        except ValidationError as error:
            yield Dropped("broken line", each[0], detail=explain(error))


def _events(numbered: Numbered, of_file: str) -> Iterator[Event]:
    row = numbered.row
    for sentence in row.sentences():
        yield Known(row.user, sentence)
    yield Reply(
        user=row.user,
        conversation=row.conversation or f"{BY_LINE}{numbered.number}{of_file}",
        query=row.query,
        response=row.response,
        time=row.time,
        authored_by=row.authored_by,
    )
