"""How a long job tells someone how far it is: one seam, and a ledger of planned work.

Work is counted in token equivalents, so that the time left can be told from the start: one for a
token trained, less for a token read, more for a token generated.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Protocol


class Reporter(Protocol):
    """Who is told."""

    def plan(self, total: float) -> None:
        """Learn how much work there is, in token equivalents."""
        ...

    def advance(self, amount: float) -> None:
        """Learn that some of it is done."""
        ...

    def doing(self, line: str) -> None:
        """Learn what is going on now."""
        ...

    def say(self, line: str) -> None:
        """Learn something worth keeping in view."""
        ...


class SilentReporter:
    """Tells nobody."""

    def plan(self, total: float) -> None:
        """Ignore the plan."""

    def advance(self, amount: float) -> None:
        """Ignore the progress."""

    def doing(self, line: str) -> None:
        """Ignore the line."""

    def say(self, line: str) -> None:
        """Ignore the line."""


class Ledger:
    """Keeps the work done in step with the work planned, also where a stage ends early.

    Args:
        reporter: Who is told.
        total: All the work, in token equivalents.
    """

    def __init__(self, reporter: Reporter, total: float) -> None:
        self.reporter = reporter
        reporter.plan(total)

    @contextmanager
    def stage(self, line: str, cost: float) -> Generator[Callable[[float], None], None, None]:
        """Announce a stage; what it does not report itself is reported when it ends.

        Args:
            line: What is going on.
            cost: The stage's share of the plan.
        """
        self.reporter.doing(line)
        left = cost

        def advance(amount: float) -> None:
            nonlocal left
            step = min(amount, left)
            left -= step
            self.reporter.advance(step)

        yield advance
        self.reporter.advance(left)

    def skip(self, cost: float) -> None:
        """Report a stage that was done before."""
        self.reporter.advance(cost)
