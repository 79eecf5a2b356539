"""The history of someone's versions: what was measured of them, and how personal they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lorecall.records import Interval
from lorecall.store.found import PersonLog
from lorecall.store.gate import Measured
from lorecall.store.look import log_of
from lorecall.store.people import Known
from lorecall.store.site import Site
from lorecall.store.versions import read


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a page shows of someone.

    Args:
        name: What they are called.
        log: Their versions, and what was forgotten.
        measured: What the gate measured of the versions that are there, by their numbers.
        gains: Personal gain of the versions that are there, by their numbers; empty where nobody
            else's memory was read.
        n_others: How many other people's memories were read for that.
    """

    name: str
    log: PersonLog
    measured: Mapping[int, Measured]
    gains: Mapping[int, Interval] = field(default_factory=dict[int, Interval])
    n_others: int = 0


def history_of(site: Site, who: Known, name: str, *, n_others: int = 0) -> History:
    """Return the history of someone's versions.

    Args:
        site: The store.
        who: The person.
        name: What they are called.
        n_others: How many other people's memories are read, to see what is the person's own.
    """
    log = log_of(site, who)
    measured: dict[int, Measured] = {}
    with site.engine.connect() as connection:
        for each in log.versions:
            found = Measured.of(read(site, connection, who.uid, each.n)) if each.is_there else None
            if found is not None:
                measured[each.n] = found
    there = [each.n for each in log.versions if each.is_there]
    if not n_others or not there:
        return History(name=name, log=log, measured=measured)
    gains, n_read = _gains(site, who, name, there=there, n_others=n_others)
    return History(name=name, log=log, measured=measured, gains=gains, n_others=n_read)


def _gains(
    site: Site, who: Known, name: str, *, there: list[int], n_others: int
) -> tuple[dict[int, Interval], int]:
    """Read the newest version's test replies with each version and with others' memories."""
    from lorecall.memory.shared import load_base_of  # noqa: PLC0415
    from lorecall.reply.responder import ModelResponder  # noqa: PLC0415
    from lorecall.scorecard.personal import personal  # noqa: PLC0415
    from lorecall.store.peers import drawn, peer_of  # noqa: PLC0415

    own = {n: peer_of(site, who, name, n) for n in there}
    newest = own[there[-1]]
    others = drawn(site, who, newest.memory, n=n_others)
    memories = {each.person.history.user: each.memory for each in others}
    if not memories:
        return {}, 0
    made = newest.memory.manifest
    base = load_base_of(made.base)
    limits = made.recipe.settings
    bare = ModelResponder(base, limits=limits)
    found: dict[int, Interval] = {}
    for n, peer in own.items():
        if peer.memory.manifest.base.fingerprint == made.base.fingerprint:
            responder = ModelResponder(base, peer.memory, limits=limits)
            read_with = personal(responder, bare, newest.person.split.test, memories, limits=limits)
            if read_with is not None:
                found[n] = read_with.gain
    return found, len(memories)
