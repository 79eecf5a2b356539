"""The tables of a bench as text: the same for Markdown, for the page and for the terminal."""

from collections.abc import Mapping

from lorecall.bench import paper
from lorecall.bench.numbers import DatasetTables
from lorecall.bench.plan import CONTROL
from lorecall.bench.tables import is_memory
from lorecall.bench.view import Grid
from lorecall.records import Interval
from lorecall.report.words import METRICS, Metric, counted
from lorecall.systems.searched import ABLATIONS, MEMORY

_P = 0.05
NONE = "-"
_OVERLAPS = METRICS[1:]  # what the paper has too
_SPACES: Mapping[str, str] = {
    "memory:n": "Num",
    "memory:rank": "Size",
    "memory:layer": "Layer",
    "memory:n+rank": "Num+Size",
    "memory:n+layer": "Num+Layer",
    "memory:rank+layer": "Size+Layer",
    MEMORY: "Num+Size+Layer",
}


def scores_grid(tables: DatasetTables) -> Grid:
    """Show Table 3: every system in every metric, the paper's own beside."""
    ours = [
        (row.system, *(with_bounds(m, row.means[m.key]) for m in METRICS))
        for row in tables.rows
        if ":" not in row.system
    ]
    theirs: list[tuple[str, ...]] = []
    if dataset := paper.COMPARABLE.get(tables.dataset):
        for system, row in paper.TABLE_3[paper.TABLE_3_BASE].items():
            cells = (m.value(_exact(getattr(row[dataset], m.key))) for m in _OVERLAPS)
            name = f"paper: {system}, {paper.TABLE_3_BASE} on {dataset}"
            theirs.append((name, NONE, *cells))
    return Grid(
        title="Table 3: systems and metrics",
        columns=("system", *(f"{m.title} {m.arrow}" for m in METRICS)),
        rows=(*ours, *theirs),
        n_own=len(ours),
        note=f"Means over {counted(tables.n_users, 'user')}, each counting alike, with 95%"
        " bootstrap intervals (users drawn, then samples);"
        f" {counted(tables.n_samples, 'test sample')}. Loss in nats per token, the others times"
        " 100." + (" The paper's rows are of other data and a larger base." if theirs else ""),
    )


def comparison_grid(tables: DatasetTables) -> Grid:
    """Show the memory against each other system, paired."""
    others = [row.system for row in tables.rows if row.system != tables.focus]
    return Grid(
        title=f"{tables.focus} against each other system",
        columns=(f"{tables.focus} less", *(f"{m.title} {m.arrow}" for m in METRICS)),
        rows=tuple(
            (system, *(_difference(tables, m, system) for m in METRICS)) for system in others
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
        references.append(("the control", dict.fromkeys((m.key for m in METRICS), CONTROL)))
    ours = [
        (what, *(_gain(tables, m, best.get(m.key)) for m in METRICS)) for what, best in references
    ]
    theirs: list[tuple[str, ...]] = []
    if dataset := paper.COMPARABLE.get(tables.dataset):
        gains = (f"{100 * paper.mean_gain(m.key, dataset):+.1f} %" for m in _OVERLAPS)
        theirs.append((f"paper: its best baseline, mean of four bases, {dataset}", NONE, *gains))
    return Grid(
        title=f"Relative gains of {tables.focus}",
        columns=("over", *(f"{m.title} {m.arrow}" for m in METRICS)),
        rows=(*ours, *theirs),
        n_own=len(ours),
        note="The best is chosen by these same test samples, which favours it.",
    )


def ablation_grid(tables: DatasetTables) -> Grid | None:
    """Show Table 5: the ablated spaces, if any was searched."""
    rows = [row for row in tables.rows if row.system in (*ABLATIONS, MEMORY)]
    if len(rows) < 2:  # noqa: PLR2004 - the whole space alone is no ablation
        return None
    dataset = paper.COMPARABLE.get(tables.dataset)

    def published(system: str) -> str:
        return f"{paper.TABLE_5[system][dataset]:.3f}" if dataset else NONE

    order = [row for name in _SPACES for row in rows if row.system == name]
    return Grid(
        title="Table 5: what is searched",
        columns=(
            "space",
            *(f"{m.title} {m.arrow}" for m in METRICS),
            f"paper: Persona F1, {paper.ABLATION_BASE}" + (f" on {dataset}" if dataset else ""),
        ),
        rows=tuple(
            (
                _SPACES[row.system],
                *(with_bounds(m, row.means[m.key]) for m in METRICS),
                published(row.system),
            )
            for row in order
        ),
        note="The same budget in every row; what is not searched is fixed: all layers, one module"
        " each, rank 16.",
    )


def _difference(tables: DatasetTables, metric: Metric, against: str) -> str:
    comparison = tables.comparison(metric.key, against)
    if comparison is None:
        return NONE
    d = comparison.difference
    sure = "" if not d.excludes_zero else " **" if comparison.p_holm < _P else " *"
    return (
        f"{metric.value(d, sign=True)} {metric.bounds(d, sign=True)}{sure}\n"
        f"better in {comparison.better} of {tables.n_users}, p {comparison.p_holm:.3f}"
    )


def _gain(tables: DatasetTables, metric: Metric, against: str | None) -> str:
    comparison = tables.comparison(metric.key, against) if against else None
    if comparison is None or comparison.gain is None:
        return NONE
    g = comparison.gain
    return f"{100 * g.value:+.1f} % [{100 * g.low:+.1f}, {100 * g.high:+.1f}]\nover {against}"


def _floor(tables: DatasetTables) -> str:
    """Say the smallest p there can be, so that a large one is not misread."""
    n = sum(not is_memory(row.system) for row in tables.rows if row.system != tables.focus)
    lowest = min(1.0, max(1, n) * 2 / 2**tables.n_users)
    users = f"{tables.n_users} user{'s' * (tables.n_users != 1)}"
    return f"With {users} and {n} other systems no corrected p can be below {lowest:.3g}."


def with_bounds(metric: Metric, interval: Interval) -> str:
    """Write a mean and its interval."""
    return f"{metric.value(interval)} {metric.bounds(interval)}"


def _exact(value: float) -> Interval:
    return Interval(value=value, low=value, high=value)
