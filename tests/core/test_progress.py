"""The ledger keeps the work done in step with the work planned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.core.progress import Ledger, Reporter, SilentReporter


class Recorder:
    """A reporter that remembers what it was told."""

    def __init__(self) -> None:
        self.planned = 0.0
        self.done = 0.0
        self.stages: list[str] = []
        self.lines: list[str] = []

    def plan(self, total: float) -> None:
        """Remember the plan."""
        self.planned = total

    def advance(self, amount: float) -> None:
        """Add the progress up."""
        assert amount >= 0
        self.done += amount

    def doing(self, line: str) -> None:
        """Remember the stage."""
        self.stages.append(line)

    def say(self, line: str) -> None:
        """Remember the line."""
        self.lines.append(line)


def test_the_plan_and_the_stages_are_announced() -> None:
    """Total first, then a line for every stage."""
    recorder = Recorder()
    ledger = Ledger(recorder, 10)
    with ledger.stage("reading", 10):
        pass
    assert (recorder.planned, recorder.stages) == (10, ["reading"])


@given(cost=st.integers(0, 1000), amounts=st.lists(st.integers(0, 400), max_size=6))
def test_a_stage_reports_its_cost_whatever_it_did(cost: int, amounts: list[int]) -> None:
    """Too little is made up for at the end, too much is cut."""
    recorder = Recorder()
    with Ledger(recorder, cost).stage("x", cost) as advance:
        for amount in amounts:
            advance(amount)
            assert recorder.done <= cost
    assert recorder.done == cost


def test_a_stage_that_was_done_before_counts() -> None:
    """A run that goes on starts where it was."""
    recorder = Recorder()
    Ledger(recorder, 10).skip(4)
    assert recorder.done == 4


def test_a_stage_that_fails_does_not_report_the_rest() -> None:
    """What was not done is not told, and the error goes on."""
    recorder = Recorder()

    def work() -> None:
        with Ledger(recorder, 10).stage("x", 10) as advance:
            advance(3)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert recorder.done == 3


def test_the_silent_reporter_tells_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """It keeps the seam and prints nothing."""
    reporter: Reporter = SilentReporter()
    ledger = Ledger(reporter, 2)
    with ledger.stage("x", 1) as advance:
        advance(1)
    ledger.skip(1)
    reporter.say("a line")
    assert capsys.readouterr() == ("", "")
