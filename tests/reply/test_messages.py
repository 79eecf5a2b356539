"""Conversations as messages: the query, what came before, what is refused."""

from typing import cast

import pytest

from lorecall.errors import ConfigError
from lorecall.records import Turn
from lorecall.reply.messages import Messages, messages_of, parse, with_earlier


def test_a_query_alone_has_nothing_before_it() -> None:
    """As a text, or as one message."""
    assert parse("hello") == ("hello", ())
    assert parse([{"role": "user", "content": "hello"}]) == ("hello", ())


def test_what_came_before_is_kept_in_order() -> None:
    """The assistant is the author of the responses."""
    query, earlier = parse(with_earlier("and you?", ["hi", "I am fine"]))
    assert query == "and you?"
    assert earlier == (
        Turn(by_author=False, text="hi"),
        Turn(by_author=True, text="I am fine"),
    )


def test_a_conversation_is_put_together_as_it_is_taken_apart() -> None:
    """Whoever spoke first."""
    earlier = tuple(Turn(by_author=by, text=str(i)) for i, by in enumerate((True, False, True)))
    assert parse(messages_of("q", earlier)) == ("q", earlier)


def test_messages_in_a_row_of_one_side_are_one_turn() -> None:
    """A line each, and none is lost: those of the query neither."""
    said = [(True, "a"), (True, "b"), (False, "c"), (False, "d")]
    earlier = [Turn(by_author=by, text=text) for by, text in said]
    assert parse(messages_of("q", earlier)) == ("c\nd\nq", (Turn(by_author=True, text="a\nb"),))


def test_the_last_of_what_came_before_is_the_assistants() -> None:
    """Whatever their number."""
    roles = [message["role"] for message in with_earlier("q", ["a", "b", "c"])]
    assert roles == ["assistant", "user", "assistant", "user"]


@pytest.mark.parametrize(
    ("messages", "line"),
    [
        ("\udcff", "the query must be text: expected UTF-8, got other bytes at character 1"),
        ([], "a last message of the role user, got no message"),
        ([{"role": "assistant", "content": "hi"}], "got one of the assistant's"),
        ([{"role": "system", "content": "be kind"}], "got 'system' in message 1"),
        ([{"content": "hi"}], "got None in message 1"),
        ([{"role": "user"}], "message 1 must be text: expected UTF-8, got NoneType"),
        ([{"role": "user", "content": 3}], "message 1 must be text: expected UTF-8, got int"),
        ([{"role": "user", "content": "a\udc80"}], "got other bytes at character 2"),
        (
            with_earlier("hi", ["a", " "]),
            "message 2 must say something: expected some text, got none",
        ),
    ],
)
def test_what_is_no_conversation_is_refused(messages: object, line: str) -> None:
    """In one line."""
    with pytest.raises(ConfigError, match=line):
        parse(cast("Messages", messages))
