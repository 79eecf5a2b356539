"""`lorecall store`: beginning a store, looking whether it is whole, copying it, bringing it on."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorecall.cli.output import print_result
from lorecall.cli.parameters import Json, KeysAt, StoreAt
from lorecall.cli.store_place import check_extra, named_store, opened_store
from lorecall.errors import IntegrityError

if TYPE_CHECKING:
    from lorecall.store.store import Store

store_app = typer.Typer(
    name="store", help="Begin a store of many people, and look after it.", no_args_is_help=True
)
BlobsAt = Annotated[
    str | None,
    typer.Option(
        "--blobs",
        help="Where versions are kept: a folder, or s3://BUCKET/PREFIX; in the store's otherwise.",
        metavar="PLACE",
        show_default=False,
    ),
]


@store_app.command()
def init(
    *, store: StoreAt = None, keys: KeysAt = None, blobs: BlobsAt = None, as_json: Json = False
) -> None:
    """Begin a store: in a folder, or in PostgreSQL by its URL."""
    place = named_store(store)
    check_extra()
    from lorecall.store.store import Store  # noqa: PLC0415

    with Store.open(place, keys=keys, blobs=blobs) as site:
        told = _told(site)
    lines = (
        f"store {told['store']} is there; it has no people yet" if not told["people"] else "",
        f"its keys are in {told['keys']}: copy root.key to a safe place, or all may be lost",
        f"its versions are in {told['blobs']}",
    )
    print_result({"schema": "lorecall.store.init/1", **told}, *filter(None, lines), as_json=as_json)


@store_app.command()
def check(
    *,
    deep: Annotated[
        bool, typer.Option("--deep", help="Decrypt every record and version as well.")
    ] = False,
    store: StoreAt = None,
    keys: KeysAt = None,
    as_json: Json = False,
) -> None:
    """Look whether all is there that must be; exit code 5 where something is not."""
    with opened_store(store, keys) as site:
        found = site.check(deep=deep)
    lines = [
        f"{found.people} people, {found.records} records, {found.versions} versions",
        f"{found.strays} blobs that no version has" + (": see `store gc`" * bool(found.strays)),
        *(f"broken: {line}" for line in found.broken),
        *(["nothing is broken"] if not found.broken else []),
    ]
    print_result({"schema": "lorecall.store.check/1", **asdict(found)}, *lines, as_json=as_json)
    if found.broken:
        sys.exit(IntegrityError.exit_code)


@store_app.command()
def gc(*, store: StoreAt = None, keys: KeysAt = None, as_json: Json = False) -> None:
    """Remove what killed processes left; others may work meanwhile."""
    with opened_store(store, keys) as site:
        done = site.gc()
    busy = f"; {done.busy} people left alone, for someone is at work on them" if done.busy else ""
    value = {"schema": "lorecall.store.gc/1", **asdict(done)}
    print_result(value, f"removed {done.blobs} blobs{busy}", as_json=as_json)


@store_app.command()
def stat(*, store: StoreAt = None, keys: KeysAt = None, as_json: Json = False) -> None:
    """Count what there is; nothing is decrypted."""
    with opened_store(store, keys) as site:
        found = site.stat()
    states = ", ".join(f"{n} {state}" for state, n in sorted(found.versions.items())) or "none"
    facts = {
        "people": f"{found.people}, {found.with_head} with a memory",
        "records": str(found.records),
        "versions": f"{states}; {found.version_bytes / 1e6:.2f} MB",
        "database": f"{found.database_bytes / 1e6:.2f} MB, revision {found.revision}",
        "keys": f"{found.key_bytes / 1e6:.2f} MB",
        "erased": f"{found.erased} records, versions and people",
        "log": f"{found.log_lines} lines",
        "pending": f"{found.pending} forgettings begun and not finished",
        "at work": f"on {found.at_work} people",
    }
    lines = [f"{key:<10}{fact}" for key, fact in facts.items()]
    print_result({"schema": "lorecall.store.stat/1", **asdict(found)}, *lines, as_json=as_json)


@store_app.command()
def migrate(*, store: StoreAt = None, keys: KeysAt = None, as_json: Json = False) -> None:
    """Bring a store that an older version made to this one's format: wholly, or not at all."""
    place = named_store(store)
    check_extra()
    from lorecall.store.store import Store  # noqa: PLC0415

    before, after = Store.migrate(place, keys=keys)
    value = {"schema": "lorecall.store.migrate/1", "before": before, "after": after}
    told = f"revision {before} is now {after}" if before != after else f"it is revision {after}"
    print_result(value, told, as_json=as_json)


@store_app.command()
def backup(
    out: Annotated[Path, typer.Argument(help="A new folder.", metavar="FOLDER")],
    *,
    keys_to: Annotated[
        Path | None,
        typer.Option(
            help="Another folder, for the keys; the root key is not among them.",
            metavar="FOLDER",
            show_default=False,
        ),
    ] = None,
    store: StoreAt = None,
    keys: KeysAt = None,
    as_json: Json = False,
) -> None:
    """Copy a store into a folder, which is a store of its own; others may work meanwhile."""
    with opened_store(store, keys) as site:
        done = site.backup(out, keys_to=keys_to)
    told = f"copied {done.rows} rows and {done.versions} versions to {out}"
    value = {"schema": "lorecall.store.backup/1", "out": str(out), **asdict(done)}
    print_result(value, told, as_json=as_json)


@store_app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A backup's folder.", metavar="FOLDER")],
    *,
    store: StoreAt = None,
    keys: KeysAt = None,
    blobs: BlobsAt = None,
    as_json: Json = False,
) -> None:
    """Copy a backup to where there is no store; what was forgotten since is taken out of it."""
    place = named_store(store)
    check_extra()
    from lorecall.store.store import Store  # noqa: PLC0415

    with Store.restore(source, place, keys=keys, blobs=blobs) as site:
        told = _told(site)
    line = f"store {told['store']} is there again, with {told['people']} people"
    print_result({"schema": "lorecall.store.restore/1", **told}, line, as_json=as_json)


def _told(site: "Store") -> dict[str, object]:
    where = site.where
    return {
        "store": where.uid,
        "keys": str(where.keys),
        "blobs": where.blobs,
        "people": site.stat().people,
    }
