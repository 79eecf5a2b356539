"""What a forgetting is to do, written down in the transaction that withdraws what held a record."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import Connection, delete, select, update

from lorecall.errors import IntegrityError
from lorecall.store import audit
from lorecall.store.database import in_parts, writing
from lorecall.store.keyring.suppress import marks_of, suppress
from lorecall.store.leases import Lease
from lorecall.store.recipe import Packed
from lorecall.store.records import Record
from lorecall.store.residue.traces import KEY_BYTES, Traces
from lorecall.store.schema import audit as audit_table
from lorecall.store.schema import holds, job, record, version
from lorecall.store.schema import person as person_table
from lorecall.store.site import Site
from lorecall.store.versions import DESTROYED, THERE, WITHDRAWN, head_of, read, records_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Destroyed:
    """A version that held what is forgotten."""

    n: int
    blob: str
    recipe: str
    machine: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a forgetting is to do; it is kept until all of it is done.

    Args:
        asked: By what the records were chosen.
        records: Their names.
        versions: The versions that were built from one of them.
        head: The head that was withdrawn; None where it held none of them, or there was none.
        last_n: The highest number of a version until then; what has a higher one was rebuilt.
        kept: The names of the head's other records, in their order.
        packed: How the head was built; None where there was none, or it could not be read.
        since: When the person was added, in Unix seconds.
        everything: Whether the person goes, too.
        suppressed: How many marks were kept that keep it from being added again.
        traces: What is to be searched for, without its key.
    """

    asked: str
    records: tuple[str, ...]
    versions: tuple[Destroyed, ...]
    head: int | None
    last_n: int
    kept: tuple[str, ...]
    packed: str | None
    since: float
    everything: bool
    suppressed: int
    traces: str


def key_name(person: str) -> str:
    """Return what the key of a forgetting's traces is called among the keys."""
    return f"traces:{person}"


def withdraw(
    site: Site, lease: Lease, gone: Sequence[Record], *, asked: str, for_good: bool = False
) -> tuple[Plan, Traces]:
    """Withdraw what held the records, and write down what is to be done.

    Args:
        site: The store.
        lease: The right to.
        gone: The records.
        asked: By what they were chosen.
        for_good: Whether marks keep them from being added again.
    """
    person, uids = lease.person, {each.uid for each in gone}
    with site.engine.connect() as connection:
        versions = _holding(connection, person, uids, everything=asked == "everything")
        packed = dict(_readable(site, connection, person, versions))
        head = head_of(connection, person)
        head = head if head in {each.n for each in versions} else None
        held = [] if head is None else records_in(connection, person, head)
        of_person = select(person_table.c.last_n).where(person_table.c.uid == person)
        last_n = int(connection.execute(of_person).scalar_one())
        since = connection.execute(
            select(audit_table.c.at).where(audit_table.c.person == person).limit(1)
        ).scalar_one()
    key = os.urandom(KEY_BYTES)
    site.keys.keep(key_name(person), key)
    traces = Traces.of(key, (each.row for each in gone), packed.values())
    marks = marks_of(site, person, [each.row for each in gone]) if for_good else []
    plan = Plan(
        asked=asked,
        records=tuple(each.uid for each in gone),
        versions=versions,
        head=head,
        last_n=last_n,
        kept=tuple(uid for uid in held if uid not in uids),
        packed=packed[head].again if head in packed else None,
        since=datetime.fromisoformat(since).timestamp(),
        everything=asked == "everything",
        suppressed=0,
        traces=traces.noted(),
    )
    with writing(site.engine) as connection:
        lease.check(connection)
        plan = replace(plan, suppressed=suppress(connection, person, marks))
        for some in in_parts(plan.records):
            connection.execute(delete(record).where(record.c.uid.in_(some)))
        for each in versions:
            set_state(connection, person, each.n, WITHDRAWN)
            connection.execute(delete(holds).where(holds.c.person == person, holds.c.n == each.n))
        if head is not None:
            connection.execute(
                update(person_table).where(person_table.c.uid == person).values(head=None)
            )
        _note(connection, person, plan)
        counts = {"records": len(uids), "versions": [each.n for each in versions]}
        audit.append(connection, person=person, action="withdrawn", details=counts)
    return plan, traces


def note_traces(site: Site, lease: Lease, plan: Plan, traces: Traces) -> Plan:
    """Write down further traces; return the plan with them."""
    plan = replace(plan, traces=traces.noted())
    with writing(site.engine) as connection:
        lease.check(connection)
        _note(connection, lease.person, plan)
    return plan


def traces_of(site: Site, person: str, plan: Plan) -> Traces | None:
    """Return what a forgetting that was stopped is to search for; None where the key is lost."""
    key = site.keys.kept_key(key_name(person))
    return None if key is None else Traces.of_note(plan.traces, key)


def _note(connection: Connection, person: str, plan: Plan) -> None:
    payload = TypeAdapter(Plan).dump_json(plan).decode()
    connection.execute(update(job).where(job.c.person == person).values(payload=payload))


def set_state(connection: Connection, person: str, n: int, state: str) -> None:
    """Set what a version is; one that is destroyed has no blob any more."""
    values = {"state": state} | ({"blob": None} if state == DESTROYED else {})
    of_version = (version.c.person == person, version.c.n == n)
    connection.execute(update(version).where(*of_version).values(**values))


def _holding(
    connection: Connection, person: str, uids: Iterable[str], *, everything: bool
) -> tuple[Destroyed, ...]:
    """Return the versions that were built from one of some records, or all of them."""
    numbers: set[int] = set()
    for some in in_parts(uids):
        query = select(holds.c.n).where(holds.c.person == person, holds.c.event.in_(some))
        numbers |= set(connection.scalars(query))
    query = select(version).where(version.c.person == person, version.c.state.in_(THERE))
    return tuple(
        Destroyed(n=r.n, blob=r.blob, recipe=r.recipe, machine=r.machine, digest=r.digest)
        for r in connection.execute(query.order_by(version.c.n))
        if everything or r.n in numbers
    )


def _readable(
    site: Site, connection: Connection, person: str, versions: Iterable[Destroyed]
) -> Iterator[tuple[int, Packed]]:
    """Return the versions that can be read; one that cannot is forgotten all the same."""
    for each in versions:
        with contextlib.suppress(IntegrityError):
            yield each.n, read(site, connection, person, each.n)
