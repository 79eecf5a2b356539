"""Someone is told how far a long job is, or nobody."""

import pytest

from lorecall.core.progress import Reporter, SilentReporter


def test_the_silent_reporter_tells_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """It keeps the seam and prints nothing."""
    reporter: Reporter = SilentReporter()
    reporter.plan(2)
    reporter.doing("a stage")
    reporter.advance(0.5)
    reporter.finish()
    reporter.say("a line")
    assert capsys.readouterr() == ("", "")
