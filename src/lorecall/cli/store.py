"""The verbs of a store: remember, update, log, rollback, forget, verify."""

import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorecall.cli.output import (
    Config,
    Device,
    Json,
    Model,
    Preset,
    Seed,
    Set,
    base_options,
    given_options,
    going_on,
    show,
)
from lorecall.cli.store_place import At, Keys, check_extra, opened, person_at
from lorecall.errors import ConfigError, IntegrityError, MissingError, PendingError
from lorecall.settings import SETTINGS, BaseOptions, LearnSettings
from lorecall.settings import preset as preset_of

if TYPE_CHECKING:
    from lorecall.core.progress import Reporter
    from lorecall.store.certificate import Certificate
    from lorecall.store.person import Person
    from lorecall.store.records import Record

Who = Annotated[str, typer.Argument(help="Whose.", metavar="PERSON")]
_SHOWN = 60


def remember(  # noqa: PLR0913 - one parameter an option
    person: Who,
    source: Annotated[str, typer.Argument(help="A file, or a format's name.", metavar="FILE")],
    *,
    history: Annotated[
        list[Path] | None, typer.Option("--history", help="Files of that format.", metavar="FILE")
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="Who of those in it.", show_default=False)
    ] = None,
    redact: Annotated[
        bool, typer.Option("--redact", help="Placeholders for addresses, numbers and names.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    store: At = None,
    keys: Keys = None,
    as_json: Json = False,
) -> None:
    """Add what a file holds of someone to the store; what is there is not added again."""
    with opened(store, keys, create=not dry_run) as site:
        done = site.person(person).remember(
            source, path=history, user=user, redact=redact, dry_run=dry_run
        )
    value = {"schema": "lorecall.remember/1", "person": person, **asdict(done)}
    show(value | {"dry_run": dry_run}, f"added {done.added}, known {done.known}", as_json=as_json)


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
    store: At = None,
    keys: Keys = None,
    as_json: Json = False,
) -> None:
    """Build a new version of someone's memory from all that is remembered of them."""
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
    with opened(store, keys) as site, _reporting("nothing was changed") as reporter:
        done = site.person(person).update(
            place,
            settings=_settings({k: v for k, v in values.items() if k not in of_base}),
            n_threads=threads,
            if_version=if_version,
            reporter=reporter,
        )
    value = {"schema": "lorecall.update/1", "person": person, **asdict(done)}
    told = f"v{done.n} from {done.n_records} records"
    show(value, told if done.is_new else f"nothing new: {told}", as_json=as_json)


def log(person: Who, *, store: At = None, keys: Keys = None, as_json: Json = False) -> None:
    """Show someone's versions, how far the head is behind, and what was forgotten."""
    with opened(store, keys) as site:
        found = site.person(person).log()
    lines = [
        f"{'*' if each.n == found.head else ' '} v{each.n}  {each.made[:19]}Z"
        f"  {each.n_records} records  {each.digest[:12]}"
        f"{'' if each.is_there else f'  {each.state}'}"
        for each in found.versions
    ]
    lines += [
        f"  {made[:19]}Z  {len(_listed(each, 'records'))} records: {each.verdict}"
        f" (certificate {each.sha256[:12]})"
        for each in found.certificates
        if (made := str(each.payload["made"]))
    ]
    head = "none: the base answers" if found.head is None else f"v{found.head}"
    lines.append(f"head {head}; {found.n_records} records, {found.n_behind} of them after it")
    value = {
        "schema": "lorecall.log/1",
        "person": person,
        "head": found.head,
        "n_records": found.n_records,
        "n_behind": found.n_behind,
        "versions": [asdict(each) for each in found.versions],
        "certificates": [each.payload for each in found.certificates],
    }
    show(value, *lines, as_json=as_json)


def rollback(
    person: Who,
    n: Annotated[int, typer.Argument(help="Which version.", min=1, metavar="N")],
    *,
    store: At = None,
    keys: Keys = None,
    as_json: Json = False,
) -> None:
    """Make an earlier version the head again, as a new one."""
    with opened(store, keys) as site:
        head = site.person(person).rollback(n)
    value = {"schema": "lorecall.rollback/1", "person": person, "head": head, "like": n}
    show(value, f"v{head} = v{n}'s recipe", as_json=as_json)


