"""Keys: a store opens with its own alone, and nothing opens under another's name."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from lorecall.errors import ConfigError, IntegrityError, MissingError
from lorecall.store import FileRootKey, Person, Store
from lorecall.store.choose import Choice
from stores import FakeBuilder, write_days


@pytest.fixture
def place(tmp_path: Path, days: Path) -> Path:
    """Return a closed store of two people with two versions each."""
    with Store.open(tmp_path / "people", builder=FakeBuilder()) as store:
        for name in ("ada", "bob"):
            person = store.person(name)
            person.remember(days if name == "ada" else write_days(tmp_path / "b.jsonl", range(40)))
            person.update()
            person.remember(write_days(tmp_path / "more.jsonl", range(50, 60)))
            person.update()
    return tmp_path / "people"


def blobs(place: Path) -> list[Path]:
    """Return the files of the versions."""
    return sorted(path for path in (place / "blobs").rglob("*") if path.is_file())


def test_the_root_key_is_its_owners_alone(place: Path) -> None:
    """One that others may read is refused, and so is half a key."""
    root = place.with_name("people-keys") / "root.key"
    assert root.stat().st_mode & 0o777 == 0o600
    assert place.stat().st_mode & 0o077 == 0
    root.chmod(0o640)
    with pytest.raises(IntegrityError, match=r"with mode 640\. Run chmod 600"):
        Store.open(place)
    root.chmod(0o600)
    root.write_bytes(root.read_bytes()[:16])
    with pytest.raises(IntegrityError, match="got 16 bytes"):
        Store.open(place)


def test_another_root_key_opens_nothing(place: Path, tmp_path: Path) -> None:
    """One of another store, or none."""
    with pytest.raises(IntegrityError, match="a store is opened with its own keys"):
        Store.open(place, root=FileRootKey(tmp_path / "other.key"))
    (place.with_name("people-keys") / "root.key").unlink()
    with pytest.raises(IntegrityError, match="a store's root key must be there"):
        Store.open(place)


def test_another_stores_keys_open_nothing(place: Path, tmp_path: Path) -> None:
    """Nor do new ones; and what is there stays as it was."""
    Store.open(tmp_path / "other").close()
    with pytest.raises(IntegrityError, match="got another's"):
        Store.open(place, keys=tmp_path / "other-keys")
    with pytest.raises(IntegrityError, match="a store's root key must be there"):
        Store.open(place, keys=tmp_path / "new-keys")
    with Store.open(place) as store:
        assert store.people() == ["ada", "bob"]


def test_a_hook_may_hold_the_root_key(tmp_path: Path, days: Path) -> None:
    """Then no file has it."""
    root = FileRootKey(tmp_path / "elsewhere" / "root.key")
    with Store.open(tmp_path / "people", root=root) as store:
        store.person("ada").remember(days)
    assert not (tmp_path / "people-keys" / "root.key").exists()
    with Store.open(tmp_path / "people", root=root) as store:
        assert len(store.person("ada").find(Choice(everything=True)).gone) == 30


def refusal(person: Person, n: int) -> str:
    """Return why a version is not read; nothing where it is."""
    try:
        person._read(n)
    except IntegrityError as error:
        return str(error)
    return ""


def test_swapped_versions_are_refused(place: Path) -> None:
    """Of two people, and of one."""
    first, second, third, fourth = blobs(place)
    for one, other in ((first, second), (first, third), (second, fourth)):
        kept = one.read_bytes(), other.read_bytes()
        one.write_bytes(kept[1])
        other.write_bytes(kept[0])
        with Store.open(place) as store:
            found = [refusal(store.person(name), n) for name in ("ada", "bob") for n in (1, 2)]
        assert sum("a version must be what the store wrote there" in line for line in found) == 2
        one.write_bytes(kept[0])
        other.write_bytes(kept[1])


def test_swapped_people_in_the_database_are_refused(place: Path) -> None:
    """Records, names and versions that someone moved to another person do not open there."""
    database = sqlite3.connect(place / "store.db")
    uids = [uid for (uid,) in database.execute("select uid from person order by last_n, uid")]
    database.execute("pragma foreign_keys = off")
    database.execute("update event set person = ? where person = ?", (uids[0], uids[1]))
    database.commit()
    database.close()
    with Store.open(place) as store:
        refused = 0
        for name in ("ada", "bob"):
            try:
                store.person(name).find(Choice(everything=True))
            except IntegrityError:
                refused += 1
        assert refused == 1


@pytest.mark.parametrize("where", ["record", "version"])
def test_a_changed_byte_is_refused(place: Path, where: str) -> None:
    """In a record or a version; the others stay readable."""
    if where == "version":
        path = blobs(place)[0]
        content = bytearray(path.read_bytes())
        content[40] ^= 1
        path.write_bytes(content)
    else:
        database = sqlite3.connect(place / "store.db")
        uid, content = database.execute("select uid, content from event limit 1").fetchone()
        changed = content[:-1] + bytes([content[-1] ^ 1])
        database.execute("update event set content = ? where uid = ?", (changed, uid))
        database.commit()
        database.close()
    with Store.open(place) as store:
        refused = 0
        for name in ("ada", "bob"):
            for n in (1, 2):
                try:
                    store.person(name).rollback(n) if where == "version" else store.person(
                        name
                    ).find(Choice(everything=True))
                except IntegrityError:
                    refused += 1
        assert refused == (1 if where == "version" else 2)


def test_a_copy_of_the_store_without_its_keys_opens_nothing(place: Path, tmp_path: Path) -> None:
    """Which is what a backup of the folder is."""
    shutil.copytree(place, tmp_path / "copy" / "people")
    with pytest.raises(IntegrityError, match="a store's root key must be there"):
        Store.open(tmp_path / "copy" / "people")


def test_a_forgotten_record_does_not_come_back_with_a_copy(place: Path, tmp_path: Path) -> None:
    """It is taken out again before anything is read, with the versions; the rest can be used."""
    shutil.copytree(place, tmp_path / "old")
    with Store.open(place, builder=FakeBuilder()) as store:
        store.person("ada").forget(like="day number 3")
    shutil.rmtree(place)
    shutil.copytree(tmp_path / "old", place)
    with Store.open(place, builder=FakeBuilder()) as store:
        ada = store.person("ada")
        kept = ada.find(Choice(everything=True)).gone
        assert (len(kept), any("day number 3" in each.row.text for each in kept)) == (39, False)
        assert [version.state for version in ada.log().versions] == ["destroyed"] * 2
        assert (ada.log().head, ada.update().n) == (None, 3)
        assert len(store.person("bob").find(Choice(everything=True)).gone) == 50
        store.check_log()
    assert len(blobs(place)) == 3


def test_a_person_who_was_forgotten_does_not_come_back_with_a_copy(
    place: Path, tmp_path: Path
) -> None:
    """Nor anything of theirs, wherever the copy is opened; an older copy of the keys catches up."""
    shutil.copytree(place, tmp_path / "old")
    keys = place.with_name("people-keys")
    shutil.copytree(keys, tmp_path / "old-keys")
    with Store.open(place, builder=FakeBuilder()) as store:
        store.person("ada").forget(everything=True)
        store.person("bob").forget(like="day number 3")
    with Store.open(tmp_path / "old", keys=keys) as store:
        assert store.people() == ["bob"]
        assert len(store.person("bob").find(Choice(like="day number")).gone) == 39
    assert blobs(tmp_path / "old") == []
    with Store.open(place, keys=tmp_path / "old-keys") as store:
        assert store.people() == ["bob"]
        assert store._site.keys.people() == {store.person("bob")._who().uid}
        assert store.person("bob").log().head == 3
    shutil.rmtree(tmp_path / "old")


def test_what_lost_its_key_can_be_forgotten(place: Path) -> None:
    """A record whose key is gone, though nobody forgot it, is refused; it can be let go."""
    database = sqlite3.connect(place.with_name("people-keys") / "keys.db")
    with Store.open(place, builder=FakeBuilder()) as store:
        ada = store.person("ada")
        uid = ada.find(Choice(like="day number 3")).gone[0].uid
        database.execute("delete from data_key where uid = ?", (uid,))
        database.commit()
        with pytest.raises(IntegrityError, match="its key is not there: it was destroyed"):
            ada.find(Choice(everything=True))
        with pytest.raises(IntegrityError, match="its key is not there: it was destroyed"):
            ada.forget(like="day number 4")
        assert ada.forget(records=[uid]).verdict == "forgotten"
        assert len(ada.find(Choice(everything=True)).gone) == 39
        database.execute("delete from data_key")
        database.execute("delete from person_key")
        database.commit()
        assert ada.forget(everything=True).verdict == "forgotten"
    database.close()


def test_a_store_is_a_folder_that_is_there(tmp_path: Path) -> None:
    """Where none is to be made; never a file, nor a URL of what is no PostgreSQL."""
    with pytest.raises(MissingError, match="the store must be there"):
        Store.open(tmp_path / "none", create=False)
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").write_text("")
    for place in ("mysql://me:secret@host/db", "postgresql://host", tmp_path / "file"):
        with pytest.raises(ConfigError, match="a store is a folder") as refused:
            Store.open(place, keys=tmp_path / "keys")
        assert "secret" not in str(refused.value)
    for keys in (None, "https://host/keys"):
        with pytest.raises(ConfigError, match="keys"):
            Store.open("postgresql://host/db", keys=keys)


def test_a_later_format_is_refused(place: Path) -> None:
    """It is not changed either."""
    database = sqlite3.connect(place / "store.db")
    database.execute("update alembic_version set version_num = '9999'")
    database.commit()
    database.close()
    with pytest.raises(IntegrityError, match="got 9999, of a later version"):
        Store.open(place)


def test_a_changed_line_of_the_log_is_named(place: Path) -> None:
    """Changed, or taken out."""
    with Store.open(place) as store:
        assert store.check_log().seq == 10
    database = sqlite3.connect(place / "store.db")
    database.execute("update audit set details = '{}' where seq = 4")
    database.commit()
    with Store.open(place) as store, pytest.raises(IntegrityError, match="another at line 4"):
        store.check_log()
    database.execute("delete from audit where seq in (2, 4)")
    database.commit()
    database.close()
    with Store.open(place) as store, pytest.raises(IntegrityError, match="another at line 2"):
        store.check_log()
