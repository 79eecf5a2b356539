"""Backups: a store copied into another place, whole or not at all.

A backup is a store in a folder, whatever it is a copy of: the tables in a SQLite file, the versions
beside. To restore is the same copy the other way. The keys are not in it. Opened with today's keys
it forgets first what was forgotten since; a backup of the keys must be kept elsewhere, and shortly.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Connection, Engine, Table, insert, select

from lorecall.errors import ConfigError, IntegrityError
from lorecall.store import audit
from lorecall.store.asking import Asker
from lorecall.store.blobs import Blobs, blobs_at
from lorecall.store.database import connect, in_parts, lock_schema, writing
from lorecall.store.keyring.keys import store_of
from lorecall.store.opening import BLOBS, UID, known, new_blobs
from lorecall.store.place import Place
from lorecall.store.revisions import make_tables
from lorecall.store.schema import data, job, meta, revision, version
from lorecall.store.site import Site

_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What was copied.

    Args:
        rows: How many rows of all tables.
        versions: How many versions.
        version_bytes: What these take.

    Examples:
        >>> import lorecall
        >>> with lorecall.Store.open("kept") as store:
        ...     _ = store.person("ada").remember("history.jsonl", user="ann")
        ...     store.backup("kept-backup").versions
        0
        >>> restored = lorecall.Store.restore("kept-backup", "restored", keys="kept-keys")
        >>> restored.people()
        ['ada']
        >>> restored.close()
    """

    rows: int
    versions: int
    version_bytes: int


def backup(site: Site, out: Path, *, keys_to: Path | None) -> Copied:
    """Copy a store into a folder; others may work on it meanwhile.

    Args:
        site: The store.
        out: The folder, which holds no store.
        keys_to: Another folder, for the keys; not the root key. None to leave them.

    Raises:
        ConfigError: The folder holds a store, or is not apart from the keys.
    """
    _check_apart(out, site.keys_folder if keys_to is None else keys_to)
    with writing(site.engine) as connection:
        details = {"keys": keys_to is not None}
        audit.append(connection, person="", action="backed up", details=details)
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = Place.of(out)
    engine = connect(place.database)
    try:
        usual = place.usual_blobs
        assert usual is not None
        return _copy(
            site.engine,
            site.blobs,
            engine,
            blobs_at(usual),
            facts={UID: site.uid},
            at_end=lambda: _copy_keys(site.keys.engine, keys_to),
        )
    finally:
        engine.dispose()


def restore(source: Path, place: Place) -> Copied:
    """Copy a backup into a new place; opening it takes out what was forgotten since.

    Args:
        source: The backup's folder.
        place: Where the store is to be, with its keys.

    Raises:
        ConfigError: There is no backup, or a store where it is to be.
        IntegrityError: The keys are another store's.
    """
    backed_up = Place.of(source)
    assert isinstance(backed_up.database, Path)
    if not backed_up.database.is_file():
        raise _no_backup(source)
    old = connect(backed_up.database)
    try:
        return _restore(old, backed_up, place)
    finally:
        old.dispose()


def _restore(old: Engine, backed_up: Place, place: Place) -> Copied:
    asker = Asker(old)
    facts, _ = known(asker)
    asker.close()
    if UID not in facts:
        raise _no_backup(backed_up.named)
    if (own := store_of(place.keys)) != facts[UID]:
        raise IntegrityError(
            "a store is opened with its own keys",
            expected="the keys that were made with what was backed up",
            got="none" if own is None else "another's",
            next_step="Name the folder of its keys (--keys), or copy their backup there first.",
        )
    blobs = new_blobs(place)
    if isinstance(place.database, Path):
        place.database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = connect(place.database)
    kept = facts.get(BLOBS) or backed_up.usual_blobs
    assert kept is not None
    new = {UID: facts[UID]} | ({BLOBS: place.blobs} if place.blobs else {})
    try:
        return _copy(old, blobs_at(kept), engine, blobs, facts=new, at_end=lambda: None)
    finally:
        engine.dispose()


def _copy(
    source: Engine,
    source_blobs: Blobs,
    target: Engine,
    blobs: Blobs,
    *,
    facts: dict[str, str],
    at_end: Callable[[], None],
) -> Copied:
    """Copy tables and versions; what is copied is a store from the one commit at the end on."""
    with writing(target) as into:
        lock_schema(into)
        make_tables(into, data)
        if into.execute(select(meta)).first() is not None:
            raise _taken(blobs)
        with source.connect() as connection:
            n_rows = sum(_copy_table(connection, into, table) for table in data.sorted_tables)
        query = select(version.c.person, version.c.blob).where(version.c.blob.is_not(None))
        n_versions, n_bytes = _copy_blobs(
            source, ((p, b) for p, b in into.execute(query).all()), source_blobs, blobs
        )
        at_end()
        rows = [{"name": name, "value": value} for name, value in facts.items()]
        into.execute(insert(meta), rows)
    return Copied(rows=n_rows, versions=n_versions, version_bytes=n_bytes)


def _copy_table(source: Connection, target: Connection, table: Table) -> int:
    if table in (meta, revision):
        return 0
    query = select(table)
    if table is job:  # leases are nobody's there; what is left to be done still is
        query = query.where(job.c.payload.is_not(None))
    n = 0
    found = source.execution_options(stream_results=True, max_row_buffer=_ROWS).execute(query)
    for some in in_parts(found.mappings(), _ROWS):
        rows = [dict(row) | ({"until": 0} if table is job else {}) for row in some]
        target.execute(insert(table), rows)
        n += len(rows)
    return n


def _copy_blobs(
    source: Engine, found: Iterable[tuple[str, str]], source_blobs: Blobs, blobs: Blobs
) -> tuple[int, int]:
    n = n_bytes = 0
    for person, uid in found:
        try:
            content = source_blobs.get(person, uid)
        except FileNotFoundError as reason:
            if _is_published(source, uid):
                raise IntegrityError(
                    "a version's file must be there to be copied",
                    expected=f"{uid} in {source_blobs.place}",
                    got="nothing",
                    next_step="Run `lorecall store check`, and forget or update that person.",
                ) from reason
            continue  # it was forgotten since: the copy learns of it from the keys
        blobs.put(person, uid, content)
        n += 1
        n_bytes += len(content)
    return n, n_bytes


def _is_published(source: Engine, uid: str) -> bool:
    with source.connect() as connection:
        query = select(version.c.n).where(version.c.blob == uid)
        return connection.execute(query).first() is not None


def _copy_keys(engine: Engine, folder: Path | None) -> None:
    """Copy the keys' database as it is at one moment, if it is to be copied."""
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = folder / f".keys.db.{uuid4().hex}"
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM INTO ?", (str(part),))
        part.chmod(0o600)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(folder / "keys.db")
    finally:
        part.unlink(missing_ok=True)


def _check_apart(out: Path, keys: Path) -> None:
    one, other = out.resolve(), keys.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise ConfigError(
            "a backup and the keys are kept apart, for together they open everything",
            expected="two folders, neither in the other",
            got=f"{out} and {keys}",
            next_step="Choose another folder.",
        )


def _no_backup(source: Path | str) -> ConfigError:
    return ConfigError(
        "a backup must be there, and whole",
        expected="a folder that `lorecall store backup` made",
        got=str(source),
        next_step="Check the path; one that was stopped is finished by the same command.",
    )


def _taken(blobs: Blobs) -> ConfigError:
    return ConfigError(
        "a copy is made where there is no store",
        expected="a new place",
        got=f"one with a store (versions in {blobs.place})",
        next_step="Choose another place.",
    )
