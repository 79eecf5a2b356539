"""What failed elsewhere, and does not here: a test for each, named after the report of it.

docs/explain/forgetting.md has the table. Those about PostgreSQL, object storage, backups, `gc` and
migrations are tested with these.
"""

import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import inspect, update

from lorecall.core.files import cache_folder
from lorecall.errors import ConflictError, InputError, IntegrityError, MissingError, PendingError
from lorecall.store import Built, Person, Store
from lorecall.store.choose import Choice
from lorecall.store.database import writing
from lorecall.store.leases import UPDATE, claim
from lorecall.store.recipe import BuildRequest, canonical
from lorecall.store.schema import job
from stores import FakeBuilder, run_killed, write_days

GONE = "day number 7"
EVERYTHING = Choice(everything=True)


def files_of(ada: Person) -> list[Path]:
    """Return every file that is a store's, its keys', the cache's or temporary."""
    site = ada._site
    folders = (site.place, site.keys_folder, cache_folder(), Path(tempfile.gettempdir()))
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def grep(ada: Person, *texts: bytes) -> list[Path]:
    """Return the files that hold one of some texts."""
    return [p for p in files_of(ada) if any(text in p.read_bytes() for text in texts)]


def test_chroma_7662_the_table_is_clean_and_the_vectors_are_whole(ada: Person) -> None:
    """Text and old weights, in plain or not: nowhere, WAL, cache and temporary folder included."""
    old = ada._read(1)[1].weights
    (blob,) = (p for p in (ada._site.place / "blobs").rglob("*") if p.is_file())
    sealed = blob.read_bytes()
    ada.forget(like=GONE)
    assert grep(ada, b"day number 7", old[-32:], sealed[20:60]) == []


def test_ai_memory_387_an_index_outlives_the_text(ada: Person, days: Path) -> None:
    """There is no index of texts, and no verb leaves one of them in plain."""
    names = inspect(ada._site.engine).get_table_names()
    assert not [name for name in names if "fts" in name or "index" in name]
    verbs = (
        lambda: ada.remember(write_days(days, range(33))),
        ada.update,
        lambda: ada.rollback(1),
        lambda: ada.diff(1, 2),
        lambda: ada.forget(like=GONE),
        ada.rebuild,
    )
    for verb in verbs:
        verb()
        assert grep(ada, b"tea and rain", b"what was it", b"week 1") == []


def test_ollama_16543_marmot_mdk_756_deleted_rows_stay_in_free_pages(ada: Person) -> None:
    """What a deleted row held is overwritten, on each connection, and the log is emptied."""
    for engine in (ada._site.engine, ada._site.keys._engine):
        for _ in range(3):
            with engine.connect() as connection:
                assert connection.exec_driver_sql("pragma secure_delete").scalar_one() == 1
    (gone,) = ada.find(Choice(like=GONE)).gone
    with ada._site.engine.connect() as connection:
        query = "select content from event where uid = ?"
        content = bytes(connection.exec_driver_sql(query, (gone.uid,)).scalar_one())
    assert grep(ada, content)
    ada.forget(like=GONE)
    assert grep(ada, content, bytes.fromhex(gone.commitment)) == []


class Stuck:
    """A key store that cannot let go of what is to be destroyed."""

    def __init__(self, keys: object) -> None:
        self._keys = keys

    def __getattr__(self, name: str) -> object:
        return getattr(self._keys, name)

    def destroy(self, *_: object) -> None:
        """Fail, as where someone reads all the time."""
        raise PendingError("keys must go", expected="it", got="readers", next_step="Try again.")


def test_memos_2331_mem0_3245_the_second_store_keeps_it(ada: Person) -> None:
    """Where the keys cannot be destroyed nothing is said to be done; tried again, it is."""
    stuck = Person(replace(ada._site, keys=Stuck(ada._site.keys)), "ada")  # pyright: ignore[reportArgumentType]
    with pytest.raises(PendingError) as found:
        stuck.forget(like=GONE)
    assert found.value.exit_code == 1
    assert (ada.log().head, ada.log().certificates) == (None, ())
    with pytest.raises(PendingError, match="--resume"):
        ada.update()
    made = ada.resume()
    assert made is not None
    assert made.verdict == "forgotten"
    assert ada.log().head == 2


def test_graphiti_1837_a_fact_lives_on_in_a_summary(ada: Person, tmp_path: Path) -> None:
    """All that is derived is the twin's: rows, manifest, weights, and the page about the person."""
    ada.forget(like=GONE)
    kept = [each.row for each in ada.find(EVERYTHING).gone]
    with Store.open(tmp_path / "twin", builder=FakeBuilder()) as others:
        twin = others.person("ada")
        twin.add(kept)
        twin.update()
        assert twin._read(None)[1].manifest == ada._read(None)[1].manifest
        assert twin.check()[1] == ada.check()[1]
        assert twin.measured() == ada.measured()
    ada.write_page(tmp_path / "ada.html")
    assert "day number" not in (tmp_path / "ada.html").read_text(encoding="utf-8")


