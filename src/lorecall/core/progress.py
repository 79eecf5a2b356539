"""How a long job tells someone how far it is: so many stages, one of them going on."""

from typing import Protocol


class Reporter(Protocol):
    """Who is told.

    A job has a number of stages, such as trials, trainings or cells of a bench. They are of like
    size, so that how many are finished says how far the job is and how long it takes.

    Examples:
        >>> from lorecall import Reporter
        >>> class Lines(Reporter):
        ...     def doing(self, line: str) -> None:
        ...         print(line)
        >>> reporter = Lines()  # for `lorecall.learn(history, out="runs/ann", reporter=reporter)`
        >>> reporter.plan(2)
        >>> reporter.doing("training the default LoRA")
        training the default LoRA
        >>> reporter.finish()
    """

    def plan(self, n: int) -> None:
        """Learn how many stages there are."""

    def doing(self, line: str) -> None:
        """Learn that a stage begins, and what it does."""

    def advance(self, share: float) -> None:
        """Learn that a share of the stage that goes on is done."""

    def finish(self, n: int = 1) -> None:
        """Learn that stages are finished, whoever did them."""

    def skip(self, n: int = 1) -> None:
        """Learn that stages need not be done: an earlier run finished them, or nobody wants them.

        They took no time, so they say nothing about how long the others take.
        """

    def say(self, line: str) -> None:
        """Learn something worth keeping in view."""


class SilentReporter(Reporter):
    """Tells nobody.

    Examples:
        >>> from lorecall.core import SilentReporter
        >>> SilentReporter().say("nobody hears this")
    """
