"""Whoever is told of a job keeps one contract."""

from lorecall.core.progress import Reporter, SilentReporter


def test_nobody_can_be_told() -> None:
    """Every call is taken, and nothing comes of it."""
    reporter: Reporter = SilentReporter()
    reporter.plan(3)
    reporter.doing("a stage")
    reporter.advance(0.5)
    reporter.finish()
    reporter.finish(2)
    reporter.say("a line")
