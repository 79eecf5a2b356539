"""Lines of files, and records in them."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import pytest

from lorecall.core import jsonl
from lorecall.core.jsonl import (
    MAX_LINE_BYTES,
    BadLine,
    Line,
    append_records,
    numbered_lines,
    read_record,
    read_records,
    whole_records,
    write_records,
)
from lorecall.errors import DataError, RunError


@dataclass(frozen=True, kw_only=True)
class Note:
    """A record."""

    text: str
    n: int = 0


NOTES = [Note(text="tea"), Note(text="\u2028 rain\nand sea", n=2)]


def write(folder: Path, content: bytes) -> Path:
    """Write a file."""
    (folder / "file").write_bytes(content)
    return folder / "file"


class TestLines:
    """Lines with their numbers."""

    def test_blank_lines_keep_their_numbers(self, tmp_path: Path) -> None:
        """And are given where they matter."""
        path = write(tmp_path, b"a\r\n\n \nb")
        assert list(numbered_lines(path)) == [Line(1, "a"), Line(4, "b")]
        assert [
            line.text for line in numbered_lines(path, blank=True) if isinstance(line, Line)
        ] == [*("a", "", " ", "b")]

    def test_only_a_line_feed_ends_a_line(self, tmp_path: Path) -> None:
        """Whatever else Unicode calls a line break."""
        assert list(numbered_lines(write(tmp_path, "a\u2028b\x85c\x0bd".encode()))) == [
            Line(1, "a\u2028b\x85c\x0bd")
        ]

    def test_the_byte_of_what_is_not_utf8(self, tmp_path: Path) -> None:
        """Counted from the start of the file; other lines are read."""
        found = list(numbered_lines(write(tmp_path, b"one\n\xfftwo\nthree\n")))
        assert found[::2] == [Line(1, "one"), Line(3, "three")]
        assert isinstance(found[1], BadLine)
        assert found[1].reason == "not UTF-8"
        assert "at byte 4 of the file" in found[1].detail

    @pytest.mark.parametrize("block", [1, 2, 5, 9])
    def test_lines_are_the_same_wherever_a_part_ends(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
    ) -> None:
        """Their numbers too, and the place of what cannot be read."""
        path = write(tmp_path, "one\r\n\ntw\u00e9\n \n".encode() + b"a\xffb\n\nthree")
        whole = list(numbered_lines(path)), list(numbered_lines(path, blank=True))
        monkeypatch.setattr(jsonl, "_BLOCK", block)
        assert (list(numbered_lines(path)), list(numbered_lines(path, blank=True))) == whole

    def test_a_line_without_an_end_is_skipped(self, tmp_path: Path) -> None:
        """It could be the whole file; what comes after it is read."""
        path = write(tmp_path, b"a" * (2 * MAX_LINE_BYTES + 5) + b"\nnext\n")
        long, after = numbered_lines(path)
        assert isinstance(long, BadLine)
        assert (long.reason, long.number) == ("line too long", 1)
        assert after == Line(2, "next")

    def test_the_longest_line_is_read(self, tmp_path: Path) -> None:
        """Its end included."""
        path = write(tmp_path, b"a" * (MAX_LINE_BYTES - 1) + b"\nb")
        assert [type(line) for line in numbered_lines(path)] == [Line, Line]

    @pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
    def test_gzip_by_its_first_bytes(self, tmp_path: Path, bom: bytes) -> None:
        """Several members make one file."""
        path = write(tmp_path, gzip.compress(bom + b"one\ntw") + gzip.compress(b"o\n"))
        assert list(numbered_lines(path)) == [Line(1, "one"), Line(2, "two")]

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
            list(numbered_lines(write(tmp_path, bytes(packed))))

    @pytest.mark.parametrize("path", ["none", ".", "a\0b"])
    def test_no_file(self, path: str) -> None:
        """A missing one, a folder, and what can be no path."""
        with pytest.raises(DataError, match="must be readable"):
            list(numbered_lines(Path(path)))


class TestReadRecords:
    """A record a line."""

    @pytest.mark.parametrize("packed", [False, True])
    def test_what_was_written_comes_back(self, tmp_path: Path, *, packed: bool) -> None:
        """Plain or gzip."""
        write_records(tmp_path / "file", NOTES)
        if packed:
            write(tmp_path, gzip.compress((tmp_path / "file").read_bytes()))
        assert read_records(tmp_path / "file", Note, what="a note") == NOTES

    def test_a_bom_crlf_and_blank_lines(self, tmp_path: Path) -> None:
        """What other systems write."""
        path = write(tmp_path, b'\xef\xbb\xbf{"text": "a"}\r\n\r\n {"text": "b", "n": 1}')
        assert read_records(path, Note, what="a note") == [Note(text="a"), Note(text="b", n=1)]

    @pytest.mark.parametrize(
        ("content", "got"),
        [
            (b"", "an empty file"),
            (b"\n\n", "an empty file"),
            (b'{"text": "a"}\n{"text": 1}', "line 2: field 'text' should be a valid string"),
            (b'{"text": "a"}\n{"n": 1}', "line 2: field 'text' is missing"),
            (b'{"text": "a"}\n{"text": "\xff"}', "line 2: not UTF-8 at byte 24 of the file"),
            (b"no", "line 1: Invalid JSON"),
        ],
    )
    def test_a_wrong_line_is_named(self, tmp_path: Path, content: bytes, got: str) -> None:
        """With its number and the reason."""
        with pytest.raises(DataError, match="each line must be a note") as error:
            read_records(write(tmp_path, content), Note, what="a note")
        assert got in error.value.got

    def test_no_file(self, tmp_path: Path) -> None:
        """The message names it."""
        with pytest.raises(DataError, match=r"none\.jsonl"):
            read_records(tmp_path / "none.jsonl", Note, what="a note")

    def test_a_file_of_one_record(self, tmp_path: Path) -> None:
        """And one that is none, by the caller's error."""
        asked = {"what": "a note", "error": RunError, "next_step": "Write it again."}
        path = write(tmp_path, b'{"text": "a"}')
        assert read_record(path, Note, **asked) == Note(text="a")
        for content in (b'{"n": 1}', b"[]", b"no"):
            with pytest.raises(RunError, match="Write it again"):
                read_record(write(tmp_path, content), Note, **asked)