def test_longmemory_186_vllm_42125_a_cache_answers(ada: Person) -> None:
    """A version is read anew each time: from the moment it is withdrawn the base answers."""
    seen: list[str] = []

    def slow(request: BuildRequest, **_: object) -> Built:
        started = time.monotonic()
        with pytest.raises(MissingError, match="until then the base answers"):
            ada.check()
        seen.append("base" if time.monotonic() - started < 1 else "late")
        return FakeBuilder()(request)

    with Store.open(ada._site.place, builder=slow) as store:
        store.person("ada").forget(like=GONE)
    assert seen == ["base"]


def test_dvc_7610_letta_1917_a_deletion_takes_another_s(store: Store, days: Path) -> None:
    """Two people of the very same records share no file and no key."""
    for name in ("ada", "bob"):
        store.person(name).remember(days)
        store.person(name).update()
    store.person("ada").forget(everything=True)
    bob = store.person("bob")
    assert bob.rebuild().outcome == "identical"
    assert len(bob.find(EVERYTHING).gone) == 30


def test_mem0_3928_6277_a_deletion_without_a_name_takes_all(store: Store, days: Path) -> None:
    """Nobody is a type error; one of many goes alone; nothing moves from one to another."""
    people = [f"person {i}" for i in range(30)]
    for name in people:
        store.person(name).remember(days)
    for nobody in (None, 0, ["ada"]):
        with pytest.raises(TypeError):
            store.person(nobody)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="exactly one of"):
        store.person(people[3]).forget()
    store.person(people[3]).forget(everything=True)
    del people[3]
    assert store.people() == sorted(people)
    assert {len(store.person(name).find(EVERYTHING).gone) for name in people} == {30}


def test_vllm_47724_another_s_adapter_answers(store: Store, ada: Person, days: Path) -> None:
    """Swapped files open under neither name."""
    bob = store.person("bob")
    bob.remember(days)
    bob.update()
    one, two = (p for p in (ada._site.place / "blobs").rglob("*") if p.is_file())
    kept = one.read_bytes(), two.read_bytes()
    one.write_bytes(kept[1])
    two.write_bytes(kept[0])
    for each in (ada, bob):
        with pytest.raises(IntegrityError, match="a version must be what the store wrote there"):
            each.check()


@pytest.mark.parametrize("name", ["Alice", "ALICE", "\uff41lice", "\u0430lice", "al\u200bice"])
def test_ai_memory_364_two_names_are_one_on_the_disk(store: Store, days: Path, name: str) -> None:
    """Folders have random names; a name that looks like another's is refused."""
    store.person("alice").remember(days)
    with pytest.raises(InputError, match=r"look like another's|must be one that can be read"):
        store.person(name).remember(days)
    assert not [p for p in store._site.place.rglob("*") if "lice" in p.name.lower()]


def test_mem0_7196_the_database_is_locked(tmp_path: Path) -> None:
    """Sixteen writers at once, each with a store of its own: none lost, none twice, none fails."""
    place = tmp_path / "people"
    Store.open(place).close()
    shared = write_days(tmp_path / "shared.jsonl", range(3))
    own = [write_days(tmp_path / f"{i}.jsonl", range(10 * i + 10, 10 * i + 14)) for i in range(16)]

    def add(path: Path) -> int:
        with Store.open(place) as store:
            return sum(store.person("ada").remember(each).added for each in (path, shared))

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(add, own)) == 16 * 4 + 3
    with Store.open(place) as store:
        texts = [each.row.text for each in store.person("ada").find(EVERYTHING).gone]
        assert len(texts) == len({*texts}) == 16 * 4 + 3
        store.check_log()


def test_aegra_502_docker_agent_3022_a_stale_worker_publishes(ada: Person, days: Path) -> None:
    """Who slept past the lease is refused; so is who expects another head."""
    ada.remember(write_days(days, range(32)))
    site, uid = ada._site, ada._who().uid

    def sleeper(request: BuildRequest, **_: object) -> Built:
        with writing(site.engine) as connection:
            connection.execute(update(job).values(until=0))
        claim(site.engine, uid, UPDATE).release()
        return FakeBuilder()(request)

    with Store.open(site.place, builder=sleeper) as slow, pytest.raises(ConflictError):
        slow.person("ada").update()
    with pytest.raises(ConflictError, match="expected version 7, got version 1"):
        ada.update(if_version=7)
    assert ada.log().head == 1
    assert ada.update(if_version=1).n == 2


@pytest.mark.parametrize("at", [9, 15])
def test_lightning_688_physicsnemo_1967_a_file_is_cut_short(
    ada: Person, days: Path, at: int
) -> None:
    """A killed update is the old head or the new one; a file that was cut is refused."""
    ada.remember(write_days(days, range(32)))
    run_killed(ada._site.place, days, "update", at)
    head = ada.log().head
    assert head in (1, 2)
    ada.check()
    if head == 1:
        ada.update()
    for path in (ada._site.place / "blobs").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match="a version must be what the store wrote there"):
        ada.check()


