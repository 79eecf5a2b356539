"""Chat logs: messages of people, or of a person and an assistant, made dialogues.

What the exports have in common. Messages in a row by one sender are one turn; a chat without an
end is cut into conversations where nobody wrote for four hours. A message without text (a picture,
a call, what someone forwarded) still parts what was said before it from what was said after it: who
answers it answers something that is not known.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

from lorecall.data.events import NOBODY, TEXTLESS, Dialogue, Dropped, Spoken
from lorecall.data.history import name_by_hash
from lorecall.data.lines import first_byte
from lorecall.data.rows import broken, texts_in, whole
from lorecall.data.values import Place, values
from lorecall.errors import DataError

GAP_S = 4 * 3600.0
MAX_MESSAGES = 1_000  # of a conversation: a busy group never sleeps
MAX_THREADS = 100  # of a chat at once

_N_NAMING = 50  # characters: fewer are a greeting, with which many conversations begin
# Marks of writing direction and of the byte order; joiners stay, which some scripts need.
_INVISIBLE = dict.fromkeys((0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF))


class Message(NamedTuple):
    """One message. `id` names it within its chat; `time` is in Unix seconds.

    An empty `id` is for what has none: the conversation is then named by its beginning, the same
    in every export of it. An empty text is for what has no words of its sender's. `thread` is the
    topic of the chat that it belongs to, `answers` the id of the message that it says it answers.
    """

    chat: str
    id: str
    sender: str
    text: str
    time: float | None = None
    thread: str = ""
    answers: str | None = None


def tidy(text: str) -> str:
    """Return a text without invisible marks of writing direction, accents in one piece (NFC)."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", text.translate(_INVISIBLE))


def text_of(
    content: object,
    *,
    between: str,
    place: int,
    wanted: Callable[[Mapping[str, object]], bool] = lambda part: True,  # noqa: ARG005
) -> str | Dropped:
    """Return the text of a message, or why it has none.

    Args:
        content: A string, `{"text": string}`, `{"parts": list}`, or a list of such; parts that are
            no text are left out.
        between: What joins the parts.
        place: Where the message is in the file, for the drop.
        wanted: Whether a part that is an object holds words of the sender's.
    """
    try:
        if type(content) is str:  # nearly always
            text = tidy(whole(content))
        else:
            found = texts_in(content, under=("parts", "text", "value"), wanted=wanted)
            text = tidy(whole(between.join(found)))
    except ValueError as reason:
        return broken("message", str(reason), place=place)
    is_said = text and not text.isspace()
    return text if is_said else Dropped(TEXTLESS, place, broken=False)


def with_drop(message: Message, text: str | Dropped) -> Sequence[Message | Dropped]:
    """Return a message; one without text, after its drop, parts what is around it."""
    return (message,) if isinstance(text, str) else (text, message)


def said(text: str | Dropped) -> str:
    """Return a text, an empty one of a message that has none."""
    return text if isinstance(text, str) else ""


def of_nobody(chat: str, drop: Dropped) -> Sequence[Message | Dropped]:
    """Return what is broken, and a message of nobody's in its place: it parts others."""
    return drop, Message(chat, "", "", "")


def named(name: str | None, uid: str) -> str:
    """Return what a sender is called: by name and id, so that two of one name stay two."""
    return called(f"{name} ({uid})" if name else uid)


@lru_cache(maxsize=4096)
def called(name: str) -> str:
    """Return a name as `tidy` leaves it, without blanks around it."""
    return tidy(name).strip()


def values_of_chat(
    path: Path, *, wanted: Callable[[Place], bool], refused: Callable[..., DataError]
) -> Iterator[tuple[Place, object, int]]:
    """Return the wanted values of an object with messages, and how many messages there were.

    Args:
        path: The file.
        wanted: Which places; those that are members of lists are messages.
        refused: Makes the error of a file that is not of the format, from what was `got`.

    Raises:
        DataError: It is no object, or has no messages.
    """
    if first_byte(path) != b"{":
        raise refused(path, got="no object")
    number = 0
    for place, value in values(path, wanted=wanted):
        number += place[-1] is None
        yield place, value, number
    if number == 0:
        raise refused(path, got="no messages")


