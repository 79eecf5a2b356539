"""What is remembered of a person: added once, in order, each under a key of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from lorecall.store import audit
from lorecall.store.database import in_parts, lock_person, writing
from lorecall.store.keyring.keys import new_uid
from lorecall.store.keyring.suppress import kept_out
from lorecall.store.rows import Row, told_apart
from lorecall.store.schema import person as person_table
from lorecall.store.schema import record
from lorecall.store.site import Site

_RECORD = "record"
UNREADABLE = Row(format="jsonl", kind="known", text="")
"""What stands for a record that does not open, where it is to be forgotten all the same."""
_THERE = select(record.c.commitment).where(
    record.c.person == bindparam("person"),
    record.c.commitment.in_(bindparam("marks", expanding=True)),
)
_NEXT_SOURCE = (
    update(person_table)
    .where(person_table.c.uid == bindparam("whose"))
    .values(last_source=person_table.c.last_source + 1)
    .returning(person_table.c.last_source)
)
_ADD = insert(record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What came of remembering.

    Args:
        added: How many records are new.
        known: How many were there already.
        suppressed: How many were kept out, for they were forgotten for good.

    Examples:
        >>> import lorecall
        >>> with lorecall.Store.open("people") as store:
        ...     store.person("ada").remember("history.jsonl", user="ann")
        Remembered(added=24, known=0, suppressed=0)
    """

    added: int
    known: int
    suppressed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of a person: its random name, and what it holds."""

    uid: str
    row: Row
    commitment: str


def add(site: Site, person: str, rows: Sequence[Row], *, dry_run: bool = False) -> Remembered:
    """Add records that are not there yet; all of them, or none.

    Args:
        site: The store.
        person: Whose.
        rows: What, in its order.
        dry_run: Whether only to count.
    """
    contents = [row.content() for row in rows]
    marks = site.keys.commitments(person, told_apart(contents))
    with site.engine.connect() as connection:
        there = _there(connection, person, marks)
        out = kept_out(site, connection, person, rows)
    new = {i: new_uid() for i, mark in enumerate(marks) if mark not in there and i not in out}
    if new and not dry_run:
        sealed = site.keys.seal(person, _RECORD, {uid: contents[i] for i, uid in new.items()})
        late, out = _inserted(site, person, rows=rows, marks=marks, new=new, sealed=sealed)
        if late:
            site.keys.drop(late.values())
        new = {i: uid for i, uid in new.items() if i not in late}
    known = len(rows) - len(out) - len(new)
    return Remembered(added=len(new), known=known, suppressed=len(out))


def _inserted(
    site: Site,
    person: str,
    *,
    rows: Sequence[Row],
    marks: Sequence[bytes],
    new: Mapping[int, str],
    sealed: Mapping[str, bytes],
) -> tuple[dict[int, str], set[int]]:
    """Insert new rows; return those that another process was sooner with, and what is kept out."""
    with writing(site.engine) as connection:
        lock_person(connection, person)
        there = _there(connection, person, [marks[i] for i in new])
        out = kept_out(site, connection, person, rows)
        late = {i: uid for i, uid in new.items() if marks[i] in there or i in out}
        fresh = {i: uid for i, uid in new.items() if i not in late}
        if fresh:
            source = connection.execute(_NEXT_SOURCE, {"whose": person}).scalar_one()
            values = [
                {"uid": uid, "person": person, "source": source, "place": i}
                | {"commitment": marks[i], "content": sealed[uid]}
                for i, uid in fresh.items()
            ]
            connection.execute(_ADD, values)
            details = {"records": len(fresh)}
            audit.append(connection, person=person, action="remembered", details=details)
    return late, out


def records_of(
    site: Site,
    connection: Connection,
    person: str,
    *,
    uids: Sequence[str] | None = None,
    strict: bool = True,
) -> list[Record]:
    """Return a person's records in their order.

    Args:
        site: The store.
        connection: What reads.
        person: Whose.
        uids: Which of them; all when None.
        strict: Whether to refuse one that does not open, rather than to return it without a text.

    Raises:
        IntegrityError: One does not open.
    """
    query = (
        select(record.c.uid, record.c.content, record.c.commitment)
        .where(record.c.person == person)
        .order_by(record.c.source, record.c.place)
    )
    wanted = None if uids is None else set(uids)
    found = [r for r in connection.execute(query) if wanted is None or r.uid in wanted]
    sealed = {r.uid: r.content for r in found}
    opened = site.keys.open(person, _RECORD, sealed, strict=strict) if found else {}
    return [
        Record(
            uid=r.uid,
            row=Row.of_content(opened[r.uid]) if r.uid in opened else UNREADABLE,
            commitment=r.commitment.hex(),
        )
        for r in found
    ]


def _there(connection: Connection, person: str, marks: Sequence[bytes]) -> set[bytes]:
    """Return which of some marks a person has records of."""
    found: set[bytes] = set()
    for some in in_parts(marks):
        found |= {*connection.scalars(_THERE, {"person": person, "marks": some})}
    return found
