"""`lorecall share`: what many people have in common, learnt once and merged under everyone."""

import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorecall.cli.output import bars, base_from, base_options, given_options, going_on, print_result
from lorecall.cli.parameters import Config, Device, FormatFiles, Json, Model, Set
from lorecall.core.options import belonging, make
from lorecall.errors import DataError
from lorecall.learning.share_settings import SHARE, ShareSettings
from lorecall.settings import BaseOptions

if TYPE_CHECKING:
    from lorecall.memory.shared import SharedMemory

share_app = typer.Typer(
    name="share",
    help="Learn what many people have in common, under everyone's own memory.",
    no_args_is_help=True,
)
Folder = Annotated[str, typer.Argument(help="A shared memory's folder, or the name of one.")]
Data = Annotated[str, typer.Option(help="A dataset, a format's name, or a file.")]


@share_app.command("learn")
def share_learn(  # noqa: PLR0913 - one parameter an option
    *,
    data: Data,
    history: FormatFiles = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Whom to leave out: an id, the start of one, or a file of them, one a line.",
            metavar="WHO",
            show_default=False,
        ),
    ] = None,
    consent: Annotated[str, typer.Option(help="Why these people's words may be used.")],
    out: Annotated[Path, typer.Option(help="Folder of the shared memory.")],
    model: Model = None,
    device: Device = None,
    config: Config = None,
    sets: Set = None,
    as_json: Json = False,
) -> None:
    """Train one memory on many consenting people."""
    named = {"base.model": model, "base.device": device}
    values = given_options({**SHARE, "base": BaseOptions}, config, sets, **named)
    settings = make(ShareSettings, belonging(SHARE, values), section="share")
    base = base_options(values | {"base.shared": "none"})
    left_out = _people(without or ())
    with going_on("nothing was stored; the same command begins anew"), _naming_lines(left_out):
        from lorecall.learning.share import share_learn as learn_from  # noqa: PLC0415

        with bars() as reporter:
            shared = learn_from(
                data,
                out=out,
                consent=consent,
                path=history,
                without=tuple(left_out),
                base=lambda: base_from(base),
                settings=settings,
                reporter=reporter,
            )
    print_result(_facts(shared), _lines(shared), as_json=as_json)


@share_app.command("show")
def share_show(folder: Folder, *, as_json: Json = False) -> None:
    """Show what a shared memory is: its base, its donors, its losses, its licence."""
    shared = _loaded(folder)
    print_result(_facts(shared), _lines(shared), as_json=as_json)


@share_app.command("check")
def share_check(
    folder: Folder,
    *,
    data: Data,
    history: FormatFiles = None,
    user: Annotated[list[str], typer.Option(help="Who; may be repeated.")],
    as_json: Json = False,
) -> None:
    """Tell whether people's words are in a shared memory; exit code 2 where someone's are."""
    from lorecall.data.donors import replies_of  # noqa: PLC0415

    donors = _loaded(folder).manifest.donors
    found: dict[str, dict[str, int]] = {}
    for each, samples in replies_of(data, user, path=history).items():
        learnt = sum(donors.has_sample(sample.id) for sample in samples)
        found[each] = {"donor": donors.has_person(each), "learnt": learnt, "of": len(samples)}
    lines = [
        f"{name}: {'a donor' if it['donor'] else 'no donor'}, {it['learnt']} of {it['of']} replies"
        for name, it in found.items()
    ]
    print_result({"people": found}, *lines, as_json=as_json)
    if any(it["donor"] or it["learnt"] for it in found.values()):
        sys.exit(2)


@share_app.command("export")
def share_export(
    folder: Folder,
    *,
    peft: Annotated[Path, typer.Option(help="Folder for a standard PEFT adapter.")],
    as_json: Json = False,
) -> None:
    """Write a shared memory as a PEFT adapter, which peft and vLLM load and merge."""
    from lorecall.memory.peft import export_peft  # noqa: PLC0415

    export_peft(_loaded(folder), peft)
    print_result({"peft": str(peft)}, f"wrote {peft}", as_json=as_json)


def _loaded(folder: str) -> "SharedMemory":
    from lorecall.memory.shared import SharedMemory, packaged  # noqa: PLC0415

    return SharedMemory.load(packaged().get(folder, Path(folder)))


def _people(given: Sequence[str]) -> dict[str, str]:
    """Spell out files of ids, one a line: each id, and where it stands."""
    people: dict[str, str] = {}
    for each in given:
        if not Path(each).is_file():
            people[each] = ""
            continue
        lines = Path(each).read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(map(str.strip, lines), start=1):
            if line and not line.startswith("#"):
                people[line] = f" in line {number} of {each}"
    return people


@contextmanager
def _naming_lines(people: Mapping[str, str]) -> Generator[None]:
    """Name the line of an id that fits nobody or several."""
    try:
        yield
    except DataError as reason:
        place = next((at for who, at in people.items() if reason.got.startswith(repr(who))), "")
        if not place:
            raise
        raise DataError(
            reason.rule,
            expected=reason.expected,
            got=f"{reason.got}{place}",
            next_step=reason.next_step,
        ) from reason


def _facts(shared: "SharedMemory") -> dict[str, object]:
    value: dict[str, object] = shared.manifest.model_dump(mode="json")
    donors = shared.manifest.donors
    value["donors"] = {"people": len(donors.people), "samples": len(donors.samples)}
    return value | {"n_parameters": shared.n_parameters, "bytes": shared.n_bytes}


def _lines(shared: "SharedMemory") -> str:
    it = shared.manifest
    curve = ", ".join(f"{loss:.3f} after {n:,}" for n, loss in it.valid)
    n_people, n_replies = len(it.donors.people), len(it.donors.samples)
    facts = {
        "base": f"{it.base.name} ({it.base.fingerprint[:12]})",
        "learnt": f"{n_replies:,} replies of {it.dataset}; words of {n_people:,} people are in it",
        "licence": it.licence,
        "consent": it.consent,
        "loss": f"{curve} (replies of others, nats per token)",
        "size": f"{shared.n_parameters:,} parameters, {shared.n_bytes / 1e6:.1f} MB",
        "trained": f"on {it.recipe.device} in {it.recipe.dtype}",
        "hash": shared.sha256[:16],
    }
    return "\n".join(f"{name:<10}{fact}" for name, fact in facts.items())