def dialogues(
    messages: Iterable[Message | Dropped],
    *,
    gap_s: float = GAP_S,
    between: str = " ",
    newest_first: bool = False,
) -> Iterator[Dialogue | Dropped]:
    """Cut messages, chat by chat in time order, into dialogues as they come; drops pass through.

    Args:
        messages: The messages.
        gap_s: The longest silence within a dialogue, in seconds.
        between: What joins messages in a row by one sender, which are one turn.
        newest_first: Whether each chat is from its end to its beginning.
    """
    chat: str | None = None
    threads: dict[str, list[Message]] = {}
    started: dict[str, float] = {}
    made = partial(_reversed if newest_first else _dialogue, started, between=between)
    first: str | None = None  # the thread that the chat begins with, until it is made
    last = ""  # the one of the last message

    def ended(thread: str, *, is_over: bool = False) -> Dialogue:
        nonlocal first
        ends = thread == first, is_over and thread == last
        first = None if thread == first else first
        is_first, is_last = ends[::-1] if newest_first else ends
        return made(threads.pop(thread))._replace(is_first=is_first, is_last=is_last)

    for message in messages:
        if isinstance(message, Dropped):
            yield message
            continue
        if message.chat != chat:
            for thread in list(threads):
                yield ended(thread, is_over=True)
            chat, first = message.chat, message.thread
            started.clear()
        last = message.thread
        going = threads.get(last)
        if going is not None:
            if not _ends(going, message.time, gap_s):
                going.append(message)
                continue
            yield ended(last)
        if len(threads) >= MAX_THREADS:
            yield ended(next(iter(threads)))
        threads[last] = [message]
    for thread in list(threads):
        yield ended(thread, is_over=True)


def parts_of(messages: Sequence[Message], *, between: str) -> Iterator[Dialogue]:
    """Make a dialogue of the messages of one, or several where they are too many."""
    started: dict[str, float] = {}
    for i in range(0, len(messages), MAX_MESSAGES):
        yield _dialogue(started, messages[i : i + MAX_MESSAGES], between=between)


def _ends(messages: list[Message], time: float | None, gap_s: float) -> bool:
    """Whether a message of this time begins another conversation."""
    if len(messages) >= MAX_MESSAGES:
        return True
    last = messages[-1].time
    return last is not None and time is not None and abs(time - last) > gap_s


def _reversed(started: dict[str, float], messages: list[Message], *, between: str) -> Dialogue:
    """Make turns of messages whose last is the first, unless their times say otherwise."""
    started.clear()  # what comes later was written before
    first, last = messages[0].time, messages[-1].time
    is_so = first is None or last is None or first >= last
    return _dialogue(started, messages[::-1] if is_so else messages, between=between)


def _dialogue(started: dict[str, float], messages: Sequence[Message], *, between: str) -> Dialogue:
    """Make turns of messages; `started` holds when the last dialogue of each thread began.

    A chat is in the order in which it was written: where a clock was put back, a later dialogue
    still does not begin before an earlier one.
    """
    turns: list[list[Message]] = []
    answered: list[int | None] = []  # by turns: which turn each says it answers
    turn_of: dict[str, int] = {}
    last: str | None = None  # the sender of the last turn
    for message in messages:
        _, name, sender, _, _, _, answers = message
        target = None if answers is None else turn_of.get(answers, NOBODY)
        if sender == last and (target is None or _goes_on(target, answered)):
            turns[-1].append(message)
        else:
            turns.append([message])
            answered.append(target)
            last = sender
        if name:
            turn_of[name] = len(turns) - 1
    first, thread = messages[0], messages[0].thread
    start = first.time
    if start is not None:
        start = started[thread] = max(start, started.get(thread, start))
    spoken = [_turn(turn, between, to) for turn, to in zip(turns, answered, strict=True)]
    return Dialogue(_name(messages), tuple(spoken), start)


def _goes_on(target: int, answered: Sequence[int | None]) -> bool:
    """Whether a message by the sender of the last turn belongs to it, by what it answers."""
    last = len(answered) - 1
    asked = answered[last]
    return target in (last, last - 1 if asked is None else asked)


def _turn(messages: Sequence[Message], between: str, answers: int | None) -> Spoken:
    _, _, sender, text, time, _, _ = messages[0]
    if len(messages) == 1:
        text = text.strip()
    else:
        text = between.join([part for message in messages if (part := message.text.strip())])
    return Spoken(sender, text, time, None if text else TEXTLESS, answers)


def _name(messages: Sequence[Message]) -> str:
    """Name a conversation by its first message's id, or by how it begins.

    By as much of it as no other conversation begins with: both sides, and either the time or more
    than a greeting. An export of it that has more turns gives it the same name.
    """
    first = messages[0]
    if first.id:
        return f"{first.chat} {first.id}"
    parts: list[str] = []
    n_characters = 0
    for message in messages:
        parts += [message.sender, str(message.time), message.text]
        n_characters += len(message.text)
        is_known = first.time is not None or n_characters > _N_NAMING
        if is_known and message.sender != first.sender:
            break
    return name_by_hash(*parts)
