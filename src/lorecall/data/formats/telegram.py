"""A Telegram export as JSON (`result.json`): one chat, or all of an account.

`{"name", "id", "messages": [...]}`, or `{"chats": {"list": [such, ...]}}`. A message: `{"id",
"type": "message", "date_unixtime" or "date", "from", "from_id", "text"}`, its text a string or a
list of strings and of `{"type", "text"}`.
Every sender is a user, named `Name (from_id)`, so that two of
one name stay two; `--user Name` is enough where there is one. Messages without text (pictures,
stickers) and service messages are dropped.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from lorecall.data.chatlog import Message, dialogues, text_of
from lorecall.data.events import Dropped, Event, located, of_people
from lorecall.data.head import Head
from lorecall.data.lines import first_byte, unreadable
from lorecall.data.loader import EXPORT, YOURS, Dataset, Loader, Paths
from lorecall.data.rows import Record, Text, checked
from lorecall.data.samples import CHAT, seconds
from lorecall.data.values import Place, values

_refused = partial(
    unreadable,
    expected="a Telegram export as JSON: an object with messages, or with chats,",
    next_step="In Telegram Desktop export the chat history in the format JSON.",
)
_CHAT = (0, 3)  # how deep a chat's own fields are: it is the file, or one of a list


class Sent(Record):
    """One message of the export."""

    id: int
    type: Text
    sender: Text | None = Field(alias="from", default=None)
    sender_id: Text | None = Field(alias="from_id", default=None)
    text: Any = ""
    date: Any = None
    date_unixtime: Any = None


def read(paths: Paths) -> Iterator[Event]:
    """Return every sender's replies and openers."""
    for path in paths:
        yield from of_people(dialogues(located(_messages(path), path)))


def recognises(head: Head) -> bool:
    """Whether a chat holds messages as Telegram writes them, or an account comes before chats."""
    message = r"(chats\.list\.\[\]\.)?messages\.\[\]\.(from_id|date_unixtime|text_entities|from)"
    return head.has(message) or {"about", "personal_information"} <= head.fields()


LOADER = Loader(
    dataset=Dataset(name="telegram", title="Telegram: result.json", licence=YOURS, origin=EXPORT),
    record="a message with id, type, from and text",
    rules=CHAT,
    read=read,
    recognises=recognises,
)


def _wanted(place: Place) -> bool:
    messages = place[-2:] == ("messages", None) and len(place) - 2 in _CHAT
    return messages or (place[-1:] == ("id",) and len(place) - 1 in _CHAT)


def _messages(path: Path) -> Iterator[Message | Dropped]:
    if first_byte(path) != b"{":
        raise _refused(path, got="no object")
    chat, number = path.name, 0
    for place, value in values(path, wanted=_wanted):
        if place[-1] == "id":
            chat = f"chat {str(value)[:40]}"
        else:
            number += 1
            yield _message(value, chat=chat, number=number)
    if number == 0:
        raise _refused(path, got="no messages")


def _message(value: object, *, chat: str, number: int) -> Message | Dropped:
    sent = checked(Sent, value, what="message", place=number)
    if isinstance(sent, Dropped):
        return sent
    if sent.type != "message":
        return Dropped("service message", number, broken=False)
    sender = f"{sent.sender or ''} ({sent.sender_id})" if sent.sender_id else sent.sender
    if sender is None or not sender.strip():
        return Dropped("message of nobody", number)
    text = text_of(sent.text, between="", place=number)
    if isinstance(text, Dropped):
        return text
    time = seconds(sent.date_unixtime)
    time = seconds(sent.date) if time is None else time
    return Message(chat, str(sent.id), sender.strip(), text, time)
