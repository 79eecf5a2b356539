"""What was forgotten for good: marks that keep it from being added again.

A mark is an HMAC, with the person's salt, of a pair or of what was said, whatever its case and
blanks; conversation, time and format are no part of it. It goes with the person.
"""

from collections.abc import Sequence

import rfc8785
from sqlalchemy import Connection, insert, select

from lorecall.store.rows import Row, folded
from lorecall.store.schema import suppressed
from lorecall.store.site import Site


def marks_of(site: Site, person: str, rows: Sequence[Row]) -> list[bytes]:
    """Return what rows are known again by, once they are forgotten."""
    contents = (rfc8785.dumps(["suppressed", folded(r.query), folded(r.text)]) for r in rows)
    return site.keys.commitments(person, contents)


def suppress(connection: Connection, person: str, marks: Sequence[bytes]) -> int:
    """Keep marks; return how many are new."""
    there = kept_out(connection, person)
    new = [mark for mark in dict.fromkeys(marks) if mark not in there]
    if new:
        connection.execute(insert(suppressed), [{"person": person, "mark": m} for m in new])
    return len(new)


def kept_out(connection: Connection, person: str) -> set[bytes]:
    """Return the marks of what is not to be added again."""
    query = select(suppressed.c.mark).where(suppressed.c.person == person)
    return {bytes(mark) for mark in connection.scalars(query)}
