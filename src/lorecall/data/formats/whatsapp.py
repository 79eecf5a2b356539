"""A WhatsApp export (`_chat.txt`, or the ZIP it comes in): a message a line, or several lines.

`[02/05/2024, 19:38:15] Ann: text` (iPhone) or `02/05/2024, 19:38 - Ann: text` (Android), with the
date as the phone writes it, in any language (`lorecall.data.stamps` tells how by the file itself).
Times have no zone and are taken for UTC. Every sender is a user. Dropped are lines of the
application itself and messages without text (pictures, calls, polls, deleted ones); marks like
"edited" are taken off. A line of another form, or a date of the past before a name that nobody in
the chat has, is part of the message that it was pasted into.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

from lorecall.data.chatlog import Message, dialogues, tidy, with_drop
from lorecall.data.events import TEXTLESS, Dropped, Event, located, of_people
from lorecall.data.head import Head, head_of, in_other_encoding, looks_like
from lorecall.data.lines import Line, lines, unreadable
from lorecall.data.loader import EXPORT, YOURS, Dataset, Loader, Paths
from lorecall.data.samples import CHAT
from lorecall.data.stamps import Stamp, Stamps, sighted, stamps_of
from lorecall.data.whatsapp_words import ending, is_event, own_words

MAX_TEXT = 20_000  # characters of a message; the application's own limit is far lower

_N_LINES = 4_000  # by which a file is known
_MAX_SENDER = 100
_N_PASTED = 5
_N_ENDS = 2  # more than so many alike nobody types
_MARK = "\u200e"
_DAY_S = 86_400


def read(paths: Paths) -> Iterator[Event]:
    """Return every sender's replies and openers."""
    for path in paths:
        yield from of_people(dialogues(located(_messages(path), path)))


def recognises(head: Head) -> bool:
    """Whether lines begin with a date and a time as WhatsApp writes them."""
    return not head.places and stamps_of(head.lines) is not None


