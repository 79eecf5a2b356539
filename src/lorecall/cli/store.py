"""The verbs of a store: remember, update, log, rollback, verify."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lorecall.cli.output import base_options, given_options, print_result, reporting
from lorecall.cli.parameters import (
    Config,
    Device,
    FormatFiles,
    Json,
    KeysAt,
    Model,
    Preset,
    Seed,
    Set,
    StoreAt,
    Who,
)
from lorecall.cli.store_forget import listed, show_certificate
from lorecall.cli.store_place import check_extra, opened_store, person_at
from lorecall.errors import IntegrityError, PendingError
from lorecall.settings import SETTINGS, BaseOptions, LearnSettings
from lorecall.settings import preset as preset_of


def remember(  # noqa: PLR0913 - one parameter an option
    person: Who,
    source: Annotated[str, typer.Argument(help="A file, or a format's name.", metavar="FILE")],
    *,
    history: FormatFiles = None,
    user: Annotated[
        str | None, typer.Option(help="Who of those in it.", show_default=False)
    ] = None,
    redact: Annotated[
        bool, typer.Option("--redact", help="Placeholders for addresses, numbers and names.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    store: StoreAt = None,
    keys: KeysAt = None,
    as_json: Json = False,
) -> None:
    """Add what a file holds of someone to the store; what is there is not added again."""
    with opened_store(store, keys, create=not dry_run) as site:
        done = site.person(person).remember(
            source, path=history, user=user, redact=redact, dry_run=dry_run
        )
    value = {"schema": "lorecall.remember/1", "person": person, **asdict(done)}
    told = f"added {done.added}, known {done.known}"
    if done.suppressed:
        told += f", kept out {done.suppressed}: forgotten with --suppress"
    print_result(value | {"dry_run": dry_run}, told, as_json=as_json)


def update(  # noqa: PLR0913 - one parameter an option
    person: Who,
    *,
    if_version: Annotated[
        int | None, typer.Option(help="The head that is expected.", show_default=False)
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="As the head had, or all.", show_default=False)
    ] = None,
    preset: Preset = None,
    seed: Seed = None,
    model: Model = None,
    device: Device = None,
    config: Config = None,
    sets: Set = None,
    store: StoreAt = None,
    keys: KeysAt = None,
    as_json: Json = False,
) -> None:
    """Build a version of someone's memory from all that is remembered of them.

    One that would harm stays a candidate: exit code 1, and the head answers as before.
    """
    check_extra()
    from lorecall.store.recipe import BasePlace  # noqa: PLC0415

    sections = {**SETTINGS, "base": BaseOptions}
    named = {"preset": preset, "seed": seed, "base.model": model, "base.device": device}
    values = given_options(sections, config, sets, **named)
    of_base = {name: value for name, value in values.items() if name.startswith("base.")}
    place = None
    if of_base:
        found = base_options(of_base)
        device_name = found.device if device else "cpu"
        place = BasePlace(name=found.model, shared=found.shared, device=device_name)
    with opened_store(store, keys) as site, reporting("nothing was changed") as reporter:
        done = site.person(person).update(
            place,
            settings=_settings({k: v for k, v in values.items() if k not in of_base}),
            n_threads=threads,
            if_version=if_version,
            reporter=reporter,
        )
    value = {"schema": "lorecall.update/1", "person": person, **asdict(done)}
    told = [f"{'' if done.is_new else 'nothing new: '}v{done.n} from {done.n_records} records"]
    if done.held_back:
        told[0] += f" stays a candidate: {done.held_back}"
        told.append(
            f"Who answers is as before. `lorecall ask --person {person}@{done.n}` tries it,"
            f" `lorecall rollback {person} {done.n}` takes it all the same. More of their own"
            " replies, less alike, may mend it."
        )
    print_result(value | {"is_head": done.is_head}, *told, as_json=as_json)
    if done.held_back:
        sys.exit(PendingError.exit_code)


def log(person: Who, *, store: StoreAt = None, keys: KeysAt = None, as_json: Json = False) -> None:
    """Show someone's versions, how far the head is behind, and what was forgotten."""
    with opened_store(store, keys) as site:
        found = site.person(person).log()
    lines = [
        f"{'*' if each.n == found.head else ' '} v{each.n}  {each.made[:19]}Z"
        f"  {each.n_records} records  {each.digest[:12]}"
        f"{'' if each.state == 'published' else f'  {each.state}'}"
        f"{f': {why}' if (why := found.held_back.get(each.n)) else ''}"
        for each in found.versions
    ]
    lines += [
        f"  {made[:19]}Z  {len(listed(each, 'records'))} records: {each.verdict}"
        f" (certificate {each.sha256[:12]})"
        for each in found.certificates
        if (made := str(each.payload["made"]))
    ]
    head = "none: the base answers" if found.head is None else f"v{found.head}"
    behind = f"stale: {found.n_behind} of them came after it" if found.n_behind else "all in it"
    lines.append(f"head {head}; {found.n_records} records, {behind}")
    value = {
        "schema": "lorecall.log/1",
        "person": person,
        "head": found.head,
        "n_records": found.n_records,
        "n_behind": found.n_behind,
        "versions": [
            asdict(each) | {"held_back": found.held_back.get(each.n, "")} for each in found.versions
        ],
        "certificates": [each.payload for each in found.certificates],
    }
    print_result(value, *lines, as_json=as_json)


