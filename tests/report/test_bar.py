"""The progress of a long job: bars on a terminal, lines with the time left elsewhere."""

import io

import pytest
from rich.console import Console

from lorecall.core.progress import Reporter
from lorecall.report.bar import BarReporter


def told(*, terminal: bool) -> str:
    """Tell of a job of three stages, and return what was shown."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
    with BarReporter(console) as bar:
        reporter: Reporter = bar
        reporter.plan(3)
        reporter.doing("reading the [base]")
        reporter.advance(0.5)
        reporter.finish()
        reporter.say("trial 0   loss [bold]4.1")
        reporter.doing("trial 1")
        reporter.finish(2)
    return console.file.getvalue()


def test_away_from_a_terminal_stages_are_lines() -> None:
    """What goes on, which of how many; texts are never markup."""
    lines = told(terminal=False).splitlines()
    assert lines[0] == "1 of 3: reading the [base]"
    assert "trial 0   loss [bold]4.1" in lines


def test_the_time_left_is_told_once_a_stage_is_done() -> None:
    """From how long the finished stages took; lines come no faster than every few seconds."""
    console = Console(file=io.StringIO(), width=80)
    bar = BarReporter(console, quiet_s=0.0)
    bar.plan(4)
    bar.doing("one")
    bar.finish()
    bar.doing("two")
    first, second = console.file.getvalue().splitlines()
    assert first == "1 of 4: one"
    assert second.startswith("2 of 4: two (about ")
    assert second.endswith(" left)")


@pytest.mark.parametrize("terminal", [False, True])
def test_stages_finished_before_say_nothing_of_the_time_left(*, terminal: bool) -> None:
    """80 of 83 were, then one took 10 s and another too: the last takes 10 s, not none."""
    now = 0.0
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
    with BarReporter(console, quiet_s=0.0, clock=lambda: now) as bar:
        bar.plan(83)
        bar.skip(80)
        for name in ("one", "two"):
            bar.doing(name)
            now += 10
            bar.finish()
        bar.doing("three")
        if terminal:
            assert bar._bar.tasks[0].time_remaining == 10
        else:
            assert "83 of 83: three (about 10.0 s left)" in console.file.getvalue()


def test_on_a_terminal_both_bars_are_drawn() -> None:
    """The whole job's, and the stage's; a line is printed above them."""
    text = told(terminal=True)
    assert "reading the [base]" in text
    assert "trial 0   loss [bold]4.1" in text
    assert "all" in text
