"""Opening a store, or making one: its tables, its keys, and where its versions are."""

from pathlib import Path

from sqlalchemy import Connection, Engine, insert, select

from lorecall.errors import ConfigError, IntegrityError, MissingError
from lorecall.store.asking import Asker, Question
from lorecall.store.blobs import Blobs, blobs_at
from lorecall.store.builder import Builder
from lorecall.store.database import connect, is_postgresql, lock_schema, shown, writing
from lorecall.store.keyring import ledger
from lorecall.store.keyring.erasures import catch_up
from lorecall.store.keyring.keys import KeyStore, new_uid, store_of
from lorecall.store.keyring.root import FileRootKey, RootKey
from lorecall.store.keyring.rotation import ROOT, settle
from lorecall.store.place import Place
from lorecall.store.revisions import answers, check_revision, make_tables, revision_of
from lorecall.store.schema import data, meta
from lorecall.store.site import Site

UID, BLOBS = "uid", "blobs"
_FACTS = select(meta.c.name, meta.c.value)
_WHAT = Question(_FACTS)


def open_site(place: Place, *, root: RootKey | None, builder: Builder, create: bool) -> Site:
    """Open a store; what is forgotten is gone from it, even if it is an older copy.

    Args:
        place: Where.
        root: Who holds the root key; a file among the keys when None.
        builder: Who builds versions.
        create: Whether to make it where there is none.

    Raises:
        MissingError: There is none, and none is to be made.
        IntegrityError: The keys are not its own, or a later version made it.
        ConfigError: An older version made it, or its versions are elsewhere.
    """
    engine = _engine(place, create=create)
    asker = Asker(engine)
    try:
        found, erased = known(asker)
        if UID not in found:
            found = _made(engine, place, root, create=create)
        blobs = _blobs(place, found.get(BLOBS))
        root = root or root_in(place.keys, is_new=False)
        keys = KeyStore(place.keys, store=found[UID], root=root, new=False)
        if erased != keys.erased_to():
            catch_up(engine, keys, blobs)
    except BaseException:
        asker.close()
        engine.dispose()
        raise
    return Site(
        uid=found[UID],
        place=place.named,
        keys_folder=place.keys,
        engine=engine,
        asker=asker,
        keys=keys,
        blobs=blobs,
        builder=builder,
    )


def known(asker: Asker) -> tuple[dict[str, str], int]:
    """Return what a database says of the store it is, nothing where it is none; and its ledger.

    Args:
        asker: Asks it.

    Returns:
        What is known, and the last number in the ledger of what was destroyed.

    Raises:
        ConfigError: Its tables are of an older revision.
        IntegrityError: They are of a later one.
    """
    found = answers(asker, _WHAT, ledger.OF_DATA)
    if found is None:
        return {}, 0
    facts, ((last,),) = found
    return dict(facts), last


def root_in(folder: Path, *, is_new: bool) -> FileRootKey:
    """Return the root key in a folder of keys.

    Raises:
        IntegrityError: There is none, and none is to be made.
    """
    path = folder / ROOT
    settle(folder)
    if not is_new and not path.exists():
        raise IntegrityError(
            "a store's root key must be there",
            expected=str(path),
            got="nothing",
            next_step="Restore it from its copy, or name the folder of the keys (--keys).",
        )
    if is_new:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return FileRootKey(path)


def new_blobs(place: Place) -> Blobs:
    """Return where a new store's versions are to be, which has been seen to let go of them.

    Raises:
        ConfigError: Nothing was said, or what is removed there would stay.
    """
    kept = place.blobs or place.usual_blobs
    if kept is None:
        raise ConfigError(
            "it must be said where the versions of a store in a database are kept",
            expected="a folder, or s3://BUCKET/PREFIX",
            got="nothing",
            next_step="Begin the store with `lorecall store init --blobs PLACE`.",
        )
    blobs = blobs_at(kept)
    blobs.check()
    return blobs


def _engine(place: Place, *, create: bool) -> Engine:
    if isinstance(place.database, Path) and not place.database.is_file():
        if not create:
            raise _missing(str(place.database))
        new_blobs(place)  # before anything is made
        place.database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return connect(place.database)


def _made(engine: Engine, place: Place, root: RootKey | None, *, create: bool) -> dict[str, str]:
    """Make the tables and the keys, unless another process was sooner."""
    if not create:
        raise _missing(shown(engine))
    if is_postgresql(engine):  # else it was seen to before the file was made
        new_blobs(place)
    with writing(engine) as connection:
        lock_schema(connection)
        make_tables(connection, data)
        check_revision(revision_of(connection))
        found = _facts(connection)
        if UID in found:
            return found
        uid = store_of(place.keys) or new_uid()
        KeyStore(
            place.keys, store=uid, root=root or root_in(place.keys, is_new=True), new=True
        ).close()
        found = {UID: uid} | ({BLOBS: place.blobs} if place.blobs else {})
        rows = [{"name": name, "value": value} for name, value in found.items()]
        connection.execute(insert(meta), rows)
    return found


def _facts(connection: Connection) -> dict[str, str]:
    return dict(connection.execute(_FACTS).all())  # pyright: ignore[reportArgumentType]


def _blobs(place: Place, kept: str | None) -> Blobs:
    if place.blobs is not None and place.blobs != kept:
        raise ConfigError(
            "a store's versions are where they were when it began",
            expected=kept or str(place.usual_blobs),
            got=place.blobs,
            next_step="Leave --blobs out; `lorecall store restore` puts a backup elsewhere.",
        )
    where = kept or place.usual_blobs
    assert where is not None  # a database's store cannot begin without
    return blobs_at(where)


def _missing(where: str) -> MissingError:
    return MissingError(
        "the store must be there",
        expected=where,
        got="nothing",
        next_step="Check --store, or begin one with `lorecall store init`.",
    )
