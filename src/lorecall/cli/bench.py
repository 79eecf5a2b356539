"""`lorecall bench`: responders x datasets x users x seeds, and the tables of the paper."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lorecall.cli.output import (
    bars,
    base_from,
    base_of,
    base_options,
    given_options,
    going_on,
    print_result,
)
from lorecall.cli.parameters import (
    Config,
    DatasetFiles,
    Device,
    FourBit,
    Json,
    KeysAt,
    Model,
    PersonAt,
    Preset,
    Set,
    StoreAt,
    ZeroSeed,
)
from lorecall.cli.store_place import opened_store, person_at
from lorecall.errors import ConfigError

bench_app = typer.Typer(
    name="bench",
    help="Compare systems over users: the paper's tables, with intervals.",
    no_args_is_help=True,
    invoke_without_command=True,
)

Labels = Annotated[list[Path] | None, typer.Option(help="A judge's labels; may be repeated.")]
BenchOut = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the bench; the same one goes on, with more systems or people too.",
        show_default=False,
    ),
]
Datasets = Annotated[
    list[str] | None,
    typer.Option(help="A dataset's name, or a file; may be repeated. chitchat if none."),
]
Whom = Annotated[
    str | None,
    typer.Option(help="Ids separated by commas, N to draw, most:N, or pooled.", show_default=False),
]
Systems = Annotated[
    str | None,
    typer.Option(
        help="Names or groups, separated by commas: all, baselines, memories, ablations.",
        show_default=False,
    ),
]
Seeds = Annotated[str, typer.Option(help="Seeds, separated by commas.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that do cells.")]


@bench_app.callback()
def bench(  # noqa: PLR0913 - one parameter an option
    context: typer.Context,
    *,
    out: BenchOut = None,
    data: Datasets = None,
    path: DatasetFiles = None,
    users: Whom = None,
    systems: Systems = None,
    seeds: Seeds = "0",
    workers: Workers = 1,
    judged: Labels = None,
    preset: Preset = None,
    model: Model = None,
    device: Device = None,
    config: Config = None,
    sets: Set = None,
    as_json: Json = False,
) -> None:
    """Do what is left of a bench, cell by cell, and write its tables."""
    if context.invoked_subcommand is not None:
        return
    from lorecall.bench.settings import BENCH, bench_preset  # noqa: PLC0415

    if out is None:
        raise ConfigError(
            "a bench has a folder",
            expected="--out DIR",
            got="none",
            next_step="The same folder goes on with what is finished.",
        )
    named = {"preset": preset, "base.model": model, "base.device": device}
    values = given_options(BENCH, config, sets, **named)
    settings = bench_preset(str(values.get("preset", "laptop")), values)
    base = base_options(values)
    with going_on():
        from lorecall.bench.plan import make_plan  # noqa: PLC0415

        plan = make_plan(
            data or ["chitchat"],
            paths=path or (),
            users=users,
            systems=systems,
            seeds=seeds,
            settings=settings,
        )
        from lorecall.bench.render import bench_view, render_bench  # noqa: PLC0415
        from lorecall.bench.run import check_failures, run_bench  # noqa: PLC0415

        with bars() as reporter:
            failures = run_bench(plan, base_from(base), out=out, workers=workers, reporter=reporter)
    view = render_bench(out, judged=judged or ())
    value = {"out": str(out), "failed": [asdict(failure) for failure in failures]}
    written = f"wrote {out}/bench.md, bench.html and tables.json"
    print_result(value | {"tables": asdict(view)}, *bench_view(view), written, as_json=as_json)
    check_failures(failures, out)


@bench_app.command("render")
def bench_render(
    folder: Annotated[Path, typer.Argument(help="A bench's folder.")],
    *,
    judged: Labels = None,
    texts: Annotated[
        bool,
        typer.Option("--texts/--no-texts", help="Cases, and pairs for a judge: what users wrote."),
    ] = True,
    as_json: Json = False,
) -> None:
    """Write the tables again, with a judge's win rates where there are any."""
    from lorecall.bench.render import bench_view, render_bench  # noqa: PLC0415

    view = render_bench(folder, judged=judged or (), texts=texts)
    print_result(asdict(view), *bench_view(view), f"wrote {folder}/bench.html", as_json=as_json)


MemoryOf = Annotated[
    Path | None,
    typer.Argument(
        help="A run's folder, or the memory in it.", metavar="FOLDER", show_default=False
    ),
]
WhoseData = Annotated[str | None, typer.Option(help="Whose data; the memory's own when left out.")]
SwapWith = Annotated[
    int,
    typer.Option(
        min=0,
        help="Other people of the same data. Each gets a memory as this one was made, to swap"
        " with, unless --memory gives some; those of a store have theirs.",
    ),
]
OtherMemories = Annotated[
    list[Path] | None,
    typer.Option(help="Someone else's memory, to swap with; may be repeated.", metavar="DIR"),
]
TestSamples = Annotated[int, typer.Option(min=1, help="Most test samples read.")]


def scorecard(  # noqa: PLR0913 - one parameter an option
    folder: MemoryOf = None,
    *,
    person: PersonAt = None,
    store: StoreAt = None,
    keys: KeysAt = None,
    data: WhoseData = None,
    path: DatasetFiles = None,
    others: SwapWith = 3,
    memory: OtherMemories = None,
    test_samples: TestSamples = 32,
    seed: ZeroSeed = 0,
    model: Model = None,
    device: Device = None,
    four_bit: FourBit = False,
    as_json: Json = False,
) -> None:
    """Ask a memory whether it knows its person: what is theirs, style, recall, absence, damage."""
    from lorecall.memory.memory import StoredMemory  # noqa: PLC0415
    from lorecall.memory.shared import shared_of  # noqa: PLC0415
    from lorecall.reply.responder import ModelResponder  # noqa: PLC0415
    from lorecall.scorecard.card import CardSettings, make_card  # noqa: PLC0415
    from lorecall.scorecard.make import people_for  # noqa: PLC0415
    from lorecall.scorecard.personal import memories_like, memories_of  # noqa: PLC0415
    from lorecall.scorecard.view import scorecard_view  # noqa: PLC0415

    given = memories_of(memory or ())
    if person is not None and folder is None:
        name, n = person_at(person)
        with opened_store(store, keys) as site:
            one, beside = site.person(name).beside(n, n_others=others, seed=seed)
        own, whose, rest = one.memory, one.person, [each.person for each in beside]
        given = given or {each.person.history.user: each.memory for each in beside}
    elif person is None and folder is not None:
        own = StoredMemory.load(folder)
        whose, rest = people_for(
            own, data, folder=folder, paths=path or (), n_others=others, seed=seed
        )
    else:
        raise ConfigError(
            "a scorecard is of one memory",
            expected="a folder, or --person PERSON[@N] with --store",
            got="neither" if folder is None else "both",
            next_step="For example: lorecall scorecard runs/ann",
        )
    identity = own.manifest.base
    base = base_of(
        model, device, four_bit=four_bit, default=identity.name, shared=shared_of(identity)
    )
    card = make_card(
        ModelResponder(base, own),
        whose,
        rest,
        memories=given or (memories_like(own, rest, base) if person is None else {}),
        settings=CardSettings(
            limits=own.manifest.recipe.settings, test_samples=test_samples, seed=seed
        ),
    )
    value = asdict(card) | {"verdicts": card.verdicts, "is_damaged": card.ability.is_damaged}
    print_result(value, *scorecard_view(card), as_json=as_json)
