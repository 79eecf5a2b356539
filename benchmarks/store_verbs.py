"""What `store_faults.py` kills: each verb, how it is prepared and run, and what is there then."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from store_stand_in import stand_in

import lorecall
from lorecall.errors import ConfigError, MissingError, RunError

GONE = "day number 7"
MIGRATE = "migrate"
AS_FIRST = {
    "store.db": "DROP TABLE suppressed; INSERT INTO meta VALUES ('format', '1');",
    "keys.db": "",
}
"""What makes a store one of the first version, beside what both databases lose."""
Verb = Callable[[lorecall.Store, Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A verb.

    Args:
        prepare: Makes the store that it is run on.
        run: Runs it; given again after a killing, it finishes.
        records: How many records there are before and after.
        heads: The head's number before and after; None where there is none.
    """

    prepare: Verb
    run: Verb
    records: tuple[int, int]
    heads: tuple[int | None, int | None]


def _nothing(_: lorecall.Store, __: Path) -> None:
    pass


def _remember(store: lorecall.Store, files: Path) -> None:
    store.person("ada").remember(files / "days.jsonl")


def _remembered(store: lorecall.Store, files: Path) -> None:
    _remember(store, files)
    store.person("bob").remember(files / "days.jsonl")


def _remember_more(store: lorecall.Store, files: Path) -> None:
    store.person("ada").remember(files / "more.jsonl")


def _update(store: lorecall.Store, _: Path) -> None:
    store.person("ada").update()


def _updated(store: lorecall.Store, files: Path) -> None:
    _remembered(store, files)
    _update(store, files)
    store.person("bob").update()


def _grown(store: lorecall.Store, files: Path) -> None:
    _updated(store, files)
    store.person("ada").remember(files / "more.jsonl")


def _forget(store: lorecall.Store, _: Path) -> None:
    ada = store.person("ada")
    try:
        ada.forget(like=GONE)
    except MissingError:  # it had come to its end
        if not ada.log().certificates:
            raise


def _forget_for_good(store: lorecall.Store, _: Path) -> None:
    ada = store.person("ada")
    try:
        ada.forget(like=GONE, suppress=True)
    except MissingError:
        if not ada.log().certificates:
            raise


def _rotate(store: lorecall.Store, _: Path) -> None:
    store.rotate()


def _roll_back(store: lorecall.Store, _: Path) -> None:
    ada = store.person("ada")
    if ada.log().head == 2:
        ada.rollback(1)


def _strayed(store: lorecall.Store, files: Path) -> None:
    _updated(store, files)
    (next(Path(store.where.blobs).iterdir()) / "stray").write_bytes(b"?")


def _gc(store: lorecall.Store, _: Path) -> None:
    store.gc()


def _back_up(store: lorecall.Store, _: Path) -> None:
    """Back up, and restore it beside."""
    keys = store.where.keys
    out, kept, again = (keys.with_name(f"{keys.name}-{x}") for x in ("backup", "kept", "again"))
    with suppress(ConfigError):  # it had come to its end
        store.backup(out, keys_to=kept)
    with suppress(ConfigError):
        lorecall.Store.restore(out, again, keys=keys).close()
    with opened(again, keys=keys) as copy:
        copy.gc()  # half a version may have been left
        if copy.check(deep=True) != store.check(deep=True):
            raise RunError("a backup", expected="the store", got="another", next_step="Look.")


def _migrate(store: lorecall.Store, _: Path) -> None:
    """Nothing: `begun` migrates before a store is opened."""


def _twice(store: lorecall.Store, files: Path) -> None:
    _grown(store, files)
    _update(store, files)


VERBS: Mapping[str, Case] = {
    "remember": Case(prepare=_nothing, run=_remember, records=(0, 30), heads=(None, None)),
    "remember-more": Case(
        prepare=_updated,
        run=_remember_more,
        records=(30, 40),
        heads=(1, 1),
    ),
    "update": Case(prepare=_remembered, run=_update, records=(30, 30), heads=(None, 1)),
    "update-again": Case(prepare=_grown, run=_update, records=(40, 40), heads=(1, 2)),
    "rollback": Case(prepare=_twice, run=_roll_back, records=(40, 40), heads=(2, 3)),
    "forget": Case(prepare=_updated, run=_forget, records=(30, 29), heads=(1, 2)),
    "forget-for-good": Case(prepare=_updated, run=_forget_for_good, records=(30, 29), heads=(1, 2)),
    "rotate": Case(prepare=_updated, run=_rotate, records=(30, 30), heads=(1, 1)),
    "gc": Case(prepare=_strayed, run=_gc, records=(30, 30), heads=(1, 1)),
    "backup": Case(prepare=_updated, run=_back_up, records=(30, 30), heads=(1, 1)),
    MIGRATE: Case(prepare=_updated, run=_migrate, records=(30, 30), heads=(1, 1)),
}


def begun(place: Path, verb: str) -> lorecall.Store:
    """Open a store, which is migrated first where that is what is looked at."""
    if verb == MIGRATE:
        lorecall.Store.migrate(place)
    return opened(place)


def opened(place: Path, *, keys: Path | None = None) -> lorecall.Store:
    """Open a store whose versions are built in no time."""
    return lorecall.Store.open(place, keys=keys, builder=stand_in)
