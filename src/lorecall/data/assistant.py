"""Messages of a person and an assistant, by their roles: what the formats of such logs share.

The person is who has the role of a user, the responses are the assistant's; other roles (system,
tool) are dropped. Messages in a row of one role are one turn, joined by newlines, as when the
memory is asked. What was not said to the other side is no text: calls of tools and notes for the
memory, hidden context, reasoning, marks of sources, and messages of weight 0.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

from pydantic import AliasChoices, Field

from lorecall.data.chatlog import Message, parts_of, text_of
from lorecall.data.events import TEXTLESS, Dropped, Event, located, with_assistant
from lorecall.data.head import N_LINES
from lorecall.data.lines import first_byte, unreadable
from lorecall.data.loader import Paths
from lorecall.data.rows import Parsed, R, Record, Text, checked, parsed_lines
from lorecall.data.samples import seconds
from lorecall.data.values import values

USER, ASSISTANT = "user", "assistant"

_LINES = "\n"
_ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), USER),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "model", "bot", "ai"), ASSISTANT),
}
_NAMES_OF_ROLE = ("role", "from", "sender")
_PLAIN = (("role", "content"), ("from", "value"))  # all that most messages have
_TEXT_TYPES = (None, "text", "input_text", "output_text", "multimodal_text", "audio_transcription")
_HIDDEN = ("is_visually_hidden_from_conversation", "is_user_system_message")
_UNSAID = "think|thinking|reasoning|thought|antthinking|scratchpad"
_CALLS = "tool_calls?|tool_response|tool_result|function_calls?|function_results?"
_REASONING = re.compile(
    rf"<((?:\w+:)?(?:{_UNSAID}|{_CALLS}))\b[^<>]*>.*?(?:</\1>|\Z)|\A.*?</(?:\w+:)?(?:{_UNSAID})>"
    r"|\u25c1think\u25b7.*?(?:\u25c1/think\u25b7|\Z)|\[THINK\].*?(?:\[/THINK\]|\Z)"
    r"|(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary).*?(?:<\|end\|>|<\|call\|>|\Z)"
    r"|<\|start\|>assistant|<\|channel\|>final|<\|(?:message|end|return|im_end|eot_id)\|>",
    re.DOTALL | re.IGNORECASE,
)
_UNSHOWN = re.compile(r"```\s*This block is not supported on your current device yet\.\s*```")
_SOURCES = re.compile(
    "\ue200[^\ue200\ue201]*\ue201|\u3010\\d+[^\u3010\u3011]*\u2020[^\u3010\u3011]*\u3011"
)


class Sent(Record):
    """A message of a conversation; ChatGPT puts the role into `author`."""

    role: Text | None = Field(validation_alias=AliasChoices(*_NAMES_OF_ROLE), default=None)
    author: dict[str, Any] = Field(default_factory=dict)
    content: Any = Field(validation_alias=AliasChoices("content", "value"), default=None)
    text: Any = None  # of what has no content
    create_time: Any = Field(
        validation_alias=AliasChoices("create_time", "created_at", "timestamp"), default=None
    )
    weight: Any = None
    train: Any = None
    channel: Any = None
    recipient: Any = None
    metadata: Any = None

    def is_said(self) -> bool:
        """Whether it was said to the other side, and is not marked as nothing to learn from."""
        metadata = cast("dict[str, object]", self.metadata if _is_object(self.metadata) else {})
        is_hidden = any(metadata.get(name) is True for name in _HIDDEN)
        is_to_learn = self.weight != 0 and self.train is not False
        is_to_all = self.recipient in (None, "all") and self.channel in (None, "", "final")
        return not is_hidden and is_to_learn and is_to_all

    def is_of_tool(self) -> bool:
        """Whether it holds what tools gave back, and nothing that its role said."""
        if not isinstance(self.content, list):
            return False
        parts = cast("list[Any]", self.content)
        return bool(parts) and all(_is_object(p) and p.get("type") == "tool_result" for p in parts)


def logs(
    paths: Paths,
    model: type[R],
    events: Callable[[R, int], Iterator[Event]],
    *,
    what: str,
    next_step: str,
) -> Iterator[Event]:
    """Return the events of every object of some files.

    Args:
        paths: The files.
        model: What an object is to be, and is called; one that does not fit is dropped.
        events: From an object and its place in the file to its events.
        what: What a file without any was expected to hold.
        next_step: What is to be done about such a file.

    Raises:
        DataError: A file cannot be read, or holds none.
    """

    def of_file(path: Path) -> Iterator[Event]:
        for row in _objects(path, what=what, next_step=next_step):
            if isinstance(row, Dropped):
                yield row
                continue
            found = checked(model, row.value, what=model.__name__.lower(), place=row.number)
            yield from [found] if isinstance(found, Dropped) else events(found, row.number)

    for path in paths:
        yield from located(of_file(path), path)


def _objects(path: Path, *, what: str, next_step: str) -> Iterator[Parsed | Dropped]:
    """Return the objects of a JSON list, those of one line each, or the one of the file.

    Raises:
        DataError: The file cannot be read, or there are none.
    """
    root, number = first_byte(path), 0
    found = _rows(path, root) if root in (b"[", b"{") else iter(())
    for number, row in enumerate(found, start=1):  # noqa: B007 - used below
        yield row
    if number == 0:
        got = "none" if root in (b"[", b"{") else "no list and no object"
        expected = f"{what}, one a line or in a JSON list,"
        raise unreadable(path, got=got, expected=expected, next_step=next_step)


def _rows(path: Path, root: bytes) -> Iterator[Parsed | Dropped]:
    if root == b"{" and any(map(_is_whole, islice(parsed_lines(path), N_LINES))):
        yield from parsed_lines(path)
        return
    depth = 1 if root == b"[" else 0
    whole_ones = values(path, wanted=lambda place: len(place) == depth)
    for number, (_, value) in enumerate(whole_ones, start=1):
        yield Parsed(number, value)


def _is_whole(line: Parsed | Dropped) -> bool:
    """Whether a line holds a whole conversation; a line of a larger object is none."""
    return (
        isinstance(line, Parsed)
        and _is_object(line.value)
        and not any(name in cast("Any", line.value) for name in _NAMES_OF_ROLE)
    )


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def answers(
    sent: Iterable[object], *, user: object, place: int, started: float | None = None
) -> Iterator[Event]:
    """Return what the assistant answered in one conversation, and what got no answer.

    Args:
        sent: Its messages, oldest first, as they were read.
        user: Who the person is, where the file says so.
        place: Where it is in the file.
        started: When it began, in Unix seconds: the time of messages that have none.
    """
    name = USER if user is None else str(user)
    messages: list[Message] = []
    for value in sent:
        for found in _message(value, started, place):
            if isinstance(found, Dropped):
                yield found
            else:
                messages.append(found)
    for dialogue in parts_of(messages, between=_LINES):
        yield from with_assistant(dialogue, user=name, assistant=ASSISTANT, place=place)


def _message(value: object, started: float | None, place: int) -> Sequence[Message | Dropped]:
    """Return a message, or why there is none; one without text after its drop, to part others."""
    if isinstance(value, dict) and tuple(cast("dict[str, Any]", value)) in _PLAIN:
        role, content = cast("dict[str, Any]", value).values()
        if type(role) is str and type(content) is str and (known := _ROLES.get(role.lower())):
            return _told(known, _said(content, place), started)
    sent = checked(Sent, value, what="message", place=place)
    if isinstance(sent, Dropped):
        return [sent]
    known = _ROLES.get(str(sent.role or sent.author.get("role")).lower())
    if known is None or sent.is_of_tool():
        return [Dropped("message of another role", place, broken=False)]
    text: str | Dropped = Dropped("message to nobody", place, broken=False)
    if sent.is_said():
        text = _said(sent.content or sent.text, place)
    time = seconds(sent.create_time)
    return _told(known, text, started if time is None else time)


def _told(role: str, text: str | Dropped, time: float | None) -> Sequence[Message | Dropped]:
    if isinstance(text, str):
        return [Message("", "", role, text, time)]
    return [text] if text.broken else [text, Message("", "", role, "", time)]


def _said(content: object, place: int) -> str | Dropped:
    """Return the text of a message without reasoning and marks of sources."""
    text = text_of(content, between=_LINES, place=place, wanted=_is_text)
    if isinstance(text, str):
        is_marked = "<" in text or "\u25c1" in text or "[THINK]" in text
        text = _REASONING.sub("", text) if is_marked else text
        text = _UNSHOWN.sub("", text) if "```" in text else text
        text = (text if text.isascii() else _SOURCES.sub("", text)).strip()
    return text or Dropped(TEXTLESS, place, broken=False)


def _is_text(part: Mapping[str, object]) -> bool:
    """Whether a part of a content is text that was said."""
    return part.get("type") in _TEXT_TYPES and part.get("content_type") in _TEXT_TYPES


class _Node(Record):
    """A message and the name of the one before it."""

    parent: Text | None = None
    message: Any = None


def branch(tree: Mapping[str, object], last: str | None) -> list[object]:
    """Return the messages from the root to the one named last, or the last there is; oldest first.

    A broken node ends the way to the root; it stands among them, to be counted.

    Args:
        tree: By name: `{"parent": name, "message": object}`.
        last: The name of the last message.
    """
    nodes = {name: checked(_Node, value, what="node", place=0) for name, value in tree.items()}
    name = last if last in nodes else next(reversed(nodes), None)
    found: list[object] = []
    while node := nodes.pop(name or "", None):
        if isinstance(node, Dropped):
            found.append(node)
            break
        found += [] if node.message is None else [node.message]
        name = node.parent
    return found[::-1]
