"""A run's result on a terminal, in 80 columns. Nothing is said by colour alone."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lorecall.core.provenance import without_password
from lorecall.learning.result import RunResult, RunSystem
from lorecall.metrics.registry import Metric, units
from lorecall.records import Factor, InjectionConfig, Interval
from lorecall.report.words import (
    SECONDS_NAMES,
    SYSTEM_NAMES,
    counted,
    duration,
    final,
    flat,
    further_factors,
    layer_ranges,
    moment,
    plain,
    scored_metrics,
    scored_systems,
    short_count,
    split_words,
    theta_words,
)
from lorecall.search.records import Trial

_LAYERS_A_ROW = 35  # two columns each: 70 of 80, and a multiple of the ticks
_TICK = 5
_TRIAL_STRIP = 32  # columns of a strip in the table of trials; a longer one is folded
_FACTOR_COLUMNS = 8  # taken from the strip for each further factor
_MOST, _FEWER, _NONE = "█", "▄", "·"
_VERDICT_STYLE = {"better": "bold green", "worse": "bold red", "": ""}
_TRIAL_NOTE = "n modules of rank r; size: trainable parameters; time: whole trial"
_SETTINGS = (
    "preset",
    "seed",
    "train.learning_rate",
    "train.batch_size",
    "train.max_epochs",
    "train.loss_on",
    "search.trials",
    "search.initial",
    "search.samples",
    "search.epochs",
)


def score_table(result: RunResult) -> RenderableType:
    """Show every system's scores with intervals, and the paired differences to vanilla."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    shown = scored_metrics(result)
    for metric in shown:
        table.add_column(f" {metric.title} {metric.arrow}", no_wrap=True)
    for i, system in enumerate(scored_systems(result)):
        scores, difference = result.scores[system], result.difference_to_vanilla.get(system)
        if i:
            table.add_row()
        cells = (_score_cell(metric, scores[metric.key]) for metric in shown)
        table.add_row(Text(SYSTEM_NAMES[system], style="bold"), *cells)
        if difference is not None:
            cells = (_difference_cell(metric, difference[metric.key]) for metric in shown)
            table.add_row(Text("  vs vanilla", style="dim"), *cells)
    return Group(table, Text(), *(Text(line, style="dim") for line in _score_notes(result)))


def layer_strip(config: InjectionConfig, n_layers: int) -> RenderableType:
    """Draw theta: a cell a layer, its height telling the number of modules there.

    Args:
        config: theta.
        n_layers: L, the number of layers of the base.
    """
    cells = _cells(config, n_layers)
    lines: list[Text] = []
    for start in range(0, n_layers, _LAYERS_A_ROW):
        row = range(start, min(start + _LAYERS_A_ROW, n_layers))
        ticks = "".join(f"{layer:<{2 * _TICK}}" for layer in row if layer % _TICK == 0)
        lines.append(Text("  ").append_text(Text(" ").join(_styled(cells[i]) for i in row)))
        lines.append(Text(f"  {ticks.rstrip()}", style="dim"))
    lines.append(Text(theta_words(config, n_layers), style="bold"))
    layers = layer_ranges(tuple(config.modules_per_layer()))
    lines.append(Text(f"layers {layers}; {_legend(config)}", style="dim"))
    return Group(*lines)


def replies(result: RunResult) -> RenderableType:
    """Show the test queries with the true, the vanilla and the memory's responses."""
    blocks: list[RenderableType] = []
    for i, reply in enumerate(result.replies):
        table = _facts()
        table.add_row(Text("query", style="bold"), Text(plain(reply.query), style="bold"))
        table.add_row("true", Text(plain(reply.truth)))
        shown: tuple[RunSystem, ...] = ("vanilla", "memory")
        for system in shown:
            if system in reply.responses:
                table.add_row(system, Text(plain(reply.responses[system]) or "(nothing)"))
        blocks.append(Padding(table, (int(i > 0), 0, 0, 0)))
    return Group(*blocks) if blocks else Text("no test query was kept")


