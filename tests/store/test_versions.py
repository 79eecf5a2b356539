"""Versions: published whole, never twice, taken up again; and one at a time who makes them."""

import subprocess
import sys
import zipfile
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import update

from lorecall.core.processes import machine_id
from lorecall.errors import ConflictError, DataError, MissingError, RunError
from lorecall.settings import preset
from lorecall.store import Store
from lorecall.store.builder import Built
from lorecall.store.database import writing
from lorecall.store.leases import FORGET, UPDATE, claim
from lorecall.store.recipe import BuildRequest, canonical
from lorecall.store.schema import job
from stores import FakeBuilder, both, run_killed, write_days


@both
def test_an_update_is_the_head(store: Store, days: Path, builder: FakeBuilder) -> None:
    """With all records; the log says what it was built from, and what came after."""
    ada = store.person("ada")
    ada.remember(days)
    updated = ada.update()
    assert (updated.n, updated.n_records, updated.is_new) == (1, 30, True)
    ada.remember(write_days(days, range(28, 34)))
    log = ada.log()
    assert (log.head, log.n_records, log.n_behind) == (1, 34, 4)
    (first,) = log.versions
    assert (first.n, first.parent, first.n_records, first.is_there) == (1, None, 30, True)
    assert [len(request.rows) for request in builder.requests] == [30]


def test_nothing_new_is_no_version(store: Store, days: Path) -> None:
    """Until a record or a setting is another."""
    ada = store.person("ada")
    ada.remember(days)
    assert ada.update().is_new
    assert not ada.update().is_new
    assert ada.update(settings=preset("laptop", seed=1)).n == 2
    assert not ada.update().is_new  # as the head was
    ada.remember(write_days(days, range(31)))
    assert ada.update().n == 3


def test_too_little_is_said(store: Store, tmp_path: Path) -> None:
    """And nothing is published."""
    ada = store.person("ada")
    ada.remember(write_days(tmp_path / "few.jsonl", range(3)))
    with pytest.raises(DataError, match="there must be enough to learn from"):
        ada.update()
    assert ada.log().head is None
    with pytest.raises(MissingError, match="until then the base answers"):
        ada.stored()


def test_a_person_who_is_not_there(store: Store) -> None:
    """Each verb says so."""
    ada = store.person("ada")
    verbs = (ada.update, ada.log, ada.stored, ada.resume, ada.rebuild, lambda: ada.rollback(1))
    for verb in verbs:
        with pytest.raises(MissingError, match="got 'ada'"):
            verb()


@both
def test_a_rollback_is_a_new_version(store: Store, days: Path) -> None:
    """Of the old content, under a key of its own; the records stay."""
    ada = store.person("ada")
    ada.remember(days)
    ada.update()
    ada.remember(write_days(days, range(40)))
    ada.update()
    assert ada.rollback(1) == 3
    assert ada.rollback(3) == 3  # it is the head
    first, _, third = ada.log().versions
    assert (third.digest, third.recipe, third.parent) == (first.digest, first.recipe, 2)
    assert ada.log().n_behind == 10
    with pytest.raises(MissingError, match="nearest that is there, 3, got 9, which was never made"):
        ada.rollback(9)
    assert ada.update().n == 4


def test_an_unexpected_head_is_refused(store: Store, days: Path, builder: FakeBuilder) -> None:
    """Before anything is built."""
    ada = store.person("ada")
    ada.remember(days)
    with pytest.raises(ConflictError, match="expected version 4, got none"):
        ada.update(if_version=4)
    assert builder.requests == []
    ada.update()
    ada.remember(write_days(days, range(31)))
    assert ada.update(if_version=1).n == 2


@both
def test_one_works_on_a_person_at_a_time(store: Store, days: Path) -> None:
    """A second process is refused while the first lives; after a killing it need not wait."""
    ada = store.person("ada")
    ada.remember(days)
    site, uid = ada._site, ada._who().uid
    lease = claim(site.engine, uid, UPDATE)
    with pytest.raises(ConflictError, match="a process that is at its update"):
        ada.update()
    with pytest.raises(ConflictError):
        ada.rollback(1)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with writing(site.engine) as connection:
        dead = f'["{machine_id()}", {ended.pid}]'
        connection.execute(update(job).values(worker=dead))
    assert ada.update().n == 1
    with site.engine.connect() as connection, pytest.raises(ConflictError, match="took over"):
        lease.check(connection)


@both
def test_a_lease_that_ran_out_is_another_s(store: Store, days: Path) -> None:
    """Who slept past it finds out when it publishes, and changes nothing."""
    ada = store.person("ada")
    ada.remember(days)
    site, uid = ada._site, ada._who().uid
    builder = FakeBuilder()

    def sleeper(request: BuildRequest, **_: object) -> Built:
        with writing(site.engine) as connection:
            connection.execute(update(job).values(until=0))
        claim(site.engine, uid, UPDATE)
        return builder(request)

    with Store.open(site.place, keys=site.keys_folder, builder=sleeper) as slow:
        with pytest.raises(ConflictError, match="got another who took over"):
            slow.person("ada").update()
        assert slow.person("ada").log().versions == ()
    assert [*Path(site.blobs.place).rglob("*.*")] == []
    assert not any(path.is_file() for path in Path(site.blobs.place).rglob("*"))


