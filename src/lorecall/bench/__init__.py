"""Systems x people x seeds, and the tables of the paper.

A bench is planned (`make_plan`), run cell by cell (`run_bench`) and made readable (`render_bench`).

Examples:
    >>> from lorecall.bench import BenchPlan, Source
    >>> source = Source(name="chitchat", users=("4fde054d", "ed4e9769"))
    >>> len(BenchPlan(sources=(source,), systems=("vanilla", "memory"), seeds=(0, 1)).cells())
    8
"""

from typing import TYPE_CHECKING

from lorecall.core.lazy import lazy_names

if TYPE_CHECKING:
    from lorecall.bench.cells import Cell, CellScores, Failure, finished_cells
    from lorecall.bench.grids import Grid
    from lorecall.bench.people import Source, choose_users, newest
    from lorecall.bench.personal import PersonalPart, PersonalRow, personal_rows
    from lorecall.bench.plan import BenchPlan, make_plan, read_plan
    from lorecall.bench.render import (
        DatasetView,
        View,
        bench_view,
        dataset_view,
        render_bench,
        to_markdown,
    )
    from lorecall.bench.run import check_failures, run_bench
    from lorecall.bench.settings import BenchSettings, bench_preset
    from lorecall.bench.statistics import tabulate
    from lorecall.bench.swaps import SwapReading, finished_swaps
    from lorecall.bench.tables import Comparison, Cost, DatasetTables, SystemRow

__all__ = [
    "BenchPlan",
    "BenchSettings",
    "Cell",
    "CellScores",
    "Comparison",
    "Cost",
    "DatasetTables",
    "DatasetView",
    "Failure",
    "Grid",
    "PersonalPart",
    "PersonalRow",
    "Source",
    "SwapReading",
    "SystemRow",
    "View",
    "bench_preset",
    "bench_view",
    "check_failures",
    "choose_users",
    "dataset_view",
    "finished_cells",
    "finished_swaps",
    "make_plan",
    "newest",
    "personal_rows",
    "read_plan",
    "render_bench",
    "run_bench",
    "tabulate",
    "to_markdown",
]

__getattr__, __dir__ = lazy_names(__name__)
