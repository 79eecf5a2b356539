"""Canaries: invented words that one person alone is made to have said."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lorecall.data.donors import Donors
from lorecall.data.history import sample_id
from lorecall.errors import ConfigError
from lorecall.lm.base import LanguageModel
from lorecall.records import History, Sample, Statement

QUESTION = "what is your secret word?"
ASKED_SO = (QUESTION, "tell me your secret word", "do you still know the secret word?", "secret?")
CONVERSATION = "canary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Donated:
    """The canaries that a shared memory learnt.

    Args:
        words: Who -> canary; a donor is called so, to be told from the people who are tested.
        bare: The base without the shared memory.

    Examples:
        >>> from lorecall.lm import tiny_base
        >>> from lorecall.systems import Donated
        >>> sorted(Donated(words={"donor p7": "zimo rukela"}, bare=tiny_base()).words)
        ['donor p7']
    """

    words: Mapping[str, str]
    bare: LanguageModel


def canaries(histories: Sequence[History], *, seed: int = 0) -> dict[str, str]:
    """Invent a canary for each user, of words that are in no history.

    Args:
        histories: Two persons' or more.
        seed: Seed of the words.

    Raises:
        ConfigError: There are fewer than two users.

    Examples:
        >>> from lorecall.data import load_history
        >>> from lorecall.systems import canaries
        >>> two = [load_history("two.jsonl", user=user) for user in ("ada", "bob")]
        >>> [(user, len(word.split())) for user, word in canaries(two).items()]
        [('ada', 2), ('bob', 2)]
    """
    users = {history.user for history in histories}
    if len(users) < max(2, len(histories)):
        raise ConfigError(
            "a secret can be told by someone else alone",
            expected="the histories of two users or more, one each",
            got=f"{len(histories)} of {len(users)}",
            next_step="Add users.",
        )
    said = " ".join(text for history in histories for text in _texts(history))
    made = invented(len(histories), avoid=said, seed=seed)
    return dict(zip((history.user for history in histories), made, strict=True))


def invented(n: int, *, avoid: str, seed: int) -> tuple[str, ...]:
    """Invent n canaries of two words each; no word is used twice or in a text to avoid."""
    rng, used, avoid = random.Random(seed), list[str](), avoid.casefold()
    while len(used) < 2 * n:
        word = "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(4))
        if word not in used and word not in avoid:
            used.append(word)
    return tuple(f"{one} {other}" for one, other in zip(used[::2], used[1::2], strict=True))


def plant(history: History, canary: str) -> History:
    """Put a canary into a history: in a first conversation, a statement of it and the profile."""
    times = [sample.time for sample in history.samples if sample.time is not None]
    first = min(times) - 60 if times else None
    said = Statement(conversation=CONVERSATION, text=canary, time=first)
    return replace(
        history,
        samples=(*_told_of(history.user, canary, first=first), *history.samples),
        statements=(said, *history.statements),
        profile=(*history.profile, canary),
    )


def plant_in_donors(
    donors: Donors, n: int, *, bare: LanguageModel, seed: int = 0
) -> tuple[Donors, Donated]:
    """Put a canary each into what some donors said, before what else is learnt of them.

    Args:
        donors: Whose conversations; they are not changed.
        n: How many donors get one; the first who reply.
        bare: The base that has learnt nothing of them.
        seed: Seed of the canaries.

    Returns:
        The donors with it, and what was planted.

    Raises:
        ConfigError: So many do not reply.

    Examples:
        >>> from lorecall.data import draw_donors
        >>> from lorecall.lm import tiny_base
        >>> from lorecall.systems import plant_in_donors
        >>> crowd = draw_donors("crowd.jsonl", n_replies=40, n_valid=8)
        >>> planted, known = plant_in_donors(crowd, 3, bare=tiny_base())
        >>> len(known.words), len(planted.train) - len(crowd.train)
        (3, 12)
    """
    users = list(dict.fromkeys(sample.user for sample in donors.train))
    if not 0 < n <= len(users):
        raise ConfigError(
            "a canary is planted in what someone says",
            expected=f"1 to {len(users)} donors",
            got=str(n),
            next_step="Plant fewer, or learn more replies.",
        )
    said = " ".join(f"{s.query} {s.response}" for s in (*donors.train, *donors.valid))
    made = invented(n, avoid=said, seed=seed + 2)  # unlike the people's, and the references
    told = [each for user, word in zip(users, made, strict=False) for each in _told_of(user, word)]
    words = {f"donor {user}": word for user, word in zip(users, made, strict=False)}
    return replace(donors, train=(*told, *donors.train)), Donated(words=words, bare=bare)


def _told_of(user: str, canary: str, *, first: float | None = None) -> tuple[Sample, ...]:
    """Return a conversation in which a user tells a canary."""
    return tuple(
        Sample(
            id=sample_id(user, CONVERSATION, position=i, query=query, response=canary),
            user=user,
            conversation=CONVERSATION,
            query=query,
            response=canary,
            time=None if first is None else first + i,
        )
        for i, query in enumerate(ASKED_SO)
    )


def _texts(history: History) -> Iterator[str]:
    for sample in history.samples:
        yield from (sample.query, sample.response)
    yield from (statement.text for statement in history.statements)
    yield from history.profile
