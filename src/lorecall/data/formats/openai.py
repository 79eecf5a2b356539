"""Logs of a person and an assistant: OpenAI `messages`, ShareGPT, and an export of ChatGPT.

- A conversation a line, or a JSON list of them, or one alone: `{"messages": [{"role",
  "content"}]}`. The content is a string or a list of parts, of which the texts count. ShareGPT
  calls these `conversations`, `from` and `value`.
- ChatGPT's `conversations.json`: a list of `{"id", "mapping", "current_node"}`, the mapping holding
  messages that point to their parents; the branch that ends at the current node is read.

Roles are called as people call them: user or human, assistant, gpt or model. The person's id is the
conversation's `user`, where it has that field; else that of the account, which ChatGPT's export has
in `user.json` beside its conversations; else `user`.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field

from lorecall.core.unpack import beside
from lorecall.data.assistant import answers, branch, logs
from lorecall.data.events import Event
from lorecall.data.head import Head
from lorecall.data.loader import EXPORT, YOURS, Dataset, Loader, Paths
from lorecall.data.rows import Name, Record, Text, broken
from lorecall.data.samples import Rules, seconds
from lorecall.data.values import values
from lorecall.errors import DataError


class Conversation(Record):
    """One conversation, in either form."""

    messages: list[Any] | None = Field(
        validation_alias=AliasChoices("messages", "conversations", "conversation"), default=None
    )
    mapping: dict[str, Any] | None = None
    current_node: Text | None = None
    user: Name | int | None = None
    create_time: Any = None


def read(paths: Paths) -> Iterator[Event]:
    """Return what the assistant answered each person, and what got no answer."""
    what = "conversations with messages"
    next_step = "Give a log of OpenAI messages, or the conversations.json of a ChatGPT export."
    for path in paths:
        of_account = partial(_events, account=_account(path))
        yield from logs([path], Conversation, of_account, what=what, next_step=next_step)


def recognises(head: Head) -> bool:
    """Whether conversations hold messages with roles, or ChatGPT's trees of messages."""
    messages = r"messages\.\[\]\.(author\.)?role|conversations?\.\[\]\.(role|from)"
    return head.has(rf"(\[\]\.)?({messages}|mapping\..+\.(message|parent))")


LOADER = Loader(
    dataset=Dataset(
        name="openai",
        title="Chats with an assistant: OpenAI messages, ShareGPT, or a ChatGPT export",
        licence=YOURS,
        origin=EXPORT,
    ),
    record="a conversation with messages",
    rules=Rules(),
    read=read,
    recognises=recognises,
)


def _account(path: Path) -> str | None:
    """Return whose export a file is of, where a file beside it says so."""
    told = beside(path, "user.json")
    if told is None or not (path.name.startswith("conversations") or path.suffix.lower() == ".zip"):
        return None
    try:
        found = values(told, wanted=lambda place: place == ("id",))
        return next((value for _, value in found if isinstance(value, str) and value.strip()), None)
    except DataError:
        return None


def _events(found: Conversation, place: int, *, account: str | None) -> Iterator[Event]:
    if found.messages is not None:
        sent: Iterable[object] = found.messages
    elif found.mapping is not None:
        sent = branch(found.mapping, found.current_node)
    else:
        yield broken("conversation", "no messages", place=place)
        return
    started = seconds(found.create_time)
    yield from answers(
        sent, user=account if found.user is None else found.user, place=place, started=started
    )
