"""What a result keeps of the test samples."""

from collections.abc import Callable
from dataclasses import replace

from lorecall.learning.run import FitSummary
from lorecall.learning.scoring import SystemReading, _replies
from lorecall.records import Turn
from lorecall.systems.contract import Person
from lorecall.train.reading import Reading


def test_a_reply_keeps_the_turns_before_it(make_person: Callable[..., Person]) -> None:
    """The reply depends on them; they are masked as the reply is."""
    split = make_person().split
    earlier = (
        Turn(by_author=False, text="write to ann@example.org"),
        Turn(by_author=True, text="I will"),
    )
    split = replace(split, test=tuple(replace(s, earlier=earlier) for s in split.test))
    n = len(split.test)
    reading = Reading(losses=(1.0,) * n, responses=("call 555-010-4477",) * n, seconds=0.0)
    replies = _replies(split, {"memory": SystemReading(reading=reading, fit=FitSummary())})
    assert replies
    for reply in replies:
        assert [turn.text for turn in reply.earlier] == ["write to [e-mail]", "I will"]
        assert [turn.by_author for turn in reply.earlier] == [False, True]
        assert reply.responses == {"memory": "call [phone]"}
