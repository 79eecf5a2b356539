"""A bench's folder made readable: `bench.md`, one self-contained `bench.html`, `tables.json`.

Only files of the folder are read, so that it can be rendered again anywhere, without the data.
Texts of users are masked.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from lorecall.bench.answers import Case, cases, dataset_of, write_pair_files
from lorecall.bench.cells import CellScores, finished_cells
from lorecall.bench.grids import Grid, all_grids
from lorecall.bench.personal import PersonalRow, personal_rows
from lorecall.bench.personal_grids import personal_grids, signature_of
from lorecall.bench.plan import BenchPlan, read_plan
from lorecall.bench.statistics import tabulate
from lorecall.bench.swaps import SwapReading, finished_swaps, swaps_of
from lorecall.bench.tables import DatasetTables
from lorecall.core.files import write_json, write_text
from lorecall.core.text import printable
from lorecall.judge.win_rate import Judged, read_judged, win_rates
from lorecall.report import words
from lorecall.report.pages import render_page
from lorecall.report.tables import TEXT_WIDTH, Column, FittingTable
from lorecall.systems.about import VANILLA
from lorecall.systems.catalog import about

MARKDOWN, PAGE, TABLES = "bench.md", "bench.html", "tables.json"
_SMOKE = (
    "Preset smoke: a few samples and trials, to show that all works. Nothing here says how good a"
    " system is."
)
_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>|#~&"})
_N_GRIDS = 3  # scores, comparisons, gains
_BOUND_WIDTH = 9  # of a number with a bracket


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetView:
    """One dataset's part of the page.

    `focus` is the system that the others are compared with; `personal` holds the tables that lead,
    where memories were swapped, `grids` all others.

    Examples:
        >>> from lorecall.bench import DatasetView, Grid
        >>> scores = Grid(title="Scores", columns=("system", "loss"), rows=(("memory", "4.05"),))
        >>> part = DatasetView(
        ...     name="mine",
        ...     focus="memory",
        ...     lead="2 users.",
        ...     grids=(scores,),
        ...     cases=(),
        ...     signature={"loss": "nats per token"},
        ... )
        >>> [grid.title for grid in part.grids]
        ['Scores']
    """

    name: str
    focus: str
    lead: str
    grids: tuple[Grid, ...]
    cases: tuple[Case, ...]
    signature: Mapping[str, str]
    personal: tuple[Grid, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that is shown of a bench, as text: the page, the Markdown and the terminal show it.

    Examples:
        >>> from lorecall.bench import View, to_markdown
        >>> view = View(
        ...     facts={"Preset": "smoke"},
        ...     warnings=("Nothing here says how good a system is.",),
        ...     datasets=(),
        ...     systems={"vanilla": "the base alone"},
        ...     settings={},
        ...     versions={},
        ... )
        >>> to_markdown(view).splitlines()[2:5]
        ['- Preset: smoke', '', '> **Nothing here says how good a system is.**']
    """

    facts: Mapping[str, str]
    warnings: tuple[str, ...]
    datasets: tuple[DatasetView, ...]
    systems: Mapping[str, str]
    settings: Mapping[str, str]
    versions: Mapping[str, str]


def render_bench(folder: Path, *, judged: Sequence[Path] = (), texts: bool = True) -> View:
    """Write the tables of a bench as far as it is finished, and the pairs for a judge.

    Args:
        folder: The bench's.
        judged: Files of a judge's labels, from `lorecall judge run`.
        texts: Whether to show cases and to write the pairs, and with them what users wrote; without
            it the plan and the scores are all that is read.

    Returns:
        What was written, to be shown elsewhere too.

    Raises:
        RunError: The folder holds no bench.
        DataError: A file of labels cannot be read.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall.bench import render_bench
        >>> view = render_bench(Path("bench"), texts=False)
        >>> view.facts["Cells"], Path("bench/bench.html").is_file()
        ('20 of 20', True)
    """
    identity, plan = read_plan(folder)
    labels = [label for path in judged for label in read_judged(path)]
    wanted = set(plan.cells())
    finished = [scores for scores in finished_cells(folder) if scores.cell in wanted]
    if texts:
        write_pair_files(folder, plan, finished)
    tables = tabulate(plan, finished)
    swapped = [reading for reading in finished_swaps(folder) if reading.cell in wanted]
    personal = {each.dataset: personal_rows(plan, each.dataset, swapped) for each in tables}
    versions = identity["versions"]
    view = View(
        facts=_facts(identity, plan, finished),
        warnings=(*_warnings(plan, finished, tables), *_unswapped(plan, finished, swapped)),
        datasets=tuple(
            dataset_view(
                each,
                labels,
                cases(folder, plan, each.dataset, finished) if texts else (),
                personal=personal[each.dataset],
            )
            for each in tables
        ),
        systems=_titles(identity, plan),
        settings=words.flat(asdict(plan.settings)),
        versions=words.flat(versions if isinstance(versions, dict) else {}),
    )
    rows = {name: [asdict(row) for row in of] for name, of in personal.items()}
    every = [asdict(each) | {"personal": rows[each.dataset]} for each in tables]
    numbers = json.loads(json.dumps(every))
    write_json(folder / TABLES, {"facts": dict(view.facts), "datasets": numbers})
    write_text(folder / MARKDOWN, to_markdown(view))
    page = render_page("bench.html.j2", {"view": view}, package="lorecall.bench")
    write_text(folder / PAGE, page)
    return view


