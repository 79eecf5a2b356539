"""Win rates: both orders, the sign, the counts, position bias, and files of labels."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.core.jsonl import write_records
from lorecall.errors import DataError
from lorecall.judge.judge import JudgeItem, Scores
from lorecall.judge.pairs import Pair
from lorecall.judge.win_rate import (
    Judged,
    judge_pairs,
    read_judged,
    win_rates,
)

MakePair = Callable[..., Pair]
MakeJudge = Callable[[Callable[[JudgeItem], Scores | None]], Any]


def by_response(values: Mapping[str, float]) -> Callable[[JudgeItem], Scores]:
    """Score a response by its first word, wherever it is shown."""
    return lambda shown: (values[shown.first.split()[0]], values[shown.second.split()[0]])


def judged(label: int | None, **fields: Any) -> Judged:
    """Make a label."""
    scores = None if label is None else (5.0 + label, 5.0)
    usual: dict[str, Any] = {
        "id": "p",
        "user": "ann",
        "system_a": "memory",
        "system_b": "vanilla",
        "in_order": scores,
        "swapped": scores,
        "label": label,
        "judge": "j",
        "prompt": "none",
    }
    return Judged(**(usual | fields))


class TestJudgePairs:
    """Both orders of every pair."""

    def test_each_pair_is_shown_in_both_orders(
        self, make_pair: MakePair, make_judge: MakeJudge
    ) -> None:
        """And scores are turned back: they are always of (a, b)."""
        judge = make_judge(by_response({"a": 8, "b": 3}))
        (found,) = judge_pairs(judge, [make_pair()])
        assert [item.first for item in judge.seen] == ["a of p", "b of p"]
        assert (found.in_order, found.swapped, found.label) == ((8, 3), (8, 3), 1)

    def test_a_judge_that_prefers_the_first_ties(
        self, make_pair: MakePair, make_judge: MakeJudge
    ) -> None:
        """Its preference cancels out, and shows as position bias."""
        found = judge_pairs(make_judge(lambda _: (8, 3)), [make_pair("p"), make_pair("q")])
        assert [each.label for each in found] == [0, 0]
        (rate,) = win_rates(found)
        assert (rate.wins, rate.ties, rate.losses) == (0, 2, 0)
        assert rate.flips is not None
        assert rate.first_ahead is not None
        assert (rate.flips.value, rate.first_ahead.value) == (1, 5)

    @pytest.mark.parametrize("broken", ["a of p", "b of p"])
    def test_one_unparsable_order_makes_the_pair_so(
        self, broken: str, make_pair: MakePair, make_judge: MakeJudge
    ) -> None:
        """It has no label; the other order is kept in the record."""
        judge = make_judge(lambda shown: None if shown.first == broken else (9, 1))
        (found,) = judge_pairs(judge, [make_pair()])
        assert found.label is None
        assert (found.in_order is None) == (broken == "a of p")
        (rate,) = win_rates([found])
        assert (rate.n, rate.unparsable, rate.rate.value) == (1, 1, 0)
        assert rate.flips is None

    def test_rounding_makes_no_winner(self, make_pair: MakePair, make_judge: MakeJudge) -> None:
        """0.3 against 0.1 + 0.2."""
        judge = make_judge(by_response({"a": 0.1 + 0.2, "b": 0.3}))
        assert judge_pairs(judge, [make_pair()])[0].label == 0

    def test_many_pairs_keep_their_order_and_are_counted(
        self, make_pair: MakePair, make_judge: MakeJudge
    ) -> None:
        """A judge gets them in batches."""
        counts: list[int] = []
        pairs = [make_pair(f"p{i}") for i in range(37)]
        judge = make_judge(by_response({"a": 1, "b": 2}))
        found = judge_pairs(judge, pairs, probe="passed", on_judged=counts.append)
        assert [each.id for each in found] == [pair.id for pair in pairs]
        assert {(each.judge, each.probe) for each in found} == {("scripted", "passed")}
        assert sum(counts) == 37
        assert len(judge.seen) == 74

    def test_no_pairs_no_labels(self, make_judge: MakeJudge) -> None:
        """Nothing is asked."""
        assert judge_pairs(make_judge(lambda _: (1, 1)), []) == []


class TestWinRates:
    """Wins over all."""

    def test_worked_by_hand(self) -> None:
        """Two wins, a tie, a loss and an unparsable answer: two of five."""
        labels = [1, 1, 0, -1, None]
        (rate,) = win_rates([judged(label) for label in labels])
        assert (rate.n, rate.wins, rate.ties, rate.losses, rate.unparsable) == (5, 2, 1, 1, 1)
        assert rate.rate.value == 0.4
        assert rate.rate.low < 0.4 < rate.rate.high

    def test_position_bias_worked_by_hand(self) -> None:
        """One of two flips; the first is ahead by (2 - -2) / 2 in one, (1 - 1) / 2 in the other."""
        flips = judged(0, in_order=(6.0, 4.0), swapped=(4.0, 6.0))
        stays = judged(1, in_order=(6.0, 5.0), swapped=(6.0, 5.0))
        (rate,) = win_rates([flips, stays])
        assert rate.flips is not None
        assert rate.first_ahead is not None
        assert (rate.flips.value, rate.first_ahead.value) == (0.5, 1.0)

    def test_a_verdict_that_only_weakens_flips_too(self) -> None:
        """A win in one order and a tie in the other."""
        (rate,) = win_rates([judged(1, in_order=(6.0, 4.0), swapped=(5.0, 5.0))])
        assert rate.flips is not None
        assert rate.flips.value == 1

    def test_systems_and_judges_are_kept_apart(self) -> None:
        """One rate for each two systems and each judge."""
        rates = win_rates([judged(1), judged(1, system_b="OPPU"), judged(-1, judge="k"), judged(0)])
        found = [(rate.system_b, rate.judge, rate.n, rate.wins) for rate in rates]
        assert found == [("vanilla", "j", 2, 1), ("OPPU", "j", 1, 1), ("vanilla", "k", 1, 0)]

    def test_the_signature_says_how_it_was_made(self) -> None:
        """Metric, judge, prompt, probe, orders, n and the interval."""
        (rate,) = win_rates([judged(1, prompt="abc", probe="passed")], n_resamples=50, seed=4)
        assert rate.signature == (
            "win_rate|judge j|prompt abc|probe passed|wins/all|both orders, averaged|n=1"
            "|95% bootstrap, 50 resamples, seed 4"
        )

    @pytest.mark.parametrize(
        ("probe", "said"),
        [("FAILED", "WHICH FAILED ITS PROBE"), (None, "not probed"), ("passed", "judged by j")],
    )
    def test_the_headline_says_who_judged(self, probe: Any, said: str) -> None:
        """And what is wrong with the judge; ties and unparsable answers are in it."""
        (rate,) = win_rates([judged(1, probe=probe), judged(None, probe=probe)])
        assert said in rate.headline
        assert "memory beats vanilla in 1 of 2, 50.0% [0.0, 100.0]" in rate.headline
        assert "0 ties, 0 losses, 1 unparsable" in rate.headline

    @given(st.lists(st.sampled_from([1, 0, -1, None]), min_size=1, max_size=40))
    def test_counts_add_up(self, labels: list[int | None]) -> None:
        """To all pairs."""
        (rate,) = win_rates([judged(label) for label in labels], n_resamples=20)
        assert rate.wins + rate.ties + rate.losses + rate.unparsable == rate.n == len(labels)
        assert rate.rate.value == pytest.approx(rate.wins / rate.n)


class TestFiles:
    """Labels on disk."""

    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        """Missing scores and labels among them."""
        labels = [judged(1, probe="FAILED"), judged(None, id="q")]
        write_records(tmp_path / "labels.jsonl", labels)
        assert read_judged(tmp_path / "labels.jsonl") == labels

    def test_a_label_out_of_range_is_refused(self, tmp_path: Path) -> None:
        """With its line."""
        path = tmp_path / "labels.jsonl"
        write_records(path, [judged(1), judged(-1)])
        path.write_text(path.read_text().replace('"label": -1', '"label": 2'))
        with pytest.raises(DataError, match="line 2: field 'label'"):
            read_judged(path)
