"""Another root key: what the old one opened, the new one opens, whenever the change was killed."""

import shutil
from pathlib import Path

import pytest

from lorecall.errors import ConfigError, ConflictError, IntegrityError
from lorecall.store import FileRootKey, Store
from lorecall.store.choose import Choice
from stores import FakeBuilder, invoke, run_killed, write_days

EVERYTHING = Choice(everything=True)


@pytest.fixture
def place(tmp_path: Path, days: Path) -> Path:
    """Return a closed store of someone with a version."""
    with Store.open(tmp_path / "people", builder=FakeBuilder()) as store:
        store.person("ada").remember(days)
        store.person("ada").update()
    return tmp_path / "people"


def check_readable(place: Path) -> None:
    """See that all can be read, added to and forgotten."""
    with Store.open(place, builder=FakeBuilder()) as store:
        ada = store.person("ada")
        assert store.people() == ["ada"]
        assert len(ada.find(EVERYTHING).gone) == 30
        ada.check(1)
        store.check_log()
    assert not (place.with_name("people-keys") / "root.key.new").exists()


def test_the_old_key_opens_nothing_any_more(place: Path, tmp_path: Path) -> None:
    """Nor is what it wrapped in the keys' files; the public key stays."""
    keys = place.with_name("people-keys")
    shutil.copy(keys / "root.key", tmp_path / "old.key")
    with Store.open(place) as store:
        public, engine = store.public_key, store._site.keys._engine
        with engine.connect() as connection:
            rows = connection.exec_driver_sql("select wrapped, salt from person_key").all()
        store.rotate()
        assert len(store.person("ada").find(EVERYTHING).gone) == 30  # goes on with the new one
        content = b"".join(path.read_bytes() for path in keys.iterdir())
        assert not any(bytes(value) in content for row in rows for value in row)
    check_readable(place)
    with Store.open(place) as store:
        assert store.public_key == public
    with pytest.raises(IntegrityError, match="a root key that opens nothing here"):
        Store.open(place, root=FileRootKey(tmp_path / "old.key"))


@pytest.mark.parametrize("at", [3, 4, 5, 6])
def test_a_killed_change_loses_nothing(place: Path, days: Path, at: int) -> None:
    """Before all is wrapped, after it, before the file is in its place; the same command ends."""
    assert run_killed(place, days, "rotate", at)
    shutil.copytree(place, place.with_name("again"))
    shutil.copytree(place.with_name("people-keys"), place.with_name("again-keys"))
    with Store.open(place) as store:
        assert len(store.person("ada").find(EVERYTHING).gone) == 30
    with Store.open(place.with_name("again")) as store:
        store.rotate()
    place.with_name("people-keys").joinpath("root.key.new").unlink(missing_ok=True)
    check_readable(place)


def test_what_was_opened_before_is_refused(place: Path, days: Path) -> None:
    """What it would wrap by the old key would be lost; nothing of it is kept."""
    with Store.open(place) as old, Store.open(place) as store:
        store.rotate()
        with pytest.raises(ConflictError, match="Open the store again"):
            old.person("bob").remember(days)
        with pytest.raises(ConflictError, match="Open the store again"):
            old.person("ada").find(EVERYTHING)
        assert store.people() == ["ada"]
        store.person("bob").remember(days)
    with Store.open(place) as store:
        assert len(store.person("bob").find(EVERYTHING).gone) == 30


def test_a_hook_takes_over(place: Path, tmp_path: Path) -> None:
    """And who holds the key says what the next one is."""
    root = FileRootKey(tmp_path / "elsewhere.key")
    with Store.open(place) as store:
        store.rotate(root)
    (place.with_name("people-keys") / "root.key").unlink()
    with Store.open(place, root=root) as store:
        assert len(store.person("ada").find(EVERYTHING).gone) == 30
        with pytest.raises(ConfigError, match="who holds the root key"):
            store.rotate()


class Broken:
    """A holder that does not open what it wraps."""

    def wrap(self, key: bytes) -> bytes:
        """Return nothing that can be opened."""
        return key[::-1]

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return something else."""
        return wrapped


def test_a_key_that_does_not_open_what_it_wraps_is_not_taken(place: Path) -> None:
    """All stays as it was."""
    with Store.open(place) as store:
        with pytest.raises(IntegrityError, match="a root key must open what it wraps"):
            store.rotate(Broken())
        assert len(store.person("ada").find(EVERYTHING).gone) == 30
    check_readable(place)


def test_the_commands_for_keys(tmp_path: Path) -> None:
    """A key before the store, a copy, another key; nothing is ever written over."""
    store = ("--store", tmp_path / "people")
    made = invoke("keys", "init", "--copy", tmp_path / "copy.key", *store)
    assert f"its copy is {tmp_path / 'copy.key'}" in made.output
    assert isinstance(invoke("keys", "init", *store).exception, ConflictError)
    days = write_days(tmp_path / "days.jsonl", range(3))
    assert invoke("remember", "ada", days, *store).exit_code == 0
    assert (tmp_path / "copy.key").stat().st_mode & 0o777 == 0o600
    refused = invoke("keys", "export", tmp_path / "copy.key", *store)
    assert isinstance(refused.exception, ConflictError)
    assert "another root key" in invoke("keys", "rotate", *store).output
    assert invoke("keys", "export", tmp_path / "new.key", *store).exit_code == 0
    root = tmp_path / "people-keys" / "root.key"
    assert (tmp_path / "new.key").read_bytes() == root.read_bytes()
    assert (tmp_path / "copy.key").read_bytes() != root.read_bytes()
