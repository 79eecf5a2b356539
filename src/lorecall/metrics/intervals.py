"""How sure a mean is: percentile bootstrap intervals, paired differences, standard errors.

| symbol | meaning | shape |
|---|---|---|
| n | number of samples | |
| B | number of resamples | |
| means | mean of each resample, drawn with replacement | (B,) |
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lorecall.core.checks import check_range
from lorecall.errors import ConfigError
from lorecall.records import Interval

N_RESAMPLES = 10_000
_PERCENTILES = (2.5, 97.5)
_CHUNK_VALUES = 1 << 20  # values drawn at a time: 8 MiB


def bootstrap_mean(
    values: Sequence[float], *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Interval:
    """Return the mean with its 95% percentile bootstrap interval.

    Args:
        values: One score a sample. Shape: (n,).
        n_resamples: B.
        seed: Seed of the resampling.

    Raises:
        ConfigError: No values, a value that is not finite, B below 1 or a negative seed.

    Examples:
        >>> from lorecall.metrics import bootstrap_mean
        >>> bootstrap_mean([0.0, 1.0])
        Interval(value=0.5, low=0.0, high=1.0)
    """
    checked = _finite(values)
    means = _resampled(
        len(checked),
        lambda chosen: checked[chosen].mean(axis=1),
        n_resamples=n_resamples,
        seed=seed,
    )
    return percentile_interval(float(checked.mean()), means)


def paired_difference(
    a: Sequence[float], b: Sequence[float], *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> Interval:
    """Return the mean of a - b with its 95% interval, resampling the pairs.

    Args:
        a: One score a sample. Shape: (n,).
        b: The other system's scores of the same samples, in the same order. Shape: (n,).
        n_resamples: B.
        seed: Seed of the resampling.

    Raises:
        ConfigError: As `bootstrap_mean`, or the lengths differ.

    Examples:
        >>> from lorecall.metrics import paired_difference
        >>> paired_difference([3.0, 5.0], [2.0, 4.0]).excludes_zero
        True
    """
    if len(a) != len(b):
        raise ConfigError(
            "a paired comparison needs both scores of each sample",
            expected=f"{len(a)} scores",
            got=str(len(b)),
            next_step="Score both systems on the same samples.",
        )
    differences = [float(d) for d in _finite(a) - _finite(b)]
    return bootstrap_mean(differences, n_resamples=n_resamples, seed=seed)


def standard_error(values: Sequence[float]) -> float:
    """Return the bootstrap standard error of the mean, in closed form; 0 for a single value.

    It is what the standard deviation of resampled means comes to with ever more resamples.

    Args:
        values: One score a sample. Shape: (n,).

    Raises:
        ConfigError: No values, or a value that is not finite.

    Examples:
        >>> from lorecall.metrics import standard_error
        >>> standard_error([1.0, 3.0, 1.0, 3.0])
        0.5
    """
    checked = _finite(values)
    return float(checked.std() / math.sqrt(len(checked)))


def bootstrap_statistic(
    n: int,
    statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """Return any statistic of n samples with its 95% percentile bootstrap interval.

    Resamples in which it is not defined (a correlation of constants) are left out.

    Args:
        n: Number of samples.
        statistic: Indices of the samples drawn -> its value, NaN where it is not defined.
            Shape: (b, n) -> (b,).
        n_resamples: B.
        seed: Seed of the resampling.

    Returns:
        None where the statistic of the samples themselves is not defined.

    Raises:
        ConfigError: No samples, B below 1 or a negative seed.
    """
    check_range("the number of samples", n, low=1)
    value = float(statistic(np.arange(n)[None, :])[0])
    if math.isnan(value):
        return None
    values = _resampled(n, statistic, n_resamples=n_resamples, seed=seed)
    defined = values[~np.isnan(values)]
    return percentile_interval(value, defined if defined.size else np.array([value]))


def percentile_interval(value: float, drawn: NDArray[np.float64]) -> Interval:
    """Put the 95% percentile interval of what was drawn around a value."""
    low, high = np.percentile(drawn, _PERCENTILES)
    return Interval(value=float(value), low=float(low), high=float(high))


def _resampled(
    n: int,
    statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    *,
    n_resamples: int,
    seed: int,
) -> NDArray[np.float64]:
    """Draw a statistic of B resamples. Shape: (B,)."""
    check_range("the number of resamples", n_resamples, low=1)
    check_range("the seed", seed, low=0)
    generator = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_VALUES // n)
    drawn = np.empty(n_resamples)
    for start in range(0, n_resamples, chunk):
        stop = min(start + chunk, n_resamples)
        drawn[start:stop] = statistic(generator.integers(n, size=(stop - start, n)))
    return drawn


def _finite(values: Sequence[float]) -> NDArray[np.float64]:
    checked = np.asarray(values, dtype=np.float64)
    if checked.size == 0 or not np.isfinite(checked).all():
        raise ConfigError(
            "a mean needs finite values",
            expected="one or more finite numbers",
            got=f"{checked.size} values, {int((~np.isfinite(checked)).sum())} not finite",
            next_step="Check the scores; a diverged training gives such values.",
        )
    return checked
