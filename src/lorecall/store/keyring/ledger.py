"""The ledger of what was destroyed: in the keys' database, and in that of the data as well.

Whichever of the two is an older copy is behind, and catches up before anything is read
(`erasures.py`). It has random names and numbers alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Table, func, insert, select

from lorecall.store.asking import Question
from lorecall.store.schema import erasure, key_erasure


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """One thing that was destroyed.

    Args:
        seq: Its number, from 1.
        person: Whose.
        uid: A record's name or a blob's; the person's own where all of theirs was.
    """

    seq: int
    person: str
    uid: str

    @property
    def is_whole(self) -> bool:
        """Whether it is the person, with all that was theirs."""
        return self.uid == self.person


_LAST = {t: select(func.coalesce(func.max(t.c.seq), 0)) for t in (erasure, key_erasure)}
OF_DATA, OF_KEYS = Question(_LAST[erasure]), Question(_LAST[key_erasure])
"""The last number in the ledger of the data, and in that of the keys; 0 in one of nothing."""


def last(connection: Connection, table: Table) -> int:
    """Return the last number; 0 where nothing was ever destroyed."""
    return int(connection.execute(_LAST[table]).scalar_one())


def after(connection: Connection, table: Table, seq: int) -> list[Erasure]:
    """Return what comes after a number, in its order."""
    query = select(table).where(table.c.seq > seq).order_by(table.c.seq)
    return [Erasure(**row) for row in connection.execute(query).mappings()]


def copy(connection: Connection, table: Table, rows: Sequence[Erasure]) -> None:
    """Write down what the other ledger has, under its numbers."""
    if rows:
        connection.execute(insert(table), [asdict(row) for row in rows])


def note(connection: Connection, table: Table, person: str, uids: Iterable[str]) -> None:
    """Write down what is destroyed; what was written down before is not again."""
    known = set(connection.scalars(select(table.c.uid).where(table.c.person == person)))
    start = last(connection, table) + 1
    new = [uid for uid in dict.fromkeys(uids) if uid not in known]
    copy(
        connection,
        table,
        [Erasure(seq=start + i, person=person, uid=uid) for i, uid in enumerate(new)],
    )
