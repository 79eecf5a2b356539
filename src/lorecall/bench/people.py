"""Who is evaluated: users chosen, their histories loaded and split, and what is kept of them.

`DIR/people/USER.json` holds what tables and judges need of a user, so that they need no dataset.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from lorecall.bench.cells import Cell
from lorecall.core.files import write_json
from lorecall.core.jsonl import read_record
from lorecall.data.catalog import find_users, list_users, load_history
from lorecall.data.history import (
    LONG_ENOUGH,
    by_conversation,
    is_long_enough,
    samples_hash,
    split_history,
)
from lorecall.data.pool import POOLED
from lorecall.data.redaction import redact
from lorecall.data.users import UserSummary
from lorecall.errors import DataError, RunError
from lorecall.records import History, Sample, evenly_spaced
from lorecall.systems.contract import PersonData

LONG_SAMPLES, LONG_CONVERSATIONS = 100, 5  # of whom a number of users is drawn (SPEC section 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A dataset and whom of it.

    Args:
        name: A dataset's name, or the path of a JSONL file.
        users: Full ids.
        paths: Files of the dataset's format; the installed one when empty.

    Examples:
        >>> from lorecall.bench import Source
        >>> mine = Source(name="whatsapp", users=("Ann", "Bob"), paths=("chat.txt",))
        >>> mine.users.index("Bob")
        1
    """

    name: str
    users: tuple[str, ...]
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSnapshot:
    """What is kept of a user for tables and judges.

    `control` is the user whose content is theirs in Persona F1; None for one alone, and where it
    was kept before there were others.
    """

    dataset: str
    user: str
    n_train: int
    samples_sha256: str
    tested: tuple[Sample, ...]
    own_content: tuple[str, ...]
    control: str | None = None


def choose_users(name: str, paths: Sequence[str], wanted: str, *, seed: int) -> tuple[str, ...]:
    """Return the users of a dataset to evaluate, by their full ids.

    Args:
        name: The dataset's name, or a JSONL file.
        paths: Files of its format.
        wanted: Ids, or the starts of them, separated by commas; a number, to draw so many of the
            users with at least 100 samples in 5 conversations, and where there are too few, take
            those with the most samples; or `most:N` for the N with the most samples.
        seed: Seed of the draw.

    Raises:
        DataError: A user is not there or has too few samples, or there are too few users.

    Examples:
        >>> from lorecall.bench import choose_users
        >>> choose_users("two.jsonl", (), "bob,ad", seed=0)
        ('bob', 'ada')
    """
    if wanted == POOLED:
        return (POOLED,)
    known = list_users(name, path=_paths(paths))
    usable = [user for user in known if user.learnable]
    if count := re.fullmatch(r"(most:)?(\d+)", wanted):
        return _drawn(usable, int(count[2]), seed=None if count[1] else seed, name=name)
    starts = [each.strip() for each in wanted.split(",")]
    chosen = tuple(dict.fromkeys(find_users(name, starts, path=_paths(paths))))
    if short := set(chosen) - {user.user for user in usable}:
        counts = {user.user: user.n_samples for user in known}
        raise DataError(
            "every user must have samples enough to learn from and to test on",
            expected=LONG_ENOUGH,
            got=f"{counts.get(min(short), 0)} samples of user {min(short)!r}",
            next_step=f"Choose among the {len(usable)} users of {name} with enough.",
        )
    return chosen


def usable_users(name: str, paths: Sequence[str] = ()) -> list[UserSummary]:
    """Return the users with samples enough to learn from and to test on, most samples first."""
    return [user for user in list_users(name, path=_paths(paths)) if user.learnable]


@lru_cache(maxsize=4)
def load_person(
    source: Source, user: str, n_samples: int | None = None, *, redacted: bool = False
) -> PersonData:
    """Return a user's history and its split; whoever asks again gets the same one."""
    history = load_history(source.name, user=user, path=_paths(source.paths))
    if redacted:
        history = redact(history)
    if n_samples is not None:
        history = newest(history, n_samples)
    return PersonData(history=history, split=split_history(history))


