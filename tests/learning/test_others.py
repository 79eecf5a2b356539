"""Who a person is compared with, and which replies theirs is told from."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lorecall.data import load_history
from lorecall.errors import DataError
from lorecall.learning.others import N_CANDIDATES, N_QUERIES, candidates_of, load_others
from lorecall.systems.contract import PersonData

SIZES = {"ann": 30, "bob": 45, "cleo": 21, "dora": 31, "eve": 29, "fay": 5}


@pytest.fixture
def crowd(tmp_path: Path) -> Path:
    """Write a file of people with so many samples, three to a conversation."""
    path = tmp_path / "crowd.jsonl"
    rows = (
        {"user": user, "query": f"day {i}?", "response": f"{user} {i}", "conversation": str(i // 3)}
        for user, n in SIZES.items()
        for i in range(n)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


class TestLoadOthers:
    """Other people of the same source."""

    def test_the_nearest_in_size_come_first(self, crowd: Path) -> None:
        """Equally near ones by name; each whole, and never the person."""
        ann = load_history(crowd, user="ann")
        others = load_others(crowd, ann, n=3)
        assert [other.user for other in others] == ["dora", "eve", "cleo"]
        assert [len(other.samples) for other in others] == [31, 29, 21]
        assert others == load_others(crowd, ann, n=3)

    def test_where_there_are_fewer_all_are_taken(self, crowd: Path) -> None:
        """Those too short to learn from are none."""
        ann = load_history(crowd, user="ann")
        assert {other.user for other in load_others(crowd, ann, n=9)} == {
            "bob",
            "cleo",
            "dora",
            "eve",
        }

    def test_nobody_is_loaded_where_nobody_is_asked_for(self, tmp_path: Path, crowd: Path) -> None:
        """The source is not even read; a pool is everyone."""
        ann = load_history(crowd, user="ann")
        assert load_others(tmp_path / "gone.jsonl", ann, n=0) == ()
        assert load_others(crowd, load_history(crowd, user="pooled"), n=2) == ()

    def test_files_of_a_named_format(self, crowd: Path) -> None:
        """As they are given to the person's own history."""
        ann = load_history("jsonl", user="ann", path=[crowd])
        (dora,) = load_others("jsonl", ann, n=1, path=[crowd])
        assert (dora.user, dora.files) == ("dora", (str(crowd.resolve()),))

    def test_a_source_that_is_not_there_is_refused(self, tmp_path: Path, crowd: Path) -> None:
        """In one line."""
        with pytest.raises(DataError, match="the source must be"):
            load_others(tmp_path / "gone.jsonl", load_history(crowd, user="ann"), n=1)


class TestCandidates:
    """Which reply is theirs?"""

    def test_the_true_one_comes_first_and_seven_others_follow(
        self, make_person: Callable[..., PersonData]
    ) -> None:
        """Replies of other people's test parts, all different, to the same query."""
        ann, bob, cleo = (
            make_person(user, n_conversations=16).split for user in ("ann", "bob", "cleo")
        )
        rows = candidates_of(ann, [bob, cleo], seed=0)
        assert len(rows) == min(N_QUERIES, len(ann.test))
        theirs = {sample.response for split in (bob, cleo) for sample in split.test}
        for true, *others in rows:
            assert true in ann.test
            responses = [other.response for other in others]
            assert len({true.response, *responses}) == N_CANDIDATES == 8
            assert set(responses) <= theirs
            assert [replace(other, response=true.response) for other in others] == [true] * 7
        assert rows == candidates_of(ann, [bob, cleo], seed=0) != candidates_of(ann, [bob], seed=1)

    def test_many_queries_are_thinned_evenly(self, make_person: Callable[..., PersonData]) -> None:
        """The first and the last are among twelve."""
        ann, bob = (make_person(user, n_conversations=40).split for user in ("ann", "bob"))
        bob = replace(
            bob, test=tuple(replace(s, response=f"no {i}") for i, s in enumerate(bob.test))
        )
        asked = [row[0] for row in candidates_of(ann, [bob], seed=0)]
        assert len(asked) == 12
        assert (asked[0], asked[-1]) == (ann.test[0], ann.test[-1])

    def test_too_few_replies_are_none(self, make_person: Callable[..., PersonData]) -> None:
        """Nobody else, or someone who says the same each time, or what the person said."""
        ann, bob = make_person("ann").split, make_person("bob").split
        alike = replace(bob, test=tuple(replace(s, response="yes") for s in bob.test))
        assert candidates_of(ann, [], seed=0) == ()
        assert candidates_of(ann, [alike], seed=0) == ()
        assert candidates_of(ann, [ann], seed=0) == ()
