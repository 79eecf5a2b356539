"""Looking at a person without changing anything: the log, and what would be forgotten."""

from sqlalchemy import select

from lorecall.store.certificate import Certificate
from lorecall.store.choose import Choice, alike
from lorecall.store.found import PersonLog, ToForget
from lorecall.store.people import Known
from lorecall.store.records import Record, n_records, records_of
from lorecall.store.schema import certificate as certificate_table
from lorecall.store.site import Site
from lorecall.store.versions import CANDIDATE, harm_of, records_in, versions_of


def log_of(site: Site, who: Known) -> PersonLog:
    """Return someone's versions, how far the head is behind, and what was forgotten."""
    query = select(certificate_table.c.envelope).where(certificate_table.c.person == who.uid)
    with site.engine.connect() as connection:
        found = versions_of(connection, who.uid)
        n = n_records(connection, who.uid)
        envelopes = connection.scalars(query.order_by(certificate_table.c.made)).all()
        held_back = {
            each.n: harm_of(site, connection, who.uid, each.n)
            for each in found
            if each.state == CANDIDATE
        }
    in_head = next((each.n_records for each in found if each.n == who.head), 0)
    return PersonLog(
        head=who.head,
        versions=tuple(found),
        n_records=n,
        n_behind=n - in_head,
        certificates=tuple(map(Certificate.checked, envelopes)),
        held_back=held_back,
    )


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
