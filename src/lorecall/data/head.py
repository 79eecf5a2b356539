"""The beginning of a file, which tells what it is."""

import codecs
import io
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, cast

import ijson  # pyright: ignore[reportMissingTypeStubs]

from lorecall.core.unpack import BLOCK, opened
from lorecall.data.privacy import mask
from lorecall.data.rows import parsed

N_LINES = 20
MAX_DEPTH = 6
MEMBER = "[]"
_N_FIELDS, _FIELD_CHARS = 8, 40
_LAST_OF_ASCII = 127
_N_CUT = 3  # bytes of a letter that the end of the head may cut off
_DATED = re.compile(r"\W{0,3}\d{1,4}\W{1,2}\d{1,2}\W{1,2}\d{1,4}\D")
_COLUMN = re.compile(r"\s*\"?\w{1,40}\"?\s*")
_STARTS = (
    (b"<!doctype html", "an HTML page", "Export the chat as JSON or as text."),
    (b"<html", "an HTML page", "Export the chat as JSON or as text."),
)
_ENGLISH = "If it is WhatsApp's, export it again from a phone that is set to English."
_FORCE = (
    "If it is one of these all the same, name it: data check NAME --path FILE,"
    " learn --data NAME --history FILE. If it is none, write its"
    " messages as JSONL: user, query and response on each line."
)


class Head(NamedTuple):
    """The first megabyte of a file, unpacked.

    Args:
        content: Its bytes, behind a byte order mark.
        lines: Its first whole lines, blank ones left out.
        places: Where it has fields, if it is JSON, or JSON or a Python literal a line: the names
            on the way to each, joined by dots, `[]` for any member of a list (`messages.[].role`).
    """

    content: bytes
    lines: tuple[str, ...]
    places: frozenset[str]

    def has(self, pattern: str) -> bool:
        """Whether there is a place that matches the whole of a regular expression."""
        return any(re.fullmatch(pattern, place) for place in self.places)

    def fields(self) -> frozenset[str]:
        """Return the names of the fields of the object that the file, or a line of it, is."""
        return frozenset(place for place in self.places if "." not in place) - {MEMBER}


def head_of(path: Path) -> Head:
    """Read the beginning of a file, plain or gzip."""
    with opened(path) as file:
        content = file.read(BLOCK)
    lines = content.decode("utf-8", errors="replace").split("\n")
    whole = lines[:-1] if len(content) == BLOCK else lines
    first = tuple(islice((line.rstrip("\r") for line in whole if line.strip()), N_LINES))
    places = {*_places_in(content), *(place for line in first for place in _places_of(line))}
    return Head(content, first, frozenset(places))


def in_other_encoding(content: bytes) -> str | None:
    """Return in what encoding a text seems to be that is not in UTF-8; None where it is.

    A damaged text in UTF-8 still has letters in UTF-8; another encoding has none.
    """
    n_high = sum(byte > _LAST_OF_ASCII for byte in content)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
    of_utf8 = sum(len(c.encode()) for c in decoder.decode(content) if not c.isascii())
    if n_high - of_utf8 <= max(of_utf8, _N_CUT if len(content) >= BLOCK else 0):
        return None
    letters = [c for c in content.decode("cp1252", errors="replace") if not c.isascii()]
    is_western = sum(map(str.isalpha, letters)) > len(letters) / 2
    return "in cp1252, as it seems" if is_western else "in an older encoding"


def looks_like(head: Head) -> tuple[str, str]:
    """Return what a file of no known format looks like, and what can be done about it."""
    content = head.content.lstrip()
    if not content:
        return "an empty file", "Check the path, or export the chat again."
    for start, looks, next_step in _STARTS:
        if content[:20].lower().startswith(start):
            return looks, next_step
    if encoding := in_other_encoding(content):
        return f"text that is not in UTF-8 but {encoding}", "Save it as UTF-8."
    if b"\0" in content:
        return "what is no text file", "Give the text or JSON file of an export."
    if any(map(_DATED.match, head.lines)):
        return "a chat whose dates and times are written in a way that is not known", _ENGLISH
    return _text_like(head), _FORCE


def _text_like(head: Head) -> str:
    if fields := head.fields():
        return f"JSON objects with the fields {_listed(fields)}"
    for lists in ("list", "list of lists"):
        inside = f"{MEMBER}." * (lists.count("list"))
        members = {place.removeprefix(inside) for place in head.places if place.startswith(inside)}
        if fields := {place for place in members if "." not in place and place != MEMBER}:
            return f"a JSON {lists} of objects with the fields {_listed(fields)}"
    if head.content.lstrip()[:1] in (b"[", b"{"):
        return "JSON without fields, or broken JSON"
    columns = head.lines[0].split(",") if head.lines else []
    if len(columns) > 2 and all(map(_COLUMN.fullmatch, columns)):  # noqa: PLR2004
        names = ", ".join(column.strip() for column in columns)
        return f"a CSV table with the columns {names[:200]}"
    return "plain text that is no known chat export"


def _listed(fields: frozenset[str] | set[str]) -> str:
    """Name the first fields, masked: a chat may use what names a person as a field."""
    named = ", ".join(mask(field)[:_FIELD_CHARS] for field in sorted(fields)[:_N_FIELDS])
    return named + (", ..." if len(fields) > _N_FIELDS else "")


def _places_in(content: bytes) -> Iterator[str]:
    """Return the places of fields in JSON that may end anywhere."""
    at: list[str] = []
    try:
        events = ijson.basic_parse(io.BytesIO(content), use_float=True)
        for event, value in cast("Iterator[tuple[str, Any]]", events):
            if event == "map_key":
                at[-1] = value
                if len(at) <= MAX_DEPTH:
                    yield ".".join(at)
            elif event in ("start_map", "start_array"):
                at.append(MEMBER)
            elif event in ("end_map", "end_array"):
                at.pop()
    except (ijson.JSONError, UnicodeError):
        return


def _places_of(line: str) -> Iterator[str]:
    """Return the places of fields in a line's value."""
    try:
        left = [("", parsed(line), 0)]
    except ValueError:
        return
    while left:
        before, value, depth = left.pop()
        if depth == MAX_DEPTH or not isinstance(value, dict | list):
            continue
        if isinstance(value, list):
            left += [(f"{before}{MEMBER}.", v, depth + 1) for v in cast("list[object]", value)]
            continue
        for key, member in cast("dict[object, object]", value).items():
            yield f"{before}{key}"
            left.append((f"{before}{key}.", member, depth + 1))
