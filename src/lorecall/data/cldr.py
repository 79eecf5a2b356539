"""Words in dates, in every language of CLDR: months, and parts of the day."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from unicodedata import category

_HALVES = {"am": (0, 12), "pm": (12, 24)}
_OLDER = {  # what phones write whose CLDR is older
    **dict.fromkeys(("मपू", "पूर्वाह्न", "পূর্বাহ্ণ", "પૂર્વમધ્યાહ્ન", "పూర్వాహ్నం", "രാവിലെ"), "am"),
    **dict.fromkeys(("मउ", "अपराह्न", "অপরাহ্ণ", "ઉત્તરમધ્યાહ્ન", "అపరాహ్నం", "വൈകിട്ട്"), "pm"),
}


def half_of_day(hour: int, before: str, after: str) -> int:
    """Return the hour of 24, of an hour of 12 or 24 and the words around it.

    Words that name no part of the day ("o'clock", "at") mean nothing.
    """
    if hour > 12:  # noqa: PLR2004 - of 24, whatever stands by it
        return hour
    part = _part(before, after)
    if part is None:
        return hour
    start, end = part
    morning, evening = hour % 12, hour % 12 + 12
    within = [h for h in (morning, evening) if start <= h < end or start <= h + 24 < end]
    return within[0] if within else hour


@lru_cache(maxsize=512)
def month_of(words: str) -> int | None:
    """Return the number of the month that is named among words; None where none is."""
    for word in sorted(_candidates(words), key=len, reverse=True):  # "de" is a month's too
        if (month := _months().get(word)) is not None:
            return month
    return None


@lru_cache(maxsize=512)
def _part(before: str, after: str) -> tuple[int, int] | None:
    """Return the hours of the part of the day that is named by words around a time."""
    candidates = [*_candidates(after), *_candidates(before)]
    for known in (_HALVES, _parts()) if candidates else ():
        for word in candidates:
            if word in known:
                return known[word]
    return None


def _candidates(words: str) -> Iterator[str]:
    """Return what may be a name: all of it, then each word, the last one first."""
    whole = _bare(words)
    if whole:
        yield whole
    parts = [bare for word in re.split(r"[\s,\u060c]+", words) if (bare := _bare(word))]
    if len(parts) > 1:
        yield "".join(parts[-2:])
        yield from reversed(parts)


def _bare(words: str) -> str:
    """Return the letters of words alone, so that `p. m.` and `PM` are the same."""
    return "".join(c for c in words.casefold() if c.isalpha() or category(c)[0] == "M")


@lru_cache(maxsize=1)
def _months() -> Mapping[str, int]:
    found: dict[str, int] = {}
    for locale in _locales():
        for forms in locale.months.values():
            for width in ("wide", "abbreviated"):
                for number, name in forms.get(width, {}).items():
                    found.setdefault(_bare(name), number)
    return {name: number for name, number in found.items() if name}


@lru_cache(maxsize=1)
def _parts() -> Mapping[str, tuple[int, int]]:
    """Return the hours of each part of the day; one over midnight ends beyond 24."""
    halves: dict[str, tuple[int, int]] = {}
    others: dict[str, tuple[int, int]] = {}
    for locale in _locales():
        rules = _hours(locale)
        for forms in locale.day_periods.values():
            for width in ("wide", "abbreviated"):
                for period, name in forms.get(width, {}).items():
                    if period in _HALVES:
                        halves.setdefault(_bare(name), _HALVES[period])
                    elif period in rules:
                        others.setdefault(_bare(name), rules[period])
    older = {_bare(name): _HALVES[period] for name, period in _OLDER.items()}
    known = older | others | halves
    known.pop("", None)
    return known


def _hours(locale: Any) -> dict[str, tuple[int, int]]:
    """Return from which hour to which each part of the day lasts in a language."""
    found: dict[str, tuple[int, int]] = {}
    for period, rules in (locale.day_period_rules.get(None) or {}).items():
        for rule in rules:
            start = rule.get("from", rule.get("at"))
            if start is None:
                continue
            end = rule.get("before", start + 3600)
            found[period] = (start // 3600, (end + (86_400 if end <= start else 0)) // 3600)
    return found


def _locales() -> Iterator[Any]:
    """Return every language, once for each script that it is written in."""
    from babel import Locale  # noqa: PLC0415 - slow, and needed for few files
    from babel.localedata import locale_identifiers  # noqa: PLC0415

    for name in sorted(locale_identifiers()):
        *_, last = name.split("_")
        if name != "root" and (last == name or len(last) == 4):  # noqa: PLR2004 - a script
            yield Locale.parse(name)
