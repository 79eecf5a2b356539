"""What makes a sample: replies judged by rules that are data, collected into a history.

Loaders bring events (`lorecall.data.events`); the rules, the order, the counting of what is
dropped, and what becomes of it are the same for all of them.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from lorecall.core.words import n_words
from lorecall.data.events import Dropped, Earlier, Event, Known, Reply, Said
from lorecall.data.history import sample_id
from lorecall.data.seen import Seen
from lorecall.records import Authorship, History, Sample, Statement, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which replies are usable; an empty query or response never is.

    Args:
        min_words: Shortest response, in words of any script (`lorecall.core.words`).
        max_words: Longest response; None for no limit.
        repeats: Whether a response the user gave before is kept; to the same query it never is.
        fold: Whether one that differs in case and white space alone counts as a repeat.
    """

    min_words: int = 1
    max_words: int | None = None
    repeats: bool = True
    fold: bool = True

    def drop_reason(self, query: str, response: str, *, is_new: Callable[..., bool]) -> str | None:
        """Return why a reply is not usable, None when it is.

        `is_new` is asked of what two replies have in common when one repeats the other: the
        response, or the pair where responses may be repeated.
        """
        n = n_words(response)
        if n == 0:
            return "empty response"
        if not query or query.isspace():
            return "empty query"
        if n < self.min_words:
            return f"response too short: under {self.min_words} words"
        if self.max_words is not None and n > self.max_words:
            return f"response too long: over {self.max_words} words"
        if self.repeats:
            return None if is_new(query.strip(), response.strip()) else GIVEN_BEFORE
        return None if is_new(_folded(response) if self.fold else response.strip()) else REPEATED


CHAT = Rules(min_words=3, max_words=100, repeats=False)
"""Conversations between people, where many turns are a word or two."""

REPEATED = "repeated response"
GIVEN_BEFORE = "pair given before"
_MAX_DIGITS = 20
_FRACTION = re.compile(r"[0-9]{1,20}\.[0-9]{1,20}")
_UNITS = (1e3, 1e6, 1e9)  # of a second
MAX_SECONDS = 1e11  # later than the year 5000: surely milliseconds


def _folded(response: str) -> str:
    """Return a response in one case, one blank between its words."""
    text = response.casefold()
    is_so = text.isprintable() and "  " not in text and text.isascii()
    return text.strip() if is_so else " ".join(text.split())


def history_of(events: Iterable[Event], *, user: str, dataset: str, rules: Rules) -> History:
    """Make a history of one user's events.

    They are put in time order (a conversation's events at its start, where that is known) and
    grouped by conversation. What has no time stays between its neighbours in the file.
    """
    profile: dict[str, None] = {}  # in order, without repeats
    dropped: Counter[str] = Counter()
    spoken: list[Reply | Said] = []
    for event in events:
        if isinstance(event, Known):
            profile[event.sentence.strip()] = None
        elif isinstance(event, Dropped):
            dropped[event.reason] += 1
        elif isinstance(event, Reply | Said):
            spoken.append(event)
    samples: list[Sample] = []
    statements: list[Statement] = []
    with closing(Seen()) as seen:
        for event in _in_order(spoken):
            if isinstance(event, Said):
                if not event.again or seen.is_new("given again", "", event.text):
                    statements.append(_statement(event, event.text))
            elif reason := rules.drop_reason(event.query, event.response, is_new=seen.is_new):
                dropped[reason] += 1
                if reason != GIVEN_BEFORE:
                    statements.append(_statement(event, event.own_text))
            else:
                samples.append(event)
    return History(
        dataset=dataset,
        user=user,
        samples=tuple(samples),
        statements=tuple(said for said in statements if said.text.strip()),
        profile=tuple(sentence for sentence in profile if sentence),
        dropped=MappingProxyType(dict(dropped)),
    )