def rollback(
    person: Who,
    n: Annotated[int, typer.Argument(help="Which version.", min=1, metavar="N")],
    *,
    store: StoreAt = None,
    keys: KeysAt = None,
    as_json: Json = False,
) -> None:
    """Make an earlier version the head again, as a new one."""
    with opened_store(store, keys) as site:
        head = site.person(person).rollback(n)
    value = {"schema": "lorecall.rollback/1", "person": person, "head": head, "like": n}
    print_result(value, f"v{head} = v{n}'s recipe", as_json=as_json)


def verify(
    what: Annotated[
        str, typer.Argument(help="A certificate, or someone.", metavar="CERTIFICATE|PERSON[@N]")
    ],
    *,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build the version again, and compare.")
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option(help="Of a certificate: a page to be printed.", show_default=False),
    ] = None,
    store: StoreAt = None,
    keys: KeysAt = None,
    as_json: Json = False,
) -> None:
    """Check a certificate, without a store where none is named; or a version, and the audit log."""
    check_extra()
    from lorecall.store.certificate import Certificate  # noqa: PLC0415

    if Path(what).is_file():
        made = Certificate.load(what)
        if page is not None:
            from lorecall.store.page import write_certificate_page  # noqa: PLC0415

            write_certificate_page(made, page)
        told: dict[str, object] = {"own_key": None, "in_log": None}
        if store is not None:
            with opened_store(store, keys) as site:
                checked = site.verify(made)
            told = {"own_key": checked.own_key, "in_log": checked.in_log}
        show_certificate(made, "lorecall.verify/1", as_json=as_json, **told)
        if told["own_key"] is False or told["in_log"] is False:
            sys.exit(IntegrityError.exit_code)
        return
    name, n = person_at(what)
    with opened_store(store, keys) as site:
        head = site.check_log()
        version, digest = site.person(name).check(n)
        again = site.person(name).rebuild(n) if rebuild else None
    value = {"schema": "lorecall.verify/1", "person": name, "n": version, "digest": digest}
    outcome = None if again is None else again.outcome
    lines = [
        f"v{version} is the one that was published ({digest[:12]})",
        f"the audit log's {head.seq} lines follow from one another; its head is {head.hash[:12]}",
    ]
    lines += [] if outcome is None else [f"built again: {outcome}"]
    print_result(value | {"audit": asdict(head), "rebuilt": outcome}, *lines, as_json=as_json)
    if outcome == "differs":
        sys.exit(1)


def show_version(person: str, store: str | None, keys: Path | None, *, as_json: bool) -> None:
    """Show a version of someone's memory: what it is of, on which base, how large."""
    name, n = person_at(person)
    with opened_store(store, keys) as site:
        someone = site.person(name)
        manifest = someone.stored(n).manifest  # refused where there is none
        measured = someone.measured(n)
        log = someone.log()
        n = log.head if n is None else n
        found = next(each for each in log.versions if each.n == n)
    facts = {
        "version": f"v{found.n}, made {found.made[:19]}Z from {found.n_records} records",
        "base": f"{manifest.base.title} ({manifest.base.fingerprint[:12]})",
        "split": ", ".join(f"{part} {size}" for part, size in manifest.training.split.items()),
        "factor": str(manifest.factor),
        "size": f"{found.n_bytes / 1e6:.2f} MB in the store",
        "digest": found.digest[:16],
    }
    if measured is not None:
        rise = measured.general - measured.general_before
        facts["loss"] = (
            f"{measured.valid:.3f} on {measured.n_valid} validation replies"
            f" ({measured.valid_before:.3f} without it); {rise:+.3f} on general text"
        )
    held_back = log.held_back.get(found.n, "")
    if held_back:
        facts["candidate"] = held_back
    value: dict[str, object] = {"schema": "lorecall.show/1", "person": name}
    value["version"] = asdict(found) | {"held_back": held_back}
    value["measured"] = None if measured is None else asdict(measured)
    lines = [f"{key:<11}{fact}" for key, fact in facts.items()]
    print_result(value | {"manifest": manifest.model_dump(mode="json")}, *lines, as_json=as_json)


def _settings(values: dict[str, object]) -> LearnSettings | None:
    """Return the settings that were given; None where none was."""
    if not values:
        return None
    named = {name: value for name, value in values.items() if name != "preset"}
    return preset_of(str(values.get("preset", "laptop")), named)
