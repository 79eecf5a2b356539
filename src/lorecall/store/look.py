"""Looking at a person without changing anything: the log, and what would be forgotten."""

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import bindparam, func, select

from lorecall.errors import MissingError
from lorecall.store.asking import Question
from lorecall.store.certificate import Certificate
from lorecall.store.choose import Choice, alike
from lorecall.store.found import PersonLog, ToForget
from lorecall.store.people import Known
from lorecall.store.records import Record, records_of
from lorecall.store.schema import certificate as certificate_table
from lorecall.store.schema import record
from lorecall.store.site import Site
from lorecall.store.versions import (
    CANDIDATE,
    OF_PERSON,
    Version,
    harm_of,
    records_in,
    versions_in,
    versions_of,
)

_VERSIONS = Question(OF_PERSON)
_N_RECORDS = Question(
    select(func.count()).select_from(record).where(record.c.person == bindparam("person"))
)
_CERTIFICATES = Question(
    select(certificate_table.c.envelope)
    .where(certificate_table.c.person == bindparam("person"))
    .order_by(certificate_table.c.made)
)


def log_of(site: Site, who: Known) -> PersonLog:
    """Return someone's versions, how far the head is behind, and what was forgotten."""
    with site.asker.asking() as ask:
        found = versions_in(ask(_VERSIONS, person=who.uid))
        ((n,),) = ask(_N_RECORDS, person=who.uid)
        envelopes = [envelope for (envelope,) in ask(_CERTIFICATES, person=who.uid)]
    in_head = next((each.n_records for each in found if each.n == who.head), 0)
    return PersonLog(
        head=who.head,
        versions=tuple(found),
        n_records=n,
        n_behind=n - in_head,
        certificates=tuple(map(Certificate.checked, envelopes)),
        held_back=_held_back(site, who, found),
    )


def _held_back(site: Site, who: Known, found: Sequence[Version]) -> dict[int, str]:
    """Return why each candidate is one; one that has gone since is left out."""
    why: dict[int, str] = {}
    for each in found:
        if each.state == CANDIDATE:
            with suppress(MissingError), site.engine.connect() as connection:
                why[each.n] = harm_of(site, connection, who.uid, each.n)
    return why


def would_forget(site: Site, who: Known, choice: Choice) -> ToForget:
    """Return what would be forgotten, and what else says the same."""
    with site.engine.connect() as connection:
        found = records_of(site, connection, who.uid)
        gone = choice.of(found)
        uids = {each.uid for each in gone}
        holding = tuple(
            each.n
            for each in versions_of(connection, who.uid)
            if uids & {*records_in(connection, who.uid, each.n)}
        )
    return ToForget(gone=tuple(gone), alike=tuple(alike(gone, found)), versions=holding)


def held_by(site: Site, who: Known, n: int) -> list[Record]:
    """Return the records that a version was built from."""
    with site.engine.connect() as connection:
        uids = records_in(connection, who.uid, n)
        return records_of(site, connection, who.uid, uids=uids)
