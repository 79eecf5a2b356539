"""Comparing systems over users: cluster bootstrap, sign-flip tests, Holm's correction.

Samples of one user are alike, so a user is what is drawn: first users, then samples of each.

| symbol | meaning | shape |
|---|---|---|
| U | number of users | |
| n_u | samples of user u | |
| S | number of systems | |
| B | number of resamples | |
| x_u | one score a sample and system | (n_u, S) |
| means | mean of each resample | (B, S) |

A mean over users is the mean of the users' own means: someone who talks more does not count more.
A pooled mean is over all samples.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lorecall.errors import ConfigError
from lorecall.metrics.intervals import N_RESAMPLES, percentile_interval
from lorecall.records import Interval

Over = Literal["users", "samples"]
"""What a mean is over: users, each counting alike, or all samples, pooled."""

Floats = NDArray[np.float64]

_EXACT_USERS = 14  # 16,384 ways of signs; beyond that they are drawn
_N_SIGNS = 100_000
_CHUNK_VALUES = 1 << 21


class Resampled:
    """Means of several systems over the same resamples of users and samples.

    Args:
        users: x_u of each user. *Shape:* U of (n_u, S).
        over: What the mean is over.
        n_resamples: B.
        seed: Seed of the resampling.

    Raises:
        ConfigError: No user, a user without samples, or a value that is not finite.

    Examples:
        >>> import numpy as np
        >>> from lorecall.metrics import Resampled
        >>> two_users = [np.array([[4.0, 3.0]]), np.array([[5.0, 4.0], [7.0, 6.0]])]
        >>> Resampled(two_users).difference(0, 1)
        Interval(value=1.0, low=1.0, high=1.0)
    """

    def __init__(
        self,
        users: Sequence[Floats],
        *,
        over: Over = "users",
        n_resamples: int = N_RESAMPLES,
        seed: int = 0,
    ) -> None:
        _check(users)
        self.values = _mean(users, over)
        self.means = _resample(users, over, n_resamples=n_resamples, seed=seed)

    def mean(self, system: int) -> Interval:
        """Return a system's mean with its 95% interval."""
        return percentile_interval(self.values[system], self.means[:, system])

    def difference(self, a: int, b: int) -> Interval:
        """Return the paired difference a - b with its 95% interval."""
        return percentile_interval(
            self.values[a] - self.values[b], self.means[:, a] - self.means[:, b]
        )

    def gain(self, a: int, b: int) -> Interval | None:
        """Return the relative gain (a - b) / b with its interval; None where b may be 0."""
        if self.values[b] == 0 or not (self.means[:, b] > 0).all():
            return None
        drawn = self.means[:, a] / self.means[:, b] - 1
        return percentile_interval(self.values[a] / self.values[b] - 1, drawn)


def sign_flip_test(differences: Sequence[float], *, seed: int = 0) -> float:
    """Test whether the mean of paired differences over users is zero, two-sided.

    Under the null a user's difference is as likely to have the other sign. Up to 14 users all
    2^U ways of signs are counted, so that the smallest p there can be is 2 / 2^U: with five users
    or fewer nothing is significant at 0.05.

    Args:
        differences: One a user: the mean over the user's samples. *Shape:* (U,).
        seed: Seed of the signs that are drawn with more users.

    Returns:
        p.

    Raises:
        ConfigError: No differences, or one that is not finite.

    Examples:
        >>> from lorecall.metrics import sign_flip_test
        >>> sign_flip_test([1.0, 2.0, 0.5])
        0.25
    """
    d = np.asarray(differences, dtype=np.float64)
    _check([d[:, None]])
    n = len(d)
    if n <= _EXACT_USERS:
        ways = np.arange(2**n)
        signs = 1.0 - 2.0 * ((ways[:, None] >> np.arange(n)) & 1)
        drawn = 0
    else:
        generator = np.random.default_rng(seed)
        signs = generator.choice((-1.0, 1.0), size=(_N_SIGNS, n))
        drawn = 1  # the ways that were seen are among those that there are
    as_far = np.abs(signs @ d) >= abs(float(d.sum())) * (1 - 1e-12)
    return float((as_far.sum() + drawn) / (len(signs) + drawn))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Correct p-values for being several, by Holm's step-down method.

    Args:
        p_values: One a comparison.

    Returns:
        Corrected ones in the same order: below 0.05, the chance that any true null is among them is
        below 0.05.

    Examples:
        >>> from lorecall.metrics import holm
        >>> holm([0.01, 0.04])
        (0.02, 0.04)
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[i]))
        corrected[i] = highest
    return tuple(corrected)


def _mean(users: Sequence[Floats], over: Over) -> Floats:
    if over == "users":
        return np.mean([x.mean(axis=0) for x in users], axis=0)
    return np.concatenate(users).mean(axis=0)


def _resample(users: Sequence[Floats], over: Over, *, n_resamples: int, seed: int) -> Floats:
    """Draw U users, and of each as many samples as it has. *Shape:* (B, S)."""
    generator = np.random.default_rng(seed)
    chosen = generator.integers(len(users), size=(n_resamples, len(users)))
    total = np.zeros((n_resamples, users[0].shape[1]))
    weight = np.zeros((n_resamples, 1))
    for u, x in enumerate(users):
        times = (chosen == u).sum(axis=1)  # how often each resample drew this user
        rows = np.repeat(np.arange(n_resamples), times)
        each = len(x) if over == "samples" else 1
        np.add.at(total, rows, each * _means_of(x, len(rows), generator))
        weight[:, 0] += each * times
    return total / weight


def _means_of(x: Floats, n: int, generator: np.random.Generator) -> Floats:
    """Draw the means of n resamples of one user's samples. *Shape:* (n_u, S) -> (n, S)."""
    means = np.empty((n, x.shape[1]))
    chunk = max(1, _CHUNK_VALUES // x.size)
    for start in range(0, n, chunk):
        stop = min(n, start + chunk)
        means[start:stop] = x[generator.integers(len(x), size=(stop - start, len(x)))].mean(axis=1)
    return means


def _check(users: Sequence[Floats]) -> None:
    if not users or any(x.size == 0 or not np.isfinite(x).all() for x in users):
        raise ConfigError(
            "a comparison needs finite scores of every user",
            expected="one or more finite numbers a user",
            got=f"{len(users)} users, {sum(x.size == 0 for x in users)} of them without any",
            next_step="Check the scores; a diverged training gives such values.",
        )
