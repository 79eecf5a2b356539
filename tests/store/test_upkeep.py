"""Looking after a store: checked, swept, counted, copied and restored, beside all other work."""

import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from lorecall.errors import ConfigError, ConflictError, IntegrityError
from lorecall.store import Store, Swept
from lorecall.store.choose import Choice
from lorecall.store.leases import UPDATE, claim
from lorecall.store.recipe import canonical
from stores import FakeBuilder, both, run_killed, write_days

EVERYTHING = Choice(everything=True)
GONE = "day number 7"


@pytest.fixture
def people(store: Store, days: Path) -> Store:
    """Return a store with two people who have a version each."""
    for name in ("ada", "bob"):
        store.person(name).remember(days)
        store.person(name).update()
    return store


@both
def test_a_whole_store_is_whole(people: Store) -> None:
    """And counted; nothing is swept from it."""
    found = people.check(deep=True)
    assert (found.people, found.records, found.versions, found.strays) == (2, 60, 2, 0)
    assert found.broken == ()
    assert people.gc() == Swept(blobs=0, busy=0)
    counts = people.stat()
    assert (counts.people, counts.with_head, counts.records) == (2, 2, 60)
    assert (dict(counts.versions), counts.erased, counts.pending) == ({"published": 2}, 0, 0)
    assert min(counts.version_bytes, counts.database_bytes, counts.key_bytes) > 0
    people.person("ada").forget(like=GONE)
    assert dict(people.stat().versions) == {"published": 2, "destroyed": 1}
    assert people.stat().erased == 2


def test_what_is_broken_is_named(people: Store) -> None:
    """A blob, a key, a changed byte, a line of the log, a reference; each by whose it is."""
    site = people._site
    ada, bob = (people.person(name)._who().uid for name in ("ada", "bob"))
    (blob,) = site.blobs.names(ada)
    kept = site.blobs.get(ada, blob)
    site.blobs.remove(ada, blob)
    assert people.check().broken == ("ada: v1 has no blob",)
    site.blobs.put(ada, blob, kept[:-1] + b"?")
    assert people.check().broken == ()
    assert people.check(deep=True).broken == (
        "ada: v1 is another content, or one that was changed",
    )
    uid = people.person("bob").find(EVERYTHING).gone[0].uid
    with sqlite3.connect(site.keys_folder / "keys.db") as keys:
        keys.execute("delete from data_key where uid = ?", (uid,))
    keys.close()
    assert people.check().broken == (f"bob: record {uid[:12]} has no key",)
    with sqlite3.connect(site.database_files[0]) as database:
        database.execute("update audit set action = 'forgotten' where seq = 2")
        database.execute("update version set person = 'x' where person = ?", (bob,))
    database.close()
    broken = people.check().broken
    assert "audit log: another at line 2" in broken
    assert any("version: a row without the person it is of" in line for line in broken)


@both
def test_a_blob_that_is_about_to_be_published_stays(people: Store) -> None:
    """Its person's lease is another's; afterwards what is left goes, of the forgotten as well."""
    site, uid = people._site, people.person("ada")._who().uid
    lease = claim(site.engine, uid, UPDATE)
    site.blobs.put(uid, "fresh", b"?")
    site.blobs.put("nobody", "old", b"?")
    assert people.check().strays == 2
    assert people.gc() == Swept(blobs=1, busy=1)
    assert site.blobs.get(uid, "fresh") == b"?"
    lease.release()
    assert people.gc() == Swept(blobs=1, busy=0)
    assert people.check(deep=True).strays == 0
    assert people.person("ada").check()[0] == 1


def test_sweeping_beside_uploads_takes_nothing(people: Store, days: Path) -> None:
    """While one publishes, over and over, another sweeps and checks."""
    over, broken, ada = Event(), [], people.person("ada")
    ada.remember(write_days(days, range(31)))
    ada.update()

    def sweep() -> None:
        while not over.is_set():
            people.gc()
            broken.extend(people.check().broken)

    thread = Thread(target=sweep)
    thread.start()
    for _ in range(20):
        with suppress(ConflictError):  # it is being looked at
            ada.rollback(1)
    over.set()
    thread.join()
    assert broken == []
    found = people.check(deep=True)
    assert (found.broken, found.strays) == ((), 0)
    assert found.versions == len(ada.log().versions) + 1