@both
def test_a_forgetting_does_not_wait_for_a_build(store: Store, days: Path) -> None:
    """The build is refused when it publishes: what it was given is forgotten."""
    ada = store.person("ada")
    ada.remember(days)
    builder = FakeBuilder()

    def interrupted(request: BuildRequest, **_: object) -> Built:
        ada.forget(like="day number 3")
        return builder(request)

    with (
        Store.open(ada._site.place, keys=ada._site.keys_folder, builder=interrupted) as slow,
        pytest.raises(ConflictError, match="took over"),
    ):
        slow.person("ada").update()
    assert ada.log().versions == ()
    assert ada.log().n_records == 29


@both
def test_what_a_killed_process_left_is_swept(store: Store, days: Path) -> None:
    """A blob without a version goes; those that have one stay."""
    ada = store.person("ada")
    ada.remember(days)
    ada.update()
    folder = next(Path(ada._site.blobs.place).iterdir())
    (folder / "orphan").write_bytes(b"?")
    (folder / ".orphan.x1").write_bytes(b"?")
    ada.rollback(1)
    assert len([*folder.iterdir()]) == 1


@pytest.mark.parametrize("at", [7, 13])
def test_a_killed_update_is_old_or_new(tmp_path: Path, days: Path, at: int) -> None:
    """Never in between, and the same command finishes; what it left is swept."""
    place = tmp_path / "people"
    with Store.open(place, builder=FakeBuilder()) as store:
        store.person("ada").remember(days)
        store.person("ada").update()
        store.person("ada").remember(write_days(days, range(31)))
    run_killed(place, days, "update", at)
    with Store.open(place, builder=FakeBuilder()) as store:
        ada = store.person("ada")
        assert ada.log().head in (1, 2)
        assert ada.update().n == 2
        assert [version.n_records for version in ada.log().versions] == [30, 31]
        ada.rollback(1)
        ada.rollback(2)
        assert len([p for p in (place / "blobs").rglob("*") if p.is_file()]) == 4
        store.check_log()


@pytest.mark.parametrize("at", [8])
def test_killed_while_remembering(tmp_path: Path, days: Path, at: int) -> None:
    """All of a file or nothing of it; the same command adds the rest."""
    place = tmp_path / "people"
    Store.open(place).close()
    run_killed(place, days, "remember", at)
    with Store.open(place) as store:
        added = store.person("ada").remember(days).added
        assert added in (0, 30)
        assert store.person("ada").log().n_records == 30
        store.check_log()


def test_an_export_holds_all(store: Store, days: Path, tmp_path: Path) -> None:
    """Records and the head, in a file of the owner's alone; the log says that it was made."""
    ada = store.person("ada")
    ada.remember(days)
    ada.export(tmp_path / "one.zip")
    ada.update()
    ada.export(tmp_path / "two.zip")
    with zipfile.ZipFile(tmp_path / "one.zip") as file:
        assert file.namelist() == ["export.json", "records.jsonl"]
    with zipfile.ZipFile(tmp_path / "two.zip") as file:
        assert len(file.read("records.jsonl").splitlines()) == 30
        assert file.namelist()[2:] == ["memory/manifest.json", "memory/memory.safetensors"]
    assert (tmp_path / "two.zip").stat().st_mode & 0o077 == 0
    certificate = ada.forget(like="day number 3")
    assert '"exports":[{"at":' in canonical(certificate.payload)


def test_building_again_tells_what_came_of_it(
    store: Store, days: Path, builder: FakeBuilder
) -> None:
    """The same bytes; other bytes on another machine, or on the same one; or none."""
    ada = store.person("ada")
    ada.remember(days)
    ada.update()
    assert ada.rebuild().outcome == "identical"
    assert len(ada.log().versions) == 1

    def other(request: BuildRequest, *, machine: str = builder.machine) -> Built:
        changed = BuildRequest(**{n: getattr(request, n) for n in request.__dataclass_fields__})
        built = builder(changed)
        assert built.packed is not None
        packed = type(built.packed)(
            recipe=built.packed.recipe,
            again=built.packed.again,
            manifest=built.packed.manifest.replace("0.5", "0.25"),
            weights=built.packed.weights,
        )
        return Built(recipe=built.recipe, machine=machine, packed=packed)

    def broken(_: BuildRequest, **__: object) -> Built:
        raise RunError("a build must end", expected="it", got="nothing", next_step="Look.")

    outcomes: list[str] = []
    for machine in (builder.machine, "x" * 64):
        with Store.open(
            ada._site.place,
            builder=lambda request, m=machine, **_: other(request, machine=m),
        ) as again:
            outcomes.append(again.person("ada").rebuild(1).outcome)
    with Store.open(ada._site.place, keys=ada._site.keys_folder, builder=broken) as again:
        outcomes.append(again.person("ada").rebuild(1).outcome)
    assert outcomes == ["differs", "other-class", "unverifiable"]


@both
def test_a_lease_is_kept_while_someone_works(store: Store, days: Path) -> None:
    """And is anybody's afterwards."""
    ada = store.person("ada")
    ada.remember(days)
    site, uid = ada._site, ada._who().uid
    lease = claim(site.engine, uid, FORGET)
    with lease.kept() as lost:
        assert isinstance(lost, Event)
        assert not lost.is_set()
        with pytest.raises(ConflictError, match="at its forget"):
            ada.forget(like="day number 3")
    lease.release()
    assert ada.forget(like="day number 3").verdict == "forgotten"
