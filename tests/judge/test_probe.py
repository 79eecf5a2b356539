"""The sanity probe: what it is made of, who passes, and who is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from lorecall.errors import InputError, JudgeError
from lorecall.judge.judge import JudgeItem, Scores
from lorecall.judge.pairs import Pair
from lorecall.judge.probe import (
    MIN_PROBED,
    TRUE,
    WRONG,
    probe_judge,
    probe_pairs,
    require_passed,
)

MakePair = Callable[..., Pair]
MakeJudge = Callable[[Callable[[JudgeItem], Scores | None]], Any]


@pytest.fixture
def pairs(make_pair: MakePair) -> list[Pair]:
    """Give 30 pairs whose queries are alike but not equal, the true response known by a word."""
    return [
        make_pair(f"p{i}", query=f"fancy film number {i}", truth=f"genuine {i}") for i in range(30)
    ]


def knows(shown: JudgeItem) -> Scores:
    """Know the true response of a query."""
    number = shown.query.split()[-1]
    return (
        10.0 if shown.first == f"genuine {number}" else 0.0,
        10.0 if shown.second == f"genuine {number}" else 0.0,
    )


class TestProbePairs:
    """What a judge is tried on."""

    def test_the_wrong_response_is_the_truth_of_the_most_similar_query(
        self, make_pair: MakePair
    ) -> None:
        """By this user or another; the queries share most of their words."""
        pairs = [
            make_pair("x", query="green tea today", truth="yes"),
            make_pair("y", query="green tea tomorrow", truth="no", user="bob"),
            make_pair("z", query="green car", truth="never"),
        ]
        probes = {probe.id: probe for probe in probe_pairs(pairs)}
        assert probes["probe of x"].response_b == "no"
        assert probes["probe of y"].response_b == "yes"
        assert (probes["probe of x"].system_a, probes["probe of x"].system_b) == (TRUE, WRONG)
        assert probes["probe of x"].response_a == "yes"

    def test_an_answer_that_may_be_right_is_not_used(self, make_pair: MakePair) -> None:
        """To an equal query, or in equal words; nor one that is off the topic."""
        same_query = [make_pair("x", query="Tea ?"), make_pair("y", query="tea  ?", truth="other")]
        same_truth = [
            make_pair("x", query="green tea", truth="Yes"),
            make_pair("y", query="black tea", truth="yes "),
        ]
        off_topic = [make_pair("x", query="tea"), make_pair("y", query="cars", truth="other")]
        for pairs in (same_query, same_truth, off_topic):
            assert probe_pairs(pairs) == []

    def test_several_pairs_of_one_sample_count_once(self, pairs: list[Pair]) -> None:
        """A file compares many systems on one sample."""
        twice = pairs + [Pair(**{n: getattr(p, n) for n in p.__slots__}) for p in pairs]
        assert len(probe_pairs(twice)) == 30

    def test_it_is_seeded_and_no_longer_than_asked(self, pairs: list[Pair]) -> None:
        """The same seed draws the same samples."""
        assert probe_pairs(pairs, n=5, seed=1) == probe_pairs(pairs, n=5, seed=1)
        assert probe_pairs(pairs, n=5, seed=1) != probe_pairs(pairs, n=5, seed=2)
        assert len(probe_pairs(pairs, n=5)) == 5


class TestProbeJudge:
    """Who passes."""

    def test_who_knows_the_truth_passes(self, pairs: list[Pair], make_judge: MakeJudge) -> None:
        """And is not refused."""
        judge = make_judge(knows)
        probe = probe_judge(judge, pairs)
        assert probe.outcome == "passed"
        assert "beats a topical wrong one in 30 of 30, 100.0% [100.0, 100.0]" in probe.line
        require_passed(probe, judge)

    @pytest.mark.parametrize(
        "script",
        [
            lambda _: (8.0, 3.0),  # the first is better, whatever it is
            lambda _: (5.0, 5.0),
            lambda _: None,
            lambda shown: tuple(10 - score for score in knows(shown)),
        ],
        ids=["position", "ties", "unparsable", "wrong"],
    )
    def test_who_does_not_is_refused(
        self, script: Any, pairs: list[Pair], make_judge: MakeJudge
    ) -> None:
        """In one line that says how it did."""
        judge = make_judge(script)
        probe = probe_judge(judge, pairs)
        assert probe.outcome == "FAILED"
        with pytest.raises(JudgeError) as refused:
            require_passed(probe, judge)
        assert isinstance(refused.value, InputError)
        assert "scripted: probe FAILED" in str(refused.value)
        assert "in 0 of 30" in str(refused.value)
        assert "--despite-probe" in str(refused.value)

    def test_right_more_often_than_not_is_not_enough(
        self, pairs: list[Pair], make_judge: MakeJudge
    ) -> None:
        """18 of 30 may be luck: the lower bound decides."""

        def often(shown: JudgeItem) -> Scores:
            return knows(shown) if int(shown.query.split()[-1]) < 18 else (5.0, 5.0)

        probe = probe_judge(make_judge(often), pairs)
        assert probe.wins is not None
        assert probe.wins.wins == 18
        assert probe.wins.rate.low < 0.5 < probe.wins.rate.value
        assert probe.outcome == "FAILED"

    def test_too_few_samples_prove_nothing(self, pairs: list[Pair], make_judge: MakeJudge) -> None:
        """All right, on one sample fewer than needed."""
        few = probe_judge(make_judge(knows), pairs[: MIN_PROBED - 1])
        assert few.outcome == "FAILED"
        assert f"fewer than {MIN_PROBED}" in few.line
        assert probe_judge(make_judge(knows), pairs[:MIN_PROBED]).outcome == "passed"

    def test_nothing_to_try_it_on_is_a_failure(
        self, make_pair: MakePair, make_judge: MakeJudge
    ) -> None:
        """A single pair has no topical wrong response."""
        probe = probe_judge(make_judge(knows), [make_pair()])
        assert (probe.wins, probe.outcome) == (None, "FAILED")
        assert "no sample" in probe.line
