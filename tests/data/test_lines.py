"""Reading files front to back."""

import gzip
from pathlib import Path

import pytest

from lorecall.core.jsonl import MAX_LINE_BYTES
from lorecall.data.events import Dropped
from lorecall.data.lines import Line, files_in, first_byte, lines
from lorecall.errors import DataError


def write(folder: Path, content: bytes) -> Path:
    """Write a file."""
    (folder / "file").write_bytes(content)
    return folder / "file"


class TestLines:
    """Lines with their numbers."""

    def test_blank_lines_keep_their_numbers(self, tmp_path: Path) -> None:
        """And are given where they matter."""
        path = write(tmp_path, b"a\r\n\n \nb")
        assert list(lines(path)) == [Line(1, "a"), Line(4, "b")]
        assert [line.text for line in lines(path, blank=True) if isinstance(line, Line)] == [
            *("a", "", " ", "b")
        ]

    def test_only_a_line_feed_ends_a_line(self, tmp_path: Path) -> None:
        """Whatever else Unicode calls a line break."""
        assert list(lines(write(tmp_path, "a\u2028b\x85c\x0bd".encode()))) == [
            Line(1, "a\u2028b\x85c\x0bd")
        ]

    def test_the_byte_of_what_is_not_utf8(self, tmp_path: Path) -> None:
        """Counted from the start of the file; other lines are read."""
        found = list(lines(write(tmp_path, b"one\n\xfftwo\nthree\n")))
        assert found[::2] == [Line(1, "one"), Line(3, "three")]
        assert isinstance(found[1], Dropped)
        assert found[1].reason == "not UTF-8"
        assert "at byte 4 of the file" in found[1].detail

    def test_a_line_without_an_end_is_skipped(self, tmp_path: Path) -> None:
        """It could be the whole file; what comes after it is read."""
        path = write(tmp_path, b"a" * (2 * MAX_LINE_BYTES + 5) + b"\nnext\n")
        long, after = lines(path)
        assert isinstance(long, Dropped)
        assert (long.reason, long.place) == ("line too long", 1)
        assert after == Line(2, "next")

    def test_the_longest_line_is_read(self, tmp_path: Path) -> None:
        """Its end included."""
        path = write(tmp_path, b"a" * (MAX_LINE_BYTES - 1) + b"\nb")
        assert [type(line) for line in lines(path)] == [Line, Line]

    @pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
    def test_gzip_by_its_first_bytes(self, tmp_path: Path, bom: bytes) -> None:
        """Several members make one file."""
        path = write(tmp_path, gzip.compress(bom + b"one\ntw") + gzip.compress(b"o\n"))
        assert list(lines(path)) == [Line(1, "one"), Line(2, "two")]

    @pytest.mark.parametrize("damage", ["cut", "changed", "garbage"])
    def test_damaged_gzip(self, tmp_path: Path, damage: str) -> None:
        """The message says that the file cannot be read."""
        packed = bytearray(gzip.compress(b"some text\n" * 1000, mtime=0))
        if damage == "cut":
            del packed[-9:]
        elif damage == "changed":
            packed[len(packed) // 2] ^= 255
        else:
            packed[2:] = b"\xff" * 30
        with pytest.raises(DataError, match="must be readable"):
            list(lines(write(tmp_path, bytes(packed))))

    @pytest.mark.parametrize("path", ["none", ".", "a\0b"])
    def test_no_file(self, path: str) -> None:
        """A missing one, a folder, and what can be no path."""
        with pytest.raises(DataError, match="must be readable"):
            list(lines(Path(path)))


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