def forget(  # noqa: PLR0913 - one parameter an option
    person: Who,
    *,
    record: Annotated[
        list[str] | None, typer.Option(help="A record's id; may be repeated.", metavar="ID")
    ] = None,
    conversation: Annotated[
        str | None, typer.Option(help="All of a conversation.", show_default=False)
    ] = None,
    before: Annotated[
        str | None, typer.Option(help="All of before a time.", metavar="TIME", show_default=False)
    ] = None,
    like: Annotated[
        str | None, typer.Option(help="All that hold a text.", metavar="TEXT", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All, and the person.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Finish one that was begun.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would go, and what else says it.")
    ] = False,
    certificate: Annotated[
        Path | None, typer.Option(help="Also write the certificate here.", show_default=False)
    ] = None,
    store: At = None,
    keys: Keys = None,
    as_json: Json = False,
) -> None:
    """Take records out of the store and out of the weights; exit code 1 where not all is done."""
    chosen = {
        "records": record or None,
        "conversation": conversation,
        "before": before,
        "like": like,
        "everything": everything,
    }
    n_given = sum(value not in (None, False) for value in (*chosen.values(), resume))
    if n_given != 1:
        raise ConfigError(
            "what is to be forgotten must be said in one way",
            expected="one of --record, --conversation, --before, --like, --all and --resume",
            got=str(n_given),
            next_step="`--like TEXT --dry-run` shows what would go.",
        )
    again = "the same command, or --resume, finishes it"
    with opened(store, keys) as site:
        who = site.person(person)
        if dry_run:
            _show_what_would_go(who, chosen, as_json=as_json)
            return
        with _reporting(again) as reporter:
            made = who.resume() if resume else who.forget(**chosen, reporter=reporter)  # pyright: ignore[reportArgumentType]
    if made is None:
        raise MissingError(
            "a forgetting that was begun must be there to be finished",
            expected="one that did not come to its end",
            got="none",
            next_step="Nothing is left to be done.",
        )
    if certificate is not None:
        made.save(certificate)
    _show_certificate(made, "lorecall.forget/1", as_json=as_json)
    if made.verdict == "residues found":
        sys.exit(PendingError.exit_code)


def verify(
    what: Annotated[
        str, typer.Argument(help="A certificate, or someone.", metavar="CERTIFICATE|PERSON[@N]")
    ],
    *,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build the version again, and compare.")
    ] = False,
    store: At = None,
    keys: Keys = None,
    as_json: Json = False,
) -> None:
    """Check a certificate, without a store where none is named; or a version, and the audit log."""
    check_extra()
    from lorecall.store.certificate import Certificate  # noqa: PLC0415

    if Path(what).is_file():
        made = Certificate.load(what)
        told: dict[str, object] = {"own_key": None, "in_log": None}
        if store is not None:
            with opened(store, keys) as site:
                checked = site.verify(made)
            told = {"own_key": checked.own_key, "in_log": checked.in_log}
        _show_certificate(made, "lorecall.verify/1", as_json=as_json, **told)
        if told["own_key"] is False or told["in_log"] is False:
            sys.exit(IntegrityError.exit_code)
        return
    name, n = person_at(what)
    with opened(store, keys) as site:
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
    show(value | {"audit": asdict(head), "rebuilt": outcome}, *lines, as_json=as_json)
    if outcome == "differs":
        sys.exit(1)


def show_version(person: str, store: str | None, keys: Path | None, *, as_json: bool) -> None:
    """Show a version of someone's memory: what it is of, on which base, how large."""
    name, n = person_at(person)
    with opened(store, keys) as site:
        someone = site.person(name)
        number, _ = someone.check(n)
        found = next(each for each in someone.log().versions if each.n == number)
        manifest = someone.stored(number).manifest
    facts = {
        "version": f"v{number}, made {found.made[:19]}Z from {found.n_records} records",
        "base": f"{manifest.base.title} ({manifest.base.fingerprint[:12]})",
        "split": ", ".join(f"{part} {size}" for part, size in manifest.training.split.items()),
        "factor": str(manifest.factor),
        "size": f"{found.n_bytes / 1e6:.2f} MB in the store",
        "digest": found.digest[:16],
    }
    value = {"schema": "lorecall.show/1", "person": name, "version": asdict(found)}
    lines = [f"{key:<9}{fact}" for key, fact in facts.items()]
    show(value | {"manifest": manifest.model_dump(mode="json")}, *lines, as_json=as_json)


def _settings(values: dict[str, object]) -> LearnSettings | None:
    """Return the settings that were given; None where none was."""
    if not values:
        return None
    named = {name: value for name, value in values.items() if name != "preset"}
    return preset_of(str(values.get("preset", "laptop")), named)


@contextmanager
def _reporting(then: str) -> Generator["Reporter"]:
    """Show how far it is; on Ctrl-C say what becomes of it."""
    from rich.console import Console  # noqa: PLC0415

    from lorecall.report.bar import BarReporter  # noqa: PLC0415

    with going_on(then), BarReporter(Console(stderr=True)) as reporter:
        yield reporter


def _show_what_would_go(who: "Person", chosen: Mapping[str, object], *, as_json: bool) -> None:
    from lorecall.store.choose import Choice  # noqa: PLC0415

    found = who.find(Choice(**chosen))  # pyright: ignore[reportArgumentType]
    value = {
        "schema": "lorecall.forget/1",
        "dry_run": True,
        "records": [{"id": each.uid, **asdict(each.row)} for each in found.gone],
        "alike": [{"id": each.uid, **asdict(each.row)} for each in found.alike],
        "versions": list(found.versions),
    }
    lines = [f"would be forgotten: {len(found.gone)}", *_told(found.gone)]
    if found.alike:
        lines += [f"would stay, and says the same: {len(found.alike)}", *_told(found.alike)]
    numbers = ", ".join(f"v{n}" for n in found.versions) or "none"
    show(value, *lines, f"versions that hold them: {numbers}", as_json=as_json)


def _told(records: Iterable["Record"]) -> list[str]:
    return [
        f"  {each.uid[:12]}  {each.row.query[:_SHOWN]!r} -> {each.row.text[:_SHOWN]!r}"
        for each in records
    ]


def _show_certificate(made: "Certificate", schema: str, *, as_json: bool, **more: object) -> None:
    lines = [
        f"{made.verdict}: {made.payload['statement']}",
        f"certificate {made.sha256[:12]}, signed with the key {made.key[:16]}",
    ]
    if more.get("own_key") is not None:
        lines.append("signed by this store" if more["own_key"] else "not signed by this store")
    if made.payload["exports"]:
        lines.append("given away before: whoever has those exports must be told")
    value = {"schema": schema, "certificate": made.payload, "sha256": made.sha256, **more}
    show(value, *lines, as_json=as_json)


def _listed(made: "Certificate", name: str) -> list[object]:
    found = made.payload[name]
    return found if isinstance(found, list) else []