def test_letta_code_4433_ggcode_517_undo_takes_what_was_edited_or_evicted(
    ada: Person, days: Path
) -> None:
    """A changed byte is named and nothing is moved; what a forgetting ended is said."""
    ada.remember(write_days(days, range(32)))
    ada.update()
    ada.remember(write_days(days, range(34)))
    ada.update()
    with ada._site.engine.connect() as connection:
        query = "select n, blob from version"
        blobs = dict(connection.exec_driver_sql(query).all())  # pyright: ignore[reportArgumentType]
    path = ada._site.place / "blobs" / ada._who().uid / blobs[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="a version must be what the store wrote there"):
        ada.rollback(1)
    assert ada.log().head == 3
    ada.forget(like="day number 33")
    assert [each.state for each in ada.log().versions] == [
        *("published", "published", "destroyed", "published")
    ]
    with pytest.raises(MissingError, match="the nearest that is there, 4, got 3, which held"):
        ada.rollback(3)


@pytest.mark.parametrize("at", [8, 11])
def test_eddi_709_keep_662_a_rotation_loses_data(ada: Person, days: Path, at: int) -> None:
    """Killed at any step, all is readable; `benchmarks/store_faults.py` kills at each of them."""
    place = ada._site.place
    run_killed(place, days, "rotate", at)
    with Store.open(place) as store:
        assert len(store.person("ada").find(EVERYTHING).gone) == 30
        store.person("ada").check()


@pytest.fixture
def _zones() -> Iterator[None]:
    """Put the time zone back."""
    before = os.environ.get("TZ")
    yield
    if before is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("_zones")
def test_mem0_4402_mastra_11496_a_time_zone_moves_a_record(tmp_path: Path) -> None:
    """The same file is the same records wherever it is read, in the hour that is not, too."""
    chat = "".join(
        f"29/03/2026, 0{i % 4}:30 - {'Ann' if i % 2 else 'Bob'}: word {i} of the night\n"
        for i in range(44)
    )
    (tmp_path / "chat.txt").write_text(chat, encoding="utf-8")
    lines = [
        {"user": "ann", "query": f"when, {i}?", "response": f"then and there, {i}", "time": time_of}
        for i, time_of in enumerate(
            ["2026-03-29T02:30:00", "2026-03-29T02:30:00+01:00", "2026-10-25T02:30:00Z"] * 8
        )
    ]
    (tmp_path / "iso.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    seen: set[str] = set()
    for zone in ("UTC", "Europe/Berlin", "America/New_York"):
        os.environ["TZ"] = zone
        time.tzset()
        with Store.open(tmp_path / zone.replace("/", "-"), builder=FakeBuilder()) as store:
            ada = store.person("ada")
            ada.remember(tmp_path / "chat.txt", user="Ann")
            ada.remember(tmp_path / "iso.jsonl")
            seen.add(repr([each.row for each in ada.find(EVERYTHING).gone]))
            assert len(ada.find(Choice(before="2026-03-29T02:00")).gone) > 0
            seen.add(str(len(ada.find(Choice(before="2026-03-29T02:00")).gone)))
    assert len(seen) == 2


def test_deja_vu_662_memanto_1630_an_import_doubles_and_loses_times(
    ada: Person, tmp_path: Path
) -> None:
    """What was given away and taken in is the same, times and all; twice adds nothing."""
    ada.export(tmp_path / "one.zip")
    with Store.open(tmp_path / "other", builder=FakeBuilder()) as other:
        assert [other.take_in(tmp_path / "one.zip").added for _ in range(2)] == [30, 0]
        rows = [each.row for each in other.person("ada").find(EVERYTHING).gone]
        assert rows == [each.row for each in ada.find(EVERYTHING).gone]
        assert rows[3].time == 3000.0


def test_sysknife_268_a_hash_in_the_log_is_the_text(store: Store, tmp_path: Path) -> None:
    """A million short replies, guessed one by one: no hash of them is in the log or certificate."""
    replies = tmp_path / "short.jsonl"
    row = {"user": "ann", "query": "how many?"}
    lines = (row | {"response": str(i), "conversation": str(i)} for i in range(9900, 9960))
    replies.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ada = store.person("ada")
    ada.remember(replies)
    ada.update()
    told = canonical(ada.forget(like="9907", suppress=True).payload)
    with ada._site.engine.connect() as connection:
        for table in ("audit", "version", "job", "suppressed"):
            told += str(connection.exec_driver_sql(f"select * from {table}").all())  # noqa: S608
    words = {w[i : i + 12] for w in re.findall("[0-9a-f]{12,}", told) for i in range(len(w) - 11)}
    assert words
    found = [i for i in range(10**6) if hashlib.sha256(b"%d" % i).hexdigest()[:12] in words]
    assert found == []
