"""Further verbs of a store: diff, import, keys."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorecall.cli.output import print_result, reporting
from lorecall.cli.parameters import Json, KeysAt, StoreAt, Who
from lorecall.cli.store_forget import told
from lorecall.cli.store_place import check_extra, keys_folder, opened_store
from lorecall.errors import ConflictError

if TYPE_CHECKING:
    from lorecall.store.difference import Difference

VersionNumber = Annotated[int, typer.Argument(help="A version.", min=1)]
Copy = Annotated[Path, typer.Argument(help="Where to: a file that is not there yet.")]
keys_app = typer.Typer(name="keys", help="The root key of a store.", no_args_is_help=True)


def diff(
    person: Who,
    a: VersionNumber,
    b: VersionNumber,
    *,
    answers: Annotated[
        bool, typer.Option("--answers", help="Both answer the person's own validation queries.")
    ] = False,
    store: StoreAt = None,
    keys: KeysAt = None,
    as_json: Json = False,
) -> None:
    """Compare two versions: records, how they were built, what was measured, what they answer."""
    with opened_store(store, keys) as site:
        found = site.person(person).diff(a, b, answers=answers)
    value = {
        "schema": "lorecall.diff/1",
        "person": person,
        "versions": [a, b],
        "added": [{"id": each.uid, **asdict(each.row)} for each in found.added],
        "removed": [{"id": each.uid, **asdict(each.row)} for each in found.removed],
        "recipe": found.recipe,
        "theta": found.theta,
        "measured": [None if each is None else asdict(each) for each in found.measured],
        "answers": [asdict(each) for each in found.answers],
    }
    print_result(value, *_lines(found, a, b), as_json=as_json)


def import_(
    file: Annotated[Path, typer.Argument(help="Made by `lorecall export --zip`.")],
    *,
    person: Annotated[
        str | None, typer.Option(help="What they are called here.", show_default=False)
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Also build the memory, as it was built there.")
    ] = False,
    store: StoreAt = None,
    keys: KeysAt = None,
    as_json: Json = False,
) -> None:
    """Add the records of an export to the store; what is there is not added again."""
    with opened_store(store, keys, create=True) as site:
        done = site.take_in(file, name=person)
        n: int | None = None
        if update:
            with reporting("the records are there; `lorecall update` builds the memory") as bar:
                n = (
                    site.person(done.person)
                    .update(
                        done.base, settings=done.settings, n_threads=done.n_threads, reporter=bar
                    )
                    .n
                )
    value = {"schema": "lorecall.import/1", **asdict(done), "version": n}
    lines = [f"{done.person}: added {done.added}, known {done.known}, kept out {done.suppressed}"]
    if n is not None:
        lines.append(f"v{n} was built")
    print_result(value, *lines, as_json=as_json)


@keys_app.command("init")
def keys_init(
    *,
    copy: Annotated[
        Path | None, typer.Option(help="Also write it here.", show_default=False)
    ] = None,
    store: StoreAt = None,
    keys: KeysAt = None,
    as_json: Json = False,
) -> None:
    """Make the root key of a store that is to be; who loses it loses all that is in the store."""
    check_extra()
    from lorecall.store.keyring.root import FileRootKey  # noqa: PLC0415
    from lorecall.store.keyring.rotation import ROOT  # noqa: PLC0415

    path = keys_folder(store, keys) / ROOT
    if path.exists():
        raise ConflictError(
            "a root key is made once",
            expected=f"nothing at {path}",
            got="a key",
            next_step="`lorecall keys rotate` puts another in its place.",
        )
    root = FileRootKey(path)
    if copy is not None:
        root.export(copy)
    value = {"schema": "lorecall.keys/1", "root": str(path), "fingerprint": root.fingerprint}
    where = "copy it to a safe place at once" if copy is None else f"its copy is {copy}"
    print_result(value, f"made {path} ({root.fingerprint}): {where}", as_json=as_json)


@keys_app.command("rotate")
def keys_rotate(*, store: StoreAt = None, keys: KeysAt = None, as_json: Json = False) -> None:
    """Put another root key in its place; copies of the old one open nothing any more."""
    from lorecall.store.keyring.root import FileRootKey  # noqa: PLC0415
    from lorecall.store.keyring.rotation import ROOT  # noqa: PLC0415

    with opened_store(store, keys) as site:
        site.rotate()
    path = keys_folder(store, keys) / ROOT
    made = FileRootKey(path).fingerprint
    value = {"schema": "lorecall.keys/1", "root": str(path), "fingerprint": made}
    print_result(
        value, f"another root key ({made}): copy {path} to a safe place at once", as_json=as_json
    )


@keys_app.command("export")
def keys_export(
    file: Copy, *, store: StoreAt = None, keys: KeysAt = None, as_json: Json = False
) -> None:
    """Write a copy of the root key, for its owner alone to read."""
    from lorecall.store.keyring.root import FileRootKey  # noqa: PLC0415
    from lorecall.store.keyring.rotation import ROOT  # noqa: PLC0415

    with opened_store(store, keys):  # it is the one that opens the store
        root = FileRootKey(keys_folder(store, keys) / ROOT)
        root.export(file)
    value = {"schema": "lorecall.keys/1", "root": str(file), "fingerprint": root.fingerprint}
    print_result(value, f"wrote {file} ({root.fingerprint})", as_json=as_json)


def _lines(found: "Difference", a: int, b: int) -> list[str]:
    from lorecall.data.privacy import mask  # noqa: PLC0415

    lines = [f"records in v{b} alone: {len(found.added)}", *told(found.added)]
    lines += [f"records in v{a} alone: {len(found.removed)}", *told(found.removed)]
    lines += [f"{name}: {before} -> {after}" for name, (before, after) in found.recipe.items()]
    first, second = found.measured
    if first is not None and second is not None:
        lines.append(f"validation loss: {first.valid:.3f} -> {second.valid:.3f}")
        lines.append(f"gain on it over the base: {first.gain:+.3f} -> {second.gain:+.3f}")
        lines.append(f"loss on general text: {first.general:.3f} -> {second.general:.3f}")
    for each in found.answers:
        lines += [f"> {mask(each.query)}", f"  v{a}: {mask(each.first)}"]
        lines += [f"  v{b}: {mask(each.second)}", f"  truly: {mask(each.truth)}"]
    return lines
