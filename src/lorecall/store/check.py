"""Looking whether a store is whole: what must be there is, opens, and is what was written."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import func, select

from lorecall.errors import IntegrityError, MissingError
from lorecall.store import audit
from lorecall.store.database import faults
from lorecall.store.keyring import ledger
from lorecall.store.people import name_of
from lorecall.store.records import records_of
from lorecall.store.schema import erasure, record, version
from lorecall.store.schema import person as person_table
from lorecall.store.site import Site
from lorecall.store.strays import strays
from lorecall.store.versions import read


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """What came of looking.

    Args:
        people: How many people were looked at.
        records: How many records.
        versions: How many versions that can be asked.
        strays: How many blobs no version has; `gc` removes those that nobody is about to publish.
        broken: What is not as it should be, a line each.

    Examples:
        >>> import lorecall
        >>> with lorecall.Store.open("checked") as store:
        ...     _ = store.person("ada").remember("history.jsonl", user="ann")
        ...     store.check(deep=True)
        Checkup(people=1, records=24, versions=0, strays=0, broken=())
    """

    people: int
    records: int
    versions: int
    strays: int
    broken: tuple[str, ...]


def check(site: Site, *, deep: bool) -> Checkup:
    """Look at all of a store; others may work on it meanwhile.

    Args:
        site: The store.
        deep: Whether to decrypt every record and version as well.
    """
    broken = [*_databases(site), *_log(site)]
    n_records = n_versions = 0
    with site.engine.connect() as connection:
        people = [*connection.scalars(select(person_table.c.uid))]
    for uid in people:
        records, versions, found = _person(site, uid, deep=deep)
        n_records += records
        n_versions += versions
        broken += found
    return Checkup(
        people=len(people),
        records=n_records,
        versions=n_versions,
        strays=sum(map(len, strays(site).values())),
        broken=tuple(broken),
    )


def _databases(site: Site) -> Iterator[str]:
    for name, engine in (("data", site.engine), ("keys", site.keys.engine)):
        with engine.connect() as connection:
            yield from [f"{name}: {line}" for line in faults(connection)]
    with site.engine.connect() as connection:
        there = ledger.last(connection, erasure)
    if (known := site.keys.erased_to()) < there:
        yield f"keys: their ledger ends at {known}, that of the data at {there}"


def _log(site: Site) -> Iterator[str]:
    try:
        with site.engine.connect() as connection:
            audit.check_chain(connection)
    except IntegrityError as reason:
        yield f"audit log: {reason.got}"


def _person(site: Site, uid: str, *, deep: bool) -> tuple[int, int, list[str]]:
    """Return how many records and versions someone has, and what is broken."""
    kept = site.keys.kept(uid)  # read first: what is added later has a key by then
    blobs = set(site.blobs.names(uid))
    with site.engine.connect() as connection:
        events = set(connection.scalars(select(record.c.uid).where(record.c.person == uid)))
        query = select(version.c.n, version.c.blob).where(
            version.c.person == uid, version.c.blob.is_not(None)
        )
        numbers = {blob: int(n) for n, blob in connection.execute(query)}
    suspects = (events | set(numbers)) - kept | set(numbers) - blobs
    lines = (_missing(site, uid, each, number=numbers.get(each)) for each in sorted(suspects))
    broken = [line for line in lines if line]
    if deep and not broken:
        broken += _unreadable(site, uid, [*numbers.values()])
    if broken:
        broken = [f"{name_of(site, uid)}: {line}" for line in broken]
    return len(events), len(numbers), broken


def _missing(site: Site, person: str, uid: str, *, number: int | None) -> str:
    """Return what is missing of something, unless it has gone since, or has come."""
    what = f"record {uid[:12]}" if number is None else f"v{number}"
    column = record.c.uid if number is None else version.c.blob
    owner = record.c.person if number is None else version.c.person
    has_key = uid in site.keys.kept(person)
    has_blob = number is None or uid in site.blobs.names(person)
    query = select(func.count()).where(column == uid, owner == person)
    with site.engine.connect() as connection:
        is_there = connection.execute(query).scalar_one() > 0
    if not is_there or (has_key and has_blob):
        return ""
    return f"{what} has no {'blob' if has_key else 'key'}"


def _unreadable(site: Site, person: str, numbers: list[int]) -> Iterator[str]:
    with site.engine.connect() as connection:
        try:
            records_of(site, connection, person)
        except IntegrityError as reason:
            yield f"a record is {reason.got}"
    for n in numbers:
        try:
            with site.engine.connect() as connection:
                read(site, connection, person, n)
        except MissingError:
            continue  # it has gone since
        except IntegrityError as reason:
            yield f"v{n} is {reason.got}"
