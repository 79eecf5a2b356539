"""`lorecall bench`: responders x datasets x users x seeds, and the tables of the paper."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lorecall.cli_output import Device, FourBit, Json, Model, load_base, show

bench_app = typer.Typer(
    help="Compare systems over users: the paper's tables, with intervals.", no_args_is_help=True
)


@bench_app.command("run")
def bench_run(  # noqa: PLR0913 - one parameter an option
    *,
    out: Annotated[Path, typer.Option(help="Folder of the bench; the same one goes on with it.")],
    data: Annotated[str, typer.Option(help="A dataset's name, or a JSONL file.")] = "chitchat",
    path: Annotated[
        list[Path] | None, typer.Option(help="A file of the dataset's format; may be repeated.")
    ] = None,
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
    trials: Annotated[int | None, typer.Option(help="Most trials of a search.")] = None,
    test_samples: Annotated[int | None, typer.Option(help="Most test samples a user.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that do cells.")] = 1,
    model: Model = None,
    device: Device = "auto",
    four_bit: FourBit = False,
    as_json: Json = False,
) -> None:
    """Do what is left of a bench, cell by cell, and write its tables."""
    from rich.console import Console  # noqa: PLC0415

    from lorecall.device import set_threads  # noqa: PLC0415
    from lorecall.evaluate.bar import BarReporter  # noqa: PLC0415
    from lorecall.evaluate.bench.people import choose_users  # noqa: PLC0415
    from lorecall.evaluate.bench.plan import (  # noqa: PLC0415
        DEFAULT_SYSTEMS,
        DEFAULT_USERS,
        BenchPlan,
        Source,
        bench_preset,
    )
    from lorecall.evaluate.bench.render import render_bench  # noqa: PLC0415
    from lorecall.evaluate.bench.run import run_bench  # noqa: PLC0415
    from lorecall.evaluate.bench.systems import system_names  # noqa: PLC0415
    from lorecall.evaluate.bench.terminal import bench_view  # noqa: PLC0415

    settings = bench_preset(preset, trials=trials, test_samples=test_samples)
    names = system_names(systems.split(",") if systems else DEFAULT_SYSTEMS[settings.preset])
    numbers = tuple(_seed(seed) for seed in seeds.split(","))
    paths = tuple(str(file) for file in path or ())
    wanted = users or str(DEFAULT_USERS[settings.preset])
    chosen = choose_users(data, paths, wanted, seed=numbers[0])
    plan = BenchPlan(
        sources=(Source(name=data, users=tuple(chosen), paths=paths),),
        systems=names,
        seeds=numbers,
        settings=settings,
    )
    set_threads()
    base = load_base(model, device, four_bit=four_bit)
    with BarReporter(Console(stderr=True)) as reporter:
        failures = run_bench(
            plan, base, out=out, workers=workers, n_samples=chosen, reporter=reporter
        )
    view = render_bench(out)
    value = {"out": str(out), "failed": [asdict(failure) for failure in failures]}
    written = f"wrote {out}/bench.md, bench.html and tables.json"
    show(value | {"tables": asdict(view)}, *bench_view(view), written, as_json=as_json)
    if failures:
        raise typer.Exit(2)


@bench_app.command("render")
def bench_render(
    folder: Annotated[Path, typer.Argument(help="A bench's folder.")],
    *,
    judged: Annotated[
        list[Path] | None, typer.Option(help="A judge's labels; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the tables again, with a judge's win rates where there are any."""
    from lorecall.evaluate.bench.render import render_bench  # noqa: PLC0415
    from lorecall.evaluate.bench.terminal import bench_view  # noqa: PLC0415

    view = render_bench(folder, judged=judged or ())
    show(asdict(view), *bench_view(view), f"wrote {folder}/bench.html", as_json=as_json)


def _seed(text: str) -> int:
    from lorecall.errors import ConfigError  # noqa: PLC0415

    try:
        return int(text)
    except ValueError:
        raise ConfigError(
            "seeds must be whole numbers",
            expected="for example 0,1,2",
            got=repr(text),
            next_step="Separate them by commas.",
        ) from None


def scorecard(
    folder: Annotated[Path, typer.Argument(help="A run's folder, or the memory in it.")],
    *,
    data: Annotated[
        str | None, typer.Option(help="Whose data; the memory's own when left out.")
    ] = None,
    path: Annotated[
        list[Path] | None, typer.Option(help="A file of the dataset's format; may be repeated.")
    ] = None,
    others: Annotated[int, typer.Option(min=1, help="Other people, for the controls.")] = 3,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Ask a memory whether it knows its person: style, recall, absence, controls, damage."""
    from lorecall.data.catalog import load_history  # noqa: PLC0415
    from lorecall.device import set_threads  # noqa: PLC0415
    from lorecall.evaluate.bench.people import choose_users, load_person  # noqa: PLC0415
    from lorecall.evaluate.bench.plan import BenchSettings, Source  # noqa: PLC0415
    from lorecall.evaluate.scorecard.card import CardSettings  # noqa: PLC0415
    from lorecall.evaluate.scorecard.card import scorecard as make_card  # noqa: PLC0415
    from lorecall.evaluate.scorecard.view import scorecard_view  # noqa: PLC0415
    from lorecall.memory.artefact import Memory  # noqa: PLC0415
    from lorecall.reply.responder import MemoryResponder  # noqa: PLC0415

    memory = Memory.load(folder)
    training = memory.manifest.training
    name = data or training.dataset
    paths = tuple(str(file) for file in path or ())
    own = load_history(name, user=training.user, path=path or None).user
    drawn = choose_users(name, paths, str(others + 1), seed=0)
    beside = [user for user in drawn if user != own][:others]
    source = Source(name=name, users=(own, *beside), paths=paths)
    settings = BenchSettings()
    people = [load_person(source, user, settings) for user in source.users]
    set_threads()
    base = load_base(memory.manifest.base.name, device, four_bit=False)
    card = make_card(
        MemoryResponder(base, memory),
        people[0],
        people[1:],
        settings=CardSettings(limits=settings.learn.train),
    )
    show(asdict(card), *scorecard_view(card), as_json=as_json)
