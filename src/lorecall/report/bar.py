"""The progress bar of a long job: what is going on, how far it is, how long it will take."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_WHOLE_JOB_S = 3600.0  # the speed is averaged over the job: its stages differ too much


class BarReporter:
    """Shows progress on a terminal; away from one it prints the lines worth keeping.

    Args:
        console: Where to show it.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._task: TaskID | None = None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("in"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=_WHOLE_JOB_S,
            transient=True,
        )

    def plan(self, total: float) -> None:
        """Start the bar."""
        self._task = self._bar.add_task("starting", total=total)

    def advance(self, amount: float) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bar.advance(self._task, amount)

    def doing(self, line: str) -> None:
        """Return what is going on beside the bar."""
        if self._task is not None:
            self._bar.update(self._task, description=line)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self.console.print(line, highlight=False)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.console.is_terminal:
            self._bar.stop()
