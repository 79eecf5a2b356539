"""The progress of a long job: two bars on a terminal, and lines with the time left elsewhere."""

from collections.abc import Callable
from time import monotonic
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from lorecall.report.words import duration

_WHOLE_JOB_S = 24 * 3600.0  # the speed is averaged over the job, whose stages differ
_QUIET_S = 5.0


class BarReporter:
    """Shows the whole job and the stage that goes on; away from a terminal, a line a stage.

    Args:
        console: Where to show it.
        quiet_s: Seconds between two lines about stages, at least.
        clock: What time it is, in seconds.
    """

    def __init__(
        self,
        console: Console,
        *,
        quiet_s: float = _QUIET_S,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.console, self._quiet_s, self._clock = console, quiet_s, clock
        self._n = self._done = self._skipped = 0
        self._started = self._clock()
        self._quiet_until = 0.0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            get_time=clock,
            speed_estimate_period=_WHOLE_JOB_S,
            transient=True,
        )
        self._job = self._bar.add_task("all", total=None)
        self._stage = self._bar.add_task("starting", total=1.0)

    def plan(self, n: int) -> None:
        """Start both bars."""
        self._n, self._done, self._skipped, self._started = n, 0, 0, self._clock()
        self._bar.reset(self._job, total=n)

    def doing(self, line: str) -> None:
        """Start the stage's bar anew, or print the line with the time left."""
        self._bar.reset(self._stage, description=escape(line), total=1.0)
        if not self.console.is_terminal and self._clock() >= self._quiet_until:
            self._quiet_until = self._clock() + self._quiet_s
            self.say(f"{self._done + self._skipped + 1} of {self._n}: {line}{self._left()}")

    def advance(self, share: float) -> None:
        """Move the stage's bar."""
        self._bar.advance(self._stage, share)

    def finish(self, n: int = 1) -> None:
        """Move the whole job's bar."""
        self._done += n
        self._bar.advance(self._job, n)

    def skip(self, n: int = 1) -> None:
        """Move the whole job's bar without a trace in its speed, which `advance` would leave."""
        self._skipped += n
        self._bar.tasks[self._job].completed += n

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _left(self) -> str:
        if not self._done:
            return ""
        gone = self._clock() - self._started
        n_left = self._n - self._done - self._skipped
        return f" (about {duration(gone / self._done * n_left)} left)"

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self._bar.stop()
