"""Logs of a person and an assistant: OpenAI `messages`, and an export of ChatGPT.

- A conversation a line, or a JSON list of them, or one alone: `{"messages": [{"role",
  "content"}]}`. The content is a string or a list of parts, of which the texts count.
- ChatGPT's `conversations.json`: a list of `{"id", "mapping", "current_node"}`, the mapping holding
  messages that point to their parents; the branch that ends at the current node is read.

The person is who has the role `user`, the responses are the assistant's. The person's id is the
conversation's `user`, where it has that field, else `user`. Other roles (system, tool) are dropped.
Messages in a row of one role are one turn, joined by newlines, as when the memory is asked. What
was not said to the other side is no text: calls of tools and notes for the memory, hidden context,
reasoning, marks of sources, and messages of weight 0.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

from pydantic import Field

from lorecall.data.chatlog import Message, dialogues, text_of
from lorecall.data.events import TEXTLESS, Dropped, Event, located, with_assistant
from lorecall.data.head import N_LINES, Head
from lorecall.data.lines import first_byte, unreadable
from lorecall.data.loader import EXPORT, YOURS, Dataset, Loader, Paths
from lorecall.data.rows import Name, Parsed, Record, Text, broken, checked, parsed_lines
from lorecall.data.samples import Rules, seconds
from lorecall.data.values import values

USER, ASSISTANT = "user", "assistant"
LINES = "\n"
_ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), USER),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "model", "bot", "ai"), ASSISTANT),
}
_TEXT_TYPES = (None, "text", "input_text", "output_text", "multimodal_text", "audio_transcription")
_HIDDEN = ("is_visually_hidden_from_conversation", "is_user_system_message")
_REASONING = re.compile(
    r"<(think|thinking|reasoning|thought)>.*?(?:</\1>|\Z)|\A.*?</(?:think|thinking|reasoning)>",
    re.DOTALL | re.IGNORECASE,
)
_SOURCES = re.compile(
    "\ue200[^\ue200\ue201]*\ue201|\u3010\\d+[^\u3010\u3011]*\u2020[^\u3010\u3011]*\u3011"
)
_refused = partial(
    unreadable,
    expected="conversations with messages, one a line or in a JSON list,",
    next_step="Give a log of OpenAI messages, or the conversations.json of a ChatGPT export.",
)


class Conversation(Record):
    """One conversation, in either form."""

    messages: list[Any] | None = None
    mapping: dict[str, Any] | None = None
    current_node: Text | None = None
    user: Name | int | None = None
    create_time: Any = None


class Sent(Record):
    """A message of a conversation; ChatGPT puts the role into `author`."""

    role: Text | None = None
    author: dict[str, Any] = Field(default_factory=dict)
    content: Any = None
    create_time: Any = None
    weight: Any = None
    recipient: Any = None
    metadata: Any = None

    def is_said(self) -> bool:
        """Whether it was said to the other side, and is not marked as nothing to learn from."""
        metadata = cast("dict[str, object]", self.metadata if _is_object(self.metadata) else {})
        is_hidden = any(metadata.get(name) is True for name in _HIDDEN)
        return not is_hidden and self.weight != 0 and self.recipient in (None, "all")


class Node(Record):
    """A node of a mapping."""

    parent: Text | None = None
    message: Any = None


def read(paths: Paths) -> Iterator[Event]:
    """Return what the assistant answered each person, and what got no answer."""
    for path in paths:
        yield from located(_events(path), path)


def recognises(head: Head) -> bool:
    """Whether conversations hold messages with roles, or ChatGPT's trees of messages."""
    return head.has(r"(\[\]\.)?(messages\.\[\]\.(author\.)?role|mapping\..+\.(message|parent))")


LOADER = Loader(
    dataset=Dataset(
        name="openai",
        title="Chats with an assistant: OpenAI messages, or a ChatGPT export",
        licence=YOURS,
        origin=EXPORT,
    ),
    record="a conversation with messages",
    rules=Rules(),
    read=read,
    recognises=recognises,
)


