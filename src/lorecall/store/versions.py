"""Versions of a memory: published whole or not at all, never changed, never numbered twice."""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Connection, bindparam, insert, select, update

from lorecall.errors import ConflictError, IntegrityError, MissingError, StorageError
from lorecall.store import audit
from lorecall.store.builder import Built
from lorecall.store.database import writing
from lorecall.store.gate import Measured
from lorecall.store.keyring.keys import new_uid
from lorecall.store.leases import Lease
from lorecall.store.recipe import Packed
from lorecall.store.schema import holds, version
from lorecall.store.schema import person as person_table
from lorecall.store.site import Site

PUBLISHED, WITHDRAWN, DESTROYED = "published", "withdrawn", "destroyed"
CANDIDATE = "candidate"
THERE = (PUBLISHED, CANDIDATE)
"""What can be asked."""
_BLOB = "version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version, as the log tells of it.

    Args:
        n: Its number, from 1; no number is used twice.
        parent: The head before it.
        state: `published`, `candidate` (held back by the gate: it is not the head), `withdrawn` (it
            is being destroyed) or `destroyed`.
        made: When, in UTC.
        n_records: How many records it was built from.
        recipe: Its recipe's digest.
        machine: The class of the machine it was built on.
        digest: The hash of what replies.
        n_bytes: What it takes in the store.

    Examples:
        >>> from lorecall.store import Version
        >>> found = {"recipe": "a" * 64, "machine": "b" * 64, "digest": "c" * 64, "n_bytes": 1}
        >>> first = Version(
        ...     n=1, parent=None, state="published", made="2026-01-01", n_records=24, **found
        ... )
        >>> first.is_there
        True
    """

    n: int
    parent: int | None
    state: str
    made: str
    n_records: int
    recipe: str
    machine: str
    digest: str
    n_bytes: int

    @property
    def is_there(self) -> bool:
        """Whether it can be asked."""
        return self.state in THERE


_FIELDS = (*Version.__dataclass_fields__,)
OF_PERSON = (
    select(*(version.c[name] for name in _FIELDS))
    .where(version.c.person == bindparam("person"))
    .order_by(version.c.n)
)
"""A person's versions, the first first."""


def head_of(connection: Connection, person: str) -> int | None:
    """Return which version of a person's answers; None where the base does."""
    query = select(person_table.c.head).where(person_table.c.uid == person)
    return connection.execute(query).scalar_one()


def versions_of(connection: Connection, person: str) -> list[Version]:
    """Return a person's versions, the first first."""
    return versions_in(connection.execute(OF_PERSON, {"person": person}))


def versions_in(rows: Iterable[Sequence[Any]]) -> list[Version]:
    """Return what `OF_PERSON` finds as versions."""
    return [Version(**dict(zip(_FIELDS, row, strict=True))) for row in rows]


def records_in(connection: Connection, person: str, n: int) -> list[str]:
    """Return the names of the records that a version was built from."""
    query = select(holds.c.event).where(holds.c.person == person, holds.c.n == n)
    return [*connection.scalars(query)]


def find_version(connection: Connection, person: str, n: int) -> Version:
    """Return a version that can be asked.

    Raises:
        MissingError: There is none, or it held what was forgotten; the nearest one is named.
    """
    found = versions_of(connection, person)
    it = next((each for each in found if each.n == n), None)
    if it is not None and it.is_there:
        return it
    there = sorted((each.n for each in found if each.is_there), key=lambda m: (abs(m - n), -m))
    raise MissingError(
        "the version must be there",
        expected=f"the nearest that is there, {there[0]}" if there else "one that was published",
        got=f"{n}, which was never made" if it is None else f"{n}, which held what was forgotten",
        next_step="List them with `lorecall log PERSON`.",
    )


def read(site: Site, connection: Connection, person: str, n: int) -> Packed:
    """Decrypt a version, and see that it is the one that was published.

    Raises:
        MissingError: There is none.
        IntegrityError: Its blob is not there, another's, or changed.
    """
    found = find_version(connection, person, n)
    query = select(version.c.blob).where(version.c.person == person, version.c.n == n)
    uid = connection.execute(query).scalar_one()
    packed = _opened(site, person, uid)
    if packed.digest != found.digest:
        raise IntegrityError(
            "a version must be the one that was published",
            expected=f"digest {found.digest[:12]}",
            got=packed.digest[:12],
            next_step="Restore the store from a copy, or run `lorecall update PERSON`.",
        )
    return packed


