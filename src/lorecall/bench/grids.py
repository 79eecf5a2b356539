"""The tables of a bench as text: the same for Markdown, for the page and for the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from lorecall.bench import paper
from lorecall.bench.tables import DatasetTables, SystemRow
from lorecall.judge.win_rate import WinRate
from lorecall.metrics.overlap import PERSONA_F1
from lorecall.metrics.registry import Metric, units
from lorecall.records import Interval, Searched
from lorecall.report.words import counted, duration, short_count
from lorecall.systems.about import CONTROL, VANILLA
from lorecall.systems.catalog import about

_P = 0.05
NONE = "-"
# what is searched -> the paper's word for it, in the order of its table
_SPACES: Mapping[Searched, str] = MappingProxyType(
    {
        "n": "Num",
        "rank": "Size",
        "layer": "Layer",
        "n+rank": "Num+Size",
        "n+layer": "Num+Layer",
        "rank+layer": "Size+Layer",
        "paper": "Num+Size+Layer",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table of texts.

    Args:
        title: What it shows.
        columns: Heads; the first column names the rows.
        rows: Texts; one may have several lines.
        note: How to read it.
        n_own: How many of the rows are ours; those after them are the paper's.

    Examples:
        >>> from lorecall.bench import Grid
        >>> grid = Grid(title="Scores", columns=("system", "loss"), rows=(("memory", "4.05"),))
        >>> dict(zip(grid.columns, grid.rows[0]))
        {'system': 'memory', 'loss': '4.05'}
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    n_own: int | None = None


def all_grids(tables: DatasetTables, rates: Sequence[WinRate]) -> list[Grid]:
    """Return every table of a dataset, in the order they are read."""
    every = (
        scores_grid(tables),
        comparison_grid(tables),
        gain_grid(tables),
        win_rate_grid(rates, tables.dataset),
        ablation_grid(tables),
        persona_grid(tables),
        cost_grid(tables),
    )
    return [grid for grid in every if grid is not None]


def scores_grid(tables: DatasetTables) -> Grid:
    """Show Table 3: every system in every metric, the paper's own beside."""
    ours = [
        (row.system, *_means(tables, row))
        for row in tables.rows
        if not about(row.system).is_ablation
    ]
    theirs: list[tuple[str, ...]] = []
    if dataset := paper.COMPARABLE.get(tables.dataset):
        for system, row in paper.TABLE_3[paper.TABLE_3_BASE].items():
            name = f"paper: {system}, {paper.TABLE_3_BASE} on {dataset}"
            theirs.append((name, *(_published(m, row[dataset]) for m in tables.metrics)))
    return Grid(
        title="Table 3: systems and metrics",
        columns=("system", *_heads(tables)),
        rows=(*ours, *theirs),
        n_own=len(ours),
        note=f"Means over {counted(tables.n_users, 'user')}, each counting alike, with 95%"
        " bootstrap intervals (users drawn, then samples);"
        f" {counted(tables.n_samples, 'test sample')}. {units(tables.metrics)}."
        + (" The paper's rows are of other data and a larger base." if theirs else ""),
    )


def comparison_grid(tables: DatasetTables) -> Grid:
    """Show the memory against each other system, paired."""
    others = [row.system for row in tables.rows if row.system != tables.focus]
    return Grid(
        title=f"{tables.focus} against each other system",
        columns=(f"{tables.focus} less", *_heads(tables)),
        rows=tuple(
            (system, *(_difference(tables, m, system) for m in tables.metrics)) for system in others
        ),
        note="Paired differences over users with 95% intervals; for how many users the memory is"
        " better; p of a sign-flip test over users, by Holm's method corrected for the systems of"
        f" its kind in that metric. {_floor(tables)} * interval excludes zero; ** and p < 0.05.",
    )


def gain_grid(tables: DatasetTables) -> Grid:
    """Show the relative gains over the best baselines and the control, the paper's beside."""
    references: list[tuple[str, Mapping[str, str]]] = [
        ("best of all others", tables.best),
        ("best of the paper's baselines", tables.best_of_paper),
    ]
    if tables.row(CONTROL) is not None and tables.focus != CONTROL:
        references.append(("the control", dict.fromkeys((m.key for m in tables.metrics), CONTROL)))
    ours = [
        (what, *(_gain(tables, m, best.get(m.key)) for m in tables.metrics))
        for what, best in references
    ]
    theirs: list[tuple[str, ...]] = []
    if dataset := paper.COMPARABLE.get(tables.dataset):
        gains = paper.mean_gains(dataset)
        cells = (f"{100 * gains[m.key]:+.1f} %" if m.key in gains else NONE for m in tables.metrics)
        theirs.append((f"paper: its best baseline, mean of four bases, {dataset}", *cells))
    return Grid(
        title=f"Relative gains of {tables.focus}",
        columns=("over", *_heads(tables)),
        rows=(*ours, *theirs),
        n_own=len(ours),
        note="The best is chosen by these same test samples, which favours it.",
    )


def ablation_grid(tables: DatasetTables) -> Grid | None:
    """Show Table 5: the ablated spaces, if any was searched."""
    searched = {about(row.system).searches: row for row in tables.rows if _alone(row)}
    if not searched.keys() - {"none", "paper"}:
        return None
    dataset = paper.COMPARABLE.get(tables.dataset)

    def published(system: str) -> str:
        return f"{paper.TABLE_5[system][dataset]:.3f}" if dataset else NONE

    return Grid(
        title="Table 5: what is searched",
        columns=(
            "space",
            *_heads(tables),
            f"paper: Persona F1, {paper.ABLATION_BASE}" + (f" on {dataset}" if dataset else ""),
        ),
        rows=tuple(
            (words, *_means(tables, row), published(row.system))
            for space, words in _SPACES.items()
            if (row := searched.get(space)) is not None
        ),
        note="The same budget in every row; what is not searched is fixed: all layers, one module"
        " each, rank 16.",
    )