def another_user(source: Source, user: str) -> str | None:
    """Return the user whose content is this one's control: the next in the bench, if any."""
    after = source.users[(source.users.index(user) + 1) % len(source.users)]
    return None if after == user else after


def snapshot_of(
    person: PersonData, n_test: int | None = None, *, control: str | None = None
) -> PersonSnapshot:
    """Return what is kept of a user."""
    test = person.split.test
    return PersonSnapshot(
        dataset=person.history.dataset,
        user=person.history.user,
        n_train=len(person.split.train),
        samples_sha256=samples_hash(person.split.train),
        tested=evenly_spaced(test, min(len(test), n_test or len(test))),
        own_content=person.split.own_content,
        control=control,
    )


def keep_snapshot(folder: Path, cell: Cell, snapshot: PersonSnapshot) -> PersonSnapshot:
    """Keep what is shown of a user; a bench goes on with the samples it began with.

    Returns:
        What is kept, with the control of before: all systems of a user are held against one.

    Raises:
        RunError: Other samples of this user are kept.
    """
    path = _file(folder, cell)
    if not path.exists():
        write_json(path, asdict(snapshot))
        return snapshot
    kept = read_snapshot(folder, cell)
    if kept.control is None:
        kept = replace(kept, control=snapshot.control)
    if replace(snapshot, control=kept.control) != kept:
        raise RunError(
            "a bench goes on with the histories it began with",
            expected=f"the samples in {path}",
            got=f"others of user {cell.user!r}: the data have changed",
            next_step="Bring the old data back, or choose another --out.",
        )
    return kept


def read_snapshot(folder: Path, cell: Cell) -> PersonSnapshot:
    """Read what is kept of a cell's user.

    Raises:
        RunError: It is not there, or not as it was written.
    """
    return read_record(
        _file(folder, cell),
        PersonSnapshot,
        what="what a bench keeps of a user",
        error=RunError,
        next_step="Remove the file, and run the bench again with the same data.",
    )


def newest(history: History, n_samples: int) -> History:
    """Keep the newest whole conversations with at most so many samples, and what belongs to them.

    As many conversations and samples as a split needs stay in any case.

    Examples:
        >>> from lorecall import load_history
        >>> from lorecall.bench import newest
        >>> len(newest(load_history("two.jsonl", user="ada"), 22).samples)
        21
    """
    groups = by_conversation(history.samples)
    kept: list[str] = []
    total = 0
    for name in reversed(groups):
        enough = is_long_enough(n_samples=total, n_conversations=len(kept))
        if enough and total + len(groups[name]) > n_samples:
            break
        kept.append(name)
        total += len(groups[name])
    return replace(
        history,
        samples=tuple(s for s in history.samples if s.conversation in kept),
        statements=tuple(s for s in history.statements if s.conversation in kept),
    )


def _drawn(
    usable: Sequence[UserSummary], n: int, *, seed: int | None, name: str
) -> tuple[str, ...]:
    if not 0 < n <= len(usable):
        raise DataError(
            "there must be so many users with samples enough",
            expected=f"1 to {len(usable)} users of {name}",
            got=str(n),
            next_step="Ask for fewer, or for others by their ids.",
        )
    long = [
        user
        for user in usable
        if user.n_samples >= LONG_SAMPLES and user.n_conversations >= LONG_CONVERSATIONS
    ]
    by_rank = seed is None or len(long) < n  # those with the most samples come first
    drawn = usable[:n] if by_rank else random.Random(seed).sample(long, n)
    return tuple(user.user for user in drawn)


def _paths(paths: Sequence[str]) -> list[Path] | None:
    return [Path(path) for path in paths] or None


def _file(folder: Path, cell: Cell) -> Path:
    user = replace(cell, seed=0, system="user")
    return folder / "people" / f"{user.id}.json"
