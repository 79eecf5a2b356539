"""A WhatsApp export (`_chat.txt`): a message a line, or several lines.

`[02/05/2024, 19:38:15] Ann: text` (iPhone) or `02/05/2024, 19:38 - Ann: text` (Android), with the
date as the phone writes it: day or month first, or the year, parted by `/`, `.` or `-`; 12 hours or
24. Which of day and month is first is told by the file's dates: a number above 12 is a day; where
none is, the reading in which time runs backwards less often, and the day first if that ties. Times
have no zone and are taken for UTC. Every sender is a user. Lines of the application itself and
messages without text (pictures) are dropped.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from lorecall.data.chatlog import Message, dialogues
from lorecall.data.events import Dropped, Event, located, of_people
from lorecall.data.head import Head
from lorecall.data.lines import Line, lines, unreadable
from lorecall.data.loader import EXPORT, YOURS, Dataset, Loader, Paths
from lorecall.data.samples import CHAT

MAX_TEXT = 20_000  # characters of a message; the application's own limit is far lower

_MONTHS, _MAX_SENDER = 12, 100
_MARKS = "\u200e\u200f\u202a\u202c\ufeff"  # direction of writing
_STAMP = re.compile(
    r"""\[?(?P<a>\d{1,4})[./-](?P<b>\d{1,2})[./-](?P<c>\d{1,4}),?\s
    (?P<hour>\d{1,2})[:.](?P<minute>\d{2})(?:[:.](?P<second>\d{2}))?
    (?:\s?(?P<half>[ap])\.?\s?m\.?)?
    (?:\]\s|\s-\s)(?P<rest>.*)""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_NO_TEXT = re.compile(
    r"<[^<>]{1,60}>|(?:image|video|audio|sticker|gif|document|contact card|media) omitted"
    r"|\S+ \(file attached\)|(?:this message was|you) deleted(?: this message)?\.?|null",
    re.IGNORECASE,
)


class Stamp(NamedTuple):
    """What begins a message: the three numbers of its date, its time of day, what follows."""

    number: int
    date: tuple[int, int, int]
    clock: tuple[int, int, int]
    rest: str

    def time(self, *, day_first: bool) -> float | None:
        """Return the time in Unix seconds, None where there is no such day."""
        a, b, c = self.date
        if a > 31:  # noqa: PLR2004 - the year comes first
            year, month, day = a, b, c
        else:
            day, month, year = (a, b, c) if day_first else (b, a, c)
        try:
            year += 2000 if year < 100 else 0  # noqa: PLR2004 - two digits
            return datetime(year, month, day, *self.clock, tzinfo=UTC).timestamp()
        except (ValueError, OverflowError):
            return None


def read(paths: Paths) -> Iterator[Event]:
    """Return every sender's replies and openers."""
    for path in paths:
        messages = located(_messages(path, day_first=day_first(path)), path)
        yield from of_people(dialogues(messages))


def recognises(head: Head) -> bool:
    """Whether a line begins with a date and a time as WhatsApp writes them."""
    return any(_matched(line) for line in head.lines)


LOADER = Loader(
    dataset=Dataset(name="whatsapp", title="WhatsApp: _chat.txt", licence=YOURS, origin=EXPORT),
    record="date, sender and text",
    rules=CHAT,
    read=read,
    recognises=recognises,
)


def day_first(path: Path) -> bool:
    """Whether the day comes before the month in a file's dates.

    Raises:
        DataError: The file cannot be read, or no line begins with a date.
    """
    largest = [0, 0]
    backwards = {True: 0, False: 0}
    last: dict[bool, float] = {}
    stamps = (stamp for line in lines(path) if isinstance(line, Line) and (stamp := _stamp(line)))
    n_stamps = 0
    for n_stamps, stamp in enumerate(stamps, start=1):  # noqa: B007 - used below
        largest = [max(pair) for pair in zip(largest, stamp.date, strict=False)]
        for order in backwards:
            if (time := stamp.time(day_first=order)) is not None:
                backwards[order] += time < last.get(order, time)
                last[order] = time
    if n_stamps == 0:
        raise unreadable(
            path,
            got="no line that begins with a date and a time",
            expected="a WhatsApp export, a message a line,",
            next_step="In WhatsApp export the chat without media, and give its text file.",
        )
    if max(largest) > _MONTHS:
        return largest[0] > _MONTHS
    return backwards[True] <= backwards[False]


def _messages(path: Path, *, day_first: bool) -> Iterator[Message | Dropped]:
    stamp: Stamp | None = None
    texts: list[str] = []
    room = 0
    for line in lines(path):
        if isinstance(line, Dropped):
            yield line
        elif found := _stamp(line):
            if stamp is not None:
                yield _message(path, stamp, texts, day_first=day_first)
            stamp, texts, room = found, [], MAX_TEXT
        elif stamp is None:
            yield Dropped("line before the first message", line.number)
        elif len(line.text) > room:
            yield Dropped("line beyond the longest message", line.number)
        else:
            texts.append(line.text)
            room -= len(line.text)
    if stamp is not None:
        yield _message(path, stamp, texts, day_first=day_first)


def _message(path: Path, stamp: Stamp, texts: list[str], *, day_first: bool) -> Message | Dropped:
    sender, colon, first = stamp.rest.partition(":")
    sender = sender.strip(_MARKS + " ")
    if not colon or not sender or len(sender) > _MAX_SENDER:
        return Dropped("line of the application", stamp.number, broken=False)
    bare = first.strip()
    if bare.startswith("\u200e") or (not texts and _NO_TEXT.fullmatch(bare.strip(_MARKS))):
        return Dropped("message without text", stamp.number, broken=False)
    text = "\n".join([bare, *texts]).strip()
    time = stamp.time(day_first=day_first)
    if time is None:
        return Dropped("no such date", stamp.number)
    return Message(path.name, str(stamp.number), sender, text, time)


def _matched(text: str) -> re.Match[str] | None:
    return _STAMP.fullmatch(text.lstrip(_MARKS).replace("\u202f", " "))


def _stamp(line: Line) -> Stamp | None:
    if (match := _matched(line.text)) is None:
        return None
    hour = int(match["hour"])
    if half := match["half"]:
        hour = hour % 12 + (12 if half.lower() == "p" else 0)
    return Stamp(
        line.number,
        (int(match["a"]), int(match["b"]), int(match["c"])),
        (hour, int(match["minute"]), int(match["second"] or 0)),
        match["rest"],
    )
