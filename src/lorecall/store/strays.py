"""Removing what killed processes left: blobs that no version has. Safe beside everything else.

A blob is written before its version is, so that one without a version may be about to get it. Only
the holder of a person's lease writes there; so it is looked at under that lease, and left where
someone else has it. Keys that open nothing stay: an older copy of the data may need them.
"""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import select

from lorecall.errors import ConflictError, MissingError, PendingError
from lorecall.store.leases import UPDATE, claim
from lorecall.store.schema import person as person_table
from lorecall.store.schema import version
from lorecall.store.site import Site
from lorecall.store.versions import sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What was removed.

    Args:
        blobs: How many.
        busy: How many people were left alone, for someone is at work on them.

    Examples:
        >>> import lorecall
        >>> with lorecall.Store.open("people") as store:
        ...     store.gc()
        Swept(blobs=0, busy=0)
    """

    blobs: int
    busy: int


def strays(site: Site) -> dict[str, set[str]]:
    """Return the blobs that no version has, by whose they are; some may be about to get one."""
    found = {person: set(site.blobs.names(person)) for person in site.blobs.people()}
    known: defaultdict[str, set[str]] = defaultdict(set)  # read later, so that none is missed
    query = select(version.c.person, version.c.blob).where(version.c.blob.is_not(None))
    with site.engine.connect() as connection:
        for person, blob in connection.execute(query):
            known[person].add(blob)
    left = {person: blobs - known[person] for person, blobs in found.items()}
    return {person: blobs for person, blobs in left.items() if blobs or not found[person]}


def collect(site: Site) -> Swept:
    """Remove the blobs that no version has.

    Args:
        site: The store.
    """
    n = n_busy = 0
    for person, blobs in strays(site).items():
        query = select(person_table.c.uid).where(person_table.c.uid == person)
        with site.engine.connect() as connection:
            is_there = connection.execute(query).first() is not None
        if not is_there:  # they were forgotten: nobody can be about to publish
            site.blobs.remove_all(person)
            n += len(blobs)
        elif blobs:
            try:
                lease = claim(site.engine, person, UPDATE)
            except (ConflictError, PendingError, MissingError):
                n_busy += 1
                continue
            try:
                n += sweep(site, lease)
            finally:
                lease.release()
    return Swept(blobs=n, busy=n_busy)