class TestAppendRecords:
    """A file that is only ever added to."""

    def whole(self, path: Path) -> list[Note]:
        """Read it."""
        return whole_records(path, Note, error=RunError, next_step="Write it again.")

    def test_what_was_added_comes_back_in_order(self, tmp_path: Path) -> None:
        """The folder is made; before the first there are none."""
        path = tmp_path / "new" / "notes.jsonl"
        assert self.whole(path) == []
        for note in NOTES:
            append_records(path, [note])
        append_records(path, [])
        assert self.whole(path) == NOTES

    def test_a_torn_line_is_passed_over_and_cut_away(self, tmp_path: Path) -> None:
        """Whatever a killed process left, the next record stands whole."""
        path = write(tmp_path, b'{"text": "tea"}\n{"text": "ra')
        assert self.whole(path) == NOTES[:1]
        append_records(path, NOTES[1:])
        assert self.whole(path) == NOTES

    def test_a_whole_line_that_is_no_record(self, tmp_path: Path) -> None:
        """Is an error with its number, for it was not torn."""
        path = write(tmp_path, b'{"text": "tea"}\nno\n')
        with pytest.raises(RunError, match=r"line 2 of .*Write it again"):
            self.whole(path)

    def test_what_is_no_number_is_not_written(self, tmp_path: Path) -> None:
        """JSON has none; the file stays as it was."""
        path = tmp_path / "notes.jsonl"
        append_records(path, NOTES)
        with pytest.raises(ValueError, match="JSON"):
            append_records(path, [Note(text="x", n=float("nan"))])  # pyright: ignore[reportArgumentType]
        assert self.whole(path) == NOTES
