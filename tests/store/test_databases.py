"""Both databases: many who write at once, what is waited for, and what cannot be reached."""

import multiprocessing
import tempfile
import time
from pathlib import Path
from threading import Barrier, Thread

import psycopg
import pytest

from lorecall.errors import ConfigError, ConflictError, LorecallError, MissingError, StorageError
from lorecall.store import Store
from lorecall.store.choose import Choice
from lorecall.store.database import clock, lock_person, writing
from stores import FakeBuilder, add_files, both, write_days

EVERYTHING = Choice(everything=True)
N_PROCESSES = 6


@both
def test_processes_that_add_at_once_lose_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To one person, and each to one of their own: nothing is lost, and nothing is there twice."""
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")  # noqa: S108 - cleared when this process ends
    place, keys = str(store._site.place), str(store._site.keys_folder)
    shared = str(write_days(tmp_path / "shared.jsonl", range(5)))
    own = [
        str(write_days(tmp_path / f"{i}.jsonl", range(10 * i + 10, 10 * i + 15)))
        for i in range(N_PROCESSES)
    ]
    start = multiprocessing.get_context("forkserver")
    start.set_forkserver_preload(["pytest", "stores", "lorecall.store.store"])
    running = [
        start.Process(target=add_files, args=(place, keys, ["ada", f"person {i}"], [path, shared]))
        for i, path in enumerate(own)
    ]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert [process.exitcode for process in running] == [0] * N_PROCESSES
    assert len(store.people()) == N_PROCESSES + 1
    for name in store.people():
        rows = [record.row for record in store.person(name).find(EVERYTHING).gone]
        n = 5 * (N_PROCESSES + 1) if name == "ada" else 10
        assert len(set(rows)) == len(rows) == n
    store.check_log()
    assert store.check(deep=True).broken == ()


@both
def test_people_who_are_added_at_once_are_one(store: Store, days: Path) -> None:
    """By name; who looks like another and came later is refused."""
    begin, refused = Barrier(4), []

    def add(name: str) -> None:
        begin.wait()
        try:
            store.person(name).remember(days)
        except ConflictError as reason:
            refused.append(reason)

    threads = [Thread(target=add, args=(name,)) for name in ("ada", "ada", "ADA", "ADA")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (name,) = store.people()
    assert len(refused) == 2
    assert store.person(name).log().n_records == 30
    assert len(store._site.keys.people()) == 1


@both
def test_one_writes_about_a_person_at_a_time(store: Store, days: Path) -> None:
    """Another waits, and then sees what was written."""
    ada = store.person("ada")
    ada.remember(write_days(days, range(20)))
    site, uid = store._site, ada._who().uid
    added: list[int] = []

    def add() -> None:
        added.append(ada.remember(write_days(days, range(25))).added)

    with writing(site.engine) as connection:
        lock_person(connection, uid)
        thread = Thread(target=add)
        thread.start()
        time.sleep(0.3)
        assert added == []
    thread.join()
    assert added == [5]
    with writing(site.engine) as connection, pytest.raises(MissingError, match="forgotten at this"):
        lock_person(connection, "0" * 32)


@both
def test_the_clock_is_the_database_s(store: Store) -> None:
    """In whole seconds, and it goes on within a transaction."""
    with store._site.engine.connect() as connection:
        assert abs(clock(connection) - time.time()) < 5


def test_what_is_forgotten_leaves_the_server_s_tables(
    schema_url: str, days: Path, tmp_path: Path
) -> None:
    """They are written anew, without it; what is ever there is ciphertext."""
    given = {"keys": tmp_path / "keys", "blobs": tmp_path / "blobs", "builder": FakeBuilder()}
    query = "SELECT pg_relation_filenode('event'), pg_relation_filenode('person')"
    with (
        psycopg.connect(schema_url, autocommit=True) as connection,
        Store.open(schema_url, **given) as store,  # pyright: ignore[reportArgumentType]
    ):
        before = connection.execute(query).fetchone()
        ada = store.person("ada")
        ada.remember(days)
        ada.forget(like="day number 7")
        after = connection.execute(query).fetchone()
        assert before is not None
        assert after is not None
        assert (before[0] != after[0], before[1] == after[1]) == (True, True)
        ada.forget(everything=True)
        assert connection.execute(query).fetchone()[1] != after[1]  # pyright: ignore[reportOptionalSubscript]
        for table in ("event", "person", "audit", "certificate"):
            assert b"rain" not in str(connection.execute(f"TABLE {table}").fetchall()).encode()


def test_a_store_in_a_database_says_where_the_rest_is(schema_url: str, tmp_path: Path) -> None:
    """Its keys each time; its versions when it begins, which it knows afterwards."""
    keys, blobs = tmp_path / "keys", tmp_path / "blobs"
    with pytest.raises(MissingError, match="the store must be there"):
        Store.open(schema_url, keys=keys, create=False)
    with pytest.raises(ConfigError, match="where the versions of a store in a database are kept"):
        Store.open(schema_url, keys=keys)
    Store.open(schema_url, keys=keys, blobs=blobs).close()
    with Store.open(schema_url, keys=keys, create=False) as store:
        assert store._site.blobs.place == str(blobs)
        assert store.check().broken == ()
    with pytest.raises(ConfigError, match="where they were when it began"):
        Store.open(schema_url, keys=keys, blobs=tmp_path / "others")


@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@/db?host=/nowhere", "postgresql://me:secret@127.0.0.1:1/db"]
)
def test_a_database_that_is_not_there_is_one_line(url: str, tmp_path: Path) -> None:
    """Without its password."""
    with pytest.raises(StorageError, match="must be reachable") as refused:
        Store.open(url, keys=tmp_path / "keys", blobs=tmp_path / "blobs")
    assert "secret" not in str(refused.value)
    assert isinstance(refused.value, LorecallError)


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    """And it stays as it is."""
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "store.db").write_bytes(b"something else " * 100)
    with pytest.raises(StorageError, match="must be reachable, and whole"):
        Store.open(tmp_path / "people")