def seconds(value: object) -> float | None:
    """Read a Unix time, a number or its digits, or an ISO-8601 one; None where it is none.

    In seconds, or in milli-, micro- or nanoseconds, which are told by how large they are.
    """
    if value is None:
        return None
    try:
        if isinstance(value, str):
            digits = value.strip()
            is_whole = digits.isdecimal() and digits.isascii() and len(digits) <= _MAX_DIGITS
            if not (is_whole or _FRACTION.fullmatch(digits)):
                return unix_seconds(digits)
            value = float(digits)
        if type(value) is float or type(value) is int:
            return _in_seconds(float(value))
    except (ValueError, OverflowError):
        pass
    return None


def _in_seconds(value: float) -> float | None:
    if 0 <= value < MAX_SECONDS:
        return value
    return next((value / unit for unit in _UNITS if 0 <= value < MAX_SECONDS * unit), None)


def unix_seconds(text: str) -> float:
    """Read an ISO-8601 time (`2018-05-02T19:38:15Z`); without an offset it is UTC.

    Raises:
        ValueError: It is no such time.
    """
    if text[4:5] != "-":  # `fromisoformat` would read "1700101012345" as the year 1700
        raise ValueError(f"{text[:40]!r} is no ISO-8601 time")
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _in_order(spoken: Sequence[Reply | Said]) -> Iterator[Sample | Said]:
    """Return replies as samples and what else was said, conversation by conversation.

    Each is in time order; they are ordered by their first event.
    """
    starts = _known([event.time if event.started is None else event.started for event in spoken])
    order = sorted(range(len(spoken)), key=starts.__getitem__)
    groups: dict[str, list[Reply | Said]] = {}
    for i in order:
        groups.setdefault(spoken[i].conversation, []).append(spoken[i])
    for conversation in groups.values():
        before: Reply | None = None
        position = 0
        for event in _placed(conversation):
            if isinstance(event, Said):
                yield event
            else:
                yield _sample(event, position, before=before)
                before, position = event, position + 1


def _placed(conversation: Sequence[Reply | Said]) -> list[Reply | Said]:
    """Return the events of a conversation, those that another file had later in their place."""
    placed: list[Reply | Said] = []
    last = 0
    for event in conversation:
        at = len(placed)
        if isinstance(event, Reply) and event.position is not None:
            if event.position < last:
                later = (i for i, each in enumerate(placed) if _is_after(each, event.position))
                at = next(later, at)
            last = max(last, event.position)
        placed.insert(at, event)
    return placed


def _is_after(event: Reply | Said, position: int) -> bool:
    return isinstance(event, Reply) and event.position is not None and event.position > position


def _known(times: Sequence[float | None]) -> list[float]:
    """Return the times, an unknown one as the middle between its neighbours that are known."""
    around = zip(_carried(times), _carried(times[::-1])[::-1], strict=True)
    known = ([time for time in pair if time is not None] for pair in around)
    return [sum(pair) / len(pair) if pair else 0.0 for pair in known]


def _carried(times: Sequence[float | None]) -> list[float | None]:
    """Return of each the last known time up to it."""
    last: float | None = None
    return [last := last if time is None else time for time in times]


def _statement(of: Sample | Said, text: str) -> Statement:
    return Statement(conversation=of.conversation, text=text, time=of.time)


def _sample(reply: Reply, position: int, *, before: Reply | None) -> Sample:
    query, response = reply.query.strip(), reply.response.strip()
    position = position if reply.position is None else reply.position
    earlier = reply.earlier
    if isinstance(earlier, Earlier):
        earlier = earlier.turns()
    elif earlier is None:
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
        partner=reply.partner,
    )


def _turns(reply: Reply, *, author: Authorship) -> tuple[Turn, ...]:
    """Return a pair as two turns, seen by the author of a later response."""
    same = reply.authored_by == author
    sides = ((not same, reply.query.strip()), (same, reply.response.strip()))
    return tuple(Turn(by_author=by_author, text=text) for by_author, text in sides if text)
