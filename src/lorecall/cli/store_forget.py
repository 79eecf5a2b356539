"""Forgetting on the command line: what would go, and the certificate."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorecall.cli.output import print_result, reporting
from lorecall.cli.parameters import Json, KeysAt, StoreAt, Who
from lorecall.cli.store_place import opened_store
from lorecall.errors import ConfigError, MissingError, PendingError

if TYPE_CHECKING:
    from lorecall.store.certificate import Certificate
    from lorecall.store.person import Person
    from lorecall.store.records import Record

_SHOWN = 60
RecordIds = Annotated[
    list[str] | None, typer.Option(help="A record's id; may be repeated.", metavar="ID")
]
InConversation = Annotated[
    str | None, typer.Option(help="All of a conversation.", show_default=False)
]
Before = Annotated[
    str | None, typer.Option(help="All of before a time.", metavar="TIME", show_default=False)
]
Like = Annotated[
    str | None, typer.Option(help="All that hold a text.", metavar="TEXT", show_default=False)
]
Everything = Annotated[bool, typer.Option("--all", help="All, and the person.")]
Resume = Annotated[bool, typer.Option("--resume", help="Finish one that was begun.")]
Suppress = Annotated[
    bool, typer.Option("--suppress", help="Keep it from being added again, by a keyed hash.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only show what would go, and what else says it.")
]
CertificateOut = Annotated[
    Path | None, typer.Option(help="Also write the certificate here.", show_default=False)
]


def forget(  # noqa: PLR0913 - one parameter an option
    person: Who,
    *,
    record: RecordIds = None,
    conversation: InConversation = None,
    before: Before = None,
    like: Like = None,
    everything: Everything = False,
    resume: Resume = False,
    suppress: Suppress = False,
    dry_run: DryRun = False,
    certificate: CertificateOut = None,
    store: StoreAt = None,
    keys: KeysAt = None,
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
    with opened_store(store, keys) as site:
        who = site.person(person)
        if dry_run:
            _show_what_would_go(who, chosen, as_json=as_json)
            return
        with reporting(again) as reporter:
            if resume:
                made = who.resume(reporter=reporter)
            else:
                made = who.forget(**chosen, suppress=suppress, reporter=reporter)  # pyright: ignore[reportArgumentType]
    if made is None:
        raise MissingError(
            "a forgetting that was begun must be there to be finished",
            expected="one that did not come to its end",
            got="none",
            next_step="Nothing is left to be done.",
        )
    if certificate is not None:
        made.save(certificate)
    show_certificate(made, "lorecall.forget/1", as_json=as_json)
    if made.verdict == "residues found":
        sys.exit(PendingError.exit_code)


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
    lines = [f"would be forgotten: {len(found.gone)}", *told(found.gone)]
    if found.alike:
        lines += [f"would stay, and says the same: {len(found.alike)}", *told(found.alike)]
    numbers = ", ".join(f"v{n}" for n in found.versions) or "none"
    print_result(value, *lines, f"versions that hold them: {numbers}", as_json=as_json)


def told(records: Iterable["Record"]) -> list[str]:
    """Return a line for each record: the start of its name and of what it says."""
    return [
        f"  {each.uid[:12]}  {each.row.query[:_SHOWN]!r} -> {each.row.text[:_SHOWN]!r}"
        for each in records
    ]


def show_certificate(made: "Certificate", schema: str, *, as_json: bool, **more: object) -> None:
    """Show what a certificate says."""
    lines = [
        f"{made.verdict}: {made.payload['statement']}",
        f"certificate {made.sha256[:12]}, signed with the key {made.key[:16]}",
    ]
    if more.get("own_key") is not None:
        lines.append("signed by this store" if more["own_key"] else "not signed by this store")
    if schema == "lorecall.forget/1" and made.payload["asked"] != "everything":
        lines.append(_told_of_marks(made))
    if made.payload["exports"]:
        lines.append("given away before: whoever has those exports must be told")
    value = {"schema": schema, "certificate": made.payload, "sha256": made.sha256, **more}
    print_result(value, *lines, as_json=as_json)


def _told_of_marks(made: "Certificate") -> str:
    if n := made.payload["suppressed"]:
        return f"kept out from now on, by keyed hashes: {n}"
    return "remembered again, it is there again: --suppress keeps a keyed hash that prevents it"


def listed(made: "Certificate", name: str) -> list[object]:
    """Return a list in a certificate by its name."""
    found = made.payload[name]
    return found if isinstance(found, list) else []
