"""Erasures applied again: whichever of data and keys is an older copy forgets before it is read.

What was destroyed is in a ledger beside the keys and in one beside the data. A copy of the one that
was put back is behind the other. It catches up when the store is opened: records, versions and
people go that the other knows to be forgotten, and so do keys.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Engine, delete, select, update

from lorecall.store import audit
from lorecall.store.blobs import Blobs
from lorecall.store.database import in_parts, lock_schema, writing
from lorecall.store.keyring import ledger
from lorecall.store.keyring.keys import KeyStore
from lorecall.store.keyring.ledger import Erasure
from lorecall.store.schema import erasure, holds, job, record, suppressed, version
from lorecall.store.schema import person as person_table
from lorecall.store.versions import DESTROYED, WITHDRAWN

_EVERYTHING = '"everything":true'


def catch_up(engine: Engine, keys: KeyStore, blobs: Blobs) -> None:
    """Apply what the one ledger has and the other has not; nothing where both are alike.

    Args:
        engine: The database of the data.
        keys: The keys.
        blobs: Where versions are.
    """
    with engine.connect() as connection:
        there, known = ledger.last(connection, erasure), keys.erased_to()
        if there > known:
            keys.erase_again(ledger.after(connection, erasure, known))
    if there < known:
        rows = keys.erasures(there)
        remove_blobs(engine, blobs, rows)
        with writing(engine) as connection:
            lock_schema(connection)  # another may do the same
            there = ledger.last(connection, erasure)
            apply(connection, [row for row in rows if row.seq > there])


def remove_blobs(engine: Engine, blobs: Blobs, rows: Sequence[Erasure]) -> None:
    """Remove the versions of an older copy that are forgotten."""
    for row in rows:
        if row.is_whole:
            blobs.remove_all(row.person)
    with engine.connect() as connection:
        found = [*_versions(connection, rows)]
    for person, blob in found:
        blobs.remove(person, blob)


def apply(connection: Connection, rows: Sequence[Erasure]) -> None:
    """Take what is forgotten out of the tables, and write the ledger down.

    A forgetting that was begun and has not ended is left to itself: its plan says what is to do.
    """
    people = sorted({row.person for row in rows})
    for some in in_parts(people):
        query = select(person_table.c.uid).where(person_table.c.uid.in_(some))
        connection.execute(query.order_by(person_table.c.uid).with_for_update())
    n_records = n_versions = 0
    for some in in_parts(row.uid for row in rows):
        gone = connection.execute(delete(record).where(record.c.uid.in_(some)))
        n_records += gone.rowcount
        n_versions += _destroy_versions(connection, some)
    n_people = _delete_people(connection, [row.person for row in rows if row.is_whole])
    ledger.copy(connection, erasure, rows)
    if n_records or n_versions or n_people:
        details = {"records": n_records, "versions": n_versions, "people": n_people}
        audit.append(connection, person="", action="erased again", details=details)


def delete_person(connection: Connection, person: str) -> None:
    """Take a person out of the tables; certificates and the audit log stay."""
    for table in (holds, version, record, suppressed, job):
        connection.execute(delete(table).where(table.c.person == person))
    connection.execute(delete(person_table).where(person_table.c.uid == person))


def _versions(connection: Connection, rows: Iterable[Erasure]) -> Iterable[tuple[str, str]]:
    for some in in_parts(row.uid for row in rows):
        query = select(version.c.person, version.c.blob).where(version.c.blob.in_(some))
        yield from ((person, blob) for person, blob in connection.execute(query))


def _destroy_versions(connection: Connection, blobs: Sequence[str]) -> int:
    query = select(version.c.person, version.c.n, version.c.state).where(version.c.blob.in_(blobs))
    found = [row for row in connection.execute(query) if row.state != WITHDRAWN]
    for row in found:
        of_version = (version.c.person == row.person, version.c.n == row.n)
        connection.execute(update(version).where(*of_version).values(state=DESTROYED, blob=None))
        connection.execute(delete(holds).where(holds.c.person == row.person, holds.c.n == row.n))
        is_head = (person_table.c.uid == row.person, person_table.c.head == row.n)
        connection.execute(update(person_table).where(*is_head).values(head=None))
    return len(found)


def _delete_people(connection: Connection, people: Iterable[str]) -> int:
    n = 0
    for uid in people:
        plan = connection.execute(select(job.c.payload).where(job.c.person == uid)).scalar()
        query = select(person_table.c.uid).where(person_table.c.uid == uid)
        is_there = connection.execute(query).first() is not None
        if is_there and _EVERYTHING not in (plan or ""):
            delete_person(connection, uid)
            n += 1
    return n
