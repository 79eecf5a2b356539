"""Bootstrap intervals, paired differences and standard errors."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, sem

from lorecall.errors import ConfigError
from lorecall.metrics import intervals
from lorecall.metrics.intervals import (
    bootstrap_mean,
    bootstrap_statistic,
    paired_difference,
    standard_error,
)

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)
FEW = 500
fast = settings(max_examples=40, deadline=None)
Score = Callable[..., object]


class TestBootstrapMean:
    """The mean and its interval."""

    def test_the_value_is_the_mean(self) -> None:
        """Not the mean of the resamples."""
        assert bootstrap_mean([1.0, 2.0, 6.0], n_resamples=10).value == 3.0

    def test_equal_values_have_no_width(self) -> None:
        """Every resample has the same mean."""
        interval = bootstrap_mean([4.0] * 9, n_resamples=FEW)
        assert (interval.low, interval.value, interval.high) == (4.0, 4.0, 4.0)

    def test_a_single_value_has_no_width(self) -> None:
        """There is nothing to resample; that it says nothing is the caller's to know."""
        interval = bootstrap_mean([4.2], n_resamples=FEW)
        assert (interval.low, interval.high) == (4.2, 4.2)

    def test_worked_by_hand_for_two_values(self) -> None:
        """The mean of two draws of 0 and 1 is 0, 1/2 or 1, each end with probability 1/4."""
        interval = bootstrap_mean([0.0, 1.0])
        assert (interval.low, interval.value, interval.high) == (0.0, 0.5, 1.0)

    def test_it_agrees_with_the_normal_interval_for_many_values(self) -> None:
        """Mean plus and minus 1.96 standard errors, for 400 values of a bell curve."""
        values = np.random.default_rng(1).normal(10, 2, 400)
        interval = bootstrap_mean(values.tolist())
        half = 1.96 * values.std() / 20
        assert interval.low == pytest.approx(values.mean() - half, abs=0.03)
        assert interval.high == pytest.approx(values.mean() + half, abs=0.03)

    @pytest.mark.parametrize("n", [2, 34, 300])
    def test_it_is_scipys(self, n: int) -> None:
        """The same generator draws the same resamples there."""
        values = np.random.default_rng(n).normal(size=n)
        theirs = bootstrap(
            (values,), np.mean, method="percentile", n_resamples=FEW, rng=np.random.default_rng(7)
        ).confidence_interval
        ours = bootstrap_mean(values.tolist(), n_resamples=FEW, seed=7)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))

    def test_it_is_seeded(self) -> None:
        """The same seed gives the same interval, another one nearly the same."""
        values = [float(x) for x in range(50)]
        one, other = bootstrap_mean(values, seed=1), bootstrap_mean(values, seed=2)
        assert one == bootstrap_mean(values, seed=1)
        assert one != other
        assert one.low == pytest.approx(other.low, abs=0.3)

    def test_many_values_are_resampled_in_pieces(self) -> None:
        """More values than fit one piece; the last piece is not a whole one."""
        n = intervals._CHUNK_VALUES // 3
        interval = bootstrap_mean([0.0, 1.0] * (n // 2), n_resamples=10)
        assert interval.low <= 0.5 <= interval.high
        assert interval.high - interval.low < 0.01

    @fast
    @given(VALUES)
    def test_the_interval_holds_the_mean(self, values: list[float]) -> None:
        """And lies within the values, but for rounding."""
        interval = bootstrap_mean(values, n_resamples=FEW)
        slack = 1e-9 * max(1.0, *map(abs, values))
        assert min(values) - slack <= interval.low <= interval.value + slack
        assert interval.value - slack <= interval.high <= max(values) + slack

    @fast
    @given(VALUES, st.floats(-1e3, 1e3))
    def test_adding_a_constant_moves_it(self, values: list[float], constant: float) -> None:
        """The width does not change."""
        one = bootstrap_mean(values, n_resamples=FEW)
        moved = bootstrap_mean([v + constant for v in values], n_resamples=FEW)
        assert moved.low == pytest.approx(one.low + constant, rel=1e-6, abs=1e-6)
        assert moved.high == pytest.approx(one.high + constant, rel=1e-6, abs=1e-6)


class TestBootstrapStatistic:
    """Any statistic of the samples."""

    def test_of_the_mean_it_is_the_bootstrap_of_the_mean(self) -> None:
        """The same resamples with the same seed."""
        values = np.array([1.0, 2.0, 6.0, 4.0])
        found = bootstrap_statistic(4, lambda chosen: values[chosen].mean(axis=1), seed=3)
        assert found == bootstrap_mean(values.tolist(), seed=3)

    def test_undefined_resamples_are_left_out(self) -> None:
        """Resamples without the first sample have no value; the others have one."""

        def with_the_first(chosen: np.ndarray) -> np.ndarray:
            return np.where((chosen == 0).any(axis=1), 7.0, np.nan)

        found = bootstrap_statistic(5, with_the_first, n_resamples=FEW)
        assert found is not None
        assert (found.low, found.value, found.high) == (7.0, 7.0, 7.0)

    def test_undefined_for_the_samples_is_none(self) -> None:
        """There is no value to put an interval around."""
        assert bootstrap_statistic(3, lambda chosen: np.full(len(chosen), np.nan)) is None

    def test_no_samples_are_refused(self) -> None:
        """There is nothing to draw from."""
        with pytest.raises(ConfigError, match="number of samples"):
            bootstrap_statistic(0, lambda chosen: chosen.mean(axis=1))


class TestPairedDifference:
    """Two systems on the same samples."""

    def test_a_constant_gain_is_certain(self) -> None:
        """Pairs differ by one although the values vary widely."""
        a = [float(x) for x in range(0, 100, 7)]
        interval = paired_difference([x + 1 for x in a], a, n_resamples=FEW)
        assert (interval.low, interval.value, interval.high) == (1.0, 1.0, 1.0)
        assert interval.excludes_zero

    def test_pairing_is_kept(self) -> None:
        """It is the bootstrap of the differences."""
        a, b = [3.0, 9.0, 4.0, 8.0], [1.0, 8.0, 6.0, 5.0]
        assert paired_difference(a, b, seed=3) == bootstrap_mean([2.0, 1.0, -2.0, 3.0], seed=3)

    @fast
    @given(VALUES)
    def test_a_system_does_not_differ_from_itself(self, values: list[float]) -> None:
        """Zero, with no width."""
        interval = paired_difference(values, values, n_resamples=FEW)
        assert (interval.low, interval.value, interval.high) == (0.0, 0.0, 0.0)
        assert not interval.excludes_zero

    @fast
    @given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=1, max_size=20))
    def test_swapping_the_systems_flips_it(self, pairs: list[tuple[float, float]]) -> None:
        """The interval is mirrored at zero."""
        a, b = [x for x, _ in pairs], [y for _, y in pairs]
        one = paired_difference(a, b, n_resamples=FEW)
        other = paired_difference(b, a, n_resamples=FEW)
        assert other.value == pytest.approx(-one.value)
        assert other.low == pytest.approx(-one.high, abs=1e-6)

    def test_lengths_must_agree(self) -> None:
        """A sample without its pair cannot be compared."""
        with pytest.raises(ConfigError, match="expected 2 scores, got 3"):
            paired_difference([1.0, 2.0], [1.0, 2.0, 3.0])


