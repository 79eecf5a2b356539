"""A bench on a terminal: the first tables; the page has all of them."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from lorecall.bench.view import Grid, View
from lorecall.report.words import plain

_N_GRIDS = 3  # scores, comparisons, gains


def bench_view(view: View) -> Iterator[RenderableType]:
    """Show the warnings, and of each dataset the scores, the comparisons and the gains."""
    for warning in view.warnings:
        yield Text(warning, style="bold")
    for dataset in view.datasets:
        yield Text(f"\n{plain(dataset.name)}: {dataset.lead}", style="bold")
        for grid in dataset.grids[:_N_GRIDS]:
            yield Text()
            yield grid_table(grid)
    if not view.datasets:
        yield Text("No user has every system finished yet.")


def grid_table(grid: Grid) -> Table:
    """Show one table; the paper's rows are dim, and named as the paper's."""
    table = Table(title=grid.title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    for column in grid.columns:
        table.add_column(Text(column), overflow="fold")
    for i, row in enumerate(grid.rows):
        own = grid.n_own is None or i < grid.n_own
        table.add_row(*map(Text, row), style="" if own else "dim")
    return table