def win_rate_grid(rates: Sequence[WinRate], dataset: str) -> Grid | None:
    """Show Table 4: win rates by a judge, if it has judged."""
    if not rates:
        return None
    beside = paper.COMPARABLE.get(dataset)

    def published(rate: WinRate) -> str:
        known = paper.TABLE_4.get(rate.system_a) if rate.system_b == VANILLA else None
        return f"{known[beside]:.2f}" if known and beside else NONE

    return Grid(
        title="Table 4: win rates",
        columns=(
            "first",
            "against",
            "wins / all, %",
            "ties, losses, unparsable",
            "judge",
            f"paper: {paper.TABLE_3_BASE}" + (f" on {beside}" if beside else ""),
        ),
        rows=tuple(
            (
                rate.system_a,
                rate.system_b,
                _percent(rate.rate) + f" of {rate.n}",
                f"{rate.ties}, {rate.losses}, {rate.unparsable}",
                f"{rate.judge}, probe {rate.probe or 'not made'}",
                published(rate),
            )
            for rate in rates
        ),
        note="Every pair judged in both orders. The paper's judge is not ours.",
    )


def persona_grid(tables: DatasetTables) -> Grid:
    """Show Persona F1 with its control: the same answers against another user's content."""
    metric = PERSONA_F1
    return Grid(
        title="Persona F1 and its control",
        columns=("system", "own content", "another user's content"),
        rows=tuple(
            (
                row.system,
                _with_bounds(metric, row.means[metric.key]),
                NONE if row.persona_other is None else _with_bounds(metric, row.persona_other),
            )
            for row in tables.rows
        ),
        note=f"|H| is {tables.n_persona:,.0f} words on average, {tables.n_persona_other:,.0f} of"
        " the other users. Persona F1 falls as |H| grows: only scores against the same content can"
        " be compared. Where both columns are alike, the answers are not personal.",
    )


def cost_grid(tables: DatasetTables) -> Grid:
    """Show what each system costs a user."""
    return Grid(
        title="Costs, a user",
        columns=(
            "system",
            "extra prompt tokens",
            "seconds a reply",
            "stored bytes",
            "training",
            "also",
        ),
        rows=tuple(_cost(row) for row in tables.rows),
        note="Means over users. A reply by itself, one at a time, putting the memory on among it;"
        " training includes the search.",
    )


def _difference(tables: DatasetTables, metric: Metric, against: str) -> str:
    comparison = tables.comparison(metric.key, against)
    if comparison is None:
        return NONE
    d = comparison.difference
    sure = "" if not d.excludes_zero else " **" if comparison.p_holm < _P else " *"
    return (
        f"{metric.value(d, sign=True)} {metric.bounds(d, sign=True)}{sure}\n"
        f"better in {comparison.better} of {tables.n_users}, {_p_value(comparison.p_holm)}"
    )


def _p_value(p: float) -> str:
    """Return a p value as tables have it: no probability is 0."""
    return f"p {p:.3f}" if p >= 0.0005 else "p < 0.001"  # noqa: PLR2004 - what rounds to 0.001


def _gain(tables: DatasetTables, metric: Metric, against: str | None) -> str:
    comparison = tables.comparison(metric.key, against) if against else None
    if comparison is None or comparison.gain is None:
        return NONE
    g = comparison.gain
    return f"{100 * g.value:+.1f} % [{100 * g.low:+.1f}, {100 * g.high:+.1f}]\nover {against}"


def _floor(tables: DatasetTables) -> str:
    """Return a line on the smallest p there can be, so that a large one is not misread."""
    n = sum(not about(row.system).is_memory for row in tables.rows if row.system != tables.focus)
    lowest = min(1.0, max(1, n) * 2 / 2**tables.n_users)
    users = counted(tables.n_users, "user")
    return f"With {users} and {n} other systems no corrected p can be below {lowest:.3g}."


def _with_bounds(metric: Metric, interval: Interval) -> str:
    """Write a mean and its interval."""
    return f"{metric.value(interval)} {metric.bounds(interval)}"


def _heads(tables: DatasetTables) -> list[str]:
    return [f"{metric.title} {metric.arrow}" for metric in tables.metrics]


def _means(tables: DatasetTables, row: SystemRow) -> list[str]:
    return [_with_bounds(metric, row.means[metric.key]) for metric in tables.metrics]


def _published(metric: Metric, scores: Mapping[str, float]) -> str:
    """Write a published score, where the paper has this metric."""
    value = scores.get(metric.key)
    return NONE if value is None else f"{value:.{metric.decimals}f}"


def _alone(row: SystemRow) -> bool:
    """Whether a row is of a memory of ours without notes."""
    it = about(row.system)
    return it.is_memory and not it.notes


def _percent(rate: Interval) -> str:
    return f"{100 * rate.value:.1f} [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"


def _cost(row: SystemRow) -> tuple[str, ...]:
    cost = row.cost
    return (
        row.system,
        f"{cost.extra_prompt_tokens:.1f}",
        f"{cost.latency_s:.2f}",
        short_count(round(cost.n_bytes)),
        duration(cost.train_s) if cost.train_s else "none",
        ", ".join(f"{name} {value:.4g}" for name, value in cost.facts.items()),
    )
