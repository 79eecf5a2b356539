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
    earlier: tuple[Turn, ...] | None = None
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

    def asked(self, i: int) -> int | None:
        """Return the index of the turn that turn i answers: another speaker's; None for none."""
        turn = self.turns[i]
        j = i - 1 if turn.answers is None else turn.answers
        if j < 0 or self.turns[j].author == turn.author or self.turns[j].defect is not None:
            return None
        return j

    def start(self) -> float | None:
        """Return when it began, in Unix seconds, where that is known."""
        return self.turns[0].time if self.started is None and self.turns else self.started


def among_people(dialogue: Dialogue) -> Iterator[Reply | Said]:
    """Return every speaker's replies and openers, in time order; each speaker is a user."""
    started = dialogue.start()
    for i, turn in enumerate(dialogue.turns):
        if turn.defect is not None:
            continue
        if (asked := dialogue.asked(i)) is not None:
            by = turn.author
            yield _reply(dialogue, i, asked, user=by, authored_by="user", started=started)
        else:
            yield Said(turn.author, dialogue.id, turn.text, turn.time, started)


def of_people(dialogues: Iterable[Dialogue | Dropped]) -> Iterator[Event]:
    """Return every speaker's replies and openers of many dialogues; drops pass through."""
    for dialogue in dialogues:
        yield from [dialogue] if isinstance(dialogue, Dropped) else among_people(dialogue)


def with_assistant(
    dialogue: Dialogue, *, user: str, assistant: str, place: int
) -> Iterator[Reply | Said | Dropped]:
    """Return what an assistant answered a user, and the user's turns that got no answer."""
    turns, started = dialogue.turns, dialogue.start()
    for i, turn in enumerate(turns):
        if turn.author == assistant:
            continue
        answer = next((t for t in turns[i + 1 : i + 2] if t.author == assistant), None)
        defect = turn.defect or (answer.defect if answer else None)
        if answer and defect is None:
            yield _reply(dialogue, i + 1, i, user=user, authored_by="assistant", started=started)
            continue
        if defect == TEXTLESS:  # it was counted as a message
            if answer and turn.defect:
                yield Dropped("answer to a message without text", place, broken=False, user=user)
        elif defect is not None:
            reason = defect if answer else f"{defect} (unanswered)"
            yield Dropped(reason, place, broken=False, user=user)
        if turn.defect is None:
            yield Said(user, dialogue.id, turn.text, turn.time, started)


def _reply(
    dialogue: Dialogue,
    i: int,
    asked: int,
    *,
    user: str,
    authored_by: Authorship,
    started: float | None,
) -> Reply:
    """Make the pair whose response is turn i, its query the turn that was asked."""
    turns = dialogue.turns
    author, response, time = turns[i][:3]
    earlier = turns[max(0, asked - EARLIER_TURNS) : asked]
    return Reply(
        user=user,
        conversation=dialogue.id,
        query=turns[asked].text,
        response=response,
        time=time,
        authored_by=authored_by,
        earlier=tuple(
            Turn(by_author=turn.author == author, text=turn.text)
            for turn in earlier
            if turn.text and turn.defect is None
        ),
        position=i,
        started=started,
        partner=turns[asked].author if authored_by == "user" else None,
        is_cut=authored_by == "user"
        and ((dialogue.is_last and i == len(turns) - 1) or (dialogue.is_first and asked == 0)),
    )
