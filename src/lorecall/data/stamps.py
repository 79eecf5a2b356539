"""The date and time that begin a line of a chat, as phones of every language write them.

How a file writes them is told by the file: the commonest form of its first lines, in which numbers
have the same places, widths and signs between them. A line of another form (pasted from elsewhere)
begins nothing. Which number is the day, and by which calendar, is the reading under which most
dates exist, time runs backwards least often, and the years are fewest.

Names of months and of the parts of a day are CLDR's, of all languages.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import chain, pairwise
from typing import Literal, NamedTuple

from lorecall.data.calendars import CALENDARS, Calendar
from lorecall.data.cldr import half_of_day, month_of

MARKS = "\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069\ufeff"
"""Marks of writing direction and of the byte order, which may stand before a date."""

_DAY_S = 86_400
_MONTHS = 12
_N_SHAPED = 1_000  # lines by which the form is known
_FIRST_YEAR, _LAST_YEAR = 2009, 2045  # of chats; where no reading is in them, it decides nothing
_CENTURY = 2000

Date = tuple[str | None, ...]
"""Three numbers, or two and a month's name: a, b, c, month; None for what is not there."""

Order = Literal["dmy", "mdy", "ymd"]
ORDERS: tuple[Order, ...] = ("dmy", "mdy", "ymd")

_SIGN = r"[./\-\u2010-\u2013\u5e74\u6708\ub144\uc6d4]"  # also the words for year and month
_DATE = (
    rf"(?P<a>\d{{1,4}})(?P<s1>[\s{MARKS}]*{_SIGN}[\s{MARKS}]*|\s)(?:(?P<b>\d{{1,2}})"
    rf"(?P<s2>[\s{MARKS}]*{_SIGN}[\s{MARKS}]*|\s)|(?P<month>[^\d\[\]:]{{2,24}}?))(?P<c>\d{{1,4}})"
)
_TIME = (
    r"(?P<hour>\d{1,2})(?P<s3>\s?[:.\u066bh\u6642\u65f6\u9ede\u70b9\uc2dc]\s?)(?P<minute>\d{2})"
    r"(?:(?P<s4>\s?(?:[:.\u5206\ubd84]|min)\s?)(?P<second>\d{2}))?"
)
_BEFORE, _AFTER = r"(?P<before>[^\d\[\]]{1,32}?)", r"(?P<after>[^\d\[\]:;\-\u2013]{0,32}?)"
_DATE_FIRST = f"{_DATE}{_BEFORE}{_TIME}{_AFTER}"
_TIME_FIRST = (
    rf"(?P<before>[^\d\[\]]{{0,32}}?){_TIME}(?P<after>[^\d\[\]]{{1,32}}?){_DATE}(?P<end>\.?)"
)
_ENDS = (
    (r"(?P<open>\[\s?)", r"(?P<close>\s?\]\s?)"),
    (r"(?P<open>)", r"(?P<close>\s[-\u2013\u2014]\s)"),
    (r"(?P<open>)", r"(?P<close>[,\u060c]\s)"),
    (r"(?P<open>)", r"(?P<close>;\s)"),
    (r"(?P<open>)", r"(?P<close>:\s)"),
)
_FORMS = tuple(
    re.compile(f"{before}{stamp}{after}(?P<rest>.*)", re.DOTALL | re.IGNORECASE)
    for before, after in _ENDS
    for stamp in (_DATE_FIRST, _TIME_FIRST)
)
_NUMBERS = ("a", "b", "c", "hour", "minute", "second")
_GAPS = ("open", "s1", "s2", "month", "before", "s3", "s4", "after", "end", "close")
_WORD = r"[^\W\d_][^\d\[\]/,\u060c:;\-\s]*"
_WORDS = re.compile(rf"{_WORD}(?:\s{_WORD})*")


class Stamp(NamedTuple):
    """What begins a message: when, in Unix seconds (None: there is no such day), and the rest."""

    time: float | None
    rest: str


