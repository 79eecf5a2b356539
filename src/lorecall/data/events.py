"""What a file holds, one event at a time: the form every loader brings its rows into.

A loader reads a file front to back and gives replies (possible samples), statements (what answers
nobody), profile sentences and drops. What becomes of them is the same for all: a user's events are
kept and made a history (`lorecall.data.samples`), everyone's are counted (`lorecall.data.users`).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from lorecall.records import Authorship, Turn

EARLIER_TURNS = 2
NOBODY = -1
TEXTLESS = "message without text"


class Spoken(NamedTuple):
    """One turn of a dialogue, `time` in Unix seconds.

    A turn with a `defect` (why it cannot be used) makes no pair and is nobody's earlier turn.
    `answers` is the index of the turn it says it answers, `NOBODY` where that is not in the
    dialogue; None stands for the turn before it.
    """

    author: str
    text: str
    time: float | None = None
    defect: str | None = None
    answers: int | None = None


class Earlier(NamedTuple):
    """What was said before a pair; turns are made of it for what is kept, not for what is counted.

    `author` is whose response it comes before.
    """

    spoken: tuple[Spoken, ...]
    author: str

    def turns(self) -> tuple[Turn, ...]:
        """Return it as turns; those without words, or of no use, are left out."""
        return tuple(
            Turn(by_author=each.author == self.author, text=each.text)
            for each in self.spoken
            if each.text and each.defect is None
        )


class Reply(NamedTuple):
    """One pair of a user: a sample when it is usable.

    A tuple, not a record: a file holds millions of them.

    `earlier` None stands for the user's pair before this one in the conversation; `position` None
    for the place among the user's pairs there; `started` is when the conversation began, where
    that is known, and orders conversations; `partner` is who said the query, a person. `is_cut`
    says that another export may have more of the query or of the response.
    """

    user: str
    conversation: str
    query: str
    response: str
    time: float | None = None
    authored_by: Authorship = "user"
    earlier: tuple[Turn, ...] | Earlier | None = None
    position: int | None = None
    started: float | None = None
    partner: str | None = None
    is_cut: bool = False

    @property
    def own_text(self) -> str:
        """What the user wrote in this pair."""
        return self.response if self.authored_by == "user" else self.query


class Said(NamedTuple):
    """Something a user wrote that answers nobody.

    `again` marks what a format gives anew with each of the user's pairs: it counts once.
    """

    user: str
    conversation: str
    text: str
    time: float | None = None
    started: float | None = None
    again: bool = False


class Known(NamedTuple):
    """A sentence of a user's profile."""

    user: str
    sentence: str


class About(NamedTuple):
    """What a conversation is about; it comes after the conversation's replies."""

    conversation: str
    text: str
    user: None = None


class Dropped(NamedTuple):
    """What is left out: a row, or a part of one.

    `reason` is one of a few fixed phrases of the loader, `detail` says more for one row; `place`
    is the line, or the record of a list, counted from 1. `broken` rows do not fit the format;
    others fit it and are left out by rule. `user` None: whose it was cannot be known. `file` is the
    name of the file, where there may be several.
    """

    reason: str
    place: int
    broken: bool = True
    detail: str = ""
    user: str | None = None
    file: str = ""


Event = Reply | Said | Known | About | Dropped
E = TypeVar("E")


def located(events: Iterable[E], path: Path) -> Iterator[E | Dropped]:
    """Return the events, each drop with the name of its file."""
    for event in events:
        yield event._replace(file=path.name) if isinstance(event, Dropped) else event


class Dialogue(NamedTuple):
    """Turns of any number of speakers, in time order; `started` None is when the first was.

    `is_first` and `is_last` say that nothing of the chat is there before it, or after it: its first
    turn, or its last, may be a part of one.
    """

    id: str
    turns: tuple[Spoken, ...]
    started: float | None = None
    is_first: bool = False
    is_last: bool = False

    def start(self) -> float | None:
        """Return when it began, in Unix seconds, where that is known."""
        return self.turns[0].time if self.started is None and self.turns else self.started


def among_people(dialogue: Dialogue) -> Iterator[Reply | Said]:
    """Return every speaker's replies and openers, in time order; each speaker is a user.

    A turn answers the one that it says it answers, or the one before it: another speaker's.
    """
    name, turns, _, is_first, is_last = dialogue
    started, last = dialogue.start(), len(turns) - 1
    for i, (author, text, time, defect, answers) in enumerate(turns):
        if defect is not None:
            continue
        at = i - 1 if answers is None else answers
        asked = turns[at]
        if at < 0 or asked.author == author or asked.defect is not None:
            yield Said(author, name, text, time, started)
            continue
        earlier = _before(turns, at, author)
        is_cut = (is_last and i == last) or (is_first and at == 0)
        # by position: a file has millions of these
        yield Reply(
            author,
            name,
            asked.text,
            text,
            time,
            "user",
            earlier,
            i,
            started,
            asked.author,
            is_cut,
        )


def of_people(dialogues: Iterable[Dialogue | Dropped]) -> Iterator[Event]:
    """Return every speaker's replies and openers of many dialogues; drops pass through."""
    for dialogue in dialogues:
        if isinstance(dialogue, Dropped):
            yield dialogue
        else:
            yield from among_people(dialogue)


def with_assistant(
    dialogue: Dialogue, *, user: str, assistant: str, place: int
) -> Iterator[Reply | Said | Dropped]:
    """Return what an assistant answered a user, and the user's turns that got no answer."""
    name, turns, started = dialogue.id, dialogue.turns, dialogue.start()
    for i, turn in enumerate(turns):
        if turn.author == assistant:
            continue
        answer = turns[i + 1] if i + 1 < len(turns) and turns[i + 1].author == assistant else None
        defect = turn.defect or (answer.defect if answer else None)
        if answer and defect is None:
            earlier = _before(turns, i, assistant)
            said, told = turn.text, answer.text
            yield Reply(user, name, said, told, answer.time, "assistant", earlier, i + 1, started)
            continue
        if defect == TEXTLESS:  # it was counted as a message
            if answer and turn.defect:
                yield Dropped("answer to a message without text", place, broken=False, user=user)
        elif defect is not None:
            reason = defect if answer else f"{defect} (unanswered)"
            yield Dropped(reason, place, broken=False, user=user)
        if turn.defect is None:
            yield Said(user, name, turn.text, turn.time, started)


def _before(turns: tuple[Spoken, ...], i: int, author: str) -> Earlier | tuple[()]:
    """Return what was said before turn i, which someone answers."""
    return Earlier(turns[max(0, i - EARLIER_TURNS) : i], author) if i else ()
