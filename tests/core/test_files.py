"""Files and folders that are whole or not there."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.core.files import (
    cache_folder,
    check_room,
    new_folder,
    read_json,
    sha256_of,
    write_bytes,
    write_json,
    write_text,
)
from lorecall.errors import ArtefactError, RunError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


class TestWriting:
    """One file at a time."""

    def test_bytes_are_written_and_the_folders_made(self, tmp_path: Path) -> None:
        """The parents need not be there."""
        path = tmp_path / "a" / "b" / "file.bin"
        write_bytes(path, b"\x00\xff")
        assert path.read_bytes() == b"\x00\xff"
        assert [file.name for file in path.parent.iterdir()] == ["file.bin"]

    def test_a_file_is_replaced_whole(self, tmp_path: Path) -> None:
        """Nothing of a longer old content is left."""
        path = tmp_path / "file.txt"
        write_text(path, "a long old text")
        write_text(path, "né")
        assert path.read_bytes() == "né".encode()

    def test_anyone_may_read_the_file(self, tmp_path: Path) -> None:
        """Temporary files are private; the finished ones are not."""
        write_text(tmp_path / "file.txt", "x")
        assert (tmp_path / "file.txt").stat().st_mode & 0o777 == 0o644

    def test_a_write_that_fails_leaves_the_old_file(
        self, tmp_path: Path, file_size_limit: Callable[[int], None]
    ) -> None:
        """A full disk costs neither the old content nor a stray temporary file."""
        path = tmp_path / "file.bin"
        write_bytes(path, b"old")
        file_size_limit(1000)
        with pytest.raises(OSError, match="File too large"):
            write_bytes(path, b"n" * 5000)
        assert path.read_bytes() == b"old"
        assert [file.name for file in tmp_path.iterdir()] == ["file.bin"]

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_numbers_that_json_lacks_are_refused(self, tmp_path: Path, value: float) -> None:
        """Other programs could not read them back."""
        with pytest.raises(ValueError, match="JSON compliant"):
            write_json(tmp_path / "file.json", {"loss": value})
        assert list(tmp_path.iterdir()) == []


class TestReadJson:
    """Reading JSON with an error of the caller's kind."""

    @given(value=st.dictionaries(st.text(), json_values, max_size=4))
    def test_an_object_comes_back_as_written(
        self, tmp_path: Path, value: dict[str, object]
    ) -> None:
        """Unicode included."""
        write_json(tmp_path / "value.json", value)
        assert read_json(tmp_path / "value.json", what="it", error=ArtefactError) == value

    @pytest.mark.parametrize(
        ("content", "got"),
        [
            (b"{", "JSONDecodeError"),
            (b"", "JSONDecodeError"),
            (b'{"a": "\xff"}', "UnicodeDecodeError"),
            (b"[1, 2]", "list"),
            (b"null", "NoneType"),
        ],
    )
    def test_what_is_no_object_is_refused(self, tmp_path: Path, content: bytes, got: str) -> None:
        """Cut short, empty, not UTF-8, or another kind of value."""
        path = tmp_path / "value.json"
        path.write_bytes(content)
        with pytest.raises(ArtefactError, match=f"the thing must be.*got {got}"):
            read_json(path, what="the thing", error=ArtefactError)

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        """The message names the path."""
        with pytest.raises(ArtefactError, match=r"expected a JSON object in .*none\.json"):
            read_json(tmp_path / "none.json", what="it", error=ArtefactError)

    def test_a_folder_is_refused(self, tmp_path: Path) -> None:
        """A folder in the file's place is no traceback."""
        with pytest.raises(ArtefactError, match="IsADirectoryError"):
            read_json(tmp_path, what="it", error=ArtefactError)