def _events(path: Path) -> Iterator[Event]:
    number = 0
    for number, row in enumerate(_rows(path), start=1):  # noqa: B007 - used below
        yield from [row] if isinstance(row, Dropped) else _conversation(row)
    if number == 0:
        raise _refused(path, got="none")


def _rows(path: Path) -> Iterator[Parsed | Dropped]:
    """Return the conversations of a JSON list, those of one line each, or the one of the file."""
    root = first_byte(path)
    if root not in (b"[", b"{"):
        raise _refused(path, got="no list and no object")
    if root == b"{" and any(map(_is_conversation, islice(parsed_lines(path), N_LINES))):
        yield from parsed_lines(path)
        return
    depth = 1 if root == b"[" else 0
    whole_ones = values(path, wanted=lambda place: len(place) == depth)
    for number, (_, value) in enumerate(whole_ones, start=1):
        yield Parsed(number, value)


def _is_conversation(line: Parsed | Dropped) -> bool:
    """Whether a line holds a whole conversation; a line of a larger object is none."""
    return (
        isinstance(line, Parsed)
        and _is_object(line.value)
        and "role" not in cast("Any", line.value)
    )


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _conversation(row: Parsed) -> Iterator[Event]:
    found = checked(Conversation, row.value, what="conversation", place=row.number)
    if isinstance(found, Dropped):
        yield found
        return
    if found.messages is not None:
        sent: Iterable[object] = found.messages
    elif found.mapping is not None:
        sent = _branch(found.mapping, found.current_node)
    else:
        yield broken("conversation", "no messages", place=row.number)
        return
    started = seconds(found.create_time)
    messages = (message for value in sent for message in _message(value, started, row.number))
    for dialogue in dialogues(messages, gap_s=math.inf, between=LINES):
        if isinstance(dialogue, Dropped):
            yield dialogue
        else:
            user = USER if found.user is None else str(found.user)
            yield from with_assistant(dialogue, user=user, assistant=ASSISTANT, place=row.number)


def _message(value: object, started: float | None, place: int) -> Iterator[Message | Dropped]:
    """Return a message, or why there is none; one without text after its drop, to part others."""
    sent = checked(Sent, value, what="message", place=place)
    if isinstance(sent, Dropped):
        yield sent
        return
    role = _ROLES.get(str(sent.role or sent.author.get("role")).lower())
    if role is None:
        yield Dropped("message of another role", place, broken=False)
        return
    text = (
        _said(sent, place) if sent.is_said() else Dropped("message to nobody", place, broken=False)
    )
    if isinstance(text, Dropped):
        yield text
    if isinstance(text, str) or not text.broken:
        time = seconds(sent.create_time)
        said = text if isinstance(text, str) else ""
        yield Message("", "", role, said, started if time is None else time)


def _said(sent: Sent, place: int) -> str | Dropped:
    """Return the text of a message without reasoning and marks of sources."""
    text = text_of(sent.content, between=LINES, place=place, wanted=_is_text)
    if isinstance(text, str):
        text = _REASONING.sub("", text) if "<" in text else text
        text = (text if text.isascii() else _SOURCES.sub("", text)).strip()
    return text or Dropped(TEXTLESS, place, broken=False)


def _is_text(part: Mapping[str, object]) -> bool:
    """Whether a part of a content is text that was said."""
    return part.get("type") in _TEXT_TYPES and part.get("content_type") in _TEXT_TYPES


def _branch(mapping: Mapping[str, object], last: str | None) -> list[object]:
    """Return the messages from the root to a node, or to the node named last; oldest first.

    A broken node ends the way to the root; it stands among them, to be counted.
    """
    nodes = {name: checked(Node, value, what="node", place=0) for name, value in mapping.items()}
    name = last if last in nodes else next(reversed(nodes), None)
    found: list[object] = []
    while node := nodes.pop(name or "", None):
        if isinstance(node, Dropped):
            found.append(node)
            break
        found += [] if node.message is None else [node.message]
        name = node.parent
    return found[::-1]
