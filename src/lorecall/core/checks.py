"""What a value must be: one of a few words, in a range, in ascending order."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

from lorecall.errors import ConfigError

Word = TypeVar("Word", bound=str)


def choice(name: str, given: str, known: Sequence[Word]) -> Word:
    """Return a word that must be one of a few."""
    for word in known:
        if word == given:
            return word
    raise ConfigError(
        f"{name} must be known",
        expected=" or ".join(known),
        got=repr(given),
        next_step="Choose one of them.",
    )


def check_range(name: str, value: float, *, low: float, high: float | None = None) -> None:
    """Refuse a number outside its range, NaN included."""
    if not value >= low or (high is not None and not value <= high):  # NaN is neither
        allowed = f"{low} or more" if high is None else f"{low} to {high}"
        raise ConfigError(
            f"{name} must be in range",
            expected=allowed,
            got=str(value),
            next_step="Change the setting.",
        )


def check_levels(name: str, levels: Sequence[float], *, low: float | None) -> None:
    """Refuse levels of a factor that are none, not ascending, or outside its range."""
    check_range(f"the number of {name}", len(levels), low=1)
    for level in levels if low is not None else ():
        check_range(name, level, low=low or 0)
    if not all(a < b for a, b in pairwise(levels)):
        raise ConfigError(
            f"{name} must be in ascending order",
            expected="each above the one before",
            got=str(tuple(levels)),
            next_step="Give each once, the lowest first.",
        )
