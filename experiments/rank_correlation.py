"""Spearman's rank correlation with a bootstrap interval: does a cheap score order as a dear one?"""

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from lorecall.records import Interval

Values = NDArray[np.float64]


def spearman(a: Values, b: Values, *, n_resamples: int = 2_000, seed: int = 0) -> Interval | None:
    """Give the rank correlation with its 95% percentile bootstrap interval over candidates.

    None where it is not defined: fewer than three candidates, or all alike in a or b. Resamples
    that are all alike are left out.
    """
    if len(a) < 3 or not np.ptp(a) or not np.ptp(b):
        return None
    chosen = np.random.default_rng(seed).integers(len(a), size=(n_resamples, len(a)))
    rhos = _pearson(rankdata(a[chosen], axis=1), rankdata(b[chosen], axis=1))
    low, high = np.percentile(rhos[np.isfinite(rhos)], (2.5, 97.5))
    (rho,) = _pearson(rankdata(a)[None], rankdata(b)[None])
    return Interval(value=float(rho), low=float(low), high=float(high))


def as_json(rho: Interval | None) -> dict[str, float] | None:
    """Give a coefficient as results hold it."""
    return None if rho is None else asdict(rho)


def _pearson(x: Values, y: Values) -> Values:
    """Correlate row with row: shapes (k, n) to (k,); not a number where a row is all alike."""
    x, y = (v - v.mean(axis=1, keepdims=True) for v in (x, y))
    size = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return np.divide((x * y).sum(axis=1), size, out=np.full(len(x), np.nan), where=size > 0)
