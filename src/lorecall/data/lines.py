"""The lines of data files, those that cannot be read as drops."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from lorecall.core import jsonl
from lorecall.core.jsonl import Line
from lorecall.core.unpack import BLOCK, opened, unreadable
from lorecall.data.events import Dropped


def lines(path: Path, *, blank: bool = False) -> Iterator[Line | Dropped]:
    """Return each line, or the drop that it is when it cannot be read."""
    for line in jsonl.numbered_lines(path, blank=blank):
        if isinstance(line, Line):
            yield line
        else:
            yield Dropped(line.reason, line.number, detail=line.detail)


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """Return the files, those of a folder in its place, by name."""
    for path in paths:
        try:
            yield from sorted(path.iterdir()) if path.is_dir() else [path]
        except (OSError, ValueError) as reason:  # the latter for a NUL in the path
            raise unreadable(path, got=f"{type(reason).__name__}: {reason}") from reason


def first_byte(path: Path) -> bytes:
    """Return the first byte that is no white space; nothing of an empty file."""
    with opened(path) as file:
        while block := file.read(BLOCK):
            if bare := block.lstrip():
                return bare[:1]
    return b""
