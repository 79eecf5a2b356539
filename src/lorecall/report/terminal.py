"""A run's result on a terminal of any width. Nothing is said by colour alone."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lorecall.core.provenance import without_password
from lorecall.core.text import plain
from lorecall.learning.result import RUN_SYSTEMS, RunResult
from lorecall.metrics.registry import Metric, units
from lorecall.records import Factor, InjectionConfig, Interval
from lorecall.report.tables import TEXT_WIDTH, CellText, Column, FittingTable, facts
from lorecall.report.words import (
    SECONDS_NAMES,
    SYSTEM_NAMES,
    counted,
    drawn_words,
    duration,
    factor_words,
    final,
    flat,
    further_factors,
    layer_ranges,
    meanings,
    moment,
    personal_facts,
    reference,
    scored_metrics,
    scored_systems,
    shared_words,
    short_count,
    speaker,
    split_words,
    theta_words,
)
from lorecall.search.records import Trial

_TICK = 5
_MOST, _FEWER, _NONE = "█", "▄", "·"
_VERDICT_STYLE = {"better": "bold green", "worse": "bold red", "": ""}
_TRIAL_NOTE = "n modules of rank r; size: trainable parameters; time: whole trial"
_SETTINGS = (
    "preset",
    "seed",
    "train.learning_rate",
    "train.batch_size",
    "train.max_epochs",
    "search.trials",
    "search.initial",
    "search.samples",
    "search.epochs",
)


def score_table(result: RunResult) -> RenderableType:
    """Show every system's scores with intervals, and the paired differences to what is shared."""
    rows: list[list[CellText]] = []
    shown = scored_metrics(result)
    for system in scored_systems(result):
        scores, difference = result.scores[system], result.difference_to_shared.get(system)
        rows += [[]] if rows else []
        cells = [_score_cell(metric, scores.get(metric.key)) for metric in shown]
        rows.append([Text(SYSTEM_NAMES[system], style="bold"), *cells])
        if difference is not None:
            cells = [_difference_cell(metric, difference.get(metric.key)) for metric in shown]
            rows.append([Text(f"  vs {SYSTEM_NAMES[reference(result)]}", style="dim"), *cells])
    headings = ("", *(f" {metric.title} {metric.arrow}" for metric in shown))
    table = FittingTable(columns=[Column(heading=h) for h in headings], rows=rows, gap=1)
    return Group(table, Text(), *(Text(line, style="dim") for line in _score_notes(result)))


def personal_table(result: RunResult) -> RenderableType:
    """Show what of it is the person's own."""
    table = facts(
        (name, Text(value, style="bold").append(f"  {said}", style="not bold dim"))
        for name, value, said in personal_facts(result)
    )
    if result.personal.gain is not None:
        return table
    return Group(table, Text("Nobody else's memory was read: --others 2 does it.", style="dim"))


