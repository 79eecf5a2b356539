"""From what is remembered to what is learnt: samples, their order and their split, by one rule.

Rule 1. The turns before a query are the person's pair before it in that conversation. A sample's
place is its place among the pairs that are there. Conversations are numbered as they come. Which
replies are usable is for the rules of their format; of one pair given in two formats the first
counts. Nothing else is looked at, so that a record that is not there changes nothing by having been
there.
"""

import math
from collections.abc import Iterable, Sequence

from lorecall.data.catalog import LOADERS
from lorecall.data.history import by_conversation
from lorecall.data.samples import history_of
from lorecall.records import History, Sample
from lorecall.store.rows import Row

RULES = 1


def derived(rows: Sequence[Row], *, user: str) -> History:
    """Return the history of some rows, given in the order in which they are kept.

    Args:
        rows: What is there.
        user: Whose it is.
    """
    names = _conversations(rows)
    formats = dict.fromkeys(row.format for row in rows)
    parts = [
        history_of(
            (
                row.event(user, name)
                for row, name in zip(rows, names, strict=True)
                if row.format == each
            ),
            user=user,
            dataset=each,
            rules=LOADERS[each].rules,
        )
        for each in formats
    ]
    if len(parts) == 1:
        return parts[0]
    return History(
        dataset="+".join(formats),
        user=user,
        samples=_merged(parts),
        statements=tuple(said for part in parts for said in part.statements),
        profile=tuple(dict.fromkeys(sentence for part in parts for sentence in part.profile)),
    )


def _conversations(rows: Sequence[Row]) -> list[str]:
    """Name the conversation of each row by its number, in the order in which they come."""
    numbers: dict[tuple[str, str] | int, int] = {}
    named: list[str] = []
    for i, row in enumerate(rows):
        key = i if row.conversation is None else (row.format, row.conversation)
        named.append(f"c{numbers.setdefault(key, len(numbers))}")
    return named


def _merged(parts: Iterable[History]) -> tuple[Sample, ...]:
    """Return the samples of several formats, conversation by conversation in time, pairs once."""
    groups = [group for part in parts for group in by_conversation(part.samples).values()]
    groups.sort(key=lambda group: -math.inf if group[0].time is None else group[0].time)
    once: dict[tuple[str, str], Sample] = {}
    for group in groups:
        for sample in group:
            once.setdefault((sample.query, sample.response), sample)
    return tuple(once.values())
