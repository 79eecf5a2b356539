"""The users of a dataset: finding one by the start of its id, and what each of them has."""

import difflib
import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lorecall.data.samples import Dialogue, Rules, Usability
from lorecall.errors import DataError

N_SHOWN = 5
N_COMPARED = 2_000  # comparing names is slow; a file may hold a million of them


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSummary:
    """What one user has: usable samples, and everything the user wrote.

    `query_words`, `response_words` and `text_words` are means, 0 where there is nothing;
    `n_conversations` counts those with a usable sample.
    """

    user: str
    n_samples: int
    n_conversations: int
    query_words: float
    response_words: float
    n_texts: int
    text_words: float


class UserTally:
    """Counts one user's replies and texts without keeping them."""

    def __init__(self, rules: Rules) -> None:
        self._usability = Usability(rules)
        self._conversations: set[str] = set()
        self._n_samples = self._query_words = self._response_words = 0
        self._n_texts = self._text_words = 0

    def text(self, text: str) -> None:
        """Count something the user wrote."""
        n_words = len(text.split())
        self._n_texts += n_words > 0
        self._text_words += n_words

    def reply(self, conversation: str, query: str, response: str) -> str | None:
        """Count a reply when it is usable, else say why it is not."""
        if reason := self._usability.drop_reason(query, response):
            return reason
        self._conversations.add(conversation)
        self._n_samples += 1
        self._query_words += len(query.split())
        self._response_words += len(response.split())
        return None

    def summary(self, user: str) -> UserSummary:
        """Give the counts so far."""
        return UserSummary(
            user=user,
            n_samples=self._n_samples,
            n_conversations=len(self._conversations),
            query_words=self._query_words / max(1, self._n_samples),
            response_words=self._response_words / max(1, self._n_samples),
            n_texts=self._n_texts,
            text_words=self._text_words / max(1, self._n_texts),
        )


def repliers(dialogues: Iterable[Dialogue], *, rules: Rules) -> list[UserSummary]:
    """Summarise everyone who replied at least once, most usable samples first.

    Args:
        dialogues: In the order of their first turn.
        rules: Which replies are usable.
    """
    tallies: dict[str, UserTally] = {}
    who_replied: set[str] = set()
    for dialogue in dialogues:
        for turn in dialogue.turns:
            tallies.setdefault(turn.author, UserTally(rules)).text(turn.text)
        for i in dialogue.replies():
            before, turn = dialogue.turns[i - 1 : i + 1]
            tallies[turn.author].reply(dialogue.id, before.text, turn.text)
            who_replied.add(turn.author)
    return summaries({user: tallies[user] for user in who_replied})


def summaries(tallies: Mapping[str, UserTally]) -> list[UserSummary]:
    """Give the summaries of tallies, most samples first, equal ones by name."""
    found = [tally.summary(user) for user, tally in tallies.items()]
    return sorted(found, key=lambda summary: (-summary.n_samples, summary.user))


def resolve_user(user: str, counts: Mapping[str, int]) -> str:
    """Find the user whose id is, or alone starts with, what was given.

    Args:
        user: A full id, or the start of one.
        counts: user id -> number of replies, of every user there is.

    Raises:
        DataError: No user or more than one matches.
    """
    if user in counts:
        return user
    matches = [known for known in counts if user and known.startswith(user)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise DataError(
            "the start of a user id must fit one user",
            expected="a longer start or the full id",
            got=f"{user!r}, which fits {len(matches)}: {_names(matches, counts)}",
            next_step="Add characters until one is left.",
        )
    raise DataError(
        "the user must be in the data",
        expected=f"a user id or the start of one, such as {_names(_near(user, counts), counts)}",
        got=f"{user!r} ({len(counts)} users, none fits)",
        next_step="List the users of this source and choose one.",
    )


def _near(user: str, counts: Mapping[str, int]) -> list[str]:
    """Give names that start much like the one asked for, else those with the most replies."""
    largest = heapq.nlargest(N_COMPARED, counts, key=counts.__getitem__)
    starts = {known[: len(user) + 2].casefold(): known for known in largest}
    close = difflib.get_close_matches(user.casefold(), starts, n=N_SHOWN)
    return [starts[start] for start in close] or largest[:N_SHOWN]


def _names(users: list[str], counts: Mapping[str, int]) -> str:
    shown = heapq.nlargest(N_SHOWN, users, key=counts.__getitem__)
    rest = ", ..." if len(users) > len(shown) else ""
    return ", ".join(repr(user) for user in shown) + rest
