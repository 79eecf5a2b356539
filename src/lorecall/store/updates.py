"""A new version: built from all records there are, or an earlier one taken up again."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from lorecall.errors import DataError
from lorecall.settings import LearnSettings, preset
from lorecall.store.builder import Built, request_again
from lorecall.store.gate import Gate, Head
from lorecall.store.leases import UPDATE, Lease, claim
from lorecall.store.people import Known
from lorecall.store.recipe import BasePlace, BuildRequest, BuildSettings
from lorecall.store.records import Record, records_of
from lorecall.store.site import Site
from lorecall.store.versions import (
    CANDIDATE,
    Draft,
    Version,
    check_head,
    find_version,
    harm_of,
    head_of,
    publish,
    read,
    records_in,
    sweep,
    versions_of,
)

if TYPE_CHECKING:
    from lorecall.lm.base import LanguageModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated:
    """What came of an update.

    Args:
        n: The version: the head from now on, unless it was held back.
        n_records: How many records it was built from.
        is_new: Whether it was built now; the same recipe is never built twice in a row.
        held_back: Why it stays a candidate; empty where it is the head.
    """

    n: int
    n_records: int
    is_new: bool
    held_back: str = ""

    @property
    def is_head(self) -> bool:
        """Whether it answers from now on."""
        return not self.held_back


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How a version is to be built; what is None is as it was in the head.

    Args:
        base: On which base.
        settings: How it is trained.
        n_threads: On how many threads; all there are where there is no head.
        if_version: The head that is expected; None for whichever it is.
    """

    base: BasePlace | None = None
    settings: LearnSettings | BuildSettings | None = None
    n_threads: int | None = None
    if_version: int | None = None


def update(
    site: Site, who: Known, name: str, *, wanted: Wanted, on_step: Callable[[float], None]
) -> Updated:
    """Build a version from all records there are, and publish it.

    Args:
        site: The store.
        who: The person.
        name: What they are called.
        wanted: How.
        on_step: Called with the share of the training that each step is.

    Raises:
        ConflictError: Another works on them, or has moved the head.
        DataError: There is too little to learn from.
    """
    lease = claim(site.engine, who.uid, UPDATE)
    try:
        sweep(site, lease)
        head, records = _there(site, who.uid)
        if wanted.if_version is not None:
            check_head(head, wanted.if_version)
        before = None if head is None else _read_head(site, who.uid, head, records)
        request = _request(site, who.uid, name, before=before, records=records, wanted=wanted)
        with lease.kept() as cancelled:
            built = site.builder(
                request, on_step=on_step, cancelled=cancelled, gate=Gate(head=before)
            )
        return _published(site, lease, built, head=head, records=records)
    finally:
        lease.release()


def roll_back(site: Site, who: Known, n: int) -> int:
    """Publish an earlier version's content as a new one.

    Args:
        site: The store.
        who: The person.
        n: Which; the head itself stays as it is.

    Returns:
        The new head's number.

    Raises:
        MissingError: There is none, or it held what was forgotten.
    """
    lease = claim(site.engine, who.uid, UPDATE)
    try:
        sweep(site, lease)
        with site.engine.connect() as connection:
            head = head_of(connection, who.uid)
            old = find_version(connection, who.uid, n)
            packed = read(site, connection, who.uid, n)
            records = records_in(connection, who.uid, n)
        if n == head:
            return n
        draft = Draft(
            packed=packed,
            recipe=old.recipe,
            machine=old.machine,
            records=records,
            action="rolled back",
        )
        return publish(site, lease, draft, head=head)
    finally:
        lease.release()


def place_of(base: "BasePlace | LanguageModel | str") -> BasePlace:
    """Return where a build finds a base that is named, or loaded here."""
    if isinstance(base, BasePlace):
        return base
    if isinstance(base, str):
        return BasePlace(name=base)
    return BasePlace(
        name=base.name,
        shared="none" if base.shared is None else base.shared.name,
        device=str(base.device),
        dtype=str(base.dtype).removeprefix("torch."),
    )


def request_for(name: str, records: Sequence[Record]) -> BuildRequest:
    """Return a request for a build from records, with everything else as a new person has it."""
    return BuildRequest(
        user=name,
        rows=tuple(each.row for each in records),
        commitments=tuple(each.commitment for each in records),
        settings=BuildSettings.of(preset()),
        base=BasePlace(),
        n_threads=len(os.sched_getaffinity(0)),
    )


def _there(site: Site, person: str) -> tuple[int | None, list[Record]]:
    with site.engine.connect() as connection:
        return head_of(connection, person), records_of(site, connection, person)


def _request(
    site: Site,
    person: str,
    name: str,
    *,
    before: Head | None,
    records: Sequence[Record],
    wanted: Wanted,
) -> BuildRequest:
    request = request_for(name, records)
    if before is not None:
        request = request_again(before.packed.again, request)
    with site.engine.connect() as connection:
        newest = _newest(connection, person, None if before is None else before.n)
        known = tuple(each.recipe for each in newest)
    settings = wanted.settings
    if isinstance(settings, LearnSettings):
        settings = BuildSettings.of(settings)
    return replace(
        request,
        known=known,
        base=wanted.base or request.base,
        settings=settings or request.settings,
        n_threads=wanted.n_threads or request.n_threads,
    )


def _newest(connection: Connection, person: str, head: int | None) -> list[Version]:
    """Return the head and the candidates after it: what is not built again."""
    return [
        each
        for each in versions_of(connection, person)
        if each.n == head or (each.n > (head or 0) and each.state == CANDIDATE)
    ]


def _read_head(site: Site, person: str, n: int, records: Sequence[Record]) -> Head:
    """Return the head: what a build goes on from, and what a version is measured beside."""
    with site.engine.connect() as connection:
        packed = read(site, connection, person, n)
        held = {*records_in(connection, person, n)}
    places = tuple(i for i, each in enumerate(records) if each.uid in held)
    return Head(n=n, packed=packed, held=places)


def _published(
    site: Site, lease: Lease, built: Built, *, head: int | None, records: Sequence[Record]
) -> Updated:
    if built.short:
        raise DataError(
            "there must be enough to learn from",
            expected="at least 20 usable samples in 3 conversations",
            got=built.short,
            next_step="Remember more of theirs; until then the base answers.",
        )
    if built.packed is None:
        return _as_it_is(site, lease.person, built.recipe, head=head, n_records=len(records))
    draft = Draft.of(built, records=[each.uid for each in records], action="updated")
    n = publish(site, lease, draft, head=head)
    return Updated(n=n, n_records=len(records), is_new=True, held_back=draft.harm)


def _as_it_is(site: Site, person: str, recipe: str, *, head: int | None, n_records: int) -> Updated:
    """Return the head or the candidate that has a recipe already."""
    with site.engine.connect() as connection:
        found = next(e for e in _newest(connection, person, head) if e.recipe == recipe)
        why = "" if found.n == head else harm_of(site, connection, person, found.n)
    return Updated(n=found.n, n_records=n_records, is_new=False, held_back=why)
