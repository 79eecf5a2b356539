"""What was forgotten for good: marks that keep it from being added again.

A mark is an HMAC, with the person's salt, of a pair or of what was said, whatever its case and
blanks; conversation, time and format are no part of it. It goes with the person.
"""

from collections.abc import Sequence

import rfc8785
from sqlalchemy import Connection, bindparam, insert, select

from lorecall.store.rows import Row, folded
from lorecall.store.schema import suppressed
from lorecall.store.site import Site

_OF_PERSON = select(suppressed.c.mark).where(suppressed.c.person == bindparam("person"))


def marks_of(site: Site, person: str, rows: Sequence[Row]) -> list[bytes]:
    """Return what rows are known again by, once they are forgotten."""
    contents = (rfc8785.dumps(["suppressed", folded(r.query), folded(r.text)]) for r in rows)
    return site.keys.commitments(person, contents)


def suppress(connection: Connection, person: str, marks: Sequence[bytes]) -> int:
    """Keep marks; return how many are new."""
    there = _marks(connection, person)
    new = [mark for mark in dict.fromkeys(marks) if mark not in there]
    if new:
        connection.execute(insert(suppressed), [{"person": person, "mark": m} for m in new])
    return len(new)


def kept_out(site: Site, connection: Connection, person: str, rows: Sequence[Row]) -> set[int]:
    """Return which of some rows are not to be added again, by their places."""
    out = _marks(connection, person)
    marks = marks_of(site, person, rows) if out else ()
    return {i for i, mark in enumerate(marks) if mark in out}


def _marks(connection: Connection, person: str) -> set[bytes]:
    return {bytes(mark) for mark in connection.scalars(_OF_PERSON, {"person": person})}
