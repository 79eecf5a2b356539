"""Values inside one big JSON file, one at a time: the file is never in memory as a whole.

`lorecall.data.scanner` reads what is plain, and most is; what it stops at is read again by `ijson`.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

import ijson  # pyright: ignore[reportMissingTypeStubs]

from lorecall.data.lines import opened, unreadable
from lorecall.data.privacy import mask
from lorecall.data.scanner import MAX_DEPTH, Place, UnsureError, scanned

_Event = tuple[str, object]
_OPENERS = frozenset(("start_map", "start_array"))
_CLOSERS = frozenset(("end_map", "end_array"))


def values(path: Path, *, wanted: Callable[[Place], bool]) -> Iterator[tuple[Place, object]]:
    """Return the values at wanted places, in the order of the file.

    Raises:
        DataError: The file cannot be read, is not JSON, or is nested too deeply.
    """
    n_found = 0
    try:
        with opened(path) as file:
            for found in scanned(file, wanted):
                yield found
                n_found += 1
    except UnsureError:
        yield from islice(_parsed(path, wanted), n_found, None)


def members(path: Path) -> Iterator[tuple[Place, object]]:
    """Return the members of the list or of the object that the file is."""
    return values(path, wanted=lambda place: len(place) == 1)


def _parsed(path: Path, wanted: Callable[[Place], bool]) -> Iterator[tuple[Place, object]]:
    """Return what `values` does, as `ijson` finds it.

    Raises:
        DataError: The file cannot be read, is not JSON, or is nested too deeply.
    """
    with opened(path) as file:
        try:
            events = cast("Iterator[_Event]", ijson.basic_parse(file, use_float=True))
            yield from _found(events, wanted)
        except (ijson.JSONError, UnicodeError) as reason:
            # behind the first line stands what was read, cut anywhere
            got = mask(str(reason).replace("\\n", "\n").partition("\n")[0])[:120].strip(" .")
            raise unreadable(path, got=f"no JSON: {got}", expected="a JSON file") from reason
        except _TooDeepError as reason:
            got = f"values nested deeper than {MAX_DEPTH}"
            raise unreadable(path, got=got, expected="a JSON file") from reason


class _TooDeepError(Exception):
    """Values are nested too deeply."""


def _found(
    events: Iterator[_Event], wanted: Callable[[Place], bool]
) -> Iterator[tuple[Place, object]]:
    """Follow the events, keep the place, and build the values at wanted ones.

    ijson's own `items` names each place by a string, whose length grows with the depth: a
    megabyte of brackets would take gigabytes.
    """
    at: list[str | None] = []  # the place of the value that comes next
    for event, value in events:
        if event == "map_key":
            at[-1] = cast("str", value)
        elif event in _CLOSERS:
            at.pop()
        elif wanted(place := tuple(at)):
            yield place, _built(events, event) if event in _OPENERS else value
        elif event in _OPENERS:
            if len(at) >= MAX_DEPTH:
                raise _TooDeepError
            at.append("" if event == "start_map" else None)


def _built(events: Iterator[_Event], opener: str) -> object:
    """Build the container that has just been opened, up to its end."""
    root: Any = {} if opener == "start_map" else []
    container: Any = root
    key = ""
    outer: list[tuple[Any, str]] = []  # what is open around the container, each with its key
    for event, value in events:
        if event == "map_key":
            key = cast("str", value)
            continue
        if event in _CLOSERS:
            if not outer:
                break
            container, key = outer.pop()
            continue
        child: Any = {} if event == "start_map" else [] if event == "start_array" else value
        if type(container) is dict:
            container[key] = child
        else:
            cast("list[object]", container).append(child)
        if event in _OPENERS:
            if len(outer) >= MAX_DEPTH:
                raise _TooDeepError
            outer.append((container, key))
            container = child
    return root
