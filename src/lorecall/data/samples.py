"""What makes a sample: replies judged by rules that are data, collected into a history.

Loaders bring events (`lorecall.data.events`); the rules, the order, the counting of what is
dropped, and what becomes of it are the same for all of them.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from lorecall.data.events import Dropped, Event, Known, Reply, Said
from lorecall.data.history import sample_id
from lorecall.records import Authorship, History, Sample, Statement, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which replies are usable; an empty query or response never is.

    Args:
        min_words: Shortest response, in words split at white space.
        max_words: Longest response; None for no limit.
        repeats: Whether a response the user gave before is kept.
        fold: Whether one that differs in case and white space alone counts as a repeat.
    """

    min_words: int = 1
    max_words: int | None = None
    repeats: bool = True
    fold: bool = True

    def drop_reason(self, query: str, response: str) -> str | None:
        """Return why a reply is not usable, whatever came before it; None when it is."""
        n_words = len(response.split())
        if n_words == 0:
            return "empty response"
        if not query.strip():
            return "empty query"
        if n_words < self.min_words:
            return f"response too short: under {self.min_words} words"
        if self.max_words is not None and n_words > self.max_words:
            return f"response too long: over {self.max_words} words"
        return None

    def repeat_key(self, response: str) -> str:
        """Return what two responses have in common when one repeats the other."""
        return " ".join(response.casefold().split()) if self.fold else response.strip()


CHAT = Rules(min_words=3, max_words=100, repeats=False)
"""Conversations between people, where many turns are a word or two."""

REPEATED = "repeated response"
MAX_SECONDS = 1e11  # later than the year 5000: surely milliseconds


class Usability:
    """Judges the replies of one user, in time order (a repeat is known by what came before)."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._seen: set[str] = set()

    def drop_reason(self, query: str, response: str) -> str | None:
        """Return why a reply is not usable, or None when it is."""
        reason = self._rules.drop_reason(query, response)
        if reason or self._rules.repeats:
            return reason
        key = self._rules.repeat_key(response)
        if key in self._seen:
            return REPEATED
        self._seen.add(key)
        return None


class HistoryBuilder:
    """Collects one user's history, conversation by conversation, in time order.

    Args:
        dataset: Name of the dataset, or of the file.
        user: The user's full id.
        rules: Which replies are usable.
    """

    def __init__(self, *, dataset: str, user: str, rules: Rules) -> None:
        self._dataset = dataset
        self._user = user
        self._usability = Usability(rules)
        self._samples: list[Sample] = []
        self._statements: list[Statement] = []
        self._profile: dict[str, None] = {}  # in order, without repeats
        self._dropped: Counter[str] = Counter()

    def reply(self, sample: Sample) -> None:
        """Add a reply: a sample when it is usable, else a drop, its own text a statement."""
        reason = self._usability.drop_reason(sample.query, sample.response)
        if reason is None:
            self._samples.append(sample)
            return
        self.drop(reason)
        self.statement(sample.conversation, sample.own_text, time=sample.time)

    def statement(self, conversation: str, text: str, *, time: float | None) -> None:
        """Add something the user wrote that answers nobody; an empty text is nothing."""
        if text.strip():
            statement = Statement(conversation=conversation, text=text, time=time)
            self._statements.append(statement)

    def know(self, sentence: str) -> None:
        """Add a sentence of the profile, unless it is there or empty."""
        if sentence.strip():
            self._profile[sentence.strip()] = None

    def drop(self, reason: str) -> None:
        """Count something left out."""
        self._dropped[reason] += 1

    def build(self) -> History:
        """Return the history collected so far."""
        return History(
            dataset=self._dataset,
            user=self._user,
            samples=tuple(self._samples),
            statements=tuple(self._statements),
            profile=tuple(self._profile),
            dropped=MappingProxyType(dict(self._dropped)),
        )


def history_of(events: Iterable[Event], *, user: str, dataset: str, rules: Rules) -> History:
    """Make a history of one user's events.

    They are put in time order where all times are known (a conversation's events at its start,
    where that is known), and grouped by conversation.
    """
    builder = HistoryBuilder(dataset=dataset, user=user, rules=rules)
    spoken: list[Reply | Said] = []
    for event in events:
        if isinstance(event, Known):
            builder.know(event.sentence)
        elif isinstance(event, Dropped):
            builder.drop(event.reason)
        elif isinstance(event, Reply | Said):
            spoken.append(event)
    given: set[str] = set()
    for conversation in _conversations(spoken):
        before: Reply | None = None
        position = 0
        for event in conversation:
            if isinstance(event, Reply):
                builder.reply(_sample(event, position, before=before))
                before, position = event, position + 1
            elif not (event.again and event.text in given):
                builder.statement(event.conversation, event.text, time=event.time)
                given.update([event.text] if event.again else [])
    return builder.build()


def seconds(value: object) -> float | None:
    """Read a time in Unix seconds, a number or its digits, or an ISO-8601 one; else None."""
    try:
        if isinstance(value, str):
            digits = value.strip()
            return float(digits) if re.fullmatch(r"[0-9]{1,11}", digits) else unix_seconds(digits)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value) if 0 <= value < MAX_SECONDS else None
    except ValueError:
        pass
    return None


def unix_seconds(text: str) -> float:
    """Read an ISO-8601 time (`2018-05-02T19:38:15Z`); without an offset it is UTC.

    Raises:
        ValueError: It is no such time.
    """
    if text[4:5] != "-":  # `fromisoformat` would read "1700101012345" as the year 1700
        raise ValueError(f"{text[:40]!r} is no ISO-8601 time")
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _conversations(spoken: Sequence[Reply | Said]) -> Iterable[list[Reply | Said]]:
    """Group by conversation, each in time order, conversations ordered by their first event."""
    starts = [event.time if event.started is None else event.started for event in spoken]
    order = range(len(spoken))
    if None not in starts:
        order = sorted(order, key=lambda i: starts[i] or 0.0)
    groups: dict[str, list[Reply | Said]] = {}
    for i in order:
        groups.setdefault(spoken[i].conversation, []).append(spoken[i])
    return groups.values()


def _sample(reply: Reply, position: int, *, before: Reply | None) -> Sample:
    query, response = reply.query.strip(), reply.response.strip()
    position = position if reply.position is None else reply.position
    earlier = reply.earlier
    if earlier is None:
        earlier = _turns(before, author=reply.authored_by) if before else ()
    return Sample(
        id=sample_id(
            reply.user, reply.conversation, position=position, query=query, response=response
        ),
        user=reply.user,
        conversation=reply.conversation,
        query=query,
        response=response,
        time=reply.time,
        earlier=earlier,
        authored_by=reply.authored_by,
    )


def _turns(reply: Reply, *, author: Authorship) -> tuple[Turn, ...]:
    """Return a pair as two turns, seen by the author of a later response."""
    same = reply.authored_by == author
    sides = ((not same, reply.query.strip()), (same, reply.response.strip()))
    return tuple(Turn(by_author=by_author, text=text) for by_author, text in sides if text)
