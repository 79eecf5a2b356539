"""A judge whose answers are kept: killed and started again, it asks nothing twice."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lorecall.errors import RunError
from lorecall.judge.cached import CachedJudge
from lorecall.judge.judge import JudgeItem, Scores, item_of
from lorecall.judge.pairs import Pair
from lorecall.judge.win_rate import judge_pairs

MakePair = Callable[..., Pair]
MakeJudge = Callable[[Callable[[JudgeItem], Scores | None]], Any]


def by_length(shown: JudgeItem) -> Scores | None:
    """Score a response by its length; an empty one cannot be read."""
    if not shown.first or not shown.second:
        return None
    return float(len(shown.first)), float(len(shown.second))


@pytest.fixture
def pairs(make_pair: MakePair) -> list[Pair]:
    """Return forty pairs, some of them unreadable."""
    return [
        replace(make_pair(), id=f"p{i}", query=f"query {i}", response_a="a" * (i % 7))
        for i in range(40)
    ]


def test_a_killed_judging_asks_the_rest_alone(
    pairs: list[Pair], make_judge: MakeJudge, tmp_path: Path
) -> None:
    """What was answered before counts, unreadable answers among it, and the labels are the same."""
    path, whole = tmp_path / "new" / "answers", make_judge(by_length)
    expected = judge_pairs(whole, pairs)

    def dies(shown: JudgeItem) -> Scores | None:
        if shown.query == "query 20":
            raise KeyboardInterrupt
        return by_length(shown)

    first = make_judge(dies)
    with pytest.raises(KeyboardInterrupt):
        judge_pairs(CachedJudge(first, path), pairs)
    second = make_judge(by_length)
    assert judge_pairs(CachedJudge(second, path), pairs) == expected
    assert {item.query for item in second.seen} == {f"query {i}" for i in range(16, 40)}
    third = make_judge(by_length)
    assert judge_pairs(CachedJudge(third, path), pairs) == expected
    assert third.seen == []


def test_only_the_same_question_counts(
    make_pair: MakePair, make_judge: MakeJudge, tmp_path: Path
) -> None:
    """Not another judge's answer, nor one with another seed, nor of the other order."""
    path, item = (
        tmp_path / "answers",
        item_of(replace(make_pair(), response_a="aa", response_b="b")),
    )
    assert CachedJudge(make_judge(by_length), path).score([item, item]) == [(2, 1), (2, 1)]
    assert len(path.read_text().splitlines()) == 1
    named = make_judge(by_length)
    named.name = "another"
    for judge, seed, asked in (
        (named, 0, item),
        (make_judge(by_length), 1, item),
        (make_judge(by_length), 0, item.swapped()),
        (make_judge(by_length), 0, replace(item, query="another query")),
    ):
        CachedJudge(judge, path, seed=seed).score([asked])
        assert len(judge.seen) == 1


def test_a_torn_line_is_asked_again(
    make_pair: MakePair, make_judge: MakeJudge, tmp_path: Path
) -> None:
    """A whole line that is no answer is refused, with where it is."""
    path = tmp_path / "answers"
    items = [item_of(replace(make_pair(), query=query)) for query in ("one", "two")]
    expected = CachedJudge(make_judge(by_length), path).score(items)
    path.write_bytes(path.read_bytes()[:-3])
    judge = make_judge(by_length)
    assert CachedJudge(judge, path).score(items) == expected
    assert [item.query for item in judge.seen] == ["two"]
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 2
    path.write_text("nonsense\n")
    with pytest.raises(RunError, match="line 1 of"):
        CachedJudge(judge, path)
