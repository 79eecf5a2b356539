"""Logs of a person and an assistant: OpenAI `messages`, and an export of ChatGPT.

- A conversation a line, or a JSON list of them, or one alone: `{"messages": [{"role",
  "content"}]}`. The content is a string or a list of parts, of which the texts count.
- ChatGPT's `conversations.json`: a list of `{"id", "mapping", "current_node"}`, the mapping holding
  messages that point to their parents; the branch that ends at the current node is read.

The person is who has the role `user`, the responses are the assistant's. The person's id is the
conversation's `user`, where it has that field, else `user`. Other roles (system, tool) are dropped.
Messages in a row of one role are one turn, joined by newlines, as when the memory is asked.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from lorecall.data.chatlog import Message, dialogues, text_of
from lorecall.data.events import Dropped, Event, located, with_assistant
from lorecall.data.head import Head
from lorecall.data.lines import first_byte, unreadable
from lorecall.data.loader import EXPORT, YOURS, Dataset, Loader, Paths
from lorecall.data.rows import Name, Parsed, Record, Text, broken, checked, parsed_lines
from lorecall.data.samples import Rules, seconds
from lorecall.data.values import values

USER, ASSISTANT = "user", "assistant"
LINES = "\n"
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
    user: Name | None = None


class Sent(Record):
    """A message of a conversation; ChatGPT puts the role into `author`."""

    role: Text | None = None
    author: dict[str, Any] = Field(default_factory=dict)
    content: Any = None
    create_time: Any = None


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
        yield from [row] if isinstance(row, Dropped) else _conversation(row, file=path.name)
    if number == 0:
        raise _refused(path, got="none")


def _rows(path: Path) -> Iterator[Parsed | Dropped]:
    """Return the conversations of a JSON list, those of one line each, or the one of the file."""
    root = first_byte(path)
    if root not in (b"[", b"{"):
        raise _refused(path, got="no list and no object")
    if root == b"{" and isinstance(next(parsed_lines(path)), Parsed):
        yield from parsed_lines(path)
        return
    depth = 1 if root == b"[" else 0
    whole_ones = values(path, wanted=lambda place: len(place) == depth)
    for number, (_, value) in enumerate(whole_ones, start=1):
        yield Parsed(number, value)


def _conversation(row: Parsed, *, file: str) -> Iterator[Event]:
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
    chat = f"{file} {row.number}"
    messages = (
        _message(value, chat=chat, n=n, place=row.number) for n, value in enumerate(sent, start=1)
    )
    for dialogue in dialogues(messages, gap_s=math.inf, between=LINES):
        if isinstance(dialogue, Dropped):
            yield dialogue
        else:
            yield from with_assistant(
                dialogue, user=found.user or USER, assistant=ASSISTANT, place=row.number
            )


def _message(value: object, *, chat: str, n: int, place: int) -> Message | Dropped:
    sent = checked(Sent, value, what="message", place=place)
    if isinstance(sent, Dropped):
        return sent
    role = sent.role or sent.author.get("role")
    if role not in (USER, ASSISTANT):
        return Dropped("message of another role", place, broken=False)
    text = text_of(sent.content, between=LINES, place=place)
    if isinstance(text, Dropped):
        return text
    return Message(chat, str(n), role, text, seconds(sent.create_time))


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
