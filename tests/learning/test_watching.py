"""How a search is told of while it runs."""

from types import SimpleNamespace

import pytest
from lorecall.learning.watching import Watch

from lorecall.core.progress import Ledger
from lorecall.records import InjectionConfig, ObjectiveValues

THETA = InjectionConfig(layers=(0, 2), n_loras=2, rank=8)
FOUND = ObjectiveValues(loss=3.25, rouge_l=9.5)


class Told:
    """A reporter, and workers that count how often they were looked after."""

    def __init__(self) -> None:
        self.done, self.tended = 0.0, 0
        self.doings: list[str] = []
        self.lines: list[str] = []

    def plan(self, total: float) -> None:
        """Forget the plan."""

    def advance(self, amount: float) -> None:
        """Add up the work."""
        self.done += amount

    def doing(self, line: str) -> None:
        """Remember what is going on."""
        self.doings.append(line)

    def say(self, line: str) -> None:
        """Remember a line."""
        self.lines.append(line)

    def tend(self) -> None:
        """Count."""
        self.tended += 1


def watch_of(told: Told, *, n_finished: int = 0, at_work: int = 1) -> tuple[Watch, SimpleNamespace]:
    """Watch a search of at most nine trials over three layers, ten tokens each."""
    search = SimpleNamespace(
        n_finished=n_finished,
        at_work=at_work,
        settings=SimpleNamespace(trials=9),
        space=SimpleNamespace(n_layers=3),
    )
    return Watch(search, Ledger(told, 90), told, what="trial", cost=10.0), search


@pytest.mark.parametrize(
    ("n", "at_work", "line"),
    [
        (1, 1, "trial 3 of at most 9"),
        (1, 3, "trial 3 of at most 9, 2 more beside it"),
        (2, 2, "trial 3 to 4 of at most 9"),
    ],
)
def test_own_trials_are_announced(n: int, at_work: int, line: str) -> None:
    """With what is finished before, and what others are at; what is finished is booked at once."""
    told = Told()
    watch, search = watch_of(told, n_finished=2, at_work=at_work)
    assert told.done == 20
    with watch.stage(search, n) as advance:
        advance(4)
    assert told.doings == [line]
    assert told.done == 20 + 10 * n


def test_everyones_trials_are_told_and_booked_once() -> None:
    """An own trial is booked as it goes on, another's when it is told."""
    told = Told()
    watch, search = watch_of(told)
    with watch.stage(search, 1):
        pass
    watch.tell(0, FOUND, THETA)
    assert told.done == 10
    watch.tell(1, FOUND, THETA)
    assert told.done == 20
    assert told.tended == 2
    assert told.lines[0] == (
        "trial   0   loss 3.250   ROUGE-L  9.50   2 of 3 layers, 2 modules of rank 8"
    )


def test_further_factors_are_told_where_they_differ() -> None:
    """And only there."""
    told = Told()
    watch, _ = watch_of(told)
    wide = InjectionConfig(layers=(0,), n_loras=1, rank=8, scaling=2.0, dropout=0.05)
    watch.tell(0, FOUND, wide)
    assert told.lines[0].endswith("1 modules of rank 8, scaling 2, dropout 0.05")


def test_waiting_is_said_and_workers_are_looked_after() -> None:
    """One that was killed meanwhile is started again."""
    told = Told()
    watch_of(told)[0].wait()
    assert told.tended == 1
    assert "waiting" in told.doings[0]


def test_a_stage_that_breaks_is_no_trial() -> None:
    """The error passes; the work it did not do is booked when another's is told."""
    told = Told()
    watch, search = watch_of(told)

    def broken() -> None:
        with watch.stage(search, 1):
            raise RuntimeError("broke")

    with pytest.raises(RuntimeError, match="broke"):
        broken()
    watch.tell(0, FOUND, THETA)
    assert told.done == 10