class Sighting(NamedTuple):
    """A line that begins like a message: in which of the forms, and its named parts."""

    form: int
    parts: dict[str, str | None]

    def shape(self) -> tuple[object, ...]:
        """Return what the lines of one export have in common: signs, and how wide the years are."""
        numbers = (self.parts.get(name) for name in ("a", "c", "second"))
        widths = tuple(text and max(2, len(text)) for text in numbers)
        return (self.form, widths, *(_signs(self.parts.get(name)) for name in _GAPS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamps:
    """How one file writes dates and times.

    Args:
        pattern: Matches a line that begins with one.
        order: Which number of the date is which.
        calendar: By which calendar its years count.
    """

    pattern: re.Pattern[str]
    order: Order
    calendar: Calendar

    def read(self, line: str) -> Stamp | None:
        """Return the date and time that a line begins with; None where there are none."""
        match = self.pattern.match(line if line[:1] not in MARKS else line.lstrip(MARKS))
        if match is None:
            return None
        a, b, c, month, hour, minute, second, before, after, rest = match.group(*_FIELDS)
        day = _day(self.order, self.calendar, a, b, c, month)
        clock = _second_of_day(hour, minute, second, before, after)
        if day is None or clock is None:
            return Stamp(None, rest)
        return Stamp(float((day - _EPOCH) * _DAY_S + clock), rest)


def sighted(line: str) -> Sighting | None:
    """Return what a line begins with that may be a date and a time."""
    line = line.lstrip(MARKS)
    if not line or not (line[0] == "[" or line[0].isdecimal() or line[:24].strip()[:1].isalpha()):
        return None
    for number, form in enumerate(_FORMS):
        if match := form.match(line):
            return Sighting(number, match.groupdict())
    return None


def stamps_of(first: Iterable[str], others: Iterable[str] = ()) -> Stamps | None:
    """Return how a file writes dates and times; None where no line begins with any.

    Args:
        first: Its first lines.
        others: Those after them, which are read as far as it takes to know day from month.
    """
    first = list(first)
    shapes: dict[tuple[object, ...], list[Sighting]] = {}
    seen = (sighting for line in first[:_N_SHAPED] if (sighting := sighted(line)) is not None)
    for sighting in seen:
        shapes.setdefault(sighting.shape(), []).append(sighting)
    for alike in sorted(shapes.values(), key=len, reverse=True):
        pattern = _pattern(alike)
        dates = _dates(pattern, first, others)
        if dates and (reading := _reading(dates, _orders(alike[0]))):
            return Stamps(pattern=pattern, order=reading[0], calendar=reading[1])
    return None


def _dates(pattern: re.Pattern[str], first: Sequence[str], others: Iterable[str]) -> list[Date]:
    """Return the dates of lines, those in a row that are the same once."""
    dates: list[Date] = []
    is_told = False  # which number is the day
    for n, line in enumerate(chain(first, others)):
        if n >= len(first) and is_told:
            break
        match = pattern.match(line.lstrip(MARKS))
        if match is None:
            continue
        found = match.group("a", "b", "c", "month")
        if not dates or found != dates[-1]:
            dates.append(found)
            is_told = is_told or any(text and int(text) > _MONTHS for text in found[:2])
    return dates


def _signs(gap: str | None) -> str | None:
    """Return what is between two numbers, words as one and the same."""
    return gap and _WORDS.sub("W", gap)


_FIELDS = ("a", "b", "c", "month", "hour", "minute", "second", "before", "after", "rest")


def _pattern(alike: Sequence[Sighting]) -> re.Pattern[str]:
    """Return what matches lines of this shape alone, numbers as wide as they are in it."""
    parts = alike[0].parts
    names = _NUMBERS + _GAPS
    found: list[str] = []
    for name in _sequence(alike[0]):
        if name in _NUMBERS:
            texts = [text for each in alike if (text := each.parts[name]) is not None]
            found.append(f"(?P<{name}>{_digits(texts)})")
        else:
            gap = re.escape(_signs(parts[name]) or "").replace("W", _WORDS.pattern)
            found.append(f"(?P<{name}>{gap})" if name in _FIELDS else f"(?:{gap})")
    absent = (name for name in names if name in _FIELDS and name not in _sequence(alike[0]))
    missing = "".join(f"(?P<{name}>\\Z)?" for name in absent)
    return re.compile(f"{''.join(found)}{missing}(?P<rest>.*)", re.DOTALL)


def _sequence(sighting: Sighting) -> list[str]:
    """Return the names of the parts that a line has, in their order."""
    date_names = ("a", "s1", "b", "s2", "month", "c")
    time_names = ("hour", "s3", "minute", "s4", "second")
    if "end" in sighting.parts:
        names = ("open", "before", *time_names, "after", *date_names, "end", "close")
    else:
        names = ("open", *date_names, "before", *time_names, "after", "close")
    return [name for name in names if sighting.parts[name] is not None]


def _digits(texts: Sequence[str]) -> str:
    """Return what matches numbers written as most of these: with or without a zero before them."""
    if len(texts[0]) > 2:  # noqa: PLR2004 - a year
        return rf"\d{{{len(texts[0])}}}"
    n_single = sum(len(text) == 1 for text in texts)
    n_zero = sum(len(text) > 1 and int(text[0]) == 0 for text in texts)
    if n_single == n_zero:
        return r"\d{1,2}"
    return r"\d\d" if n_zero > n_single else r"(?:[^\D0\u0660\u06f0\u0966]\d|\d(?!\d))"


def _orders(sighting: Sighting) -> tuple[Order, ...]:
    """Return the orders from the likeliest on: `24. 6. 20.` is the year first, as in Korean."""
    full_stops = (sighting.parts["s1"], (sighting.parts["before"] or "")[:1])
    is_korean = full_stops == (". ", ".") and len(sighting.parts["c"] or "") <= 2  # noqa: PLR2004
    return ORDERS[::-1] if is_korean else ORDERS


def _reading(dates: Sequence[Date], orders: Sequence[Order]) -> tuple[Order, Calendar] | None:
    """Return the reading of dates that fits best; None where none of them is a date."""
    best: tuple[tuple[int, ...], Order, Calendar] | None = None
    for calendar in CALENDARS:
        for order in orders:
            days = [day for each in dates if (day := _day(order, calendar, *each)) is not None]
            years = Counter(date.fromordinal(day).year for day in days)
            n_odd = sum(n for year, n in years.items() if not _FIRST_YEAR <= year <= _LAST_YEAR)
            n_back = sum(b < a for a, b in pairwise(days))
            n_missing = len(dates) - len(days)
            score = (n_missing + n_odd + n_back, n_missing, len(years))
            if days and (best is None or score < best[0]):
                best = (score, order, calendar)
    return best and best[1:]


@lru_cache(maxsize=1024)  # a day has many messages
def _day(order: Order, calendar: Calendar, *texts: str | None) -> int | None:
    """Return a date's number of days (as `date.toordinal`), None where there is no such day."""
    a, b, c, month = texts
    if a is None or c is None:
        return None
    if b is None:
        number = month_of(month or "")
        day, year = (c, a) if order == "ymd" else (a, c)
    else:
        fields = dict(zip(order, (a, b, c), strict=True))
        year, day, number = fields["y"], fields["d"], int(fields["m"])
    if number is None:
        return None
    if len(day) > 2:  # noqa: PLR2004 - no day has three digits
        return None
    return calendar.ordinal(int(year), number, int(day), is_short=len(year) <= 2)  # noqa: PLR2004


@lru_cache(maxsize=8192)
def _second_of_day(hour: str, minute: str, second: str | None, *words: str | None) -> int | None:
    """Return the time of the day, UTC; None where there is no such time."""
    before, after = words
    clock = half_of_day(int(hour), before or "", after or "")
    minutes, seconds = int(minute), int(second or 0)
    if clock > 23 or minutes > 59 or seconds > 59:  # noqa: PLR2004 - a clock's
        return None
    return clock * 3600 + minutes * 60 + seconds


_EPOCH = date(1970, 1, 1).toordinal()
