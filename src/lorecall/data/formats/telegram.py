"""A Telegram export as JSON (`result.json`): one chat, or all of an account.

`{"name", "id", "messages": [...]}`, or `{"chats": {"list": [such, ...]}}`. A message: `{"id",
"type": "message", "date_unixtime" or "date", "from", "from_id", "text"}`, its text a string or a
list of strings and of `{"type", "text"}`.
Every sender is a user, named `Name (from_id)`, so that two of one name stay two; `--user Name` is
enough where there is one. Messages without text (pictures, stickers), what others wrote (forwards,
inline bots, quotes, posts in a group's own name) and service messages are dropped. A message that
says which one it answers answers that one, and the topics of a group are read apart.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import Field

from lorecall.data.chatlog import (
    Message,
    called,
    dialogues,
    of_nobody,
    said,
    text_of,
    values_of_chat,
    with_drop,
)
from lorecall.data.events import Dropped, Event, located, of_people
from lorecall.data.head import Head
from lorecall.data.lines import unreadable
from lorecall.data.loader import EXPORT, YOURS, Dataset, Loader, Paths
from lorecall.data.rows import Record, Text, checked
from lorecall.data.samples import CHAT, seconds
from lorecall.data.values import Place

_refused = partial(
    unreadable,
    expected="a Telegram export as JSON: an object with messages, or with chats,",
    next_step="In Telegram Desktop export the chat history in the format JSON.",
)
_OF_OTHERS = frozenset(("forwarded_from", "forwarded_from_id", "saved_from", "via_bot"))
_N_THREADED = 20_000
_NAMES = frozenset((str, type(None)))
_IDS = frozenset((str, int, type(None)))
_CHAT = (0, 3)  # how deep a chat's own fields are: it is the file, or one of a list


class Sent(NamedTuple):
    """One message of the export."""

    id: str | int | None
    type: str
    sender: str | None
    sender_id: str | int | None
    text: object
    date: object
    date_unixtime: object
    reply_to_message_id: object
    reply_to_peer_id: object


class _Typed(Record):
    """The types of its fields, to say what is wrong with one."""

    id: Text | int | None
    type: Text
    sender: Text | None = Field(alias="from", default=None)
    sender_id: Text | int | None = Field(alias="from_id", default=None)


def sent_of(value: object, number: int) -> Sent | Dropped:
    """Return a message of the export with its types checked, which takes no model where they fit.

    A value of a file of JSON has no half of a surrogate pair.
    """
    if isinstance(value, dict):
        told = cast("dict[str, Any]", value)
        get = told.get
        name, kind, sender, uid = get("id"), get("type"), get("from"), get("from_id")
        are_ids = type(name) in _IDS and type(uid) in _IDS
        if are_ids and type(kind) is str and type(sender) in _NAMES and "id" in told:
            text, date, time = get("text", ""), get("date"), get("date_unixtime")
            answered, peer = get("reply_to_message_id"), get("reply_to_peer_id")
            return Sent(name, kind, sender, uid, text, date, time, answered, peer)
    refused = checked(_Typed, value, what="message", place=number)
    assert isinstance(refused, Dropped)
    return refused


class Chat:
    """One chat as it is read.

    Args:
        name: What it is called in the names of its conversations.
        own_id: Who sent what was sent in its own name: by which of its people is not known.
    """

    def __init__(self, name: str, own_id: str = "") -> None:
        self.name = name
        self._own_id = own_id
        self._threads: dict[str, str] = {}  # of the last messages, by id
        self._last: tuple[float, Any] = (0.0, None)  # of a message: Unix seconds, and its date

    def message(self, value: object, number: int) -> Sequence[Message | Dropped]:
        """Return a message, or why there is none; one without text after its drop."""
        sent = sent_of(value, number)
        if isinstance(sent, Dropped):
            return of_nobody(self.name, sent)
        if sent.type != "message":
            return [Dropped("service message", number, broken=False)]
        sender = sent.sender or ""
        sender = called(f"{sender} ({sent.sender_id})" if sent.sender_id else sender)
        text: str | Dropped = Dropped("message of nobody", number)
        is_of_others = not _OF_OTHERS.isdisjoint(cast("dict[str, object]", value))
        if sender and (is_of_others or str(sent.sender_id) == self._own_id):
            text = Dropped("message that another wrote", number, broken=False)
        elif sender:
            text = text_of(sent.text, between="", place=number, wanted=_is_own)
        thread, answers = self._place(sent)
        name = "" if sent.id is None else str(sent.id)
        time = self._time(sent)
        message = Message(self.name, name, sender, said(text), time, thread, answers)
        return with_drop(message, text)

    def _place(self, sent: Sent) -> tuple[str, str | None]:
        """Return the thread of a message, and the id of the message it answers, if it is known.

        What answers a message that is not in the export is in that one's thread: the topics of a
        group begin with such a message.
        """
        if sent.reply_to_peer_id is not None:
            return "", "of another chat"
        target = sent.reply_to_message_id
        answers = None if target is None else str(target)
        thread = "" if answers is None else self._threads.get(answers, answers)
        is_known = answers in self._threads
        self._threads[str(sent.id)] = thread
        if len(self._threads) > _N_THREADED:
            del self._threads[next(iter(self._threads))]
        return thread, answers if is_known else None

    def _time(self, sent: Sent) -> float | None:
        """Return when it was sent, in Unix seconds; a date alone is as far from UTC as the last."""
        if (time := seconds(sent.date_unixtime)) is not None:
            self._last = time, sent.date
            return time
        if (local := seconds(sent.date)) is None:
            return None
        time, last = self._last
        return local - ((seconds(last) or time) - time)


def read(paths: Paths) -> Iterator[Event]:
    """Return every sender's replies and openers."""
    for n_before, path in enumerate(paths):
        name = f"{path.name} of file {n_before + 1}" if n_before else path.name
        yield from of_people(dialogues(located(_messages(path, name), path)))


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


def _messages(path: Path, name: str) -> Iterator[Message | Dropped]:
    chat = Chat(name)
    for place, value, number in values_of_chat(path, wanted=_wanted, refused=_refused):
        if place[-1] == "id":
            chat = Chat(f"chat {str(value)[:40]}", own_id=f"channel{value}")
        else:
            yield from chat.message(value, number)


def _is_own(part: Mapping[str, object]) -> bool:
    """Whether a part of a text is its sender's own."""
    return not str(part.get("type")).endswith("blockquote")