def _facts(
    identity: Mapping[str, object], plan: BenchPlan, finished: Sequence[CellScores]
) -> dict[str, str]:
    base, n_layers, dtype = (identity[key] for key in ("base", "n_layers", "base_dtype"))
    machines = sorted({scores.machine for scores in finished if scores.machine})
    facts = {
        "Base model": f"{base}, {n_layers} layers, {dtype}",
        **({"Shared memory": _shared_words(identity)} if "shared" in identity else {}),
        "Preset": plan.settings.preset,
        "Seeds": ", ".join(map(str, plan.seeds)),
        "Systems": ", ".join(plan.systems),
        "Cells": f"{len(finished)} of {len(plan.cells())}",
        "Finished": words.moment(max((s.finished_at for s in finished), default="not yet")),
    }
    return facts | ({"Machine": "; ".join(machines)} if machines else {})


def _shared_words(identity: Mapping[str, object]) -> str:
    shared = identity.get("shared")
    if not isinstance(shared, dict):
        return "none: every system is on the base alone"
    return f"{shared['name']} ({str(shared['sha256'])[:12]}), under every system"


def _titles(identity: Mapping[str, object], plan: BenchPlan) -> dict[str, str]:
    """Return what each system is; of the base, whether a shared memory is in it."""
    titles = {name: about(name).title for name in plan.systems}
    if VANILLA in titles:
        shared = identity.get("shared")
        with_it = f" with the shared memory {shared['name']}" if isinstance(shared, dict) else ""
        titles[VANILLA] = f"the base{with_it} alone: nothing of the person"
    return titles


def _unswapped(
    plan: BenchPlan, finished: Sequence[CellScores], swapped: Sequence[SwapReading]
) -> list[str]:
    """Warn where some memories were swapped and others are still to be."""
    due = swaps_of(plan, {scores.cell for scores in finished})
    if not swapped or len(swapped) >= len(due):
        return []
    return [f"{len(swapped)} of {len(due)} memories are swapped: personal gain will change."]


def _warnings(
    plan: BenchPlan, finished: Sequence[CellScores], tables: Sequence[DatasetTables]
) -> list[str]:
    warnings = [_SMOKE] if plan.settings.preset == "smoke" else []
    if len(finished) < len(plan.cells()):
        warnings.append(
            f"{len(finished)} of {len(plan.cells())} cells are finished: the numbers will change."
        )
    warnings += [
        f"{each.dataset}: no cell of {', '.join(each.missing)} is finished; the tables leave"
        f" {'it' if len(each.missing) == 1 else 'them'} out."
        for each in tables
        if each.missing
    ]
    return warnings


def dataset_view(
    tables: DatasetTables,
    labels: Sequence[Judged],
    shown: tuple[Case, ...],
    *,
    personal: Sequence[PersonalRow] = (),
) -> DatasetView:
    """Put a dataset's numbers into words.

    Args:
        tables: Its numbers.
        labels: A judge's.
        shown: The cases.
        personal: What swapping memories says.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall.bench import dataset_view, finished_cells, read_plan, tabulate
        >>> (tables,) = tabulate(read_plan(Path("bench"))[1], finished_cells(Path("bench")))
        >>> dataset_view(tables, (), ()).lead
        '2 users of 2 with every system finished, 81 test samples.'
    """
    rates = win_rates([label for label in labels if dataset_of(label.id) == tables.dataset])
    users = words.counted(tables.n_users, "user")
    samples = words.counted(tables.n_samples, "test sample")
    return DatasetView(
        name=Path(tables.dataset).name,
        focus=tables.focus,
        lead=f"{users} of {tables.n_asked} with every system finished, {samples}.",
        grids=tuple(all_grids(tables, rates)),
        cases=shown,
        signature={**signature_of(personal), **tables.signature},
        personal=personal_grids(personal),
    )


