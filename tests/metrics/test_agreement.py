"""Agreement of labels: hand-worked cases, and nltk and scipy as references."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.metrics.agreement import AnnotationTask
from nltk.metrics.distance import interval_distance
from scipy.stats import pearsonr

from lorecall.metrics.agreement import accuracy, krippendorff_alpha, pearson, raw_agreement
from lorecall.records import Interval

FEW = 200
LABELS = st.sampled_from([-1, 0, 1])
fast = settings(max_examples=60, deadline=None)


def value(interval: Interval | None) -> float:
    """Return an interval's value; there must be one."""
    assert interval is not None
    assert interval.low <= interval.high
    return interval.value


def by_nltk(ratings: Sequence[Sequence[int | None]]) -> float:
    """Return Krippendorff's alpha by nltk, with squared differences."""
    data = [
        (f"rater {i}", f"pair {j}", label)
        for i, row in enumerate(ratings)
        for j, label in enumerate(row)
        if label is not None
    ]
    return AnnotationTask(data=data, distance=interval_distance).alpha()


class TestPearson:
    """Correlation of labels."""

    def test_worked_by_hand(self) -> None:
        """Products 2, squares 2 and 8/3: 2 / sqrt(16/3)."""
        assert value(pearson([1, 0, -1], [1, 1, -1])) == pytest.approx(2 / math.sqrt(16 / 3))

    def test_equal_and_opposite_labels(self) -> None:
        """1 and -1, in every resample where it is defined."""
        x = [1.0, -1.0, 0.0, 1.0, -1.0] * 4
        same = pearson(x, x, n_resamples=FEW)
        assert same is not None
        assert (same.low, same.value, same.high) == pytest.approx((1, 1, 1))
        assert value(pearson(x, [-v for v in x], n_resamples=FEW)) == pytest.approx(-1)

    @pytest.mark.parametrize("y", [[0.1, 0.1, 0.1], [1.0, 1.0, 1.0]])
    def test_equal_values_have_no_correlation(self, y: list[float]) -> None:
        """It is not defined, whatever rounding leaves of 0.1 less its mean."""
        assert pearson([1, 0, -1], y) is None
        assert pearson(y, [1, 0, -1]) is None

    def test_too_few_pairs_have_none(self) -> None:
        """None and one."""
        assert pearson([], []) is None
        assert pearson([1.0], [1.0]) is None

    def test_lengths_must_agree(self) -> None:
        """A value without its pair is a mistake of the caller."""
        with pytest.raises(ValueError, match="shorter"):
            pearson([1, 2], [1])

    @fast
    @given(st.lists(st.tuples(LABELS, LABELS), min_size=3, max_size=30))
    def test_scipy_agrees(self, pairs: list[tuple[int, int]]) -> None:
        """Wherever both are defined."""
        x, y = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
        found = pearson(x, y, n_resamples=FEW)
        if len(set(x)) == 1 or len(set(y)) == 1:
            assert found is None
        else:
            assert value(found) == pytest.approx(pearsonr(x, y).statistic, abs=1e-12)

    def test_its_interval_is_fishers_for_many_pairs(self) -> None:
        """Within a hundredth or two, for 400 normal pairs."""
        generator = np.random.default_rng(0)
        x = generator.normal(size=400)
        y = 0.6 * x + 0.8 * generator.normal(size=400)
        found = pearson(x.tolist(), y.tolist(), n_resamples=4000)
        assert found is not None
        z, half = math.atanh(found.value), 1.96 / math.sqrt(397)
        assert found.low == pytest.approx(math.tanh(z - half), abs=0.02)
        assert found.high == pytest.approx(math.tanh(z + half), abs=0.02)


class TestAccuracy:
    """Share of equal labels."""

    def test_worked_by_hand(self) -> None:
        """Two of four."""
        assert value(accuracy([1, 0, -1, 1], [1, 1, -1, 0])) == 0.5

    def test_no_pairs_no_share(self) -> None:
        """There is nothing to be right about."""
        assert accuracy([], []) is None

    def test_lengths_must_agree(self) -> None:
        """As for Pearson."""
        with pytest.raises(ValueError, match="longer"):
            accuracy([1], [1, 0])


class TestRawAgreement:
    """Share of raters' label pairs that are equal."""

    def test_worked_by_hand(self) -> None:
        """Three raters, two of them alike: 1/3; all alike: 1; one label: left out."""
        ratings = [[1, 0, 1], [1, 0, None], [-1, 0, None]]
        assert value(raw_agreement(ratings)) == pytest.approx((1 / 3 + 1) / 2)

    def test_one_rater_agrees_with_nobody(self) -> None:
        """Nor do two who share no pair."""
        assert raw_agreement([[1, 0]]) is None
        assert raw_agreement([[1, None], [None, 1]]) is None


class TestKrippendorff:
    """Alpha of an interval scale."""

    def test_worked_by_hand(self) -> None:
        """Observed 8/6 and expected 40/5/6 are equal: no better than chance."""
        assert value(krippendorff_alpha([[1, 0, 1], [1, 0, -1]])) == pytest.approx(0)

    def test_the_authors_own_example(self) -> None:
        """Four observers, twelve units with gaps (Krippendorff 2011): 0.849."""
        n = None
        ratings = [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, n, n, n],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, n, 3],
            [n, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, n],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, n],
        ]
        found = krippendorff_alpha(ratings)
        assert value(found) == pytest.approx(0.849, abs=5e-4)
        assert found is not None
        assert found.low < 0.849 < found.high

    def test_full_agreement_is_one(self) -> None:
        """Where there is more than one label."""
        assert value(krippendorff_alpha([[1, 0, -1], [1, 0, -1]])) == 1

    @pytest.mark.parametrize("ratings", [[[1, 1], [1, 1]], [[1, 0, -1]], [[1, None], [None, 1]]])
    def test_without_variety_or_company_it_is_not_defined(
        self, ratings: list[list[float | None]]
    ) -> None:
        """All labels equal; one rater; no pair rated twice."""
        assert krippendorff_alpha(ratings) is None

    @fast
    @given(st.lists(st.lists(LABELS | st.none(), min_size=3, max_size=3), min_size=2, max_size=12))
    def test_nltk_agrees(self, pairs: list[list[int | None]]) -> None:
        """With three raters and gaps, wherever it is defined."""
        ratings = [list(row) for row in zip(*pairs, strict=True)]
        found = krippendorff_alpha(ratings, n_resamples=FEW)
        if found is not None:
            assert found.value == pytest.approx(by_nltk(ratings), abs=1e-12)

    def test_raters_must_be_asked_of_the_same_pairs(self) -> None:
        """One entry a pair, None where there is no label."""
        with pytest.raises(ValueError, match="shorter"):
            krippendorff_alpha([[1, 0], [1]])
