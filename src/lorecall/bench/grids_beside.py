"""The further tables of a bench: win rates, the control of Persona F1, costs; and all in order."""

from collections.abc import Sequence
from itertools import chain

from lorecall.bench import paper
from lorecall.bench.grids import (
    NONE,
    ablation_grid,
    comparison_grid,
    gain_grid,
    scores_grid,
    with_bounds,
)
from lorecall.bench.numbers import DatasetTables, Row
from lorecall.bench.view import Grid
from lorecall.judge.win_rate import WinRate
from lorecall.records import Interval
from lorecall.report.words import METRICS, duration, short_count


def win_rate_grid(rates: Sequence[WinRate], dataset: str) -> Grid | None:
    """Show Table 4: win rates by a judge, if it has judged."""
    if not rates:
        return None
    beside = paper.COMPARABLE.get(dataset)

    def published(rate: WinRate) -> str:
        known = paper.TABLE_4.get(rate.system_a) if rate.system_b == "vanilla" else None
        return f"{known[beside]:.2f}" if known and beside else NONE

    return Grid(
        title="Table 4: win rates",
        columns=(
            *("first", "against", "wins / all, %", "ties, losses, unparsable", "judge"),
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
    metric = METRICS[-1]
    return Grid(
        title="Persona F1 and its control",
        columns=("system", "own content", "another user's content"),
        rows=tuple(
            (
                row.system,
                with_bounds(metric, row.means[metric.key]),
                NONE if row.persona_other is None else with_bounds(metric, row.persona_other),
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
            *("system", "extra prompt tokens", "seconds a reply", "stored bytes"),
            *("training", "also"),
        ),
        rows=tuple(_cost(row) for row in tables.rows),
        note="Means over users. A reply by itself, one at a time, putting the memory on among it;"
        " training includes the search.",
    )


def _percent(rate: Interval) -> str:
    return f"{100 * rate.value:.1f} [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"


def _cost(row: Row) -> tuple[str, ...]:
    cost = row.cost
    return (
        row.system,
        f"{cost.extra_prompt_tokens:.1f}",
        f"{cost.latency_s:.2f}",
        short_count(round(cost.n_bytes)),
        duration(cost.train_s) if cost.train_s else "none",
        ", ".join(f"{name} {value:.4g}" for name, value in cost.facts.items()),
    )


def all_grids(tables: DatasetTables, rates: Sequence[WinRate]) -> list[Grid]:
    """Return every table of a dataset, in the order they are read."""
    always = (scores_grid(tables), comparison_grid(tables), gain_grid(tables))
    maybe = (win_rate_grid(rates, tables.dataset), ablation_grid(tables))
    rest = (persona_grid(tables), cost_grid(tables))
    return [grid for grid in chain(always, maybe, rest) if grid is not None]
