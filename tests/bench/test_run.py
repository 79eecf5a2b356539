"""A whole bench in this process: it goes on with more, and tells how far it is."""

from dataclasses import replace
from pathlib import Path

import pytest

from lorecall.bench.cells import finished_cells
from lorecall.bench.plan import BenchPlan, read_plan
from lorecall.bench.run import run_bench
from lorecall.core.progress import SilentReporter
from lorecall.errors import RunError
from lorecall.lm.base import LanguageModel


class Told(SilentReporter):
    """Notes how many stages there are, how many were skipped, and how many were done."""

    def __init__(self) -> None:
        self.n = self.n_skipped = self.n_done = 0

    def plan(self, n: int) -> None:
        """Note all."""
        self.n = n

    def skip(self, n: int = 1) -> None:
        """Note those that took no time."""
        self.n_skipped += n

    def finish(self, n: int = 1) -> None:
        """Note those that did."""
        self.n_done += n


def test_a_finished_bench_goes_on_with_more(
    plan: BenchPlan, llama: LanguageModel, tmp_path: Path
) -> None:
    """More systems and people in the same folder: what is there is kept, and fewer are refused."""
    out, (source,) = tmp_path / "bench", plan.sources
    small = replace(plan, sources=(replace(source, users=("bob",)),), systems=("vanilla",))
    run_bench(small, llama, out=out)
    (before,) = finished_cells(out)
    users = ("ann", "bob")
    more = replace(plan, sources=(replace(source, users=users),), systems=("retrieval", "vanilla"))
    told = Told()
    assert run_bench(more, llama, out=out, reporter=told) == []
    assert (told.n, told.n_skipped, told.n_done) == (4, 1, 3)
    cells = finished_cells(out)
    assert cells[0] == before
    assert {(c.cell.user, c.cell.system) for c in cells} == {
        (user, system) for user in users for system in more.systems
    }
    _, kept = read_plan(out)
    assert kept.sources[0].users == ("bob", "ann")
    assert kept.systems == ("vanilla", "retrieval")
    for other in (small, replace(more, settings=replace(plan.settings, test_samples=2))):
        with pytest.raises(RunError, match="a folder holds one run"):
            run_bench(other, llama, out=out)
    assert finished_cells(out) == cells
