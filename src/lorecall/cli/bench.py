"""`lorecall bench`: responders x datasets x users x seeds, and the tables of the paper."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from lorecall.cli.output import (
    Device,
    Finalists,
    FourBit,
    Json,
    LossOn,
    Model,
    NoRepeat,
    ReplyLength,
    load_base,
    show,
)


class _RunByDefault(TyperGroup):
    """`lorecall bench --out DIR` is `lorecall bench run --out DIR`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command's name in where options come first."""
        options_first = bool(args) and args[0].startswith("-") and args[0] != "--help"
        return super().parse_args(ctx, ["run", *args] if options_first else args)


bench_app = typer.Typer(
    cls=_RunByDefault,
    help="Compare systems over users: the paper's tables, with intervals.",
    no_args_is_help=True,
)

Files = Annotated[
    list[Path] | None, typer.Option(help="A file of the dataset's format; may be repeated.")
]
Judged = Annotated[list[Path] | None, typer.Option(help="A judge's labels; may be repeated.")]


@bench_app.command("run")
def bench_run(  # noqa: PLR0913 - one parameter an option
    *,
    out: Annotated[Path, typer.Option(help="Folder of the bench; the same one goes on with it.")],
    data: Annotated[
        list[str] | None,
        typer.Option(help="A dataset's name, or a JSONL file; may be repeated. chitchat if none."),
    ] = None,
    path: Files = None,
    users: Annotated[
        str | None,
        typer.Option(
            help="Ids separated by commas, N to draw, most:N, or pooled.", show_default=False
        ),
    ] = None,
    systems: Annotated[
        str | None,
        typer.Option(
            help="Names or groups, separated by commas: all, baselines, memories, ablations.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Seeds, separated by commas.")] = "0",
    preset: Annotated[str, typer.Option(help="smoke, laptop or paper.")] = "laptop",
    trials: Annotated[int | None, typer.Option(min=1, help="Most trials of a search.")] = None,
    initial: Annotated[int | None, typer.Option(min=1, help="Trials before it suggests.")] = None,
    samples: Annotated[int | None, typer.Option(help="Training samples a trial sees.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Cap on the epochs.")] = None,
    history_samples: Annotated[
        int | None, typer.Option(help="Most samples of a user, the newest.")
    ] = None,
    test_samples: Annotated[int | None, typer.Option(help="Most test samples a user.")] = None,
    finalists: Finalists = None,
    reply_length: ReplyLength = "own",
    no_repeat: NoRepeat = 3,
    loss_on: LossOn = "response",
    workers: Annotated[int, typer.Option(min=1, help="Processes that do cells.")] = 1,
    judged: Judged = None,
    model: Model = None,
    device: Device = "auto",
    four_bit: FourBit = False,
    as_json: Json = False,
) -> None:
    """Do what is left of a bench, cell by cell, and write its tables."""
    from rich.console import Console  # noqa: PLC0415

    from lorecall.bench.plan import bench_preset, make_plan  # noqa: PLC0415
    from lorecall.bench.render import bench_view, render_bench  # noqa: PLC0415
    from lorecall.bench.run import check_failures, run_bench  # noqa: PLC0415
    from lorecall.lm.device import set_threads  # noqa: PLC0415
    from lorecall.report.bar import BarReporter  # noqa: PLC0415

    settings = bench_preset(
        preset,
        trials=trials,
        initial=initial,
        samples=samples,
        epochs=epochs,
        history_samples=history_samples,
        test_samples=test_samples,
        finalists=finalists,
        reply_length=reply_length,
        no_repeat=no_repeat,
        loss_on=loss_on,
    )
    plan = make_plan(
        data or ["chitchat"],
        paths=path or (),
        users=users,
        systems=systems,
        seeds=seeds,
        settings=settings,
    )
    set_threads()
    base = load_base(model, device, four_bit=four_bit)
    with BarReporter(Console(stderr=True)) as reporter:
        failures = run_bench(plan, base, out=out, workers=workers, reporter=reporter)
    view = render_bench(out, judged=judged or ())
    value = {"out": str(out), "failed": [asdict(failure) for failure in failures]}
    written = f"wrote {out}/bench.md, bench.html and tables.json"
    show(value | {"tables": asdict(view)}, *bench_view(view), written, as_json=as_json)
    check_failures(failures, out)


@bench_app.command("render")
def bench_render(
    folder: Annotated[Path, typer.Argument(help="A bench's folder.")],
    *,
    judged: Judged = None,
    texts: Annotated[
        bool,
        typer.Option("--texts/--no-texts", help="Cases, and pairs for a judge: what users wrote."),
    ] = True,
    as_json: Json = False,
) -> None:
    """Write the tables again, with a judge's win rates where there are any."""
    from lorecall.bench.render import bench_view, render_bench  # noqa: PLC0415

    view = render_bench(folder, judged=judged or (), texts=texts)
    show(asdict(view), *bench_view(view), f"wrote {folder}/bench.html", as_json=as_json)


def scorecard(  # noqa: PLR0913 - one parameter an option
    folder: Annotated[Path, typer.Argument(help="A run's folder, or the memory in it.")],
    *,
    data: Annotated[
        str | None, typer.Option(help="Whose data; the memory's own when left out.")
    ] = None,
    path: Files = None,
    others: Annotated[int, typer.Option(min=1, help="Other people, for the controls.")] = 3,
    test_samples: Annotated[int, typer.Option(min=1, help="Most test samples read.")] = 32,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    model: Model = None,
    device: Device = "auto",
    four_bit: FourBit = False,
    as_json: Json = False,
) -> None:
    """Ask a memory whether it knows its person: style, recall, absence, controls, damage."""
    from lorecall.lm.device import set_threads  # noqa: PLC0415
    from lorecall.memory.memory import StoredMemory  # noqa: PLC0415
    from lorecall.reply.responder import MemoryResponder  # noqa: PLC0415
    from lorecall.scorecard.card import CardSettings  # noqa: PLC0415
    from lorecall.scorecard.card import scorecard as make_card  # noqa: PLC0415
    from lorecall.scorecard.make import people_for  # noqa: PLC0415
    from lorecall.scorecard.view import scorecard_view  # noqa: PLC0415

    memory = StoredMemory.load(folder)
    person, rest = people_for(
        memory, data, folder=folder, paths=path or (), n_others=others, seed=seed
    )
    set_threads()
    base = load_base(model or memory.manifest.base.name, device, four_bit=four_bit)
    card = make_card(
        MemoryResponder(base, memory),
        person,
        rest,
        settings=CardSettings(test_samples=test_samples, seed=seed),
    )
    value = asdict(card) | {"verdicts": card.verdicts, "is_damaged": card.ability.is_damaged}
    show(value, *scorecard_view(card), as_json=as_json)