LOADER = Loader(
    dataset=Dataset(name="whatsapp", title="WhatsApp: _chat.txt", licence=YOURS, origin=EXPORT),
    record="date, sender and text",
    rules=CHAT,
    read=read,
    recognises=recognises,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What the first lines of a file tell of all.

    Args:
        stamps: How it writes dates and times.
        senders: How often each name stands before a message.
        longer: The names that have a colon in them, by what comes before it.
        chat: The name of the chat itself, before lines of the application; empty for none.
        repeated: Marked texts, and ends of texts in brackets, that it has again and again.
    """

    stamps: Stamps
    senders: Counter[str]
    longer: dict[str, str] = field(default_factory=dict[str, str])
    chat: str = ""
    repeated: frozenset[str] = frozenset()

    def parted(self, rest: str) -> tuple[str, str]:
        """Return the sender and the text of what follows a date; no sender in the application's."""
        before, colon, text = rest.partition(":")
        sender = _called(before)
        if not colon or not sender or len(sender) > _MAX_SENDER:
            return "", rest
        if longer := self.longer.get(sender):
            return longer, text.partition(":")[2]
        return sender, text


def export_of(path: Path) -> Export:
    """Return what the first lines of a file tell.

    Raises:
        DataError: The file cannot be read, or no line begins with a date.
    """
    rest = lines(path)
    found = list(islice(rest, _N_LINES))
    first = [line.text for line in found if isinstance(line, Line)]
    if len(first) < len(found) and in_other_encoding((head := head_of(path)).content):
        got, next_step = looks_like(head)
        raise unreadable(path, got=got, expected="a WhatsApp export in UTF-8", next_step=next_step)
    stamps = stamps_of(first, (line.text for line in rest if isinstance(line, Line)))
    if stamps is None:
        raise unreadable(
            path,
            got="no line that begins with a date and a time",
            expected="a WhatsApp export, a message a line,",
            next_step="In WhatsApp export the chat without media, and give its text file.",
        )
    return _told(stamps, (stamp for line in first if (stamp := stamps.read(line)) is not None))


def _told(stamps: Stamps, found: Iterable[Stamp]) -> Export:
    """Return what the messages tell of names, and of what is no message."""
    plain = Export(stamps=stamps, senders=Counter())
    seconds: dict[str, set[str]] = {}  # what is before the next colon, by senders
    marked: Counter[str] = Counter()
    unmarked: set[str] = set()
    ends: Counter[str] = Counter()
    strangers: Counter[str] = Counter()  # with dates of the past
    latest, first = -math.inf, ""
    for n_before, stamp in enumerate(found):
        sender, text = plain.parted(stamp.rest)
        if not sender:
            continue
        again, colon, _ = text.partition(": ")
        seconds.setdefault(sender, set()).add(again.strip() if colon else "")
        if text.endswith(">") and (end := ending(text)):
            ends[end] += 1
        if text.lstrip().startswith(_MARK):
            marked[text.strip()] += 1
            first = first if n_before else sender
        else:
            unmarked.add(sender)
        if stamp.time is None or stamp.time > latest - _DAY_S:
            plain.senders[sender] += 1
            latest = latest if stamp.time is None else max(latest, stamp.time)
        else:
            strangers[sender] += 1
    if strangers.total() > max(_N_PASTED, plain.senders.total() // 10):  # a clock was put back
        plain.senders.update(strangers)
    longer = {
        sender: f"{sender}: {next(iter(parts))}"
        for sender, parts in seconds.items()
        if len(parts) == 1 and plain.senders[sender] > 1 and "" not in parts
    }
    return replace(
        plain,
        longer=longer,
        chat="" if first in unmarked else first,
        repeated=frozenset(text for text, n in marked.items() if n > 1)
        | {end for end, n in ends.items() if n > _N_ENDS},
    )


@lru_cache(maxsize=4096)
def _called(name: str) -> str:
    return tidy(name).strip(" ~\u00a0\u202f")


def _messages(path: Path) -> Iterator[Message | Dropped]:
    """Return the messages; one without text after its drop, to part what is around it."""
    export, chat = export_of(path), str(path)
    stamp: Stamp | None = None
    texts: list[str] = []
    number, room, is_torn = 0, 0, False
    for line in lines(path):
        if isinstance(line, Dropped):
            yield line
            is_torn = True
            continue
        found = export.stamps.read(line.text)
        if found is not None and not _is_pasted(found, stamp, export):
            if stamp is not None:
                yield from _message(chat, number, stamp, texts, export)
            if is_torn:  # somebody may have said something here
                yield Message(chat, "", "", "")
            stamp, texts, number, room, is_torn = found, [], line.number, MAX_TEXT, False
        elif stamp is None:
            is_like_one = sighted(line.text) is not None
            reason = "line of the application" if is_like_one else "line before the first message"
            yield Dropped(reason, line.number, broken=not is_like_one)
        elif len(line.text) > room:
            yield Dropped("line beyond the longest message", line.number)
        else:
            texts.append(line.text)
            room -= len(line.text)
    if stamp is not None:
        yield from _message(chat, number, stamp, texts, export)


def _is_pasted(found: Stamp, last: Stamp | None, export: Export) -> bool:
    """Whether what begins like a message was pasted into the last: from the past, of a stranger."""
    if last is None or last.time is None or found.time is None:
        return False
    if found.time >= last.time - _DAY_S:
        return False
    sender, _ = export.parted(found.rest)
    return bool(sender) and sender not in export.senders


def _message(
    chat: str, number: int, stamp: Stamp, texts: list[str], export: Export
) -> Sequence[Message | Dropped]:
    sender, first = export.parted(stamp.rest)
    if not sender or sender == export.chat or _is_event(sender, export):
        return [Dropped("line of the application", number, broken=False)]
    if stamp.time is None:
        return [Dropped("no such date", number)]
    said = "\n".join([first, *texts]) if texts else first
    text = own_words(said, sender=sender, repeated=export.repeated)
    message = Message(chat, "", sender, text, stamp.time)
    return with_drop(message, text or Dropped(TEXTLESS, number, broken=False))


def _is_event(sender: str, export: Export) -> bool:
    """Whether a name that stands there seldom is what someone did to the group."""
    return export.senders[sender] <= 1 and is_event(sender, export.senders)