def layer_strip(config: InjectionConfig, n_layers: int) -> RenderableType:
    """Draw theta: a cell a layer, its height telling the number of modules there."""
    layers = layer_ranges(tuple(config.modules_per_layer()))
    return Group(
        _Strip(cells=_cells(config, n_layers)),
        Text(theta_words(config, n_layers), style="bold"),
        Text(f"layers {layers}; {_legend(config)}", style="dim"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Strip:
    """A character a layer with ticks below, in as many rows as the terminal needs."""

    cells: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        fitting = (options.max_width - 2) // 2  # a blank before each
        a_row = max(_TICK, fitting - fitting % _TICK)
        for start in range(0, len(self.cells), a_row):
            row = range(start, min(start + a_row, len(self.cells)))
            ticks = "".join(f"{layer:<{2 * _TICK}}" for layer in row if layer % _TICK == 0)
            cells = Text(" ").join(_styled(self.cells[i]) for i in row)
            yield Text("  ").append_text(cells)
            yield Text(f"  {ticks.rstrip()}", style="dim")


def replies(result: RunResult) -> RenderableType:
    """Show the test queries, what was said before, and the true and the systems' responses."""
    blocks: list[RenderableType] = []
    for i, reply in enumerate(result.replies):
        rows: list[tuple[str, CellText]] = [
            (speaker(turn), Text(plain(turn.text), style="dim")) for turn in reply.earlier
        ]
        rows += [("query", Text(plain(reply.query), style="bold")), ("true", reply.truth)]
        rows += [
            (SYSTEM_NAMES[name], plain(reply.responses[name]) or "(nothing)")
            for name in RUN_SYSTEMS
            if name in reply.responses
        ]
        blocks.append(Padding(facts(rows), (int(i > 0), 0, 0, 0)))
    if not blocks:
        return Text("no test query was kept")
    return Group(*blocks, Text(), Text(drawn_words(result), style="dim"))


def trial_table(result: RunResult, trials: Sequence[Trial] | None = None) -> RenderableType:
    """Show some trials of a run, or all of them, by their number."""
    factors = further_factors(result)
    numbers = ("n", "r", *factors, "loss ↓", "ROUGE-L ↑", "size", "time")
    columns = [
        Column(heading="no.", is_right=True),
        Column(heading="layers", folds_at=TEXT_WIDTH),
        *(Column(heading=name, is_right=True) for name in numbers),
        Column(heading=""),
    ]
    shown = result.trials if trials is None else trials
    rows = [list(_trial_row(trial, result, factors)) for trial in shown]
    styles = ["bold" if trial.on_front else "" for trial in shown]
    table = FittingTable(columns=columns, rows=rows, styles=styles, gap=1)
    return Group(table, Text(_TRIAL_NOTE, style="dim"))


def summary(result: RunResult, folder: str | Path | None = None) -> RenderableType:
    """Show everything a person wants to know after a run."""
    return Group(
        _about(result),
        *_section("Scores on the test samples", score_table(result)),
        *_section("What is the person's own", personal_table(result)),
        *_section("Replies to test queries", replies(result)),
        *_section("Sizes and times", _sizes(result)),
        *_section("Where the memory is (theta)", layer_strip(result.config, result.n_layers)),
        *_search(result),
        *_section("Settings", _settings(result)),
        *_section("Where everything is", _places(result, folder)),
    )


def _search(result: RunResult) -> tuple[RenderableType, ...]:
    """Show the front of a search, if there was one, and why it ended."""
    if result.hypervolume is None:
        return ()
    shown = [t for t in result.trials if t.on_front or t.number == result.chosen_trial]
    trials = counted(len(result.trials), "trial")
    ended = f"The search ended because {plain(result.hypervolume.stopped)}. {final(result)}"
    return (
        *_section(f"Pareto front of {trials}, validation samples", trial_table(result, shown)),
        Text(ended.strip(), style="dim"),
    )


def _score_cell(metric: Metric, interval: Interval | None) -> Text:
    if interval is None:
        return Text(" -")
    cell = Text(f" {metric.value(interval):>6}\n")
    return cell.append(metric.bounds(interval), style="dim")


def _difference_cell(metric: Metric, interval: Interval | None) -> Text:
    if interval is None:
        return Text(" -")
    verdict = metric.verdict(interval)
    cell = Text(f" {metric.value(interval, sign=True):>6}")
    cell.append(" *" if verdict else "", style=_VERDICT_STYLE[verdict])
    return cell.append(f"\n{metric.bounds(interval, sign=True)}", style="dim")


def _score_notes(result: RunResult) -> Iterable[str]:
    yield from (f"{name}: {meaning}" for name, meaning in meanings(result))
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


def _trial_row(trial: Trial, result: RunResult, factors: Sequence[Factor]) -> Iterator[CellText]:
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


def _section(title: str, body: RenderableType) -> tuple[RenderableType, ...]:
    return Text(), Text(title, style="bold underline"), body


def _about(result: RunResult) -> Table:
    return facts(
        [
            ("user", result.user),
            ("dataset", result.dataset),
            ("base model", result.model),
            ("shared memory", shared_words(result)),
            ("samples", split_words(result.split)),
            ("finished", moment(result.finished_at)),
        ]
    )


def _settings(result: RunResult) -> Table:
    settings = flat(result.settings)
    return facts((name, settings[name]) for name in _SETTINGS if name in settings)


def _sizes(result: RunResult) -> Table:
    rows = [(name.replace("_", " "), f"{n:,}") for name, n in result.sizes.items()]
    rows.append(("factor", factor_words(result)))
    rows += [(SECONDS_NAMES.get(name, name), duration(s)) for name, s in result.seconds.items()]
    return facts(rows)


def _places(result: RunResult, folder: str | Path | None) -> Table:
    files = {"result": "result.json", "memory": "memory"} if folder is not None else {}
    rows = [(name, str(Path(folder or "") / file)) for name, file in files.items()]
    if result.storage is not None:
        storage = without_password(result.storage)
        in_folder = folder is not None and "://" not in storage
        rows.append(("trials", str(Path(folder or "") / storage) if in_folder else storage))
    return facts(rows)
