"""From turns to samples: rules, drops, earlier turns, statements."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.data.samples import (
    Dialogue,
    Rules,
    Spoken,
    Usability,
    history_of,
    unix_seconds,
)
from lorecall.records import History, Turn

CHAT = Rules(min_words=3, max_words=6, repeats=False)


def talk(*turns: tuple[str, str], name: str = "c1", start: float = 0.0) -> Dialogue:
    """Make a dialogue of (author, text) turns, one a second."""
    spoken = (Spoken(author, text, start + i) for i, (author, text) in enumerate(turns))
    return Dialogue(name, tuple(spoken))


def collect(*dialogues: Dialogue, rules: Rules = CHAT) -> History:
    """Collect what ann wrote."""
    return history_of(dialogues, user="ann", dataset="made up", rules=rules)


class TestHistoryOf:
    """Collecting one speaker's replies."""

    def test_a_reply_becomes_a_sample(self) -> None:
        """The turn before is the query, the time is the response's."""
        history = collect(talk(("bob", "how are you"), ("ann", "fine thank you")))
        (sample,) = history.samples
        assert (sample.query, sample.response, sample.time) == (
            "how are you",
            "fine thank you",
            1.0,
        )
        assert (sample.user, sample.conversation, sample.earlier) == ("ann", "c1", ())

    def test_at_most_two_earlier_turns_oldest_first(self) -> None:
        """The turns right before the query, each with its side."""
        history = collect(
            talk(
                ("bob", "one"),
                ("ann", "two two two"),
                ("bob", "three"),
                ("ann", "four four four"),
                ("bob", "five"),
                ("ann", "six six six"),
            )
        )
        assert history.samples[1].earlier == (
            Turn(by_author=False, text="one"),
            Turn(by_author=True, text="two two two"),
        )
        assert history.samples[2].earlier == (
            Turn(by_author=False, text="three"),
            Turn(by_author=True, text="four four four"),
        )

    def test_an_opener_is_a_statement(self) -> None:
        """What answers nobody is no sample, and no drop either."""
        history = collect(talk(("ann", "hello to you all"), ("bob", "hi")))
        assert [s.text for s in history.statements] == ["hello to you all"]
        assert (history.samples, dict(history.dropped)) == ((), {})

    def test_a_turn_after_the_own_turn_is_a_statement(self) -> None:
        """One does not reply to oneself."""
        history = collect(talk(("bob", "hi"), ("ann", "one two three"), ("ann", "four five six")))
        assert [s.response for s in history.samples] == ["one two three"]
        assert [s.text for s in history.statements] == ["four five six"]

    def test_drops_are_counted_by_reason_and_kept_as_statements(self) -> None:
        """Short, long, repeated and unprompted replies; nothing is lost but empty text."""
        history = collect(
            talk(
                ("bob", "a"),
                ("ann", "too short"),
                ("bob", "b"),
                ("ann", "this one is much too long now"),
                ("bob", "c"),
                ("ann", "just right this"),
                ("bob", "d"),
                ("ann", "Just  right THIS"),
                ("bob", " "),
                ("ann", "answer to nothing"),
                ("bob", "e"),
                ("ann", ""),
            )
        )
        assert [s.response for s in history.samples] == ["just right this"]
        assert history.dropped == {
            "response too short": 1,
            "response too long": 1,
            "repeated response": 1,
            "empty query": 1,
            "empty response": 1,
        }
        assert len(history.statements) == 4

    def test_a_repeat_is_found_across_conversations(self) -> None:
        """The earlier one, in the order of the dialogues, is kept."""
        first = talk(("bob", "a"), ("ann", "one two three"), name="c1")
        second = talk(("eve", "b"), ("ann", "one two three"), name="c2")
        assert [s.conversation for s in collect(first, second).samples] == ["c1"]

    def test_another_speakers_words_do_not_count_as_repeats(self) -> None:
        """Only the user's own earlier responses matter."""
        history = collect(talk(("bob", "one two three"), ("ann", "one two three")))
        assert len(history.samples) == 1

    def test_ids_are_unique_and_stable(self) -> None:
        """The same words at another place are another sample."""
        dialogue = talk(("bob", "a"), ("ann", "yes"), ("bob", "a"), ("ann", "yes"))
        ids = [sample.id for sample in collect(dialogue, rules=Rules()).samples]
        assert len(set(ids)) == 2
        assert ids == [sample.id for sample in collect(dialogue, rules=Rules()).samples]

    def test_a_stranger_has_an_empty_history(self) -> None:
        """No turn, no sample, no error."""
        assert collect(talk(("bob", "a"), ("eve", "b"))).samples == ()


class TestUsability:
    """Rules as data."""

    @pytest.mark.parametrize(
        ("n_words", "reason"),
        [(2, "response too short"), (3, None), (6, None), (7, "response too long")],
    )
    def test_the_bounds_are_inclusive(self, n_words: int, reason: str | None) -> None:
        """Both ends of the range are usable."""
        assert Usability(CHAT).drop_reason("query", "word " * n_words) == reason

    def test_the_default_rules_drop_only_the_empty(self) -> None:
        """Repeats, short and long responses stay."""
        usability = Usability(Rules())
        reasons = [usability.drop_reason("q", text) for text in ("a", "a", "a " * 500, " \n")]
        assert reasons == [None, None, None, "empty response"]

    @given(st.text(), st.text())
    def test_what_is_kept_once_is_dropped_the_second_time(self, query: str, response: str) -> None:
        """A usable reply is never usable twice where repeats are dropped."""
        usability = Usability(Rules(repeats=False))
        first = usability.drop_reason(query, response)
        second = usability.drop_reason(query, response)
        assert second == ("repeated response" if first is None else first)


class TestUnixSeconds:
    """ISO-8601 to Unix seconds."""

    @pytest.mark.parametrize(
        "text",
        ["2018-05-02T19:38:15Z", "2018-05-02 19:38:15", "2018-05-02T21:38:15+02:00"],
    )
    def test_an_offset_is_applied_and_utc_is_assumed(self, text: str) -> None:
        """Three ways to write one instant."""
        assert unix_seconds(text) == datetime(2018, 5, 2, 19, 38, 15, tzinfo=UTC).timestamp()

    @pytest.mark.parametrize("text", ["", "yesterday", "1700101012345", "2018-13-02", "2018-05"])
    def test_anything_else_is_refused(self, text: str) -> None:
        """A number in a string is not taken for a date either."""
        with pytest.raises(ValueError, match=r".+"):
            unix_seconds(text)
