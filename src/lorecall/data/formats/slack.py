"""Slack: the ZIP of an export, or its files: a folder a channel, with a file a day.

A file is a list of `{"type": "message", "user", "text", "ts", "thread_ts", "subtype"}`;
`users.json` two folders above says who the users are. Every sender is a user, named `name (id)`. A
thread is a conversation of its own, with the message that it is about. Dropped are messages without
text, what others wrote (bots, quotes) and service messages; marks of links and names are resolved.
"""

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import Field

from lorecall.data.chatlog import Message, dialogues, named, of_nobody, said, text_of, with_drop
from lorecall.data.events import Dropped, Event, located, of_people
from lorecall.data.head import Head
from lorecall.data.lines import first_byte, unreadable
from lorecall.data.loader import EXPORT, YOURS, Dataset, Loader, Paths
from lorecall.data.rows import Name, Record, Text, checked
from lorecall.data.samples import CHAT, seconds
from lorecall.data.values import members
from lorecall.errors import DataError

_WRITTEN = (None, "thread_broadcast", "file_share", "me_message")
_OF_BOTS = ("bot_message", "slackbot_response")
_SLACKBOT = "USLACKBOT"
_QUOTE = re.compile(r"^&gt;&gt;&gt;[\s\S]*|^&gt;.*\n?", re.MULTILINE)
_MARK = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")


class _Profile(Record):
    """What a person is called."""

    real_name: Text = ""
    display_name: Text = ""


class _User(Record):
    """A person of `users.json`."""

    id: Name
    name: Text = ""
    profile: _Profile = Field(default_factory=_Profile)

    def called(self) -> str:
        """Return what others see."""
        return self.profile.display_name or self.profile.real_name or self.name


class Sent(Record):
    """One message of a day."""

    type: Text
    ts: Name
    user: Name | None = None
    text: Text = ""
    subtype: Any = None
    thread_ts: Text | None = None
    bot_id: Any = None

    def is_of_bot(self) -> bool:
        """Whether no person wrote it."""
        return self.subtype in _OF_BOTS or self.bot_id is not None or self.user == _SLACKBOT


def read(paths: Paths) -> Iterator[Event]:
    """Return every sender's replies and openers; the days of a channel follow each other."""
    for workspace, days in groupby(paths, key=lambda path: path.parent.parent):
        yield from of_people(dialogues(_days(workspace, days)))


def recognises(head: Head) -> bool:
    """Whether a list holds messages with times as Slack calls them."""
    return all(head.has(rf"\[\]\.{name}") for name in ("ts", "type", "text"))


LOADER = Loader(
    dataset=Dataset(
        name="slack", title="Slack: the ZIP of an export", licence=YOURS, origin=EXPORT
    ),
    record="a message with type, user, text and ts",
    rules=CHAT,
    read=read,
    recognises=recognises,
)


def _days(workspace: Path, paths: Iterable[Path]) -> Iterator[Message | Dropped]:
    names = _names(workspace / "users.json")
    for path in paths:
        yield from located(_messages(path, names), path)


def _names(path: Path) -> dict[str, str]:
    """Return what users are called, by id; nothing where that is not told."""
    try:
        found = [checked(_User, value, what="user", place=0) for _, value in members(path)]
    except DataError:
        return {}
    return {user.id: user.called() for user in found if isinstance(user, _User)}


def _messages(path: Path, names: Mapping[str, str]) -> Iterator[Message | Dropped]:
    number = 0
    found = members(path) if first_byte(path) == b"[" else iter(())
    for number, (_, value) in enumerate(found, start=1):
        yield from _message(path.parent.name, value, number, names)
    if number == 0:
        raise unreadable(
            path,
            got="none",
            expected="a list of Slack's messages",
            next_step="Give the ZIP of an export of the workspace, or files of days in it.",
        )


def _message(
    chat: str, value: object, number: int, names: Mapping[str, str]
) -> Sequence[Message | Dropped]:
    """Return a message, or why there is none; one without text after its drop."""
    sent = checked(Sent, value, what="message", place=number)
    if isinstance(sent, Dropped):
        return of_nobody(chat, sent)
    user = sent.user or ""
    sender, text = named(names.get(user), user), ""
    if sent.is_of_bot():
        text = Dropped("message that another wrote", number, broken=False)
    elif sent.type != "message" or sent.subtype not in _WRITTEN:
        return [Dropped("service message", number, broken=False)]
    elif not sender:
        text = Dropped("message of nobody", number)
    else:
        text = text_of(_shown(sent.text, names), between="", place=number)
    thread = sent.thread_ts or ""
    return with_drop(Message(chat, sent.ts, sender, said(text), seconds(sent.ts), thread), text)


def _shown(text: str, names: Mapping[str, str]) -> str:
    """Return a text without quotes, names and links as they are shown."""
    if "&" in text:
        text = _QUOTE.sub("", text)
    if "<" in text:
        text = _MARK.sub(lambda mark: _resolved(mark, names), text)
    return html.unescape(text)


def _resolved(mark: re.Match[str], names: Mapping[str, str]) -> str:
    """Return what a link, or the name of a person or a channel, is shown as."""
    kind, target, label = mark.groups()
    shown = label or names.get(target, target)
    return shown if shown.startswith("@") else f"{kind.replace('!', '@')}{shown}"
