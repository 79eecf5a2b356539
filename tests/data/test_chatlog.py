"""Messages made dialogues."""

from collections.abc import Sequence

import pytest

from lorecall.data.chatlog import GAP_S, MAX_THREADS, Message, dialogues, text_of, tidy
from lorecall.data.events import NOBODY, Dialogue, Dropped, among_people


def said(
    n: int, sender: str, text: str, *, thread: str = "", answers: int | None = None
) -> Message:
    """Make a message, a minute after the last."""
    to = None if answers is None else str(answers)
    return Message("chat", str(n), sender, text, 60.0 * n, thread, to)


def made(messages: Sequence[Message | Dropped]) -> list[Dialogue]:
    """Return the dialogues of messages."""
    return [each for each in dialogues(messages) if isinstance(each, Dialogue)]


def pairs(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """Return each query and response."""
    found = [event for dialogue in made(messages) for event in among_people(dialogue)]
    return [(event.query, event.response) for event in found if hasattr(event, "query")]


class TestTurns:
    """What is one turn, and whose answer."""

    def test_a_message_without_text_parts_two_turns(self) -> None:
        """It is a turn that nobody can answer; within a turn it is nothing."""
        messages = [said(1, "a", "q"), said(2, "b", "r"), said(3, "a", ""), said(4, "b", "s")]
        assert pairs(messages) == [("q", "r")]
        within = [said(1, "a", "q"), said(2, "b", "r"), said(3, "b", ""), said(4, "b", "s")]
        assert pairs(within) == [("q", "r s")]
        assert pairs([said(1, "a", "q"), said(2, "a", ""), said(3, "b", "r")]) == [("q", "r")]

    def test_an_answer_goes_to_what_it_answers(self) -> None:
        """Though another stands between; what answers nothing that is there answers nobody."""
        messages = [
            *(said(1, "a", "q1"), said(2, "c", "q2"), said(3, "b", "to q1", answers=1)),
            *(said(4, "b", "to q2", answers=2), said(5, "b", "more", answers=2)),
            said(6, "a", "to an older one", answers=99),
        ]
        assert pairs(messages)[1:] == [("q1", "to q1"), ("q2", "to q2 more")]
        (dialogue,) = made(messages)
        assert [turn.answers for turn in dialogue.turns] == [None, None, 0, 1, NOBODY]

    def test_threads_are_read_apart(self) -> None:
        """As many at once as a chat may have."""
        messages = [
            *(said(1, "a", "q1", thread="x"), said(2, "c", "q2", thread="y")),
            *(said(3, "b", "r1", thread="x"), said(4, "b", "r2", thread="y")),
        ]
        assert pairs(messages) == [("q1", "r1"), ("q2", "r2")]
        many = [said(n, "a", "q", thread=str(n)) for n in range(MAX_THREADS + 5)]
        assert len(made(many)) == MAX_THREADS + 5

    def test_a_clock_that_is_put_back_begins_another(self) -> None:
        """Which does not begin before the one before it."""
        late, early = Message("c", "1", "a", "q", 9 * GAP_S), Message("c", "2", "b", "r", 0.0)
        first, second = made([late, early])
        assert (first.start(), second.start()) == (9 * GAP_S, 9 * GAP_S)


class TestNames:
    """Conversations of messages without ids."""

    def named(self, *texts: str, time: float | None = None) -> str:
        """Return the name of a conversation of two."""
        messages = [Message("", "", "ab"[n % 2], text, time) for n, text in enumerate(texts)]
        (dialogue,) = made(messages)
        return dialogue.id

    @pytest.mark.parametrize("time", [None, 5.0])
    def test_with_more_turns_it_has_the_same_name(self, time: float | None) -> None:
        """Once it has more than a greeting, or a time."""
        question, answer = "what can I cook with leeks today", "a leek and potato soup is easy"
        assert self.named(question, answer, time=time) == self.named(
            question, answer, "thanks", "sure", time=time
        )

    def test_a_greeting_names_nothing(self) -> None:
        """Many conversations begin with it."""
        assert self.named("hi", "hello!", "one") != self.named("hi", "hello!", "two")
        assert self.named("hi", "hello!", time=1.0) != self.named("hi", "hello!", time=2.0)


class TestTexts:
    """Texts as they are written."""

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            *(("plain", "plain"), ("\u200eOK \u2068Ann\u2069", "OK Ann"), ("e\u0301", "\u00e9")),
            ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ],
    )
    def test_tidy(self, text: str, found: str) -> None:
        """Marks go, accents are joined, what a script needs stays."""
        assert tidy(text) == found

    def test_parts_that_are_not_wanted(self) -> None:
        """With all that is in them."""
        content = [{"type": "quote", "text": "old"}, "new", {"type": "x", "text": {"value": "er"}}]
        found = text_of(
            content, between=" ", place=1, wanted=lambda part: part.get("type") != "quote"
        )
        assert found == "new er"
