"""What is remembered of a person: added once, in order, each under a key of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from lorecall.store import audit
from lorecall.store.database import lock_person, writing
from lorecall.store.keyring.keys import new_uid
from lorecall.store.keyring.suppress import kept_out, marks_of
from lorecall.store.rows import Row, told_apart
from lorecall.store.schema import person as person_table
from lorecall.store.schema import record
from lorecall.store.site import Site

_RECORD = "record"
UNREADABLE = Row(format="jsonl", kind="known", text="")
"""What stands for a record that does not open, where it is to be forgotten all the same."""


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
    marks = site.keys.commitments(person, told_apart(rows))
    texts = marks_of(site, person, rows)
    known = select(record.c.commitment).where(record.c.person == person)
    with site.engine.connect() as connection:
        there, out = set(connection.scalars(known)), kept_out(connection, person)
    fits = [i for i, text in enumerate(texts) if text not in out]
    n_out = len(rows) - len(fits)
    new = [(i, new_uid()) for i in fits if marks[i] not in there]
    if dry_run or not new:
        return Remembered(added=len(new), known=len(fits) - len(new), suppressed=n_out)
    sealed = site.keys.seal(person, _RECORD, {uid: rows[i].content() for i, uid in new})
    with writing(site.engine) as connection:
        lock_person(connection, person)
        there = set(connection.scalars(known))  # another process may have added some
        out = kept_out(connection, person)
        late = {uid for i, uid in new if marks[i] in there or texts[i] in out}
        new = [(i, uid) for i, uid in new if uid not in late]
        if new:
            source = _next_source(connection, person)
            values = [
                {"uid": uid, "person": person, "source": source, "place": i}
                | {"commitment": marks[i], "content": sealed[uid]}
                for i, uid in new
            ]
            connection.execute(insert(record), values)
            audit.append(
                connection, person=person, action="remembered", details={"records": len(new)}
            )
    if late:
        site.keys.drop(late)
    return Remembered(added=len(new), known=len(fits) - len(new), suppressed=n_out)


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


def n_records(connection: Connection, person: str) -> int:
    """Return how many records a person has."""
    query = select(func.count()).select_from(record).where(record.c.person == person)
    return int(connection.execute(query).scalar_one())


def _next_source(connection: Connection, person: str) -> int:
    of_person = person_table.c.uid == person
    connection.execute(
        update(person_table).where(of_person).values(last_source=person_table.c.last_source + 1)
    )
    query = select(person_table.c.last_source).where(of_person)
    return int(connection.execute(query).scalar_one())
