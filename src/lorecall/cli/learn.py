"""`lorecall learn`, and what is done with a finished run: `show`, `report`, `export`."""

from pathlib import Path
from typing import Annotated

import typer

from lorecall.cli.output import (
    bars,
    base_from,
    base_options,
    given_options,
    going_on,
    print_result,
    tell,
)
from lorecall.cli.parameters import (
    Config,
    FinishedRun,
    Json,
    KeysAt,
    Model,
    PersonAt,
    Preset,
    Seed,
    Set,
    StoreAt,
)
from lorecall.cli.store import show_version
from lorecall.cli.store_place import opened_store, person_at
from lorecall.core.options import belonging, make
from lorecall.errors import ConfigError
from lorecall.records import History, Searched
from lorecall.settings import LEARN, SETTINGS, LearnSettings, RunOptions
from lorecall.settings import preset as make_settings

_PANEL = "Whose memory, and where it goes"
User = Annotated[
    str | None,
    typer.Option(help="Their id, or its start.", show_default=False, rich_help_panel=_PANEL),
]
OwnFiles = Annotated[
    list[Path] | None,
    typer.Option(help="A chat export or JSONL file.", metavar="FILE", rich_help_panel=_PANEL),
]
OwnFormat = Annotated[
    str | None,
    typer.Option(
        help="A dataset, or the format of --history.", show_default=False, rich_help_panel=_PANEL
    ),
]
RunOut = Annotated[Path, typer.Option(help="Folder of the run.", rich_help_panel=_PANEL)]
DeviceUnseen = Annotated[str | None, typer.Option(hidden=True)]
What = Annotated[
    Searched | None,
    typer.Option(metavar="WHAT", help="none; paper, layer, n, rank ...", show_default=False),
]
NOthers = Annotated[
    int | None,
    typer.Option(metavar="N", help="Compare with N other people.", show_default=False),
]
Redact = Annotated[bool, typer.Option("--redact", help="Placeholders for contact details.")]


def learn(  # noqa: PLR0913 - one parameter an option
    *,
    user: User = None,
    history: OwnFiles = None,
    data: OwnFormat = None,
    out: RunOut,
    model: Model = None,
    device: DeviceUnseen = None,
    preset: Preset = None,
    search: What = None,
    others: NOthers = None,
    redact: Redact = False,
    seed: Seed = None,
    config: Config = None,
    sets: Set = None,
    as_json: Json = False,
) -> None:
    """Train and store a person's memory, and measure what it changed."""
    named = {"preset": preset, "search.searched": search, "seed": seed, "others": others}
    named |= {"base.model": model, "base.device": device, "redact": redact or None}
    values = given_options(LEARN, config, sets, **named)
    settings = make_settings(str(values.get("preset", "laptop")), belonging(SETTINGS, values))
    run = make(RunOptions, values, section="run")
    if run.storage is not None:
        from lorecall.search.storage import check_url  # noqa: PLC0415

        check_url(run.storage)
    base = base_options(values)
    source, files = _source(data, history)
    with going_on():
        own, beside = _histories(source, files, user, settings)
        from lorecall.learning.pipeline import learn as learn_from  # noqa: PLC0415
        from lorecall.learning.result import RunResult  # noqa: PLC0415
        from lorecall.report.terminal import summary  # noqa: PLC0415

        with bars() as reporter:
            learn_from(
                own,
                others=beside,
                base=lambda: base_from(base),
                out=out,
                settings=settings,
                storage=run.storage,
                workers=run.workers,
                warm_start=run.warm_start,
                reporter=reporter,
            )
    result = RunResult.load(out)
    print_result(result.model_dump(mode="json"), summary(result, out), as_json=as_json)


def show(
    folder: FinishedRun = None,
    *,
    svg: Annotated[Path | None, typer.Option(help="Also write the view as a picture.")] = None,
    person: PersonAt = None,
    store: StoreAt = None,
    keys: KeysAt = None,
    as_json: Json = False,
) -> None:
    """Show a finished run: scores, what is one's own, replies, sizes; or someone's version."""
    if person is not None:
        show_version(person, store, keys, as_json=as_json)
        return
    if folder is None:
        raise ConfigError(
            "what is shown must be named",
            expected="a run's folder, or --person PERSON[@N] with --store",
            got="neither",
            next_step="For example: lorecall show runs/ann",
        )
    from lorecall.learning.result import RunResult  # noqa: PLC0415
    from lorecall.report.tables import save_picture  # noqa: PLC0415
    from lorecall.report.terminal import summary  # noqa: PLC0415

    result = RunResult.load(folder)
    view = summary(result, folder)
    if svg is not None:
        save_picture(view, svg, title=f"lorecall show {folder}")
    print_result(result.model_dump(mode="json"), view, as_json=as_json)


