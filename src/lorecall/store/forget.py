"""Forgetting: the head withdrawn at once, what held the record destroyed, the rest rebuilt.

Each step can be done again, and a plan in the database says what is left to be done, so that one
killed at any moment is finished by the same command:

1. In one transaction the records go, every version built from one of them is withdrawn, and the
   plan is written: from then on the base answers.
2. The keys of records and versions are destroyed, with the person's key; the others get a new one.
3. The blobs go, and the database's log is emptied.
4. The version is built again from the head's other records, in a process that is given nothing
   else; or none is, where too little is left.
5. What was forgotten is searched for, and a certificate is signed.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version as version_of

from pydantic import TypeAdapter
from sqlalchemy import Connection, insert, select

from lorecall.core.progress import Reporter
from lorecall.errors import InputError, MissingError, PendingError, StorageError
from lorecall.store import audit
from lorecall.store.builder import request_again
from lorecall.store.certificate import (
    FORGOTTEN,
    NOT_COVERED,
    RESIDUES,
    UNSEARCHED,
    Certificate,
)
from lorecall.store.database import scrub, writing
from lorecall.store.gate import Gate
from lorecall.store.keyring import erasures
from lorecall.store.keyring.keys import new_uid
from lorecall.store.leases import FORGET, Lease, claim
from lorecall.store.people import Known
from lorecall.store.plan import (
    Destroyed,
    Plan,
    key_name,
    note_traces,
    set_state,
    traces_of,
    withdraw,
)
from lorecall.store.records import Record, records_of
from lorecall.store.residue.residues import Residues, tokens_of
from lorecall.store.residue.traces import Traces, texts_of
from lorecall.store.schema import audit as audit_table
from lorecall.store.schema import certificate as certificate_table
from lorecall.store.schema import job, record, version
from lorecall.store.schema import person as person_table
from lorecall.store.site import Site
from lorecall.store.updates import request_for
from lorecall.store.versions import CANDIDATE, DESTROYED, Draft, publish, sweep, versions_of


def forget(
    site: Site,
    who: Known,
    name: str,
    *,
    asked: str,
    chosen: Callable[[Sequence[Record]], list[Record]],
    for_good: bool,
    reporter: Reporter,
) -> Certificate:
    """Forget records; finish first what was begun before.

    Args:
        site: The store.
        who: The person.
        name: What they are called.
        asked: By what the records are chosen: `records`, `everything` and so on.
        chosen: Chooses them.
        for_good: Whether marks keep them from being added again.
        reporter: Who is told how far it is.

    Raises:
        MissingError: None is chosen.
        ConflictError: Another forgets something of theirs at this moment.
        PendingError: It is forgotten, but the rest could not be rebuilt yet.
    """
    finished = resume(site, who, name, reporter=reporter)
    if finished is not None and finished.payload["asked"] == "everything":
        return finished
    lease = claim(site.engine, who.uid, FORGET)
    try:
        sweep(site, lease)
        with site.engine.connect() as connection:
            # What does not open can be chosen by its name, but nobody knows what it says.
            by_text = asked not in {"records", "everything"}
            gone = chosen(records_of(site, connection, who.uid, strict=by_text))
        if not gone and asked != "everything":
            if finished is not None:
                return finished
            raise _nothing()
        plan, traces = withdraw(site, lease, gone, asked=asked, for_good=for_good)
        plan, traces = _with_tokens(site, lease, plan, traces, gone)
        return _finish(site, lease, plan, name, traces=traces, reporter=reporter)
    finally:
        lease.release()


def resume(site: Site, who: Known, name: str, *, reporter: Reporter) -> Certificate | None:
    """Finish a forgetting that was begun; return its certificate, or nothing where there is none.

    Args:
        site: The store.
        who: The person.
        name: What they are called.
        reporter: Who is told how far it is.
    """
    with site.engine.connect() as connection:
        query = select(job.c.payload).where(job.c.person == who.uid)
        if connection.execute(query).scalar() is None:
            return None
    lease = claim(site.engine, who.uid, FORGET)
    try:
        if lease.pending is None:
            return None
        plan = TypeAdapter(Plan).validate_json(lease.pending)
        traces = traces_of(site, who.uid, plan)
        return _finish(site, lease, plan, name, traces=traces, reporter=reporter)
    finally:
        lease.release()


def _finish(
    site: Site,
    lease: Lease,
    plan: Plan,
    name: str,
    *,
    traces: Traces | None,
    reporter: Reporter,
) -> Certificate:
    """Do what is left to be done."""
    person = lease.person
    blobs = [each.blob for each in plan.versions]
    if plan.everything:
        site.keys.destroy_person(person)
    else:
        site.keys.destroy(person, [*plan.records, *blobs])
    _remove(site, person, blobs)
    with writing(site.engine) as connection:
        lease.check(connection)
        for each in plan.versions:
            set_state(connection, person, each.n, DESTROYED)
        details = {"records": len(plan.records), "versions": [v.n for v in plan.versions]}
        audit.append(connection, person=person, action="erased", details=details)
    erasures.catch_up(site.engine, site.keys, site.blobs)
    scrub(site.engine, record)
    rebuilt = _rebuilt(site, lease, plan, name, reporter=reporter)
    found = None if traces is None else Residues.of(site, person, traces, since=plan.since)
    for path in () if found is None else found.paths:
        reporter.say(f"something of what was forgotten is in {path}")
    return _certified(site, lease, plan, rebuilt=rebuilt, found=found, traces=traces)


def _with_tokens(
    site: Site, lease: Lease, plan: Plan, traces: Traces, gone: Sequence[Record]
) -> tuple[Plan, Traces]:
    """Look for the tokens of the texts as well, where the base that read them is known.

    This comes when the head is withdrawn already, for a tokenizer takes seconds to load.
    """
    base = {} if plan.packed is None else json.loads(plan.packed).get("base", {})
    texts = texts_of(each.row for each in gone)
    tokens = tokens_of(base["name"], texts) if base and texts else None
    if tokens is None:
        return plan, traces
    traces = traces.with_tokens(tokens)
    return note_traces(site, lease, plan, traces), traces


def _remove(site: Site, person: str, blobs: Sequence[str]) -> None:
    try:
        for blob in blobs:
            site.blobs.remove(person, blob)
    except StorageError as reason:
        raise PendingError(
            "the versions that held what is forgotten must be removed",
            expected="them to be gone, with all their versions",
            got=reason.got,
            next_step="They are withdrawn, and their keys are destroyed. `lorecall forget PERSON"
            " --resume` removes them.",
        ) from reason


def _rebuilt(
    site: Site, lease: Lease, plan: Plan, name: str, *, reporter: Reporter
) -> dict[str, object] | None:
    """Build the head again without what is forgotten; return what the certificate says of it."""
    if plan.head is None or plan.packed is None or plan.everything:
        return None
    person = lease.person
    with site.engine.connect() as connection:
        newest = versions_of(connection, person)[-1]
        if newest.n > plan.last_n:
            return _told(connection, person, newest.n)  # it was, before this was stopped
        kept = records_of(site, connection, person, uids=plan.kept)
    request = request_again(plan.packed, request_for(name, kept))
    try:
        with lease.kept() as cancelled:
            built = site.builder(
                request, on_step=reporter.advance, cancelled=cancelled, gate=Gate()
            )
    except InputError as reason:
        raise PendingError(
            "what is left must be built again",
            expected="the base and the machine to be there",
            got=str(reason),
            next_step="It is forgotten, and the base answers. `lorecall forget PERSON --resume`"
            " builds the rest and signs the certificate.",
        ) from reason
    if built.packed is None:
        return None
    draft = Draft.of(built, records=[each.uid for each in kept], action="rebuilt")
    n = publish(site, lease, draft, head=None, ends=False)
    with site.engine.connect() as connection:
        return _told(connection, person, n)


def _certified(
    site: Site,
    lease: Lease,
    plan: Plan,
    *,
    rebuilt: dict[str, object] | None,
    found: Residues | None,
    traces: Traces | None,
) -> Certificate:
    """Sign what was done, and end the lease with it."""
    person = lease.person
    verdict = UNSEARCHED if found is None else FORGOTTEN
    if found is not None and found.n_hits:
        verdict = RESIDUES
    with writing(site.engine) as connection:
        lease.check(connection)
        payload: dict[str, object] = {
            "format": 1,
            "verdict": verdict,
            "statement": _statement(plan, rebuilt),
            "asked": plan.asked,
            "made": audit.now(),
            "lorecall": version_of("lorecall"),
            "store": site.uid,
            "person": person,
            "records": plan.records,
            "destroyed": [_named(each) for each in plan.versions],
            "rebuilt": rebuilt,
            "theta_source": "policy",
            "suppressed": plan.suppressed,
            "residues": None if found is None else found.places,
            "too_short_to_search": None if traces is None else traces.n_too_short,
            "tokens_searched": traces is not None and traces.has_tokens,
            "backups": _backups(connection),
            "exports": _exports(connection, person, [each.n for each in plan.versions]),
            "not_covered": NOT_COVERED,
            "audit": asdict(audit.audit_head(connection)),
        }
        made = Certificate.signed(payload, site.keys)
        connection.execute(
            insert(certificate_table).values(
                uid=new_uid(), person=person, made=audit.now(), envelope=made.envelope
            )
        )
        details = {"certificate": made.sha256, "records": len(plan.records)}
        audit.append(connection, person=person, action="forgotten", details=details)
        lease.end(connection)
        if plan.everything:
            erasures.delete_person(connection, person)
    scrub(site.engine, job, *([person_table] if plan.everything else []))
    site.keys.drop_key(key_name(person))
    return made


def _statement(plan: Plan, rebuilt: dict[str, object] | None) -> str:
    gone = f"{len(plan.records)} records and {len(plan.versions)} versions built from them are"
    if rebuilt is None:
        return f"{gone} destroyed. No memory was built in their place."
    held_back = rebuilt["state"] == CANDIDATE
    return (
        f"{gone} destroyed. Version {rebuilt['n']} was built from {rebuilt['records']} other"
        " records, on the machine class named, in a process that was not given the forgotten ones."
        " Who holds those records and such a machine can build it again and compare."
        + (" It harms other text, so that it was held back, and the base answers." * held_back)
    )


def _told(connection: Connection, person: str, n: int) -> dict[str, object]:
    query = select(version).where(version.c.person == person, version.c.n == n)
    row = connection.execute(query).one()
    hashes = {"recipe": row.recipe, "machine": row.machine, "digest": row.digest}
    return {"n": row.n, "records": row.n_records, "state": row.state, **hashes}


def _named(each: Destroyed) -> dict[str, object]:
    return {"n": each.n, "recipe": each.recipe, "machine": each.machine, "digest": each.digest}


def _backups(connection: Connection) -> list[object]:
    """Return when backups were made; with keys of that time they have what they had."""
    query = select(audit_table.c.at, audit_table.c.details).where(
        audit_table.c.person == "", audit_table.c.action == "backed up"
    )
    return [{"at": at, **json.loads(details)} for at, details in connection.execute(query)]


def _exports(connection: Connection, person: str, numbers: Sequence[int]) -> list[object]:
    """Return when versions that are destroyed were given away; who has them must be told."""
    query = select(audit_table.c.at, audit_table.c.details).where(
        audit_table.c.person == person, audit_table.c.action == "exported"
    )
    given = [{"at": at, **json.loads(details)} for at, details in connection.execute(query)]
    return [each for each in given if each["n"] in numbers]


def _nothing() -> MissingError:
    return MissingError(
        "what is to be forgotten must be there",
        expected="a record that fits",
        got="none",
        next_step="List them with `lorecall forget PERSON --like TEXT --dry-run`.",
    )
