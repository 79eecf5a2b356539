"""Several tables as one."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from lorecall.bench.people import Source
from lorecall.bench.plan import BenchPlan
from lorecall.bench.settings import BenchSettings

TABLES = Path(__file__).parents[2] / "experiments" / "tables"


@pytest.fixture
def pooled(load: Callable[[str], ModuleType]) -> ModuleType:
    """Import the experiment."""
    return load("pooled")


def plan(users: str, systems: str, **changes: object) -> BenchPlan:
    """Make a plan of people named by letters."""
    source = Source(name="d", users=tuple(users))
    return BenchPlan(sources=(source,), systems=tuple(systems.split()), **changes)


def test_people_add_up_and_systems_are_those_of_all(pooled: ModuleType) -> None:
    """In the order of the first."""
    both = pooled.pooled([plan("ab", "vanilla oppu memory"), plan("c", "memory vanilla")])
    assert both.sources[0].users == ("a", "b", "c")
    assert both.systems == ("vanilla", "memory")


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ([plan("bc", "memory")], "one of the tables alone"),
        ([plan("c", "memory", seeds=(1,))], "same seeds"),
        ([plan("c", "memory", settings=BenchSettings(preset="smoke"))], "one preset"),
    ],
)
def test_what_cannot_be_pooled_is_refused(
    pooled: ModuleType, others: list[BenchPlan], message: str
) -> None:
    """A person twice, other seeds, another preset."""
    with pytest.raises(SystemExit, match=message):
        pooled.pooled([plan("ab", "memory"), *others])


def test_one_table_is_itself(pooled: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """The numbers of a table that is kept here come out as they are in it."""
    folder = TABLES / "chitchat"
    pooled.main([str(folder)])
    printed = capsys.readouterr().out
    kept = (folder / "bench.md").read_text(encoding="utf-8")
    grids = printed.split("### ")[1:-1]
    assert len(grids) >= 4
    assert all(grid.strip() in kept for grid in grids)
