"""Comparing over users: hand-worked cases, and what must hold of any scores."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.errors import ConfigError
from lorecall.metrics.paired import Resampled, holm, sign_flip_test

ANN = np.array([[1.0, 0.0], [3.0, 1.0]])  # means 2, 0.5
BOB = np.array([[6.0, 4.0]])  # means 6, 4


def test_users_count_alike() -> None:
    """The mean over users is of their means; the pooled one is of all samples."""
    assert Resampled([ANN, BOB]).mean(0).value == pytest.approx((2 + 6) / 2)
    assert Resampled([ANN, BOB], over="samples").mean(0).value == pytest.approx(10 / 3)


def test_differences_and_gains() -> None:
    """Both come from the same resamples."""
    resampled = Resampled([ANN, BOB], n_resamples=500)
    assert resampled.difference(0, 1).value == pytest.approx(4 - 2.25)
    assert resampled.gain(1, 0).value == pytest.approx(2.25 / 4 - 1)  # type: ignore[union-attr]
    same = resampled.difference(1, 1)
    assert (same.low, same.high) == (0, 0)


def test_no_gain_over_nothing() -> None:
    """A baseline that may be 0 gives no relative gain."""
    assert Resampled([ANN], n_resamples=500).gain(0, 1) is None


@pytest.mark.parametrize("over", ["users", "samples"])
def test_users_are_drawn_before_samples(over: str) -> None:
    """The interval is as wide as users differ, however many samples each has."""
    rng = np.random.default_rng(0)
    users = [np.full((400, 1), u) + rng.normal(0, 0.1, (400, 1)) for u in range(8)]
    interval = Resampled(users, over=over, n_resamples=4000).mean(0)  # type: ignore[arg-type]
    error = np.std(range(8)) / np.sqrt(8)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_one_user_is_a_bootstrap_of_samples() -> None:
    """There is nothing else to draw: as wide as the standard error of the mean says."""
    x = np.random.default_rng(1).normal(5, 2, (200, 1))
    interval = Resampled([x], n_resamples=4000).mean(0)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 2 / np.sqrt(200), rel=0.15)


def test_the_same_seed_gives_the_same() -> None:
    """And another seed another interval."""
    first, again, other = (Resampled([ANN, BOB], seed=s).mean(0) for s in (1, 1, 2))
    assert first == again
    assert first.value == other.value


@pytest.mark.parametrize("users", [[], [np.empty((0, 1))], [np.array([[np.nan]])]])
def test_scores_must_be_there(users: list[np.ndarray]) -> None:
    """No user, no sample, or no number: refused."""
    with pytest.raises(ConfigError, match="finite"):
        Resampled(users)


def test_sign_flips_by_hand() -> None:
    """Three differences of one sign: two of the eight ways are as far from zero."""
    assert sign_flip_test([1.0, 2.0, 0.5]) == pytest.approx(2 / 8)
    assert sign_flip_test([1.0, -1.0]) == 1
    assert sign_flip_test([0.7]) == 1


def test_sign_flips_against_every_way() -> None:
    """Counted one by one, as the definition says."""
    d = np.random.default_rng(3).normal(0.4, 1, 9)
    ways = [
        abs(sum(s * x for s, x in zip(w, d, strict=True)))
        for w in itertools.product((1, -1), repeat=9)
    ]
    expected = np.mean([way >= abs(d.sum()) - 1e-9 for way in ways])
    assert sign_flip_test(d.tolist()) == pytest.approx(expected)


def test_sign_flips_are_drawn_with_many_users() -> None:
    """Never 0, near what all ways give, and the same with the same seed."""
    rng = np.random.default_rng(4)
    assert sign_flip_test(rng.normal(3, 1, 30).tolist()) == pytest.approx(1 / 100_001)
    undecided = rng.normal(0, 1, 30).tolist()
    assert sign_flip_test(undecided, seed=1) == sign_flip_test(undecided, seed=1)
    assert 0.01 < sign_flip_test(undecided) <= 1


def test_holm_by_hand() -> None:
    """The smallest times three, the next times two, never below one before it."""
    assert holm([0.04, 0.01, 0.03]) == pytest.approx((0.06, 0.03, 0.06))
    assert holm([0.9, 0.8]) == (1, 1)
    assert holm([]) == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order(p_values: list[float]) -> None:
    """Corrected values are no smaller, at most 1, and in the order of the raw ones."""
    corrected = holm(p_values)
    assert all(p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))
    ranked = [c for _, c in sorted(zip(p_values, corrected, strict=True))]
    assert ranked == sorted(ranked)
