"""What a conversation is when someone asks for a reply: messages, the last of them the query.

    [{"role": "user", "content": "how was your day?"},
     {"role": "assistant", "content": "long, but good"},
     {"role": "user", "content": "what did you do?"}]

The assistant is whoever wrote the responses of the history: the person, or an assistant who knows
the person. The user is the other side. Messages in a row of one side are one turn, a line each.
"""

from collections.abc import Mapping, Sequence

from lorecall.errors import ConfigError
from lorecall.records import Turn, taking_turns

ChatMessage = Mapping[str, object]
"""One turn: its `role`, `user` or `assistant`, and its `content`."""

Messages = str | Sequence[ChatMessage]
"""A conversation, or a query alone."""


def parse(messages: Messages) -> tuple[str, tuple[Turn, ...]]:
    """Return the query and the turns before it, oldest first; the sides alternate.

    Messages in a row of one side are joined by newlines: none of them is lost.

    Raises:
        ConfigError: There is no message, one of them is none or empty, or the last is not the
            user's.
    """
    if isinstance(messages, str):
        return _content(messages, "the query"), ()
    turns = taking_turns([_turn(message, i) for i, message in enumerate(messages)])
    if not turns or turns[-1].by_author:
        raise ConfigError(
            "a conversation must end with what is to be answered",
            expected="a last message of the role user",
            got="one of the assistant's" if turns else "no message",
            next_step="Leave out what comes after it.",
        )
    return turns[-1].text, turns[:-1]


def messages_of(query: str, earlier: Sequence[Turn]) -> list[ChatMessage]:
    """Return what `parse` takes apart, put together."""
    turns = [*earlier, Turn(by_author=False, text=query)]
    return [
        {"role": "assistant" if turn.by_author else "user", "content": turn.text} for turn in turns
    ]


def with_earlier(query: str, earlier: Sequence[str]) -> list[ChatMessage]:
    """Return a query after what was said before it, the sides taking turns.

    Args:
        query: What is to be answered; the user's.
        earlier: What was said before, oldest first; the last of it is the assistant's.
    """
    turns = [
        Turn(by_author=(len(earlier) - i) % 2 == 1, text=text) for i, text in enumerate(earlier)
    ]
    return messages_of(query, turns)


def _turn(message: ChatMessage, place: int) -> Turn:
    role = message.get("role")
    if role not in {"user", "assistant"}:
        raise ConfigError(
            "a message must be of one side of the conversation",
            expected="the role user or assistant",
            got=f"{role!r} in message {place + 1}",
            next_step="What a memory knows is in its weights: it takes no instructions beside.",
        )
    content = _content(message.get("content"), f"message {place + 1}")
    if not content.strip():
        raise ConfigError(
            f"message {place + 1} must say something",
            expected="some text",
            got="none",
            next_step="Leave it out.",
        )
    return Turn(by_author=role == "assistant", text=content)


def _content(content: object, what: str) -> str:
    """Return a text that is Unicode; bytes of arguments may not be."""
    try:
        if isinstance(content, str):
            content.encode()
            return content
        got = type(content).__name__
    except UnicodeEncodeError as reason:
        got = f"other bytes at character {reason.start + 1}"
    raise ConfigError(
        f"{what} must be text",
        expected="UTF-8",
        got=got,
        next_step='For example: {"role": "user", "content": "how was your day?"}',
    )
