"""What a result keeps of the test samples."""

from collections.abc import Callable
from dataclasses import replace

from lorecall.learning.held_out import SystemReading
from lorecall.learning.readings import Readings
from lorecall.learning.scoring import _personal, _replies, _swapped
from lorecall.records import Turn
from lorecall.systems.contract import PersonData


def reading(*losses: float, shown: tuple[str, ...] = ()) -> SystemReading:
    """Make a reading of these losses."""
    return SystemReading(losses=losses, shown=shown, seconds=0.0)


def test_a_reply_keeps_the_turns_before_it(make_person: Callable[..., PersonData]) -> None:
    """The reply depends on them; they are masked as the reply is."""
    split = make_person(n_conversations=14).split
    earlier = (
        Turn(by_author=False, text="write to ann@example.org"),
        Turn(by_author=True, text="I will"),
    )
    split = replace(split, test=tuple(replace(s, earlier=earlier) for s in split.test))
    shown = ("call 555-010-4477",) * 5
    others = {"bob": reading(shown=("of bob",) * 5), "cleo": reading()}
    readings = Readings(systems={"own": reading(shown=shown)}, others=others, picked=None)
    replies = _replies(split, readings)
    assert len(replies) == 5
    for reply in replies:
        assert [turn.text for turn in reply.earlier] == ["write to [e-mail]", "I will"]
        assert [turn.by_author for turn in reply.earlier] == [False, True]
        assert reply.responses == {"own": "call [phone]", "other": "of bob"}


def test_intervals_are_over_the_replies_of_one_person() -> None:
    """A hand-worked case: others' mean loss of each reply less the own one's."""
    readings = Readings(
        systems={"base": reading(5.0, 6.0), "shared": reading(3.0, 4.0), "own": reading(2.5, 3.9)},
        others={"bob": reading(3.5, 3.9), "cleo": reading(2.5, 4.3)},
        picked=None,
    )
    swapped = _swapped(readings, "shared")
    found = _personal(readings, "shared", swapped, n_resamples=500, seed=0)
    assert found.gain is not None
    assert [round(x, 9) for x in (found.gain.low, found.gain.value, found.gain.high)] == [
        0.2,
        0.35,
        0.5,
    ]
    less = found.own_less_shared
    assert [round(x, 9) for x in (less.low, less.value, less.high)] == [-0.5, -0.3, -0.1]
    assert (found.rank, found.of, found.auc) == (1, 3, 0.75)