class TestStandardError:
    """The bootstrap standard error of a mean."""

    @fast
    @given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
    def test_it_agrees_with_scipy(self, values: list[float]) -> None:
        """Which divides by n - ddof: the bootstrap's is the one with ddof 0."""
        assert standard_error(values) == pytest.approx(float(sem(values, ddof=0)), abs=1e-6)

    def test_it_is_what_resampled_means_come_to(self) -> None:
        """Their standard deviation, drawn here."""
        values = np.random.default_rng(5).gamma(2, 3, 40)
        drawn = np.random.default_rng(6).choice(values, (20_000, 40)).mean(axis=1).std()
        assert standard_error(values.tolist()) == pytest.approx(drawn, rel=0.03)

    def test_equal_values_have_none(self) -> None:
        """A single value too."""
        assert standard_error([2.0] * 5) == standard_error([7.0]) == 0.0


class TestBadInput:
    """Refused before anything is drawn."""

    @pytest.mark.parametrize("score", [bootstrap_mean, standard_error])
    @pytest.mark.parametrize(
        ("values", "got"),
        [
            ([], "got 0 values"),
            ([1.0, math.nan], "2 values, 1 not finite"),
            ([math.inf, -math.inf], "2 not finite"),
        ],
    )
    def test_values_that_have_no_mean(self, score: Score, values: list[float], got: str) -> None:
        """Nothing, not a number, infinite."""
        with pytest.raises(ConfigError, match=got):
            score(values)

    @pytest.mark.parametrize(
        ("given", "rule"), [({"n_resamples": 0}, "resamples"), ({"seed": -1}, "seed")]
    )
    def test_what_cannot_be_drawn(self, given: dict[str, int], rule: str) -> None:
        """At least one resample, and no negative seed."""
        with pytest.raises(ConfigError, match=f"{rule} must be in range"):
            bootstrap_mean([1.0], **given)


def test_a_difference_of_infinities_is_refused() -> None:
    """The values are checked before they are subtracted."""
    with pytest.raises(ConfigError, match="not finite"):
        paired_difference([math.inf], [math.inf])
