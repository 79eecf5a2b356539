"""Which trials are stopped early: those that learn worse than the middle of the finished ones."""

from collections.abc import Sequence
from statistics import median

_FEWEST = 4  # finished trials before any is stopped


def is_hopeless(losses: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
    """Say whether a trial's loss, at its last reading, is above the median of the others' there.

    The median rule of Golovin et al. (2017), on the loss alone: a trial that would lose on the
    loss may still win on ROUGE-L. What that costs a search is not measured yet.

    Args:
        losses: The trial's validation losses so far; the first is the base's own.
        others: The finished trials', likewise; those that ended before this reading do not count.
    """
    k = len(losses) - 1
    there = [other[k] for other in others if len(other) > k]
    return k >= 1 and len(there) >= _FEWEST and losses[k] > median(there)
