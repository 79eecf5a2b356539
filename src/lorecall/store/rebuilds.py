"""A version built again from its own records, and compared: nothing is published."""

from threading import Event

from lorecall.errors import InputError
from lorecall.store.builder import request_again
from lorecall.store.found import Outcome, Rebuilt
from lorecall.store.people import Known
from lorecall.store.recipe import Packed
from lorecall.store.records import records_of
from lorecall.store.site import Site
from lorecall.store.updates import request_for
from lorecall.store.versions import find_version, records_in


def built_again(site: Site, who: Known, name: str, *, n: int, packed: Packed) -> Rebuilt:
    """Build a version again.

    Args:
        site: The store.
        who: The person.
        name: What they are called.
        n: Which version.
        packed: What it holds.
    """
    with site.engine.connect() as connection:
        known = find_version(connection, who.uid, n)
        uids = records_in(connection, who.uid, n)
        held = records_of(site, connection, who.uid, uids=uids)
    request = request_again(packed.again, request_for(name, held))
    try:
        built = site.builder(request, on_step=lambda _: None, cancelled=Event())
    except InputError:
        return Rebuilt(n=n, outcome="unverifiable", digest=known.digest)
    if built.packed is None or built.recipe != known.recipe:
        return Rebuilt(n=n, outcome="unverifiable", digest=known.digest)
    found = built.packed.digest
    outcome: Outcome = "differs"
    if found == known.digest:
        outcome = "identical"
    elif built.machine != known.machine:
        outcome = "other-class"
    return Rebuilt(n=n, outcome=outcome, digest=known.digest, found=found)
