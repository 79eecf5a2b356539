"""Signal: the messages of a backup, decrypted, as JSON: a frame a line, or a list of them.

    {"recipient": {"id": "2", "contact": {"profileGivenName": "Ann"}}}
    {"chatItem": {"chatId": "5", "authorId": "2", "dateSent": "1718910000000",
                  "standardMessage": {"text": {"body": "hi"}, "quote": {"targetSentTimestamp"}}}}

Frames of recipients come before those of messages, which are of all chats by turns. Every author is
a user, named `name (id)`. Messages without text (pictures, stickers, calls, deleted ones) and lines
of the application are dropped; of an edited message the last form counts. A message that quotes
another answers that one.

Or the `data.json` of a chat as `signal-export` writes it, a message a line, whose quotes have texts
alone: such a message answers the last one of that text.

    {"date": "2024-06-20T19:01:00", "sender": "Me", "body": "hi  ", "quote": "", "reactions": []}
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field

from lorecall.data.chatlog import (
    Message,
    called,
    dialogues,
    named,
    of_nobody,
    said,
    text_of,
    with_drop,
)
from lorecall.data.events import TEXTLESS, Dropped, Event, located, of_people
from lorecall.data.head import Head, head_of
from lorecall.data.lines import first_byte, unreadable
from lorecall.data.loader import EXPORT, YOURS, Dataset, Loader, Paths
from lorecall.data.rows import Name, Parsed, Record, Text, checked, parsed_lines
from lorecall.data.samples import CHAT, seconds
from lorecall.data.values import members

_MENTIONED = "\ufffc"
_CALL = re.compile(r"(?:Incoming|Outgoing|Missed) (?:voice |video )?call(?: \(.*\))?")
_NOBODY = "No-Sender"
_FIELDS = frozenset(("date", "sender", "body", "quote", "reactions"))
_N_QUOTABLE = 20_000
# 64 bits: some write them as a number, others as its digits
_Id = Annotated[Name, BeforeValidator(lambda value: str(value) if type(value) is int else value)]


class _Called(Record):
    """What someone is called: by the owner's phone, or by themselves."""

    aci: Text = ""
    system_given: Text = Field(alias="systemGivenName", default="")
    system_family: Text = Field(alias="systemFamilyName", default="")
    given: Text = Field(alias="profileGivenName", default="")
    family: Text = Field(alias="profileFamilyName", default="")

    def name(self) -> str:
        """Return it, empty where nothing is known."""
        system = f"{self.system_given} {self.system_family}".strip()
        return system or f"{self.given} {self.family}".strip()


class _Account(Record):
    """Who owns the backup."""

    given: Text = Field(alias="givenName", default="")
    family: Text = Field(alias="familyName", default="")


class _Recipient(Record):
    """Someone, or a group; the owner is `self`."""

    id: _Id
    contact: _Called | None = None
    owner: Any = Field(alias="self", default=None)


class _Range(Record):
    start: int = 0
    mentioned: Text | None = Field(alias="mentionAci", default=None)


class _Text(Record):
    body: Text = ""
    ranges: list[_Range] = Field(alias="bodyRanges", default_factory=list[_Range])

    def shown(self, names: Mapping[str, str]) -> str:
        """Return it with names in the places of those who are mentioned."""
        if not self.ranges:
            return self.body.replace(_MENTIONED, "@")
        mentioned = [each for each in self.ranges if each.mentioned is not None]
        mentioned.sort(key=lambda each: each.start)
        of_each = iter([names.get(str(each.mentioned), "") for each in mentioned])
        return re.sub(_MENTIONED, lambda _: f"@{next(of_each, '')}", self.body)


class _Quote(Record):
    target: _Id | None = Field(alias="targetSentTimestamp", default=None)


class _Standard(Record):
    text: _Text | None = None
    quote: _Quote | None = None


class _Item(Record):
    """One message, or what happened in a chat."""

    chat: _Id = Field(alias="chatId")
    author: _Id = Field(alias="authorId")
    sent: _Id = Field(alias="dateSent")
    standard: _Standard | None = Field(alias="standardMessage", default=None)
    update: Any = Field(alias="updateMessage", default=None)


class Line(Record):
    """One message of `signal-export`."""

    date: Text
    sender: Text
    body: Text
    quote: Text = ""
    deleted: bool = False
    call: bool = False

    def is_written(self) -> bool:
        """Whether its sender wrote what it says."""
        return not (self.deleted or self.call or _CALL.fullmatch(self.body.strip()))