def to_markdown(view: View) -> str:
    """Return a bench's view as Markdown.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall.bench import render_bench, to_markdown
        >>> to_markdown(render_bench(Path("bench"), texts=False)).splitlines()[0]
        '# lorecall bench'
    """
    return "\n".join(_lines(view)) + "\n"


def escaped(text: str) -> str:
    """Put a text on one line in which it means nothing to Markdown."""
    return words.plain(text).translate(_MARKS)


def _lines(view: View) -> Iterator[str]:
    yield "# lorecall bench"
    yield ""
    yield from (f"- {name}: {escaped(value)}" for name, value in view.facts.items())
    for warning in view.warnings:
        yield ""
        yield f"> **{escaped(warning)}**"
    for dataset in view.datasets:
        yield from _dataset(dataset)
    if not view.datasets:
        yield from ("", "No user has every system finished yet.")
    yield from ("", "## Systems", "")
    yield from (f"- {escaped(name)}: {escaped(title)}" for name, title in view.systems.items())
    yield from ("", "## Settings and versions", "")
    yield from (f"- {escaped(name)}: {escaped(value)}" for name, value in view.settings.items())
    yield from (f"- {escaped(name)} {escaped(value)}" for name, value in view.versions.items())


def _dataset(dataset: DatasetView) -> Iterator[str]:
    yield from ("", f"## {escaped(dataset.name)}", "", dataset.lead)
    for grid in dataset.personal + dataset.grids:
        yield from _grid(grid)
    if dataset.cases:
        yield from ("", "### Cases", "", "Test queries picked by no answer. Texts are masked.")
    for case in dataset.cases:
        yield from _case(case)
    yield from ("", "### Signatures", "")
    yield from (f"- {escaped(name)}: `{text}`" for name, text in dataset.signature.items())


def _grid(grid: Grid) -> Iterator[str]:
    yield from ("", f"### {escaped(grid.title)}", "")
    yield _row(grid.columns)
    yield "|" + " --- |" * len(grid.columns)
    yield from map(_row, grid.rows)
    if grid.note:
        yield from ("", escaped(grid.note))


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(map(escaped, cells))} |"


def _case(case: Case) -> Iterator[str]:
    yield from ("", f"**{escaped(case.query)}**", "")
    yield from (f"- {words.speaker(turn)}: {escaped(turn.text)}" for turn in case.earlier)
    yield from (f"- the user wrote: {escaped(text)}" for text in case.about)
    yield f"- true: {escaped(case.truth)}"
    for system, text in case.responses.items():
        yield f"- {escaped(system)}: {escaped(text) or '(nothing)'}"


def bench_view(view: View) -> Iterator[RenderableType]:
    """Yield for a terminal the warnings, and of each dataset personal gain, scores and comparisons.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall.bench import bench_view, render_bench
        >>> len(list(bench_view(render_bench(Path("bench"), texts=False))))
        7
    """
    for warning in view.warnings:
        yield Text(warning, style="bold")
    for dataset in view.datasets:
        yield Text(f"\n{words.plain(dataset.name)}: {dataset.lead}", style="bold")
        for grid in dataset.personal + dataset.grids[:_N_GRIDS]:
            yield Text()
            yield grid_table(grid)
    if not view.datasets:
        yield Text("No user has every system finished yet.")


def grid_table(grid: Grid) -> FittingTable:
    """Show one table; the paper's rows are dim, and named as the paper's."""
    first, *others = grid.columns
    columns = [Column(heading=first, folds_at=TEXT_WIDTH)]
    columns += [Column(heading=name, folds_at=_BOUND_WIDTH) for name in others]
    own = len(grid.rows) if grid.n_own is None else grid.n_own
    return FittingTable(
        title=grid.title,
        columns=columns,
        rows=[[Text(printable(cell)) for cell in row] for row in grid.rows],
        styles=["" if i < own else "dim" for i in range(len(grid.rows))],
        gap=1,
    )
