"""What makes a sample: replies judged by rules that are data, collected into a history.

Loaders bring dialogues (`history_of`) or ready pairs (`HistoryBuilder.reply`); the rules, the
counting of what is dropped, and what becomes of it are the same for all of them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

from lorecall.data.history import sample_id
from lorecall.records import History, Sample, Statement, Turn

EARLIER_TURNS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which replies are usable; an empty query or response never is.

    Args:
        min_words: Shortest response, in words split at white space.
        max_words: Longest response; None for no limit.
        repeats: Whether a response the user gave before is kept.
    """

    min_words: int = 1
    max_words: int | None = None
    repeats: bool = True


class Spoken(NamedTuple):
    """One turn of a dialogue, `time` in Unix seconds.

    A tuple, not a record: a dataset holds a hundred thousand of them.
    """

    author: str
    text: str
    time: float | None


class Dialogue(NamedTuple):
    """Turns of any number of speakers, in time order."""

    id: str
    turns: tuple[Spoken, ...]

    def replies(self) -> Iterator[int]:
        """Give the index of each turn that comes after another speaker's turn."""
        for i in range(1, len(self.turns)):
            if self.turns[i].author != self.turns[i - 1].author:
                yield i


class Usability:
    """Judges the replies of one user, in time order (a repeat is known by what came before)."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._seen: set[str] = set()

    def drop_reason(self, query: str, response: str) -> str | None:
        """Say why a reply is not usable, or None when it is."""
        rules, n_words = self._rules, len(response.split())
        if n_words == 0:
            return "empty response"
        if not query.strip():
            return "empty query"
        if n_words < rules.min_words:
            return "response too short"
        if rules.max_words is not None and n_words > rules.max_words:
            return "response too long"
        return None if rules.repeats else self._repeat(response)

    def _repeat(self, response: str) -> str | None:
        key = " ".join(response.casefold().split())
        if key in self._seen:
            return "repeated response"
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
        self._dropped: Counter[str] = Counter()

    def reply(self, sample: Sample) -> None:
        """Add a reply: a sample when it is usable, else a drop, its own text a statement."""
        reason = self._usability.drop_reason(sample.query, sample.response)
        if reason is None:
            self._samples.append(sample)
            return
        self._dropped[reason] += 1
        self.statement(sample.conversation, sample.own_text, time=sample.time)

    def statement(self, conversation: str, text: str, *, time: float | None) -> None:
        """Add something the user wrote that answers nobody; an empty text is nothing."""
        if text.strip():
            statement = Statement(conversation=conversation, text=text, time=time)
            self._statements.append(statement)

    def build(self, *, profile: tuple[str, ...] = ()) -> History:
        """Give the history collected so far."""
        return History(
            dataset=self._dataset,
            user=self._user,
            samples=tuple(self._samples),
            statements=tuple(self._statements),
            profile=profile,
            dropped=MappingProxyType(dict(self._dropped)),
        )


def history_of(dialogues: Iterable[Dialogue], *, user: str, dataset: str, rules: Rules) -> History:
    """Collect what one speaker wrote in dialogues between people.

    Args:
        dialogues: In the order of their first turn.
        user: The speaker's full id; the author of the responses.
        dataset: Name of the dataset.
        rules: Which replies are usable.
    """
    builder = HistoryBuilder(dataset=dataset, user=user, rules=rules)
    for dialogue in dialogues:
        replies = frozenset(dialogue.replies())
        for i, turn in enumerate(dialogue.turns):
            if turn.author != user:
                continue
            if i in replies:
                builder.reply(_sample(dialogue, i))
            else:
                builder.statement(dialogue.id, turn.text, time=turn.time)
    return builder.build()


def unix_seconds(text: str) -> float:
    """Read an ISO-8601 time (`2018-05-02T19:38:15Z`); without an offset it is UTC.

    Raises:
        ValueError: It is no such time.
    """
    if text[4:5] != "-":  # `fromisoformat` would read "1700101012345" as the year 1700
        raise ValueError(f"{text[:40]!r} is no ISO-8601 time")
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _sample(dialogue: Dialogue, i: int) -> Sample:
    """Make the sample whose response is turn i, its query the turn before."""
    turns = dialogue.turns
    user, response, time = turns[i]
    query = turns[i - 1].text
    earlier = turns[max(0, i - 1 - EARLIER_TURNS) : i - 1]
    return Sample(
        id=sample_id(user, dialogue.id, position=i, query=query, response=response),
        user=user,
        conversation=dialogue.id,
        query=query,
        response=response,
        time=time,
        earlier=tuple(Turn(by_author=t.author == user, text=t.text) for t in earlier if t.text),
    )