def trial_table(result: RunResult, trials: Sequence[Trial] | None = None) -> RenderableType:
    """Show trials, by their number.

    Args:
        result: The run.
        trials: Which of its trials; all when None.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("no.", justify="right")
    factors = further_factors(result)
    width = min(result.n_layers, _TRIAL_STRIP - _FACTOR_COLUMNS * len(factors))
    table.add_column("layers", width=max(width, len("layers")), overflow="fold")
    for name in ("n", "r", *factors, "loss ↓", "ROUGE-L ↑", "size", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for trial in result.trials if trials is None else trials:
        table.add_row(*_trial_row(trial, result, factors), style="bold" if trial.on_front else "")
    return Group(table, Text(_TRIAL_NOTE, style="dim"))


def summary(result: RunResult, folder: str | Path | None = None) -> RenderableType:
    """Show everything a person wants to know after a run.

    Args:
        result: The run.
        folder: Where it was written; its files are named when given.
    """
    shown = [t for t in result.trials if t.on_front or t.number == result.chosen_trial]
    trials = counted(len(result.trials), "trial")
    ended = f"The search ended because {plain(result.hypervolume.stopped)}. {final(result)}"
    return Group(
        _about(result),
        *_section("Where the memory is (theta)", layer_strip(result.config, result.n_layers)),
        *_section("Scores on the test samples", score_table(result)),
        *_section("Replies to test queries", replies(result)),
        *_section(f"Pareto front of {trials}, validation samples", trial_table(result, shown)),
        Text(ended.strip(), style="dim"),
        *_section("Settings", _settings(result)),
        *_section("Sizes and times", _sizes(result)),
        *_section("Where everything is", _places(result, folder)),
    )


def _score_cell(metric: Metric, interval: Interval) -> Text:
    cell = Text(f" {metric.value(interval):>6}\n")
    return cell.append(metric.bounds(interval), style="dim")


def _difference_cell(metric: Metric, interval: Interval) -> Text:
    verdict = metric.verdict(interval)
    cell = Text(f" {metric.value(interval, sign=True):>6}")
    cell.append(" *" if verdict else "", style=_VERDICT_STYLE[verdict])
    return cell.append(f"\n{metric.bounds(interval, sign=True)}", style="dim")


def _score_notes(result: RunResult) -> Iterable[str]:
    yield "↓ lower is better, ↑ higher is better"
    yield units(scored_metrics(result))
    yield f"[ ] 95% bootstrap interval, {counted(result.split.get('test', 0), 'test sample')}"
    yield "*   paired difference whose interval excludes zero"
    yield f"Persona F1 against |H| = {result.persona_tokens:,} distinct words of the user's own"


def _cells(config: InjectionConfig, n_layers: int) -> str:
    """Return a character a layer. Dealing gives at most two numbers of modules, so two heights."""
    modules = config.modules_per_layer()
    most = max(modules.values())
    return "".join(
        _NONE if layer not in modules else _MOST if modules[layer] == most else _FEWER
        for layer in range(n_layers)
    )


def _styled(cell: str) -> Text:
    return Text(cell, style="dim" if cell == _NONE else "cyan")


def _legend(config: InjectionConfig) -> str:
    counts = sorted(set(config.modules_per_layer().values()), reverse=True)
    parts = [f"{mark} {n} a layer" for mark, n in zip((_MOST, _FEWER), counts, strict=False)]
    return ", ".join([*parts, f"{_NONE} none"])


def _trial_row(
    trial: Trial, result: RunResult, factors: Sequence[Factor]
) -> Iterable[RenderableType]:
    chosen = trial.number == result.chosen_trial
    yield str(trial.number)
    yield Text(_cells(trial.config, result.n_layers), style="cyan")
    yield str(trial.config.n_loras)
    yield str(trial.config.rank)
    yield from (f"{getattr(trial.config, factor):g}" for factor in factors)
    yield f"{trial.loss:.3f}"
    yield f"{trial.rouge_l:.2f}"
    yield short_count(trial.n_parameters)
    yield f"{trial.seconds:.0f} s"
    yield "chosen" if chosen else "front" if trial.on_front else ""


def _facts(rows: Iterable[tuple[str, str]] = ()) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(plain(value)))
    return table


def _section(title: str, body: RenderableType) -> tuple[RenderableType, ...]:
    return Text(), Text(title, style="bold underline"), body


def _about(result: RunResult) -> Table:
    rows = [
        ("user", result.user),
        ("dataset", result.dataset),
        ("base model", result.model),
        ("samples", split_words(result.split)),
        ("finished", moment(result.finished_at)),
    ]
    return _facts(rows)


def _settings(result: RunResult) -> Table:
    settings = flat(result.settings)
    return _facts((name, settings[name]) for name in _SETTINGS if name in settings)


def _sizes(result: RunResult) -> Table:
    rows = [(name.replace("_", " "), f"{n:,}") for name, n in result.sizes.items()]
    rows += [(SECONDS_NAMES.get(name, name), duration(s)) for name, s in result.seconds.items()]
    return _facts(rows)


def _places(result: RunResult, folder: str | Path | None) -> Table:
    storage = without_password(result.storage)
    if folder is None:
        return _facts([("trials", storage)])
    files = {"result": "result.json", "memory": "memory"}
    if "://" not in storage:  # a file in the folder
        files["trials"] = storage
    rows = [(name, str(Path(folder) / file)) for name, file in files.items()]
    return _facts(rows if "trials" in files else [*rows, ("trials", storage)])
