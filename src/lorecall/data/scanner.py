"""Values inside one big JSON file as `json` reads them, each in one step: the fast way.

It gives the values that `lorecall.data.values` gives, in their order, as long as it is sure of
that. Where it is not (broken JSON, deep nesting, numbers without an end, half a surrogate pair, a
value of megabytes) it says so, and the other way decides.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from math import isinf
from typing import BinaryIO, cast

MAX_DEPTH = 100
Place = tuple[str | None, ...]
"""Where a value is, from the root: a key of an object, None for any member of a list."""

_BLOCK = 1 << 16
_MAX_VALUE = 1 << 22  # characters
_LONG = 2 * MAX_DEPTH  # characters: what is shorter is not too deep
_TAIL = 16  # characters at the end of what was read, behind which more may tell
_OPENERS = ("{", "[")
_WITH_END = (dict, list, str)
_BLANK = re.compile(r"[ \t\n\r]*")
_COMMA = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_ENDS = frozenset(",]} \t\n\r")
_PAIR = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..")
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


class UnsureError(Exception):
    """What stands there may be read otherwise, or not at all."""


def scanned(file: BinaryIO, wanted: Callable[[Place], bool]) -> Iterator[tuple[Place, object]]:
    """Return the values at wanted places, in the order of the file.

    Args:
        file: The file, in UTF-8.
        wanted: Which places; always the same of one place.

    Raises:
        UnsureError: The rest of the file is not for this way.
    """
    return _Scanner(file).found(wanted)


def _float(text: str) -> float:
    value = float(text)
    if isinf(value):
        raise UnsureError
    return value


def _constant(text: str) -> object:
    """Refuse NaN and the like, which are no JSON."""
    raise UnsureError(text)


_decode = json.JSONDecoder(parse_float=_float, parse_constant=_constant).raw_decode


class _Scanner:
    """A part of a file as text, and how far it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._is_over = False
        self._is_escaped = False  # whether there is an emoji or the like as a pair of escapes

    def found(self, wanted: Callable[[Place], bool]) -> Iterator[tuple[Place, object]]:
        """Follow the values, keep the place, and return those at wanted ones."""
        at: list[str | None] = []  # the place of the value that comes next
        while True:
            place = tuple(at)
            if wanted(place):
                self._sign()
                yield place, self._value()
                if at and at[-1] is None:
                    while self._is_at_next():  # the others of a list have the same place
                        yield place, self._value()
            elif (sign := self._sign()) in _OPENERS:
                if len(at) >= MAX_DEPTH:
                    raise UnsureError
                self._at += 1
                at.append("" if sign == "{" else None)
                if self._sign() not in ("}", "]"):
                    at[-1] = self._key() if sign == "{" else None
                    continue
            else:
                self._value()
            if not self._is_going_on(at):
                return

    def _is_going_on(self, at: list[str | None]) -> bool:
        """Move behind a value, to the next one; whether there is any."""
        while at:
            sign = self._sign()
            self._at += 1
            if sign == ",":
                if at[-1] is not None:
                    at[-1] = self._key()
                return True
            if sign != ("]" if at[-1] is None else "}"):
                raise UnsureError
            at.pop()
        if self._sign():
            raise UnsureError
        return False

    def _is_at_next(self) -> bool:
        """Move to the next member of a list, where a comma comes before it."""
        match = _COMMA.match(self._text, self._at)
        if match is None or match.end() == len(self._text):
            return False  # it may be there all the same
        self._at = match.end()
        return True

    def _sign(self) -> str:
        """Move to the next character that is not blank, and return it; nothing at the end."""
        while True:
            self._at = cast("re.Match[str]", _BLANK.match(self._text, self._at)).end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._reads_on():
                return ""

    def _key(self) -> str:
        """Return the key that comes next, and move behind its colon."""
        if self._sign() != '"':
            raise UnsureError
        key = cast("str", self._value())
        if self._sign() != ":":
            raise UnsureError
        self._at += 1
        return key

    def _value(self) -> object:
        """Return the value that stands here, and move behind it."""
        while True:
            try:
                value, end = _decode(self._text, self._at)
            except json.JSONDecodeError as reason:
                is_torn = "Unterminated" in reason.msg or reason.pos > len(self._text) - _TAIL
                if not (is_torn and self._reads_on()):
                    raise UnsureError from None
                continue
            except (ValueError, RecursionError):
                raise UnsureError from None
            if isinstance(value, _WITH_END) or self._is_whole(end):
                if self._is_escaped or end - self._at > _LONG:
                    self._check(value, end)
                self._at = end
                return value
            if not self._reads_on():
                raise UnsureError

    def _is_whole(self, end: int) -> bool:
        """Whether a number, or a word, ends here: it may go on."""
        return self._is_over if end == len(self._text) else self._text[end] in _ENDS

    def _check(self, value: object, end: int) -> None:
        """See that a value is read alike in both ways."""
        text, start = self._text, self._at
        if self._is_escaped and _HALF.search(_PAIR.sub("", text[start:end])):
            raise UnsureError
        n_opened = text.count("[", start, end) + text.count("{", start, end)
        if n_opened >= MAX_DEPTH and _depth(value) >= MAX_DEPTH:
            raise UnsureError

    def _reads_on(self) -> bool:
        """Read more, and forget what is behind; whether there was any."""
        left = len(self._text) - self._at
        if self._is_over or left > _MAX_VALUE:
            return False
        block = self._file.read(max(_BLOCK, left))
        self._is_over = not block
        try:
            more = self._decoder.decode(block, final=not block)
        except UnicodeDecodeError:
            raise UnsureError from None
        self._text, self._at = self._text[self._at :] + more, 0
        self._is_escaped = "\\ud" in self._text or "\\uD" in self._text
        return True


def _depth(value: object) -> int:
    """Return how deep the containers of a value go, none for a leaf."""
    depth = 0
    level = [value]
    while level := [
        member
        for each in level
        if isinstance(each, dict | list)
        for member in (each.values() if isinstance(each, dict) else each)
    ]:
        depth += 1
    return depth