class Frame(Record):
    """One line, of which the kinds that are read."""

    account: _Account | None = None
    recipient: _Recipient | None = None
    item: _Item | None = Field(alias="chatItem", default=None)


def read(paths: Paths) -> Iterator[Event]:
    """Return every author's replies and openers."""
    for path in paths:
        is_chat = _is_chat(head_of(path))
        found = _lines(path) if is_chat else _messages(path)
        yield from of_people(dialogues(located(found, path)))


def recognises(head: Head) -> bool:
    """Whether lines hold frames of a backup, or messages as `signal-export` writes them."""
    frames = r"(\[\]\.)?(recipient\.(contact|self|group)|chatItem\.chatId)"
    return head.has(frames) or _is_chat(head)


LOADER = Loader(
    dataset=Dataset(
        name="signal", title="Signal: a decrypted backup as JSON", licence=YOURS, origin=EXPORT
    ),
    record="a frame of a backup",
    rules=CHAT,
    read=read,
    recognises=recognises,
)


def _is_chat(head: Head) -> bool:
    return head.fields() >= _FIELDS


def _lines(path: Path) -> Iterator[Message | Dropped]:
    """Return the messages of a chat as `signal-export` writes it."""
    chat = path.parent.name
    quotable: dict[str, str] = {}  # ids by texts
    for row in parsed_lines(path):
        line = (
            row
            if isinstance(row, Dropped)
            else checked(Line, row.value, what="message", place=row.number)
        )
        if isinstance(line, Dropped):
            yield from of_nobody(chat, line)
            continue
        place = cast("Parsed", row).number
        name = f"{line.date} {line.sender}"
        quoted = "\n".join(
            part.removeprefix("> ") for part in line.quote.strip().split("\n")
        ).strip()
        answers = quotable.get(quoted, quoted) if quoted else None
        text: str | Dropped = Dropped(TEXTLESS, place, broken=False)
        if line.is_written() and line.sender != _NOBODY:
            text = text_of(line.body.strip(), between="", place=place)
        sender = called(line.sender)
        time = seconds(line.date)
        yield from with_drop(Message(chat, name, sender, said(text), time, "", answers), text)
        quotable[line.body.strip()] = name
        if len(quotable) > _N_QUOTABLE:
            del quotable[next(iter(quotable))]


def _frames(path: Path) -> Iterator[Parsed | Dropped]:
    """Return the frames of a list, or of lines."""
    if first_byte(path) != b"[":
        return parsed_lines(path)
    return (Parsed(number, value) for number, (_, value) in enumerate(members(path), start=1))


def _messages(path: Path) -> Iterator[Message | Dropped]:
    names: dict[str, str] = {}
    owner, number = "me", 0
    for number, line in enumerate(_frames(path), start=1):
        frame = _frame(line)
        if isinstance(frame, Dropped):
            yield frame
            continue
        if frame.account is not None:
            owner = f"{frame.account.given} {frame.account.family}".strip() or owner
        if (known := frame.recipient) is not None:
            name = known.contact.name() if known.contact else ""
            names[known.id] = owner if known.owner is not None else name
            if known.contact is not None and known.contact.aci:
                names[known.contact.aci] = name
        if frame.item is not None:
            yield from _message(frame.item, number, names)
    if number == 0:
        raise unreadable(
            path,
            got="none",
            expected="frames of a decrypted backup of Signal, one a line,",
            next_step="Export the chats in Signal's settings, or decrypt a backup to JSON.",
        )


def _frame(line: Parsed | Dropped) -> Frame | Dropped:
    if isinstance(line, Dropped):
        return line
    return checked(Frame, line.value, what="frame", place=line.number)


def _message(item: _Item, number: int, names: Mapping[str, str]) -> Sequence[Message | Dropped]:
    """Return a message, or why there is none; one without text after its drop."""
    if item.update is not None:
        return [Dropped("service message", number, broken=False)]
    sender = named(names.get(item.author), item.author)
    text: str | Dropped = Dropped(TEXTLESS, number, broken=False)
    answers: str | None = None
    if (sent := item.standard) is not None:
        text = text_of(sent.text.shown(names) if sent.text else "", between="", place=number)
        answers = sent.quote and f"{item.chat} {sent.quote.target}"
    found = Message(
        chat="chat",
        id=f"{item.chat} {item.sent}",
        sender=sender,
        text=said(text),
        time=seconds(item.sent),
        thread=item.chat,
        answers=answers,
    )
    return with_drop(found, text)
