"""What the cells come to: rows of the common shape, medians over seeds, and the headline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table
from search_cells import Cell
from search_methods import OURS, RANDOM

from lorecall.search import Values
from report import Row

SETTLED = 30  # trials past which ours must not be below random
_AT = (30, 50, 100, 200)
_QUARTERS = (25, 50, 75)
_SLACK = 1e-9
_TICK_S = 1e-3  # where the clock begins at the earliest


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A method on a problem over its seeds.

    Args:
        hypervolume: Lower quartile, median and upper quartile after each trial, shape (3, t).
        seconds: Median seconds of suggesting until each trial, shape (t,).
        cells: One a seed.
    """

    hypervolume: Values
    seconds: Values
    cells: tuple[Cell, ...]

    @property
    def median(self) -> Values:
        """The median, shape (t,)."""
        return self.hypervolume[1]

    @property
    def n_initial(self) -> int:
        """The trials that are random in every method."""
        return self.cells[0].n_initial

    def against_seconds(self, n: int = 120) -> tuple[Values, Values]:
        """Return the band on a clock: seconds, shape (n,), and quartiles, shape (3, n).

        The clock runs from where all seeds have their initial points for as long as all of them do.
        """
        end = max(_TICK_S, min(cell.seconds[-1] for cell in self.cells))
        start = max(_TICK_S, *(cell.seconds[self.n_initial - 1] for cell in self.cells))
        clock = np.geomspace(min(start, end), end, n)
        shares = [
            np.array([0.0, *cell.hypervolume])[np.searchsorted(cell.seconds, clock, side="right")]
            for cell in self.cells
        ]
        return clock, np.percentile(shares, _QUARTERS, axis=0)


Bands = Mapping[tuple[str, str], Band]
"""By problem and method."""


def bands_of(cells: Sequence[Cell]) -> dict[tuple[str, str], Band]:
    """Sum the seeds up; a method's cells on a problem have equally many trials."""
    grouped: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        grouped.setdefault((cell.problem, cell.method), []).append(cell)
    return {
        key: Band(
            hypervolume=np.percentile([c.hypervolume for c in group], _QUARTERS, axis=0),
            seconds=np.median([c.seconds for c in group], axis=0),
            cells=tuple(group),
        )
        for key, group in grouped.items()
    }


def rows_of(bands: Bands) -> list[Row]:
    """Return every method's figures, then the headline of each problem."""
    rows: list[Row] = []
    for (problem, method), band in bands.items():
        same = _same_start(bands, problem, method)
        n = len(band.median)
        for at in sorted({*(t for t in _AT if t < n), n}):
            name = f"hypervolume_at_{at}"
            shares = [cell.hypervolume[at - 1] for cell in band.cells]
            rows.append(Row.of(problem, method, name, values=shares, equivalence=same))
            for quartile, share in (("q1", band.hypervolume[0]), ("q3", band.hypervolume[2])):
                one = [float(share[at - 1])]
                rows.append(Row.of(problem, method, f"{name}_{quartile}", values=one))
        total = [cell.seconds[-1] for cell in band.cells]
        rows.append(Row.of(problem, method, "suggest_s", values=total))
        last = [cell.seconds[-1] - cell.seconds[max(0, n - 11)] for cell in band.cells]
        each = [seconds / max(1, min(10, n - 1)) for seconds in last]
        rows.append(Row.of(problem, method, "suggest_last_s", values=each))
    return rows + [row for problem in _problems(bands) for row in headline(bands, problem)]


def headline(bands: Bands, problem: str) -> list[Row]:
    """Return how soon ours has what the best other has at the end, and if random is above it."""
    ours = bands.get((problem, OURS))
    others = {m: band for (p, m), band in bands.items() if p == problem and m != OURS}
    if ours is None or not others:
        return []
    best = max(others, key=lambda name: others[name].median[-1])
    aim = float(others[best].median[-1])
    n, reached = len(others[best].median), trials_to(ours.median, aim)
    text = f"the best other is {best}: {aim:.4f} after {n} trials"
    note = (
        text if reached else f"not reached: {ours.median[-1]:.4f} after {len(ours.median)}; {text}"
    )

    def row(variant: str, metric: str, value: float | None, note: str = "") -> Row:
        values = [] if value is None else [value]
        return Row.of(problem, variant, metric, values=values, note=note)

    rows = [
        row(OURS, "trials_to_best_other", reached, note),
        row(OURS, "trials_to_best_other_share", reached and reached / n, note),
        row(best, "trials_to_best_other", trials_to(others[best].median, aim)),
    ]
    if RANDOM in others:
        below = below_random(ours.median, others[RANDOM].median)
        note = f"first after {below[0]} trials" if below else ""
        rows.append(row(OURS, f"trials_below_random_past_{SETTLED}", len(below), note))
    return rows


def trials_to(trace: Values, aim: float) -> int | None:
    """Return after how many trials a trace has come to an aim."""
    reached = np.flatnonzero(trace >= aim - _SLACK)
    return int(reached[0]) + 1 if len(reached) else None


def below_random(ours: Values, random: Values) -> list[int]:
    """List the numbers of trials, past the first 30, after which random's median is above ours."""
    last = min(len(ours), len(random))
    return [t for t in range(SETTLED + 1, last + 1) if ours[t - 1] < random[t - 1] - _SLACK]


def tables(bands: Bands, rows: Sequence[Row], *, title: str) -> list[Table]:
    """Lay out every method's hypervolume and seconds, and the headline."""
    n = max(len(band.median) for band in bands.values())
    at = sorted({*(t for t in _AT if t < n), n})
    full = Table(title=title, title_justify="left")
    for heading in ("problem", "method", *(f"after {t}" for t in at), "seconds", "s/trial, end"):
        full.add_column(heading)
    figures = {(row.case, row.variant, row.metric): row.median for row in rows}
    for (problem, method), band in bands.items():
        seconds = (figures[problem, method, name] for name in ("suggest_s", "suggest_last_s"))
        full.add_row(
            problem,
            method,
            *(_quartiles(band, t) for t in at),
            *("-" if s is None else f"{s:.3g}" for s in seconds),
        )
    short = Table(title="Ours against the best other, medians over seeds", title_justify="left")
    for heading in ("problem", "method", "metric", "figure", "remark"):
        short.add_column(heading)
    for row in rows:
        if row.metric.startswith("trials_"):
            figure = "-" if row.median is None else f"{row.median:.3g}"
            short.add_row(row.case, row.variant, row.metric, figure, row.note)
    return [full, short]


def _quartiles(band: Band, t: int) -> str:
    if t > len(band.median):
        return "-"
    low, middle, high = band.hypervolume[:, t - 1]
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def _problems(bands: Bands) -> list[str]:
    return list(dict.fromkeys(problem for problem, _ in bands))


def _same_start(bands: Bands, problem: str, method: str) -> dict[str, float] | None:
    """Return how far the shares after the common initial points are from ours: nothing, in fact."""
    ours = bands.get((problem, OURS))
    if ours is None or method == OURS:
        return None
    starts = {cell.seed: cell.hypervolume[: cell.n_initial] for cell in ours.cells}
    shared = [c for c in bands[problem, method].cells if c.seed in starts]
    apart = [
        abs(a - b)
        for c in shared
        for a, b in zip(starts[c.seed], c.hypervolume[: c.n_initial], strict=True)
    ]
    return {"initial_hypervolume": max(apart)} if apart else None
