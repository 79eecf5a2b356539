"""A Discord channel as DiscordChatExporter writes it in JSON.

`{"guild", "channel": {"id"}, "messages": [{"id", "type", "timestamp", "content", "author": {"id",
"name", "isBot"}, "reference": {"messageId"}}]}`. Every author is a user, named `name (id)`.
Messages without text (files, stickers), what others wrote (bots, forwards, quotes) and service
messages are dropped. A message that says which one it answers answers that one.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

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
from lorecall.data.rows import Name, Record, Text, checked
from lorecall.data.samples import CHAT, seconds

_refused = partial(
    unreadable,
    expected="a Discord channel as JSON: an object with messages",
    next_step="Export the channel with DiscordChatExporter in the format JSON.",
)
_WRITTEN = ("Default", "Reply")
_CHANNEL = ("channel", "id")
_MENTION = re.compile(r"<@[!&]?(\w{1,40})>")
_EMOJI = re.compile(r"<a?(:\w{1,40}:)\d{1,40}>")
_QUOTE = re.compile(r"^>>> [\s\S]*|^> .*\n?", re.MULTILINE)


class _Author(Record):
    """Who wrote a message."""

    id: Name
    name: Text
    is_bot: bool = Field(alias="isBot", default=False)


class _Mentioned(Record):
    """Who is named in a message."""

    id: Name
    name: Text
    nickname: Text | None = None


class _Reference(Record):
    """Which message is answered, or forwarded."""

    message: Text | None = Field(alias="messageId", default=None)
    type: Any = None


class Sent(Record):
    """One message of the export."""

    id: Name
    type: Text
    author: _Author
    content: Text = ""
    timestamp: Any = None
    reference: _Reference | None = None
    mentions: list[_Mentioned] = Field(default_factory=list[_Mentioned])
    forwarded: Any = Field(alias="forwardedMessage", default=None)

    def is_of_another(self) -> bool:
        """Whether a bot or somebody elsewhere wrote it."""
        is_forward = self.reference is not None and self.reference.type == "Forward"
        return self.author.is_bot or is_forward or self.forwarded is not None

    def shown(self) -> str:
        """Return its text without quotes, names and emoji as they are shown."""
        if "<" not in self.content and ">" not in self.content:
            return self.content
        names = {each.id: each.nickname or each.name for each in self.mentions}
        own = _EMOJI.sub(r"\1", _QUOTE.sub("", self.content))
        return _MENTION.sub(lambda mark: f"@{names.get(mark[1], mark[1])}", own)


def read(paths: Paths) -> Iterator[Event]:
    """Return every author's replies and openers."""
    for path in paths:
        yield from of_people(dialogues(located(_messages(path), path)))


def recognises(head: Head) -> bool:
    """Whether there is a channel of a guild, with messages."""
    of_author = head.has(r"messages\.\[\]\.author\.(discriminator|isBot)")
    return of_author or {"guild", "channel", "messages"} <= head.fields()


LOADER = Loader(
    dataset=Dataset(
        name="discord", title="Discord: DiscordChatExporter's JSON", licence=YOURS, origin=EXPORT
    ),
    record="a message with id, type, author and content",
    rules=CHAT,
    read=read,
    recognises=recognises,
)


def _messages(path: Path) -> Iterator[Message | Dropped]:
    chat = path.name
    wanted = (_CHANNEL, ("messages", None))
    found = values_of_chat(path, wanted=lambda at: at in wanted, refused=_refused)
    for place, value, number in found:
        if place == _CHANNEL:
            chat = f"channel {str(value)[:40]}"
        else:
            yield from _message(chat, value, number)


def _message(chat: str, value: object, number: int) -> Sequence[Message | Dropped]:
    """Return a message, or why there is none; one without text after its drop."""
    sent = checked(Sent, value, what="message", place=number)
    if isinstance(sent, Dropped):
        return of_nobody(chat, sent)
    if sent.type not in _WRITTEN:
        return [Dropped("service message", number, broken=False)]
    if sent.is_of_another():
        text: str | Dropped = Dropped("message that another wrote", number, broken=False)
    else:
        text = text_of(sent.shown(), between="", place=number)
    sender = called(f"{sent.author.name} ({sent.author.id})")
    answers = sent.reference and sent.reference.message
    time = seconds(sent.timestamp)
    return with_drop(Message(chat, sent.id, sender, said(text), time, "", answers), text)
