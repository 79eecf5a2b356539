"""Pairs of responses to judge: a JSONL file, one pair a line.

    {"id": "s17", "user": "ann", "query": "Fancy a film?", "truth": "Only a western.",
     "system_a": "memory", "response_a": "A western!", "system_b": "vanilla", "response_b": "Sure.",
     "earlier": [{"by_author": true, "text": "I am bored."}],
     "user_content": ["I love westerns."], "authored_by": "user"}

`earlier`, `user_content` and `authored_by` may be left out. `user_content` is what the user wrote
in the training part, and the profile: the source of H (SPEC section 6).
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict

from lorecall.core.jsonl import read_records
from lorecall.errors import DataError
from lorecall.records import Authorship, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two systems' responses to one query; the first is the system that is to win.

    No judge is shown `truth`, and of `user_content`, which holds no test sample, only what
    `judge.related_content` keeps. Both it and `earlier` have the oldest first.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid")

    id: str
    user: str
    query: str
    truth: str
    system_a: str
    system_b: str
    response_a: str
    response_b: str
    earlier: tuple[Turn, ...] = ()
    user_content: tuple[str, ...] = ()
    authored_by: Authorship = "user"


def read_pairs(path: Path) -> list[Pair]:
    """Read a file of pairs.

    Raises:
        DataError: It cannot be read or holds none, a line is no pair, two have one id,
            or one compares a system with itself.
    """
    pairs = read_records(path, Pair, what="a pair of responses")
    twice = [name for name, count in Counter(pair.id for pair in pairs).items() if count > 1]
    if twice:
        raise DataError(
            "each pair must have an id of its own",
            expected=f"{len(pairs)} ids in {path}",
            got=f"{twice[0]!r} more than once",
            next_step="Put the systems' names into the ids.",
        )
    alone = [pair.id for pair in pairs if pair.system_a == pair.system_b]
    if alone:
        raise DataError(
            "a pair compares two systems",
            expected="two names",
            got=f"one in pair {alone[0]!r}",
            next_step="Name the systems apart.",
        )
    return pairs