class TestNewFolder:
    """A folder that appears when it is finished."""

    def test_it_appears_when_the_block_ends(self, tmp_path: Path) -> None:
        """Until then nothing has its name; nested folders come along."""
        path = tmp_path / "a" / "out"
        with new_folder(path) as temporary:
            (temporary / "sub").mkdir()
            (temporary / "sub" / "file").write_text("x")
            assert not path.exists()
        assert (path / "sub" / "file").read_text() == "x"
        assert path.stat().st_mode & 0o777 == 0o755
        assert [folder.name for folder in path.parent.iterdir()] == ["out"]

    def test_it_replaces_the_old_folder(self, tmp_path: Path) -> None:
        """Files of the old folder do not stay."""
        path = tmp_path / "out"
        path.mkdir()
        (path / "old").write_text("x")
        with new_folder(path) as temporary:
            (temporary / "new").write_text("y")
        assert [file.name for file in path.iterdir()] == ["new"]
        assert [folder.name for folder in tmp_path.iterdir()] == ["out"]

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
    def test_an_error_leaves_the_old_folder_as_it_was(
        self, tmp_path: Path, error: type[BaseException]
    ) -> None:
        """Also when someone presses Ctrl-C; the error goes on."""
        path = tmp_path / "out"
        path.mkdir()
        (path / "old").write_text("x")

        def fill() -> None:
            with new_folder(path) as temporary:
                (temporary / "new").write_text("y")
                raise error

        with pytest.raises(error):
            fill()
        assert {file.name: file.read_text() for file in path.iterdir()} == {"old": "x"}
        assert [folder.name for folder in tmp_path.iterdir()] == ["out"]

    def test_a_file_in_its_place_stays_or_is_replaced_whole(self, tmp_path: Path) -> None:
        """Never both: no stray name is left next to it."""
        path = tmp_path / "out"
        path.write_text("a file")
        try:
            with new_folder(path) as temporary:
                (temporary / "new").write_text("y")
        except OSError:
            assert path.read_text() == "a file"
        assert [file.name for file in tmp_path.iterdir()] == ["out"]


class TestHashAndCache:
    """Hashing files, and where the cache is."""

    def test_the_hash_is_that_of_the_contents_in_order(self, tmp_path: Path) -> None:
        """Several files hash as one long one; the order counts."""
        a, b = tmp_path / "a", tmp_path / "b"
        a.write_bytes(b"one")
        b.write_bytes(b"two")
        assert sha256_of(a, b) == hashlib.sha256(b"onetwo").hexdigest()
        assert sha256_of(b, a) == hashlib.sha256(b"twoone").hexdigest()

    def test_the_variable_names_the_cache(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`LORECALL_CACHE` comes first."""
        monkeypatch.setenv("LORECALL_CACHE", str(tmp_path))
        monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
        assert cache_folder() == tmp_path

    def test_without_it_the_cache_is_in_the_usual_place(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`XDG_CACHE_HOME` where it is set, else `~/.cache`; an empty variable is none."""
        monkeypatch.setenv("LORECALL_CACHE", "")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert cache_folder() == tmp_path / "lorecall"
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert cache_folder() == tmp_path / ".cache" / "lorecall"

    def test_json_is_written_for_people_too(self, tmp_path: Path) -> None:
        """Indented, with letters as they are, and a line end."""
        write_json(tmp_path / "value.json", {"a": "né"})
        text = (tmp_path / "value.json").read_text(encoding="utf-8")
        assert text == '{\n  "a": "né"\n}\n'
        assert json.loads(text) == {"a": "né"}


class TestRoom:
    """What would end on a full disk is not begun."""

    def test_too_little_room_is_refused(self, tmp_path: Path) -> None:
        """The line names what, where, and how much room there is."""
        with pytest.raises(
            RunError, match=r"room for the memory: expected .* MB free for .*memory"
        ):
            check_room(tmp_path / "runs" / "memory", 10**18, what="the memory")
        assert not (tmp_path / "runs").exists()

    def test_room_enough_is_nothing_to_say(self, tmp_path: Path) -> None:
        """Also for a folder that is not there yet."""
        check_room(tmp_path / "runs" / "memory", 1, what="the memory")
