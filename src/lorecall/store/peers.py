"""Other people of a store beside someone, to see what of a memory is the person's own.

What is read of them is used and not kept: no version, and nothing that is stored of the one, ever
depends on another.
"""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from lorecall.store.derive import derived
from lorecall.store.look import held_by
from lorecall.store.measure import memory_of
from lorecall.store.people import Known, name_of
from lorecall.store.schema import person as person_table
from lorecall.store.site import Site
from lorecall.store.versions import read

if TYPE_CHECKING:
    from lorecall.memory.memory import StoredMemory
    from lorecall.systems.contract import PersonData


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Someone with a version of their memory.

    Args:
        person: Their records of that version, and the split of them.
        memory: The version.
    """

    person: "PersonData"
    memory: "StoredMemory"


def peer_of(site: Site, who: Known, name: str, n: int) -> Peer:
    """Return someone with a version, as the evaluation takes them."""
    from lorecall.data.history import split_history  # noqa: PLC0415
    from lorecall.systems.contract import PersonData  # noqa: PLC0415

    with site.engine.connect() as connection:
        memory = memory_of(read(site, connection, who.uid, n))
    history = derived([each.row for each in held_by(site, who, n)], user=name)
    return Peer(person=PersonData(history=history, split=split_history(history)), memory=memory)


def drawn(site: Site, who: Known, memory: "StoredMemory", *, n: int, seed: int = 0) -> list[Peer]:
    """Draw other people whose heads are on the same base; fewer where there are no more.

    Args:
        site: The store.
        who: Who is not drawn.
        memory: Whose base it must be.
        n: How many.
        seed: Seed of the draw.
    """
    query = (
        select(person_table.c.uid, person_table.c.head)
        .where(person_table.c.head.is_not(None), person_table.c.uid != who.uid)
        .order_by(person_table.c.uid)
    )
    with site.engine.connect() as connection:
        rows = connection.execute(query).all()
    found: list[Peer] = []
    for row in random.Random(seed).sample(rows, len(rows)):
        if len(found) == n:
            break
        known = Known(uid=row.uid, head=row.head)
        peer = peer_of(site, known, name_of(site, row.uid), row.head)
        if peer.memory.manifest.base.fingerprint == memory.manifest.base.fingerprint:
            found.append(peer)
    return found
