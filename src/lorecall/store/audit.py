"""What was done in a store, as a chain: each line holds the hash of the one before.

A changed line is seen by its hash, a cut tail by the signed heads that certificates hold. No text
and no name is ever in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select

from lorecall.errors import IntegrityError
from lorecall.store.database import lock_log
from lorecall.store.recipe import canonical, digest_of
from lorecall.store.schema import audit

_FIRST = "0" * 64
_LAST = select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
_ADD = insert(audit)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditHead:
    """The last line of the log: its number from 1, and its hash. 0 where there is none."""

    seq: int
    hash: str


def now() -> str:
    """Return the time as lines of the log say it: UTC, in microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def append(
    connection: Connection, *, person: str, action: str, details: Mapping[str, object]
) -> AuditHead:
    """Add a line, in the transaction of what it tells of; others wait until it ends."""
    lock_log(connection)
    last = audit_head(connection)
    row = {
        "seq": last.seq + 1,
        "at": now(),
        "person": person,
        "action": action,
        "details": canonical(details),
        "previous": last.hash,
    }
    digest = _hash(row)
    connection.execute(_ADD, row | {"hash": digest})
    return AuditHead(seq=last.seq + 1, hash=digest)


def audit_head(connection: Connection) -> AuditHead:
    """Return the last line's number and hash."""
    found = connection.execute(_LAST).first()
    return (
        AuditHead(seq=0, hash=_FIRST) if found is None else AuditHead(seq=found[0], hash=found[1])
    )


def check_chain(connection: Connection) -> AuditHead:
    """Compute every line's hash again.

    Raises:
        IntegrityError: A line was changed, added or taken out.
    """
    previous = AuditHead(seq=0, hash=_FIRST)
    for row in connection.execute(select(audit).order_by(audit.c.seq)).mappings():
        fields = {name: row[name] for name in row if name != "hash"}
        whole = row["seq"] == previous.seq + 1 and row["previous"] == previous.hash
        if not whole or _hash(fields) != row["hash"]:
            raise IntegrityError(
                "every line of the audit log must follow from the one before",
                expected="the hashes that were written",
                got=f"another at line {previous.seq + 1}",
                next_step="The log was changed after it was written: trust no later line of it.",
            )
        previous = AuditHead(seq=row["seq"], hash=row["hash"])
    return previous


def _hash(row: Mapping[str, object]) -> str:
    return digest_of(canonical(row))
