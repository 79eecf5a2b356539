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


class Reply(NamedTuple):
    """One pair of a user: a sample when it is usable.

    A tuple, not a record: a file holds millions of them.

    `earlier` None stands for the user's pair before this one in the conversation; `position` None
    for the place among the user's pairs there; `started` is when the conversation began, where
    that is known, and orders conversations; `partner` is who said the query, a person.
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
    """

    author: str
    text: str
    time: float | None = None
    defect: str | None = None


class Dialogue(NamedTuple):
    """Turns of any number of speakers, in time order."""

    id: str
    turns: tuple[Spoken, ...]

    def replies(self) -> Iterator[int]:
        """Return the index of each turn that comes after another speaker's turn."""
        for i in range(1, len(self.turns)):
            if self.turns[i].author != self.turns[i - 1].author:
                yield i


def among_people(dialogue: Dialogue) -> Iterator[Reply | Said]:
    """Return every speaker's replies and openers, in time order; each speaker is a user."""
    replies = frozenset(dialogue.replies())
    started = dialogue.turns[0].time if dialogue.turns else None
    for i, (author, text, time, _) in enumerate(dialogue.turns):
        if i in replies:
            yield _reply(dialogue, i, user=author, authored_by="user", started=started)
        else:
            yield Said(author, dialogue.id, text, time, started)


def of_people(dialogues: Iterable[Dialogue | Dropped]) -> Iterator[Event]:
    """Return every speaker's replies and openers of many dialogues; drops pass through."""
    for dialogue in dialogues:
        yield from [dialogue] if isinstance(dialogue, Dropped) else among_people(dialogue)


def with_assistant(
    dialogue: Dialogue, *, user: str, assistant: str, place: int
) -> Iterator[Reply | Said | Dropped]:
    """Return what an assistant answered a user, and the user's turns that got no answer."""
    turns, started = dialogue.turns, dialogue.turns[0].time if dialogue.turns else None
    for i, turn in enumerate(turns):
        if turn.author == assistant:
            continue
        answer = next((t for t in turns[i + 1 : i + 2] if t.author == assistant), None)
        defect = turn.defect or (answer.defect if answer else None)
        if answer and defect is None:
            yield _reply(dialogue, i + 1, user=user, authored_by="assistant", started=started)
            continue
        if defect is not None:
            reason = defect if answer else f"{defect} (unanswered)"
            yield Dropped(reason, place, broken=False, user=user)
        if turn.defect is None:
            yield Said(user, dialogue.id, turn.text, turn.time, started)


def _reply(
    dialogue: Dialogue, i: int, *, user: str, authored_by: Authorship, started: float | None
) -> Reply:
    """Make the pair whose response is turn i, its query the turn before."""
    turns = dialogue.turns
    author, response, time, _ = turns[i]
    earlier = turns[max(0, i - 1 - EARLIER_TURNS) : i - 1]
    return Reply(
        user=user,
        conversation=dialogue.id,
        query=turns[i - 1].text,
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
        partner=turns[i - 1].author if authored_by == "user" else None,
    )
