"""Raters against a judge: sides, signs, hand-worked numbers, and what is refused."""

from collections.abc import Sequence
from typing import Any

import pytest

from lorecall.errors import DataError
from lorecall.judge.agreement import EVERYONE, agreement
from lorecall.judge.labels import RaterLabels
from lorecall.judge.sheet import Key, KeyEntry
from lorecall.judge.win_rate import Judged

FEW = 200


def rater(name: str, *labels: int | None, sheet: str = "s1") -> RaterLabels:
    """Make a rater's labels of pairs 1, 2, ..."""
    numbered = dict(enumerate(labels, start=1))
    return RaterLabels(
        rater=name,
        sheet=sheet,
        labels={n: label for n, label in numbered.items() if label is not None},
        unlabelled=tuple(n for n, label in numbered.items() if label is None),
    )


def key(firsts: str, *, sheet: str = "s1") -> Key:
    """Make a key; `firsts` tells whose response is first, pair by pair."""
    entries = [
        KeyEntry(pair=n, id=f"p{n}", first=first, system_a="memory", system_b="vanilla")
        for n, first in enumerate(firsts, start=1)
    ]
    return Key(sheet=sheet, seed=0, pairs=tuple(entries))


def judged(*labels: int | None, **fields: Any) -> list[Judged]:
    """Make a judge's labels of pairs 1, 2, ..."""
    usual: dict[str, Any] = {
        "user": "ann",
        "system_a": "memory",
        "system_b": "vanilla",
        "in_order": None,
        "swapped": None,
        "judge": "j",
        "prompt": "none",
    }
    return [
        Judged(**(usual | {"id": f"p{n}", "label": label} | fields))
        for n, label in enumerate(labels, start=1)
    ]


def against(raters: Sequence[RaterLabels], firsts: str, labels: list[Judged]) -> Any:
    """Compare, and give the row of each rater by name."""
    found = agreement(raters, key=key(firsts), judged=labels, n_resamples=FEW)
    return {row.rater: row for row in found.against}


class TestAgainstTheJudge:
    """Pearson and accuracy."""

    def test_sides_are_turned_back(self) -> None:
        """A 1 where b's response is first is a win of b."""
        rows = against([rater("ann", 1, 1, 0, -1)], "abab", judged(1, -1, 0, 1))
        assert rows["ann"].accuracy.value == 1
        assert rows["ann"].pearson.value == pytest.approx(1)

    def test_worked_by_hand(self) -> None:
        """Rater 1, 0, -1, 1 and judge 1, 1, -1, 0: two of four, Pearson 1.75 / 2.75."""
        rows = against([rater("ann", 1, 0, -1, 1)], "aaaa", judged(1, 1, -1, 0))
        assert rows["ann"].accuracy.value == 0.5
        assert rows["ann"].pearson.value == pytest.approx(1.75 / 2.75)

    def test_the_label_of_all_raters_is_the_sign_of_their_mean(self) -> None:
        """Two against one win; one each is a tie; the one who spoke decides."""
        raters = [rater("a", 1, 1, None), rater("b", 1, -1, None), rater("c", -1, None, -1)]
        rows = against(raters, "aaa", judged(1, 0, -1))
        assert set(rows) == {EVERYONE, "a", "b", "c"}
        assert (rows[EVERYONE].n, rows[EVERYONE].accuracy.value) == (3, 1)
        assert (rows["a"].n, rows["a"].accuracy.value) == (2, 0.5)

    def test_a_single_rater_is_all_raters(self) -> None:
        """One row."""
        assert list(against([rater("ann", 1, 0)], "aa", judged(1, 0))) == ["ann"]

    def test_an_unparsable_answer_is_a_miss_for_accuracy_alone(self) -> None:
        """It has no value that Pearson could use."""
        row = against([rater("ann", 1, 0, -1, 0)], "aaaa", judged(1, 0, -1, None))["ann"]
        assert (row.n, row.unparsable) == (4, 1)
        assert row.accuracy.value == 0.75
        assert row.pearson.value == pytest.approx(1)

    def test_pairs_the_judge_was_not_given_do_not_count(self) -> None:
        """And what it judged beside the sheet does not either."""
        labels = judged(1, 0)
        others = judged(-1, -1, -1, -1)[2:]
        row = against([rater("ann", 1, 0)], "aaaa", [*labels, *others])["ann"]
        assert (row.n, row.accuracy.value) == (2, 1)
        row = against([rater("ann", 1, 0, -1)], "aaa", labels)["ann"]
        assert row.n == 2

    def test_equal_labels_have_no_correlation(self) -> None:
        """But an accuracy."""
        row = against([rater("ann", 1, 1)], "aa", judged(1, 0))["ann"]
        assert (row.pearson, row.accuracy.value) == (None, 0.5)


class TestAmongRaters:
    """Agreement without a judge."""

    def test_worked_by_hand(self) -> None:
        """Equal in two of three; alpha 0 (see the metric's own test)."""
        found = agreement([rater("a", 1, 0, 1), rater("b", 1, 0, -1)], n_resamples=FEW)
        assert found.raw is not None
        assert found.alpha is not None
        assert found.raw.value == pytest.approx(2 / 3)
        assert found.alpha.value == pytest.approx(0)
        assert (found.n_shared, found.judge, found.humans) == (3, None, ())

    def test_labels_and_gaps_are_counted(self) -> None:
        """A pair one rater left out is shared by nobody."""
        found = agreement([rater("a", 1, 0, None), rater("b", 1, None, -1)], n_resamples=FEW)
        assert (dict(found.raters), dict(found.unlabelled)) == ({"a": 2, "b": 2}, {"a": 1, "b": 1})
        assert found.n_shared == 1

    def test_one_rater_agrees_with_nobody(self) -> None:
        """No number is made up."""
        found = agreement([rater("a", 1, 0)], n_resamples=FEW)
        assert (found.raw, found.alpha, found.n_shared) == (None, None, 0)

    def test_the_people_s_own_win_rate(self) -> None:
        """With a key: by the label of all raters."""
        raters = [rater("a", 1, 1, 0, -1), rater("b", 1, -1, 1, -1)]
        (rate,) = agreement(raters, key=key("aaba"), n_resamples=FEW).humans
        assert (rate.n, rate.wins, rate.ties, rate.losses) == (4, 1, 1, 2)
        assert (rate.judge, rate.unparsable) == ("2 people", 0)
        assert "one order, drawn at random, blind" in rate.signature

    def test_the_signature_says_how_it_was_made(self) -> None:
        """Sheet, raters, judge, probe, n and the interval."""
        found = agreement(
            [rater("a", 1, 0)], key=key("aa"), judged=judged(1, 0, probe="FAILED"), n_resamples=50
        )
        for part in ("sheet s1", "1 raters", "judge j", "probe FAILED", "n=2", "50 resamples"):
            assert part in found.signature
        assert found.probe == "FAILED"


class TestRefused:
    """What cannot be compared."""

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"judged": judged(1)}, "the sheet's key, got none"),
            ({"key": key("a", sheet="s2")}, "got the key of s2"),
            ({"key": key("")}, "no pair 1 in the key"),
            ({"key": key("a"), "judged": judged(1) + judged(1, judge="k")}, "2 in the file"),
            ({"key": key("a"), "judged": judged(1, id="other")}, "got none of them"),
        ],
    )
    def test_in_one_line(self, options: dict[str, Any], said: str) -> None:
        """No key, another sheet's, one that lacks a pair; two judges; other pairs."""
        with pytest.raises(DataError) as refused:
            agreement([rater("ann", 1)], **options)
        assert said in str(refused.value)
