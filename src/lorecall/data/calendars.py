"""Calendars that phones write dates by, as numbers of days (as `date.toordinal` counts them)."""

from collections.abc import Callable
from datetime import date
from typing import NamedTuple


def gregorian(year: int, month: int, day: int) -> int:
    """Return the days up to a date.

    Raises:
        ValueError: There is no such date.
    """
    return date(year, month, day).toordinal()


def buddhist(year: int, month: int, day: int) -> int:
    """Return the days up to a date of the Thai solar calendar.

    Raises:
        ValueError: There is no such date.
    """
    return gregorian(year - 543, month, day)


def persian(year: int, month: int, day: int) -> int:
    """Return the days up to a date of the Solar Hijri calendar, by cycles of 33 years.

    They give the astronomical calendar's days from 1178 to 1633.

    Raises:
        ValueError: There is no such date.
    """
    long_ones = 6  # months of 31 days
    if not (1 <= month <= 12 and 1 <= day <= (31 if month <= long_ones else 30)):  # noqa: PLR2004
        raise ValueError("no such date")
    leap_days = (8 * year + 21) // 33
    return 226_894 + 365 * (year - 1) + leap_days + 30 * (month - 1) + min(month - 1, 6) + day


def islamic(year: int, month: int, day: int) -> int:
    """Return the days up to a date of the Hijri calendar as tables give it, right to a day or two.

    Raises:
        ValueError: There is no such date.
    """
    if not (1 <= month <= 12 and 1 <= day <= 30):  # noqa: PLR2004
        raise ValueError("no such date")
    return 227_014 + 354 * (year - 1) + (3 + 11 * year) // 30 + (59 * (month - 1) + 1) // 2 + day


class Calendar(NamedTuple):
    """A calendar; `first` is the year that chats begin in, `century` what short years leave out."""

    days: Callable[[int, int, int], int]
    first: int
    century: int

    def ordinal(self, year: int, month: int, day: int, *, is_short: bool) -> int | None:
        """Return the days up to a date, its year in two digits or whole; None: no such date."""
        if is_short:
            year += self.century + (100 if self.century + year < self.first else 0)
        elif self.days is not gregorian and not self.first <= year < self.first + 100:
            return None
        try:
            return self.days(year, month, day)
        except (ValueError, OverflowError):
            return None


CALENDARS = (
    Calendar(gregorian, 2000, 2000),
    Calendar(persian, 1380, 1300),
    Calendar(buddhist, 2550, 2500),
    Calendar(islamic, 1425, 1400),
)
"""From the commonest on: of readings that fit as well the first is taken."""