@both
def test_a_backup_is_a_store_that_forgets(people: Store, tmp_path: Path) -> None:
    """With today's keys it has nothing that was forgotten since; nor has what is restored."""
    copied = people.backup(tmp_path / "backup", keys_to=tmp_path / "keys-backup")
    assert (copied.versions, copied.rows > 60) == (2, True)
    keys = people._site.keys_folder
    certificate = people.person("ada").forget(like=GONE)
    assert '"backups":[{"at":' in canonical(certificate.payload)
    people.person("bob").forget(everything=True)
    restored = Store.restore(tmp_path / "backup", tmp_path / "restored", keys=keys)
    for store in (Store.open(tmp_path / "backup", keys=keys), restored):
        with store:
            assert store.people() == ["ada"]
            ada = store.person("ada")
            assert (ada.log().head, ada.log().n_records) == (None, 29)
            assert not any(GONE in each.row.text for each in ada.find(EVERYTHING).gone)
            found = store.check(deep=True)
            assert (found.broken, found.strays) == ((), 0)
            store.check_log()
    with Store.open(tmp_path / "restored", keys=keys, builder=FakeBuilder()) as store:
        assert store.person("ada").update().n == 2
    assert {path.name for path in (tmp_path / "keys-backup").iterdir()} == {"keys.db"}


def test_a_backup_is_restored_to_a_server(people: Store, schema_url: str, tmp_path: Path) -> None:
    """With its versions, and what is left to be done; and from there to a folder again."""
    people.backup(tmp_path / "backup")
    keys = people._site.keys_folder
    given = {"keys": keys, "blobs": tmp_path / "blobs"}
    with Store.restore(tmp_path / "backup", schema_url, **given) as store:
        assert store.people() == ["ada", "bob"]
        assert store.check(deep=True).broken == ()
        assert store.person("ada").check() == people.person("ada").check()
        store.backup(tmp_path / "again")
    with Store.open(tmp_path / "again", keys=keys) as store:
        assert store.check(deep=True).records == 60
    with pytest.raises(ConfigError, match="a copy is made where there is no store"):
        Store.restore(tmp_path / "backup", schema_url, **given)


def test_what_cannot_be_copied(people: Store, tmp_path: Path) -> None:
    """Over a store, into the keys, from nothing, or with another's keys."""
    keys = people._site.keys_folder
    for out in (keys, keys / "x", tmp_path):
        with pytest.raises(ConfigError, match="kept apart"):
            people.backup(out)
    with pytest.raises(ConfigError, match="kept apart"):
        people.backup(tmp_path / "b", keys_to=tmp_path / "b" / "keys")
    people.backup(tmp_path / "backup")
    with pytest.raises(ConfigError, match="where there is no store"):
        people.backup(tmp_path / "backup")
    with pytest.raises(ConfigError, match="a backup must be there"):
        Store.restore(tmp_path / "none", tmp_path / "new", keys=keys)
    Store.open(tmp_path / "other").close()
    for others in (tmp_path / "other-keys", tmp_path / "no-keys"):
        with pytest.raises(IntegrityError, match="with its own keys"):
            Store.restore(tmp_path / "backup", tmp_path / "new", keys=others)
    assert not (tmp_path / "new").exists()
    ada = people.person("ada")._who().uid
    people._site.blobs.remove_all(ada)
    with pytest.raises(IntegrityError, match="must be there to be copied"):
        people.backup(tmp_path / "holed")
    with pytest.raises(ConfigError, match="a backup must be there"):
        Store.restore(tmp_path / "holed", tmp_path / "new", keys=keys)


@pytest.mark.parametrize("at", [5, 9])
def test_a_killed_backup_is_finished_by_the_same_command(
    tmp_path: Path, days: Path, at: int
) -> None:
    """Half of one is none."""
    place, out = tmp_path / "people", tmp_path / "backup"
    with Store.open(place, builder=FakeBuilder()) as store:
        store.person("ada").remember(days)
        store.person("ada").update()
    assert run_killed(place, out, "backup", at)
    if (out / "store.db").exists():
        shutil.copytree(out, tmp_path / "half")
        with pytest.raises(ConfigError):
            Store.restore(tmp_path / "half", tmp_path / "new", keys=tmp_path / "people-keys")
    with Store.open(place) as store:
        store.backup(out, keys_to=tmp_path / "backup-keys")
    with Store.restore(out, tmp_path / "new", keys=tmp_path / "people-keys") as store:
        assert store.check(deep=True).records == 30


def test_keys_from_a_backup_forget_as_well(people: Store, tmp_path: Path, days: Path) -> None:
    """Put back beside newer data they destroy what the data's ledger names."""
    people.backup(tmp_path / "backup", keys_to=tmp_path / "keys-backup")
    place, keys = people._site.place, people._site.keys_folder
    uid = people.person("ada").find(Choice(like=GONE)).gone[0].uid
    people.person("ada").forget(like=GONE)
    people.close()
    shutil.copy(keys / "root.key", tmp_path / "keys-backup" / "root.key")
    with Store.open(place, keys=tmp_path / "keys-backup", builder=FakeBuilder()) as store:
        ada = store.person("ada")
        assert uid not in store._site.keys.kept(ada._who().uid)
        assert ada.remember(write_days(days, range(31))).added == 2
        assert ada.log().n_records == 31
        broken = store.check().broken
        assert broken == ("ada: v2 has no key",)  # it was built after the keys were copied
