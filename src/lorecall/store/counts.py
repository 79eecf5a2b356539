"""How much a store has, counted in its tables: nothing is decrypted."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Table, func, select

from lorecall.store.database import clock, is_postgresql
from lorecall.store.schema import REVISION, audit, erasure, job, record, version
from lorecall.store.schema import person as person_table
from lorecall.store.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much there is.

    Args:
        people: How many people.
        with_head: How many of them have a memory that answers.
        records: How many records.
        versions: How many versions, by their state.
        version_bytes: What the versions take.
        database_bytes: What the database takes.
        key_bytes: What the keys take.
        erased: How many records, versions and people were destroyed.
        log_lines: How many lines the audit log has.
        pending: How many forgettings were begun and have not ended.
        at_work: How many people someone works on.
        revision: Of which revision the tables are.

    Examples:
        >>> import lorecall
        >>> with lorecall.Store.open("counted") as store:
        ...     _ = store.person("ada").remember("history.jsonl", user="ann")
        ...     counted = store.stat()
        >>> counted.people, counted.records, counted.versions
        (1, 24, {})
    """

    people: int
    with_head: int
    records: int
    versions: Mapping[str, int]
    version_bytes: int
    database_bytes: int
    key_bytes: int
    erased: int
    log_lines: int
    pending: int
    at_work: int
    revision: str


def count(site: Site) -> Counts:
    """Count what a store has.

    Args:
        site: The store.
    """
    with site.engine.connect() as connection:
        states = connection.execute(
            select(version.c.state, func.count()).group_by(version.c.state)
        ).all()
        kept = select(func.coalesce(func.sum(version.c.n_bytes), 0)).where(
            version.c.blob.is_not(None)
        )
        alive = select(func.count()).where(job.c.until > clock(connection))
        pending = select(func.count()).where(job.c.payload.is_not(None))
        heads = select(func.count()).where(person_table.c.head.is_not(None))
        return Counts(
            people=_count(connection, person_table),
            with_head=int(connection.execute(heads).scalar_one()),
            records=_count(connection, record),
            versions={str(state): int(n) for state, n in states},
            version_bytes=int(connection.execute(kept).scalar_one()),
            database_bytes=_size(site, connection),
            key_bytes=sum(p.stat().st_size for p in site.keys_folder.iterdir()),
            erased=_count(connection, erasure),
            log_lines=_count(connection, audit),
            pending=int(connection.execute(pending).scalar_one()),
            at_work=int(connection.execute(alive).scalar_one()),
            revision=REVISION,
        )


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _size(site: Site, connection: Connection) -> int:
    if is_postgresql(site.engine):
        size = select(func.pg_database_size(func.current_database()))
        return int(connection.execute(size).scalar_one())
    return sum(path.stat().st_size for path in site.database_files)
