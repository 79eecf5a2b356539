"""Files in whatever they come in."""

import gzip
import io
import re
import zipfile
from pathlib import Path

import pytest

from lorecall.core import unpack
from lorecall.core.unpack import documents, opened
from lorecall.errors import DataError

CHATS, JSON = ["a/_chat.txt", "b/_chat.txt"], ["a.json", "c.json"]
TEXT = "caf\u00e9\n\u5c0f\u660e\U0001f600\n" * 3


def write(folder: Path, content: bytes) -> Path:
    """Write a file."""
    (folder / "file").write_bytes(content)
    return folder / "file"


def packed(**members: str) -> bytes:
    """Make an archive; `__` stands for a dot."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(re.sub(r"(?<=\w)__(?=\w)", ".", name), text)
    return file.getvalue()


def read(path: Path) -> str:
    """Return all of a file."""
    with opened(path) as file:
        return file.read().decode()


@pytest.mark.parametrize(
    "content",
    [
        *(TEXT.encode(), TEXT.encode("utf-8-sig"), gzip.compress(TEXT.encode(), mtime=0)),
        *(TEXT.encode("utf-16"), TEXT.encode("utf-32"), b"\xfe\xff" + TEXT.encode("utf-16-be")),
        gzip.compress(TEXT.encode("utf-16"), mtime=0),
        packed(_chat__txt=TEXT),
        packed(_chat__txt=TEXT, photo__jpg="x", notes__txt="y"),
        packed(export__json=TEXT, photo__jpg="x"),
        packed(conversations__json=TEXT, user__json="{}", chat__html="x"),
        packed(chat_with_Ann__txt=TEXT, contact__json="{}"),
    ],
)
def test_the_same_text_comes_out(tmp_path: Path, content: bytes) -> None:
    """The first bytes tell what it is in; of an archive the file of messages is read."""
    assert read(write(tmp_path, content)) == TEXT


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark(tmp_path: Path, encoding: str) -> None:
    """Every other byte is zero where the letters are Latin."""
    assert read(write(tmp_path, ("plain text\n" * 20).encode(encoding))) == "plain text\n" * 20


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (packed(a__txt="x", b__txt="y"), "2 files of text or JSON in it"),
        (packed(photo__jpg="x"), "0 files of text or JSON in it"),
        (packed(_chat__txt=TEXT)[:40], "a ZIP archive that cannot be read"),
        (b"PK\x03\x04" + b"\0" * 60, "a ZIP archive that cannot be read"),
    ],
)
def test_other_archives_are_to_be_unpacked(tmp_path: Path, content: bytes, got: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(DataError, match="Unpack it") as error:
        read(write(tmp_path, content))
    assert got in error.value.got


@pytest.mark.parametrize(
    ("members", "inside"),
    [
        ({"b__json": "2", "a__txt": "1", "photo__jpg": "x"}, ["a.txt", "b.json"]),
        (
            {"b/_chat__txt": "2", "a/_chat__txt": "1", "c__json": "3"},
            ["a/_chat.txt", "b/_chat.txt"],
        ),
        ({"a__json": "1", "/etc/b__json": "x", "__MACOSX/a__json": "x", "c__json": "2"}, JSON),
    ],
)
def test_files_of_an_archive_have_paths(
    tmp_path: Path, members: dict[str, str], inside: list[str]
) -> None:
    """Through the archive; nothing leads out of it."""
    path = write(tmp_path, packed(**members))
    found = documents(path)
    assert found == [path / name for name in inside]
    assert [read(each) for each in found] == ["1", "2"]


def test_one_file_is_itself(tmp_path: Path) -> None:
    """So is the archive of one, and what is none."""
    for content in (b"text", b"", packed(_chat__txt=TEXT, notes__txt="y"), b"PK\x03\x04 broken"):
        path = write(tmp_path, content)
        assert documents(path) == [path]
    assert documents(tmp_path / "none") == [tmp_path / "none"]


def test_no_such_file_in_an_archive(tmp_path: Path) -> None:
    """It is said that there is none; below what is no archive there is nothing either."""
    path = write(tmp_path, packed(a__txt="x", b__txt="y"))
    with pytest.raises(DataError, match="no such file in the archive"):
        read(path / "c.txt")
    path.write_bytes(b"text")
    with pytest.raises(DataError, match="no archive"):
        read(path / "c.txt")


@pytest.mark.parametrize("damage", ["utf-16", "zip"])
def test_what_is_damaged_is_no_text(tmp_path: Path, damage: str) -> None:
    """Half a letter, or a changed byte of an archive."""
    content = bytearray(
        TEXT.encode("utf-16")[:-1] if damage == "utf-16" else packed(_chat__txt=TEXT)
    )
    if damage == "zip":
        content[45] ^= 255
    with pytest.raises(DataError, match="must be readable"):
        read(write(tmp_path, bytes(content)))


def test_an_archive_with_a_password(tmp_path: Path) -> None:
    """It must be unpacked by its owner."""
    content = bytearray(packed(_chat__txt=TEXT))
    for start in (content.index(b"PK\x03\x04") + 6, content.index(b"PK\x01\x02") + 8):
        content[start] |= 1
    with pytest.raises(DataError, match="Unpack it"):
        read(write(tmp_path, bytes(content)))


def test_an_archive_is_looked_into_once(tmp_path: Path) -> None:
    """However many files of it are read; one that was written over is looked into again."""
    path = write(tmp_path, packed(a__json="1", b__json="2"))
    looked = unpack._opened_archive.cache_info  # pyright: ignore[reportPrivateUsage]
    before = looked().misses
    assert [read(each) for each in documents(path)] == ["1", "2"]
    assert looked().misses == before + 1
    write(tmp_path, packed(a__json="3", b__json="45"))
    assert [read(each) for each in documents(path)] == ["3", "45"]
