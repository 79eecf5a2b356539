"""The hash of a base's weights: made once as long as the files stay, and never wrongly kept."""

import hashlib
import os
from pathlib import Path

import pytest

from lorecall.lm.source import kept_hash


def write(path: Path, content: bytes, *, time_ns: int) -> Path:
    """Write a file that was changed at a given time."""
    path.write_bytes(content)
    os.utime(path, ns=(time_ns, time_ns))
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache of the test's own."""
    monkeypatch.setenv("LORECALL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def sha256(content: bytes) -> str:
    """Hash bytes."""
    return hashlib.sha256(content).hexdigest()


def test_it_is_made_once(tmp_path: Path) -> None:
    """Files of the same path, size and time are not read again."""
    path = write(tmp_path / "w", b"one", time_ns=10**18)
    assert kept_hash(path) == sha256(b"one")
    write(path, b"two", time_ns=10**18)
    assert kept_hash(path) == sha256(b"one")


@pytest.mark.parametrize(("content", "time_ns"), [(b"two", 10**18 + 1), (b"three", 10**18)])
def test_a_changed_file_is_read_again(tmp_path: Path, content: bytes, time_ns: int) -> None:
    """By its time to the nanosecond, or its size."""
    path = write(tmp_path / "w", b"one", time_ns=10**18)
    kept_hash(path)
    assert kept_hash(write(path, content, time_ns=time_ns)) == sha256(content)


def test_each_set_of_files_has_its_own(tmp_path: Path) -> None:
    """In their order; elsewhere the same content has the same hash."""
    a = write(tmp_path / "a", b"one", time_ns=10**18)
    b = write(tmp_path / "b", b"two", time_ns=10**18)
    assert kept_hash(a, b) == sha256(b"onetwo")
    assert kept_hash(b, a) == sha256(b"twoone")
    assert kept_hash(a) == sha256(b"one") == kept_hash(write(tmp_path / "c", b"one", time_ns=1))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"files": 1}'])
def test_what_is_kept_may_be_broken(tmp_path: Path, cache: Path, content: bytes) -> None:
    """It is made and kept again."""
    path = write(tmp_path / "w", b"one", time_ns=10**18)
    kept_hash(path)
    (kept,) = (cache / "hashes").iterdir()
    kept.write_bytes(content)
    assert kept_hash(path) == sha256(b"one")
    write(path, b"two", time_ns=10**18)
    assert kept_hash(path) == sha256(b"one")


def test_a_cache_that_cannot_be_written_costs_time_alone(tmp_path: Path, cache: Path) -> None:
    """A file is in its place."""
    cache.write_bytes(b"")
    path = write(tmp_path / "w", b"one", time_ns=10**18)
    assert kept_hash(path) == sha256(b"one")
    write(path, b"two", time_ns=10**18)
    assert kept_hash(path) == sha256(b"two")
