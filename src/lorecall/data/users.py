"""The users of a file: what each of them has.

A file may hold millions of users, so the counts of all but the first thousands live in SQLite's
temporary database, which goes to disk beyond a few megabytes: the memory does not grow with the
file.
"""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from lorecall.core.words import n_words
from lorecall.data.events import Event, Known, Reply, Said
from lorecall.data.history import MIN_CONVERSATIONS, MIN_SAMPLES, is_long_enough
from lorecall.data.privacy import found
from lorecall.data.samples import GIVEN_BEFORE, Rules
from lorecall.data.seen import Seen, disk, temporary

N_SHOWN = 5
_N_BUFFERED = 20_000

_REPLIES, _SAMPLES, _CONVERSATIONS, _QUERY_WORDS, _RESPONSE_WORDS, _TEXTS, _TEXT_WORDS = range(7)
_COUNTS = (
    "n_replies",
    "n_samples",
    "n_conversations",
    "query_words",
    "response_words",
    "n_texts",
    "text_words",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSummary:
    """What one user has: usable samples, and everything the user wrote.

    `query_words`, `response_words` and `text_words` are means, 0 where there is nothing;
    `n_conversations` counts those with a usable sample.

    Examples:
        >>> from lorecall.data import list_users
        >>> (ann, bob) = list_users("history.jsonl")
        >>> ann.n_conversations, ann.query_words, ann.learnable
        (8, 4.0, True)
    """

    user: str
    n_samples: int
    n_conversations: int
    query_words: float
    response_words: float
    n_texts: int
    text_words: float

    @property
    def learnable(self) -> bool:
        """Whether `learn` takes the user: whether there is enough to learn from and to test on."""
        return is_long_enough(n_samples=self.n_samples, n_conversations=self.n_conversations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What all users with a sample have together; `text_words` and `response_words` are means.

    Examples:
        >>> from lorecall.data import summarise
        >>> summarise("history.jsonl").totals.n_samples
        26
    """

    n_users: int
    n_samples: int
    n_texts: int
    text_words: float
    response_words: float


class Users:
    """Counts the replies and texts of every user, without keeping them.

    A user is someone with a reply, usable or not; who only said what answers nobody is none. Of a
    response given twice the first in the order of the file counts, which need not be the first in
    time.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.named: Counter[str] = Counter()
        self._buffer: dict[str, list[int]] = {}
        self._last: dict[str, str] = {}  # the conversation of each user's last sample
        self._seen = Seen()
        zeros = ", ".join(f"{name} INTEGER NOT NULL" for name in _COUNTS)
        table = f"CREATE TABLE users (user TEXT PRIMARY KEY, {zeros}) WITHOUT ROWID"
        self._db = temporary(table)
        self._db.create_function("starts", 2, str.startswith, deterministic=True)
        self._db.create_function("folded", 1, folded, deterministic=True)
        self._db.create_function("priority", 2, _hash, deterministic=True)

    def close(self) -> None:
        """Close the temporary databases."""
        self._db.close()
        self._seen.close()

    def text(self, user: str, text: str) -> None:
        """Count something a user wrote; an empty text is nothing."""
        if n := n_words(text):
            _count_text(self._counts(user), n)

    def text_once(self, user: str, text: str) -> None:
        """Count something a user wrote that may be given again."""
        if self._seen.is_new("text", user, text):
            self.text(user, text)

    def names_in(self, event: Event) -> None:
        """Count by kind what names someone outright in an event's texts, each but once."""
        for text in _texts(event):
            for kind, start, end in found(text):
                self.named[kind] += self._seen.is_new(kind, "", text[start:end])

    def count(self, user: str, n: int = 1) -> None:
        """Count replies without looking at them."""
        self._counts(user)[_REPLIES] += n

    def reply(self, reply: Reply) -> str | None:
        """Count a reply and its own text; say why it is not usable, None when it is."""
        user, conversation, query, response = reply[:4]
        counts = self._counts(user)
        counts[_REPLIES] += 1
        is_new = partial(self._seen.is_new, "reply", user)
        reason = self._rules.drop_reason(query, response, is_new=is_new)
        n_query, n_response = n_words(query), n_words(response)
        n_own = n_response if reply.authored_by == "user" else n_query
        if reason != GIVEN_BEFORE and n_own:
            _count_text(counts, n_own)
        if reason is not None:
            return reason
        counts[_SAMPLES] += 1
        if self._last.get(user) != conversation:  # the same again and again
            self._last[user] = conversation
            counts[_CONVERSATIONS] += self._seen.is_new("conversation", user, conversation)
        counts[_QUERY_WORDS] += n_query
        counts[_RESPONSE_WORDS] += n_response
        return None

    def summaries(self, n: int | None = None) -> list[UserSummary]:
        """Return the n users with the most samples (all for None), equal ones by name."""
        select = "SELECT * FROM users WHERE n_replies > 0 ORDER BY n_samples DESC, user LIMIT ?"
        return [_summary(row) for row in self._rows(select, -1 if n is None else n)]

    def totals(self) -> Totals:
        """Return the sums over the users with a sample."""
        sums = ", ".join(f"TOTAL({name})" for name in _COUNTS)
        select = f"SELECT COUNT(*), {sums} FROM users WHERE n_samples > 0"  # noqa: S608 - constants
        ((n_users, *counts),) = self._rows(select)
        return Totals(
            n_users=n_users,
            n_samples=int(counts[_SAMPLES]),
            n_texts=int(counts[_TEXTS]),
            text_words=counts[_TEXT_WORDS] / max(1, counts[_TEXTS]),
            response_words=counts[_RESPONSE_WORDS] / max(1, counts[_SAMPLES]),
        )

    def n_users(self) -> int:
        """Count the users, with or without a sample."""
        ((n,),) = self._rows("SELECT COUNT(*) FROM users WHERE n_replies > 0")
        return n

    def n_learnable(self) -> int:
        """Count the users with enough to learn from and to test on."""
        select = "SELECT COUNT(*) FROM users WHERE n_samples >= ? AND n_conversations >= ?"
        ((n,),) = self._rows(select, MIN_SAMPLES, MIN_CONVERSATIONS)
        return n

    def largest(self, n: int) -> list[str]:
        """Return the n users with the most replies."""
        select = "SELECT user FROM users WHERE n_replies > 0 ORDER BY n_replies DESC, user LIMIT ?"
        return [user for (user,) in self._rows(select, n)]

    def fitting(self, condition: str, user: str) -> tuple[list[str], int]:
        """Return some users that fit a condition in SQL, most replies first, and how many do."""
        some = f"FROM users WHERE n_replies > 0 AND ({condition})"
        ((n_all,),) = self._rows(f"SELECT COUNT(*) {some}", user)
        first = f"SELECT user {some} ORDER BY n_replies DESC, user LIMIT {N_SHOWN}"
        return [name for (name,) in self._rows(first, user)], n_all

    def drawn(self, seed: int) -> Iterator[tuple[str, int]]:
        """Return every user with its number of replies, in an order drawn by the seed alone."""
        select = "SELECT user, n_replies FROM users WHERE n_replies > 0 ORDER BY priority(?, user)"
        yield from self._rows(select, str(seed))

    def _counts(self, user: str) -> list[int]:
        if (counts := self._buffer.get(user)) is None:
            if len(self._buffer) >= _N_BUFFERED:
                self._flush()
            counts = self._buffer[user] = [0] * len(_COUNTS)
        return counts

    def _flush(self) -> None:
        sums = ", ".join(f"{name} = {name} + excluded.{name}" for name in _COUNTS)
        marks = ", ".join("?" * (1 + len(_COUNTS)))
        insert = f"INSERT INTO users VALUES ({marks}) ON CONFLICT DO UPDATE SET {sums}"  # noqa: S608
        with disk():
            self._db.executemany(insert, ((user, *c) for user, c in self._buffer.items()))
        self._buffer.clear()
        self._last.clear()

    def _rows(self, select: str, *values: object) -> Iterator[tuple[Any, ...]]:
        self._flush()
        with disk():
            yield from self._db.execute(select, values)


@lru_cache(maxsize=10_000)
def folded(text: str) -> str:
    """Return what texts have in common that differ in case, or in how accents are written."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _count_text(counts: list[int], n_words: int) -> None:
    counts[_TEXTS] += 1
    counts[_TEXT_WORDS] += n_words


def _texts(event: Event) -> tuple[str, ...]:
    if isinstance(event, Reply):
        return event.query, event.response
    if isinstance(event, Said):
        return (event.text,)
    return (event.sentence,) if isinstance(event, Known) else ()


def _summary(row: tuple[Any, ...]) -> UserSummary:
    user, *counts = row
    return UserSummary(
        user=user,
        n_samples=counts[_SAMPLES],
        n_conversations=counts[_CONVERSATIONS],
        query_words=counts[_QUERY_WORDS] / max(1, counts[_SAMPLES]),
        response_words=counts[_RESPONSE_WORDS] / max(1, counts[_SAMPLES]),
        n_texts=counts[_TEXTS],
        text_words=counts[_TEXT_WORDS] / max(1, counts[_TEXTS]),
    )


def _hash(*parts: str) -> int:
    """Hash texts to 64 bits, signed as SQLite wants them."""
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
