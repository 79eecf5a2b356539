"""The command line: parse, call, print.

Heavy modules are imported inside the commands that need them, so that `--help` is instant. Bad
input ends with one line on standard error and exit code 2.
"""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from lorecall.cli.bench import bench_app, scorecard
from lorecall.cli.judge import judge_app
from lorecall.cli.output import (
    Device,
    Finalists,
    FourBit,
    Json,
    LossOn,
    Model,
    NoRepeat,
    ReplyLength,
)
from lorecall.cli.output import load_base as _load_base
from lorecall.cli.output import show as _show
from lorecall.errors import ConfigError, LorecallError

app = typer.Typer(
    name="lorecall",
    help="Personal memory for language models, kept in the weights.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data_app = typer.Typer(help="Look at histories before learning from them.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(judge_app, name="judge")
app.add_typer(bench_app, name="bench")
app.command()(scorecard)

Source = Annotated[str, typer.Argument(help="A dataset's name or a JSONL file.")]
Paths = Annotated[
    list[Path] | None,
    typer.Option("--path", help="With a name: a file of that format; may be repeated."),
]
RunDir = Annotated[Path, typer.Argument(help="A run's folder, made by `lorecall learn`.")]


def main() -> NoReturn:
    """Run the command line; turn every expected error into one line and exit code 2."""
    try:
        app()
    except LorecallError as error:
        _fail(str(error))
    except OSError as error:
        _fail(
            "the system must take what is read and written: expected room, permission and a path"
            f" that can be, got {error.strerror or error} ({error.filename or 'while writing'})."
            " Make room, or choose another place; what was finished is kept."
        )
    sys.exit(0)


@data_app.command("list")
def data_list(*, as_json: Json = False) -> None:
    """List the datasets known by name."""
    from lorecall.data.catalog import DATASETS  # noqa: PLC0415
    from lorecall.report.tables import dataset_table  # noqa: PLC0415

    entries = [asdict(dataset) for dataset in DATASETS.values()]
    _show({"datasets": entries}, dataset_table(entries), as_json=as_json)


@data_app.command("show")
def data_show(
    name: Source,
    *,
    path: Paths = None,
    users: Annotated[int, typer.Option(min=0, help="How many users to list.")] = 10,
    as_json: Json = False,
) -> None:
    """Show a dataset's numbers, its users with the longest histories and what is dropped."""
    from lorecall.data.catalog import describe, summarise  # noqa: PLC0415
    from lorecall.report.tables import description_table, drop_table, user_table  # noqa: PLC0415

    summary = summarise(name, path=path, n_users=users)
    described = describe(name, summary)
    listed = [asdict(user) for user in summary.users]
    views = [description_table(described), user_table(listed), drop_table(summary)]
    value = {"dropped": dict(summary.dropped), "n_problems": summary.n_problems}
    _show({**described, "users": listed, **value}, *views, as_json=as_json)


@data_app.command("check")
def data_check(source: Source, *, path: Paths = None, as_json: Json = False) -> None:
    """Check every row of a file and who can be learnt; exit code 2 for a broken row or nobody."""
    from lorecall.data.catalog import check  # noqa: PLC0415
    from lorecall.report.tables import check_view  # noqa: PLC0415

    summary = check(source, path=path)
    value = {"source": source, "files": [str(file) for file in path or ()], **summary.as_json()}
    _show(value, check_view(summary), as_json=as_json)
    if summary.n_problems or summary.refusal:
        sys.exit(2)


@app.command()
def learn(  # noqa: PLR0913 - one parameter an option
    *,
    user: Annotated[
        str, typer.Option(help="The user's id, or the start of it; pooled for many as one.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run; the same folder goes on with it.")],
    data: Annotated[str | None, typer.Option(help="A dataset's name.")] = None,
    path: Paths = None,
    history: Annotated[Path | None, typer.Option(help="A JSONL file.")] = None,
    preset: Annotated[str, typer.Option(help="laptop or paper.")] = "laptop",
    trials: Annotated[int | None, typer.Option(help="Most trials of the search.")] = None,
    initial: Annotated[int | None, typer.Option(help="Trials before it suggests.")] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="What is tried first: known (the LoRAs that need no search), or random.",
            show_default="the preset's",
        ),
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Training samples a trial sees.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Cap on the epochs.")] = None,
    model: Model = None,
    device: Device = "auto",
    together: Annotated[
        int, typer.Option(min=1, help="Trials trained side by side, on a large device.")
    ] = 1,
    four_bit: FourBit = False,
    inject: Annotated[
        str, typer.Option(help="What the memory acts on: all tokens, or the response side.")
    ] = "all",
    finalists: Finalists = None,
    reply_length: ReplyLength = "own",
    no_repeat: NoRepeat = 3,
    loss_on: LossOn = "response",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    storage: Annotated[
        str | None, typer.Option(help="Optuna storage URL; a file in the folder otherwise.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Processes that work on the search, this one among them.")
    ] = 1,
    budget: Annotated[
        float | None, typer.Option(help="Minutes the search may take, beside its trials.")
    ] = None,
    searched: Annotated[
        str,
        typer.Option(
            "--search", help="What is searched: all, layer, n, rank, n+rank, n+layer, rank+layer."
        ),
    ] = "all",
    surrogate: Annotated[
        str, typer.Option(help="The search's model: nuts, or map, which needs no JAX.")
    ] = "nuts",
    wide: Annotated[
        str, typer.Option(help="Search more factors: scaling, dropout, or scaling,dropout.")
    ] = "",
    third_objective: Annotated[
        str | None, typer.Option(help="Trade more than loss and ROUGE-L: parameters.")
    ] = None,
    warm_start: Annotated[
        list[Path] | None,
        typer.Option(help="Finished run of another person to start from; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Find, train and store a person's memory, and measure what it changed."""
    from rich.console import Console  # noqa: PLC0415

    from lorecall.data.catalog import load_history  # noqa: PLC0415
    from lorecall.data.history import split_history  # noqa: PLC0415
    from lorecall.report.bar import BarReporter  # noqa: PLC0415
    from lorecall.settings import preset as make_settings  # noqa: PLC0415

    settings = make_settings(
        preset,
        seed=seed,
        trials=trials,
        initial=initial,
        start=start,
        samples=samples,
        epochs=epochs,
        inject=inject,
        finalists=finalists,
        reply_length=reply_length,
        no_repeat=no_repeat,
        loss_on=loss_on,
        together=together,
        searched=searched,
        budget_min=budget,
        surrogate=surrogate,
        wide=tuple(wide.replace(",", " ").split()),
        third_objective=third_objective,
    )
    loaded = load_history(_source(data, history), user=user, path=path, seed=seed)
    split_history(loaded)  # too short a history is refused before a model is loaded
    with BarReporter(Console(stderr=True)) as reporter:
        from lorecall.learning.pipeline import learn as learn_from  # noqa: PLC0415
        from lorecall.learning.result import RunResult  # noqa: PLC0415
        from lorecall.lm.device import set_threads  # noqa: PLC0415

        set_threads()
        learn_from(
            loaded,
            base=_load_base(model, device, four_bit=four_bit),
            out=out,
            settings=settings,
            storage=storage,
            workers=workers,
            warm_start=warm_start or (),
            reporter=reporter,
        )
    from lorecall.report.terminal import summary  # noqa: PLC0415

    result = RunResult.load(out)
    _show(result.model_dump(mode="json"), summary(result, out), as_json=as_json)


@app.command()
def ask(  # noqa: PLR0913 - one parameter an option
    query: Annotated[str, typer.Argument(help="What to say.")],
    *,
    memory: Annotated[Path, typer.Option(help="A run's folder, or the memory in it.")],
    vanilla: Annotated[bool, typer.Option("--vanilla", help="Answer without the memory.")] = False,
    compare: Annotated[bool, typer.Option("--compare", help="Answer with and without.")] = False,
    model: Model = None,
    device: Device = "auto",
    four_bit: FourBit = False,
    as_json: Json = False,
) -> None:
    """Answer a query as someone who knows the person."""
    from lorecall.data.privacy import mask  # noqa: PLC0415
    from lorecall.lm.device import set_threads  # noqa: PLC0415
    from lorecall.memory.memory import StoredMemory  # noqa: PLC0415
    from lorecall.reply.responder import MemoryResponder, VanillaResponder  # noqa: PLC0415

    if not query.strip():
        raise ConfigError(
            "a query must say something",
            expected="some text",
            got="none",
            next_step='For example: lorecall ask --memory DIR "how was your day?"',
        )
    set_threads()
    stored = StoredMemory.load(memory)
    base = _load_base(model or stored.manifest.base.name, device, four_bit=four_bit)
    replies: dict[str, str] = {}
    if vanilla or compare:
        replies["vanilla"] = mask(VanillaResponder(base).reply(query))
    if compare or not vanilla:
        replies["memory"] = mask(MemoryResponder(base, stored).reply(query))
    lines = [f"{name}: {reply}" for name, reply in replies.items()]
    text = lines if compare else list(replies.values())
    _show({"query": query, "replies": replies}, *text, as_json=as_json)


@app.command()
def show(
    folder: RunDir,
    *,
    svg: Annotated[Path | None, typer.Option(help="Also write the view as a picture.")] = None,
    as_json: Json = False,
) -> None:
    """Show theta, the front, the scores, the settings and the sizes of a finished run."""
    from lorecall.learning.result import RunResult  # noqa: PLC0415
    from lorecall.report.tables import save_picture  # noqa: PLC0415
    from lorecall.report.terminal import summary  # noqa: PLC0415

    result = RunResult.load(folder)
    view = summary(result, folder)
    if svg is not None:
        save_picture(view, svg, title=f"lorecall show {folder}")
    _show(result.model_dump(mode="json"), view, as_json=as_json)


@app.command()
def report(
    folder: RunDir,
    *,
    out: Annotated[
        Path | None, typer.Option(help="The page; DIR/report.html otherwise.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Write one self-contained HTML page about a finished run."""
    from lorecall.learning.result import RunResult  # noqa: PLC0415
    from lorecall.report.html import write_report  # noqa: PLC0415

    page = out or folder / "report.html"
    write_report(RunResult.load(folder), page)
    _show({"report": str(page)}, f"wrote {page}", as_json=as_json)


@app.command()
def export(
    folder: RunDir,
    *,
    peft: Annotated[Path, typer.Option(help="Folder for a standard PEFT adapter.")],
    as_json: Json = False,
) -> None:
    """Write the memory as a PEFT adapter, which peft and vLLM load."""
    from lorecall.memory.memory import StoredMemory  # noqa: PLC0415
    from lorecall.memory.peft import export_peft  # noqa: PLC0415

    export_peft(StoredMemory.load(folder), peft)
    _show({"peft": str(peft)}, f"wrote {peft}", as_json=as_json)


def _source(data: str | None, history: Path | None) -> str | Path:
    if (data is None) == (history is None):
        raise ConfigError(
            "a history comes from one place",
            expected="either --data NAME or --history FILE",
            got="both" if data else "neither",
            next_step="For example: --data chitchat --user 4fde054d",
        )
    return data if data is not None else Path(str(history))


def _fail(line: str) -> NoReturn:
    print(f"error: {' '.join(line.split())}", file=sys.stderr)  # noqa: T201
    sys.exit(2)
