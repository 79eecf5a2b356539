"""How far labels agree: with a judge's, and among raters.

| symbol | meaning | shape |
|---|---|---|
| x, y | one value a pair of responses, by two judges of any kind | (n,) |
| ratings | one label a rater and pair, None where there is none | (raters, n) |
| c, k | two labels a pair was given | |
| d(c, k) | (c - k)^2: how far they disagree, on an interval scale | |

Every interval resamples the pairs. Krippendorff, "Computing Krippendorff's alpha-reliability"
(2011), section E; `nltk.metrics.agreement` gives the same value, without an interval.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lorecall.metrics.intervals import N_RESAMPLES, bootstrap_mean, bootstrap_statistic
from lorecall.records import Interval

Ratings = Sequence[Sequence[float | None]]
"""One sequence a rater, one label a pair in it, None where there is none."""


def pearson(
    x: Sequence[float], y: Sequence[float], *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Interval | None:
    """Return Pearson's correlation of two judges' values.

    Args:
        x: One value a pair. Shape: (n,).
        y: The other judge's values of the same pairs, in the same order. Shape: (n,).
        n_resamples: Bootstrap resamples.
        seed: Seed of the resampling.

    Returns:
        None where it is not defined: fewer than two pairs, or all values of one judge are equal.

    Raises:
        ValueError: The lengths differ.

    Examples:
        >>> from lorecall.metrics import pearson
        >>> found = pearson([1.0, 0.0, -1.0, 1.0], [1.0, 0.0, -1.0, 0.0])
        >>> None if found is None else round(found.value, 2)
        0.85
    """
    paired = np.array(list(zip(x, y, strict=True)), dtype=np.float64).reshape(-1, 2)
    if not len(paired):
        return None

    def correlation(chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        drawn = paired[chosen]  # (b, n, 2)
        centred = drawn - drawn.mean(axis=1, keepdims=True)
        spread = np.sqrt((centred**2).sum(axis=1).prod(axis=1))
        product = centred.prod(axis=2).sum(axis=1)
        # equal values are centred to rounding errors, not to zeros
        constant = (np.ptp(drawn, axis=1) == 0).any(axis=1)
        return np.divide(product, spread, out=np.full(len(drawn), np.nan), where=~constant)

    return bootstrap_statistic(len(paired), correlation, n_resamples=n_resamples, seed=seed)


def accuracy(
    labels: Sequence[float],
    truth: Sequence[float],
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """Return the share of pairs with the same label; None without pairs.

    Raises:
        ValueError: The lengths differ.

    Examples:
        >>> from lorecall.metrics import accuracy
        >>> found = accuracy([1, 0, -1, 1], [1, 1, -1, 0])
        >>> None if found is None else found.value
        0.5
    """
    same = [float(label == true) for label, true in zip(labels, truth, strict=True)]
    return bootstrap_mean(same, n_resamples=n_resamples, seed=seed) if same else None


def raw_agreement(
    ratings: Ratings, *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Interval | None:
    """Return the share of two raters' labels that are equal, mean over the pairs two of them rated.

    Returns:
        None where no pair has two labels.

    Examples:
        >>> from lorecall.metrics import raw_agreement
        >>> found = raw_agreement([[1, 0, 1], [1, 0, None]])
        >>> None if found is None else found.value
        1.0
    """
    shares: list[float] = []
    for given in _rated_twice(ratings):
        m = len(given)
        equal = sum(int((given == label).sum()) - 1 for label in given)
        shares.append(equal / (m * (m - 1)))
    return bootstrap_mean(shares, n_resamples=n_resamples, seed=seed) if shares else None


def krippendorff_alpha(
    ratings: Ratings, *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Interval | None:
    """Return Krippendorff's alpha of an interval scale; pairs with one label count for nothing.

    Returns:
        None where it is not defined: no pair has two labels, or all labels are equal.

    Examples:
        >>> from lorecall.metrics import krippendorff_alpha
        >>> found = krippendorff_alpha([[1, 0, -1], [1, 0, -1]])
        >>> None if found is None else found.value
        1.0
    """
    units = _rated_twice(ratings)
    if not units:
        return None
    values = np.unique(np.concatenate(units))
    counts = np.array([[(given == c).sum() for c in values] for given in units], dtype=np.float64)
    d = (values[:, None] - values[None, :]) ** 2
    within = np.einsum("uc,ck,uk->u", counts, d, counts) / (counts.sum(axis=1) - 1)

    def alpha(chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        observed = within[chosen].sum(axis=1)  # n * D_o
        total = counts[chosen].sum(axis=1)  # n_c, (b, labels)
        expected = np.einsum("bc,ck,bk->b", total, d, total) / (total.sum(axis=1) - 1)  # n * D_e
        undefined = np.full(len(chosen), np.nan)
        return 1 - np.divide(observed, expected, out=undefined, where=expected > 0)

    return bootstrap_statistic(len(units), alpha, n_resamples=n_resamples, seed=seed)


def _rated_twice(ratings: Ratings) -> list[NDArray[np.float64]]:
    """Return the labels of each pair that has two and more."""
    units: list[NDArray[np.float64]] = []
    for column in zip(*ratings, strict=True):
        given = np.array([label for label in column if label is not None], dtype=np.float64)
        if len(given) > 1:
            units.append(given)
    return units