def harm_of(site: Site, connection: Connection, person: str, n: int) -> str:
    """Return why a candidate was held back."""
    measured = Measured.of(read(site, connection, person, n))
    return "" if measured is None else measured.harm


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is about to be a version.

    Args:
        packed: What it holds.
        recipe: Its recipe's digest.
        machine: The class of the machine it was built on.
        records: The names of the records it was built from.
        action: What the audit log calls it.
        harm: Why it must not become the head; empty where it may.
    """

    packed: Packed
    recipe: str
    machine: str
    records: Sequence[str]
    action: str
    harm: str = ""

    @classmethod
    def of(cls, built: Built, *, records: Sequence[str], action: str) -> Self:
        """Return what was built as a draft, with what was measured of it."""
        assert built.packed is not None
        measured = built.measured
        packed = built.packed if measured is None else measured.on(built.packed)
        return cls(
            packed=packed,
            recipe=built.recipe,
            machine=built.machine,
            records=records,
            action=action,
            harm="" if measured is None else measured.harm,
        )


def publish(site: Site, lease: Lease, draft: Draft, *, head: int | None, ends: bool = True) -> int:
    """Publish a version and, unless it harms, move the head to it: both, or neither.

    The blob is written under a fresh key and read back; then one transaction does the rest.

    Args:
        site: The store.
        lease: The right to.
        draft: What is published.
        head: The head that is expected; another means that someone was sooner.
        ends: Whether the lease ends with it.

    Returns:
        Its number.

    Raises:
        ConflictError: The lease was lost, or the head is another.
    """
    person, uid, content = lease.person, new_uid(), draft.packed.content()
    try:
        site.blobs.put(person, uid, site.keys.seal(person, _BLOB, {uid: content})[uid])
        _check_alike(site, _opened(site, person, uid), draft.packed)
        with writing(site.engine) as connection:
            lease.check(connection)
            n = _insert(connection, person, draft, head=head, blob=uid, n_bytes=len(content))
            if ends:
                lease.end(connection)
    except (ConflictError, IntegrityError, MissingError):  # refused, so that nothing refers to it
        with contextlib.suppress(OSError, StorageError):
            site.blobs.remove(person, uid)
        site.keys.drop([uid])
        raise
    return n


def sweep(site: Site, lease: Lease) -> int:
    """Remove a person's blobs that no version has: what a killed process left; return how many.

    They are the lease's holder's alone to write, so that none of them is about to be published.
    """
    query = select(version.c.blob).where(
        version.c.person == lease.person, version.c.blob.is_not(None)
    )
    with site.engine.connect() as connection:
        kept = set(connection.scalars(query))
    left = [uid for uid in site.blobs.names(lease.person) if uid not in kept]
    for uid in left:
        site.blobs.remove(lease.person, uid)
    if left:
        site.keys.drop(left)
    return len(left)


def _insert(
    connection: Connection,
    person: str,
    draft: Draft,
    *,
    head: int | None,
    blob: str,
    n_bytes: int,
) -> int:
    row = connection.execute(
        select(person_table.c.head, person_table.c.last_n)
        .where(person_table.c.uid == person)
        .with_for_update()
    ).one()
    check_head(row.head, head)
    n = int(row.last_n) + 1
    found = {"recipe": draft.recipe, "digest": draft.packed.digest, "machine": draft.machine}
    connection.execute(
        insert(version).values(
            person=person,
            n=n,
            parent=head,
            state=CANDIDATE if draft.harm else PUBLISHED,
            made=audit.now(),
            n_records=len(draft.records),
            n_bytes=n_bytes,
            blob=blob,
            **found,
        )
    )
    rows = [{"person": person, "n": n, "event": uid} for uid in draft.records]
    connection.execute(insert(holds), rows)
    moved = {"last_n": n} | ({} if draft.harm else {"head": n})
    connection.execute(update(person_table).where(person_table.c.uid == person).values(**moved))
    audit.append(connection, person=person, action=draft.action, details={"n": n, **found})
    return n


def check_head(found: int | None, expected: int | None) -> None:
    """Refuse a head that is not the expected one.

    Raises:
        ConflictError: It is another.
    """
    if found != expected:
        raise ConflictError(
            "the head must be the expected one",
            expected="none" if expected is None else f"version {expected}",
            got="none" if found is None else f"version {found}",
            next_step="Look at the log, and give the command again.",
        )


def _opened(site: Site, person: str, uid: str) -> Packed:
    try:
        sealed = site.blobs.get(person, uid)
    except OSError as reason:
        raise IntegrityError(
            "a version's file must be there",
            expected=f"{uid} in {site.blobs.place}",
            got=type(reason).__name__,
            next_step="Restore the store from a copy, or run `lorecall update PERSON`.",
        ) from reason
    return Packed.of_content(site.keys.open(person, _BLOB, {uid: sealed})[uid])


def _check_alike(site: Site, found: Packed, written: Packed) -> None:
    if found != written:
        raise IntegrityError(
            "what is written must be read back as it was",
            expected=f"the same bytes in {site.blobs.place}",
            got="others",
            next_step="Look at the disk or the bucket: nothing was published.",
        )
