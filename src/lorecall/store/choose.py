"""Choosing records: by name, conversation, time, or what they say."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lorecall.data.samples import unix_seconds
from lorecall.errors import ConfigError, MissingError
from lorecall.store.records import Record
from lorecall.store.rows import folded

_SHORTEST_NAME = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which records are meant; exactly one of these.

    Args:
        records: Their names, or the starts of them.
        conversation: Those of one conversation.
        before: Those of before a time, in Unix seconds or as ISO-8601 (UTC where it says nothing).
        like: Those that hold a text, whatever its case and blanks.
        everything: All, and the person with them.

    Raises:
        TypeError: None is given, or several are.
    """

    records: Sequence[str] | None = None
    conversation: str | None = None
    before: float | str | None = None
    like: str | None = None
    everything: bool = False

    def __post_init__(self) -> None:
        given = [n for n in self.__dataclass_fields__ if getattr(self, n) not in (None, False)]
        if len(given) != 1 or self.records == [] or isinstance(self.records, str):
            what = " and ".join(given) or "nothing"
            raise TypeError(
                "say what is meant, by exactly one of records=[...], conversation=, before=, like="
                f" and everything=True; got {what}"
            )
        if self.like is not None and not self.like.strip():
            raise ConfigError(
                "what records are to be like must say something",
                expected="some text",
                got=repr(self.like),
                next_step="Give a few words of it.",
            )

    @property
    def kind(self) -> str:
        """By what they are chosen."""
        return next(n for n in self.__dataclass_fields__ if getattr(self, n) not in (None, False))

    def of(self, records: Sequence[Record]) -> list[Record]:
        """Return the records that are meant.

        Raises:
            MissingError: A name fits none, or several.
            ConfigError: The time is none.
        """
        if self.everything:
            return [*records]
        if self.records is not None:
            uids = {_named(start, records) for start in self.records}
            return [each for each in records if each.uid in uids]
        return [*filter(self._fits(), records)]

    def _fits(self) -> Callable[[Record], bool]:
        if self.conversation is not None:
            return lambda each: each.row.conversation == self.conversation
        if self.before is not None:
            limit = _seconds(self.before)
            return lambda each: each.row.time is not None and each.row.time < limit
        wanted = folded(str(self.like))
        return lambda each: wanted in folded(f"{each.row.query}\n{each.row.text}")


def alike(gone: Sequence[Record], records: Sequence[Record]) -> list[Record]:
    """Return the records that stay though they hold a text of one that goes, word for word."""
    uids = {each.uid for each in gone}
    texts = {folded(text) for each in gone for text in (each.row.text, each.row.query)} - {""}
    return [
        each
        for each in records
        if each.uid not in uids and texts & {folded(each.row.text), folded(each.row.query)}
    ]


def _named(start: str, records: Sequence[Record]) -> str:
    found = [each.uid for each in records if each.uid.startswith(start)]
    if len(found) == 1 and len(start) >= _SHORTEST_NAME:
        return found[0]
    raise MissingError(
        "a record is named by its id or the start of it",
        expected=f"{_SHORTEST_NAME} or more characters that fit one record",
        got=f"{start!r}, which fits {len(found)}",
        next_step="List them with `lorecall forget PERSON --like TEXT --dry-run`.",
    )


def _seconds(value: float | str) -> float:
    if not isinstance(value, str):
        return float(value)
    try:
        return unix_seconds(value)
    except ValueError as reason:
        raise ConfigError(
            "a time must be one",
            expected="for example 2026-03-01 or 2026-03-01T12:00+02:00",
            got=repr(value),
            next_step="Write year, month and day; without an offset it is UTC.",
        ) from reason
