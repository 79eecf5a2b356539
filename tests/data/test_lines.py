"""Reading data files front to back; `tests/core/test_jsonl.py` reads lines in every state."""

from pathlib import Path

import pytest

from lorecall.data.events import Dropped
from lorecall.data.lines import Line, files_in, first_byte, lines


def write(folder: Path, content: bytes) -> Path:
    """Write a file."""
    (folder / "file").write_bytes(content)
    return folder / "file"


def test_a_line_that_cannot_be_read_is_a_drop(tmp_path: Path) -> None:
    """A broken one, with its place; others are given, blank ones where they matter."""
    path = write(tmp_path, b"one\n\xfftwo\n\nthree\n")
    detail = "not UTF-8 at byte 4 of the file"
    drop = Dropped("not UTF-8", 2, detail=detail)
    assert list(lines(path)) == [Line(1, "one"), drop, Line(4, "three")]
    assert list(lines(path, blank=True))[2] == Line(3, "")


class TestOtherWaysIn:
    """What is asked of a file before it is read."""

    @pytest.mark.parametrize(
        ("content", "found"), [(b"", b""), (b" \n\t", b""), (b"\xef\xbb\xbf \n[1]", b"[")]
    )
    def test_the_first_byte(self, tmp_path: Path, content: bytes, found: bytes) -> None:
        """Behind a BOM and white space."""
        assert first_byte(write(tmp_path, content)) == found

    def test_the_files_of_a_folder(self, tmp_path: Path) -> None:
        """By name, in the folder's place."""
        for name in ("b", "a"):
            (tmp_path / name).touch()
        found = [path.name for path in files_in([Path("x"), tmp_path, Path("y")])]
        assert found == ["x", "a", "b", "y"]