def report(
    folder: FinishedRun = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The page; FOLDER/report.html or person.html otherwise.", show_default=False
        ),
    ] = None,
    person: PersonAt = None,
    others: Annotated[
        int,
        typer.Option(min=0, help="With --person: as many other people's memories are swapped in."),
    ] = 0,
    store: StoreAt = None,
    keys: KeysAt = None,
    as_json: Json = False,
) -> None:
    """Write one self-contained HTML page about a finished run, or about someone in a store."""
    if (folder is None) == (person is None):
        raise ConfigError(
            "a page is about a run, or about someone in a store",
            expected="a run's folder, or --person PERSON with --store",
            got="neither" if folder is None else "both",
            next_step="For example: lorecall report runs/ann",
        )
    if folder is None:
        name = str(person)
        page = out or Path("person.html")  # a name is no path
        with opened_store(store, keys) as site:
            site.person(name).write_page(page, n_others=others)
        print_result({"report": str(page)}, f"wrote {page}", as_json=as_json)
        return
    from lorecall.learning.result import RunResult  # noqa: PLC0415
    from lorecall.report.html import write_report  # noqa: PLC0415

    page = out or folder / "report.html"
    write_report(RunResult.load(folder), page)
    print_result({"report": str(page)}, f"wrote {page}", as_json=as_json)


def export(
    folder: Annotated[
        Path | None, typer.Argument(help="The run's folder.", metavar="FOLDER", show_default=False)
    ] = None,
    *,
    peft: Annotated[
        Path | None, typer.Option(help="Folder for a standard PEFT adapter.", show_default=False)
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(
            "--zip",
            help="File for someone's records and memory, to be read by anyone.",
            show_default=False,
        ),
    ] = None,
    person: PersonAt = None,
    store: StoreAt = None,
    keys: KeysAt = None,
    as_json: Json = False,
) -> None:
    """Write a memory as a PEFT adapter, which peft and vLLM load, or all that is someone's."""
    if (folder is None) == (person is None) or (peft is None) == (archive is None):
        raise ConfigError(
            "an export is of one memory, to one place",
            expected="a run's folder or --person, and --peft or --zip",
            got="something else",
            next_step="For example: lorecall export runs/ann --peft adapter",
        )
    if person is not None:
        name, n = person_at(person)
        with opened_store(store, keys) as site:
            someone = site.person(name)
            if peft is not None:
                someone.export_peft(peft, n)
            elif archive is not None:
                someone.export(archive, n)
    elif peft is not None and folder is not None:
        from lorecall.memory.memory import StoredMemory  # noqa: PLC0415
        from lorecall.memory.peft import export_peft  # noqa: PLC0415

        export_peft(StoredMemory.load(folder), peft)
    else:
        raise ConfigError(
            "an archive is of someone in a store",
            expected="--person PERSON with --zip",
            got="a run's folder",
            next_step="Copy the folder: it is all there is.",
        )
    kind, out = ("zip", archive) if peft is None else ("peft", peft)
    print_result({kind: str(out)}, f"wrote {out}", as_json=as_json)


def _histories(
    source: str | Path, files: list[Path] | None, user: str | None, settings: LearnSettings
) -> tuple[History, tuple[History, ...]]:
    """Load whose memory it is to be, and the others to compare with; tell where those are few."""
    from lorecall.data.catalog import load_history  # noqa: PLC0415
    from lorecall.learning.others import load_others  # noqa: PLC0415

    own = load_history(source, user=user, path=files, seed=settings.seed)
    others = load_others(source, own, n=settings.others, path=files)
    if len(others) < settings.others:
        tell(f"other people to compare with, long enough, in {source}: {len(others)}")
    return own, others


def _source(data: str | None, history: list[Path] | None) -> tuple[str | Path, list[Path] | None]:
    """Return what a history is loaded from, and the files where it is a format's name."""
    if data is not None:
        return data, history
    if history is None or len(history) > 1:
        raise ConfigError(
            "a history must be given",
            expected="--history FILE, --data NAME, or --data NAME and its files",
            got="neither" if history is None else "several files of no named format",
            next_step="For example: --history chat.txt, or --data chitchat --user 4fde054d",
        )
    return history[0], None
