"""Donors: who is drawn, and that of those who are left out nothing is."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from lorecall.data.catalog import load_history
from lorecall.data.donors import MIN_DONORS, Donors, draw_donors, replies_of
from lorecall.data.history import goes_on
from lorecall.errors import ConfigError, DataError
from lorecall.records import Sample
from made_up import write_crowd


def draw(path: Path, *, without: tuple[str, ...] = (), seed: int = 0) -> Donors:
    """Draw forty replies and eight to watch by."""
    return draw_donors(str(path), without=without, n_replies=40, n_valid=8, seed=seed)


def every_sample(donors: Donors) -> tuple[Sample, ...]:
    """Return what is learnt and what it is watched by."""
    return (*donors.train, *donors.valid)


def words_of(sample: Sample) -> str:
    """Return all that is shown of a sample."""
    return " | ".join((sample.query, sample.response, *(turn.text for turn in sample.earlier)))


class TestWhoIsLeftOut:
    """They are out with everything that was said to them and by them."""

    @pytest.mark.parametrize("without", [("p3",), ("p3", "p0"), ("P3",)])
    def test_none_of_their_words_are_learnt(self, crowd: Path, without: tuple[str, ...]) -> None:
        """Neither as who answers nor as who is answered, in no prompt and no conversation."""
        donors = draw(crowd, without=without)
        names = {name.lower() for name in without}
        assert donors.left_out == names
        assert not donors.people & names
        for sample in every_sample(donors):
            assert not names & {sample.user, *sample.conversation.split("-")}
            assert not any(re.search(rf"\b{name}\b", words_of(sample)) for name in names)

    def test_their_partners_stay_with_what_they_told_others(self, crowd: Path) -> None:
        """Four conversations go; whom they were with is learnt from the rest."""
        donors = draw(crowd, without=("p3",))
        assert donors.n_conversations_left_out == 4
        everyone = draw_donors(str(crowd), without=("p3",), n_replies=500, n_valid=8)
        assert everyone.people == {f"p{i}" for i in range(14)} - {"p3"}

    def test_nobody_is_left_out_unless_asked(self, crowd: Path) -> None:
        """All of them give something."""
        donors = draw_donors(str(crowd), n_replies=500, n_valid=8)
        assert donors.left_out == frozenset()
        assert donors.n_conversations_left_out == 0
        assert len(donors.people) == 14

    def test_somebody_who_is_not_there_is_refused(self, crowd: Path) -> None:
        """A mistyped id would leave someone in."""
        with pytest.raises(DataError, match=r"the user must be in the data: .*got 'q3'"):
            draw(crowd, without=("p3", "q3"))

    def test_the_start_of_several_ids_is_refused(self, crowd: Path) -> None:
        """Whom it means is not guessed."""
        with pytest.raises(DataError, match="the start of a user id must fit one user"):
            draw(crowd, without=("p",))


@pytest.mark.parametrize(
    "contact", ["write to p0@example.org", "call +44 20 7946 0958", "ask @p_zero", "snap: p.zero"]
)
def test_replies_that_name_someone_are_out(tmp_path: Path, contact: str) -> None:
    """What holds an address, a number or a handle, or stands after it, is told to nobody."""
    path = write_crowd(tmp_path / "crowd.jsonl", said={"p0-p1 3": contact})
    donors = draw_donors(str(path), n_replies=500, n_valid=1)
    assert not any(contact in words_of(sample) for sample in every_sample(donors))
    kept = [sample for sample in every_sample(donors) if sample.conversation == "p0-p1"]
    turns = {int(sample.response.rpartition(" ")[2]) for sample in kept}
    assert turns  # p1 says it in turn 3 and is reminded of it in 5; p0 answers it in 4 and 6
    assert turns <= {1, 7} or turns == {2}


class TestSizes:
    """How many are drawn, and how few are too few."""

    def test_as_many_as_asked_for(self, crowd: Path) -> None:
        """And no conversation is in both parts."""
        donors = draw(crowd)
        assert (len(donors.train), len(donors.valid)) == (40, 8)
        learnt = {sample.conversation for sample in donors.train}
        assert learnt.isdisjoint(sample.conversation for sample in donors.valid)

    def test_of_each_conversation_one_side_is_learnt(self, crowd: Path) -> None:
        """Its replies go on from one another."""
        samples = every_sample(draw(crowd))
        for name in {sample.conversation for sample in samples}:
            own = [sample for sample in samples if sample.conversation == name]
            assert len({sample.user for sample in own}) == 1
            assert all(goes_on(after, before) for before, after in pairwise(own))

    def test_the_people_are_those_whose_words_are_in_it(self, crowd: Path) -> None:
        """Both sides of what was drawn, and nobody else."""
        donors = draw_donors(str(crowd), n_replies=30, n_valid=1)
        names = {sample.conversation for sample in every_sample(donors)}
        assert donors.people == {user for name in names for user in name.split("-")}
        assert len(names) < 28

    def test_fewer_than_there_are(self, crowd: Path) -> None:
        """All are taken where more are asked for."""
        donors = draw_donors(str(crowd), n_replies=10_000, n_valid=8)
        assert 28 * 3 - 12 <= len(donors.train) <= 28 * 4
        assert (donors.dataset, donors.licence) == ("crowd.jsonl", "the chat's own")

    def test_few_people_are_no_crowd(self, tmp_path: Path) -> None:
        """What is learnt of them could be one of them."""
        enough = write_crowd(tmp_path / "enough.jsonl", n_people=MIN_DONORS)
        few = write_crowd(tmp_path / "few.jsonl", n_people=MIN_DONORS - 1)
        assert len(draw_donors(str(enough), n_replies=500, n_valid=4).people) == MIN_DONORS
        with pytest.raises(DataError, match=r"many people: expected at least 10 .*got 9 people"):
            draw_donors(str(few), n_replies=500, n_valid=4)

    def test_those_who_are_left_out_are_none_of_them(self, tmp_path: Path) -> None:
        """Eleven less two are nine."""
        path = write_crowd(tmp_path / "crowd.jsonl", n_people=11)
        with pytest.raises(DataError, match=r"got 9 people with .* or leave fewer out"):
            draw_donors(str(path), without=["p1", "p2"], n_replies=500, n_valid=4)

    def test_nothing_left_to_learn(self, crowd: Path) -> None:
        """Where watching takes everything."""
        with pytest.raises(DataError, match="with 0 replies"):
            draw_donors(str(crowd), n_replies=40, n_valid=500)

    @pytest.mark.parametrize("option", ["n_replies", "n_valid"])
    def test_none_is_refused(self, crowd: Path, option: str) -> None:
        """Before the file is read."""
        with pytest.raises(ConfigError, match=f"{option} must be in range: expected 1 or more"):
            draw_donors(str(crowd), **{option: 0})

    def test_a_source_that_is_not_there(self, tmp_path: Path) -> None:
        """As for a history."""
        with pytest.raises(DataError, match="the source must be a dataset or a file"):
            draw_donors(str(tmp_path / "none.jsonl"))


@pytest.fixture
def group(tmp_path: Path) -> Path:
    """Return a WhatsApp group of twelve; Zed opens every sixth talk and never replies."""
    lines: list[str] = []
    for day in range(24):
        pair = (f"Person {day % 12}", f"Person {(day + 1 + day // 12) % 12}")
        speakers = ["Zed" if day % 6 == 0 else pair[1], *(pair[turn % 2] for turn in range(6))]
        lines += (
            f"{day + 1:02d}/05/2024, 10:{minute:02d} - {who}: {who} says this in {minute} of {day}"
            for minute, who in enumerate(speakers)
        )
    path = tmp_path / "group.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class TestWhoOnlySpoke:
    """Somebody who never replied has words, too."""

    def test_they_can_be_left_out(self, group: Path) -> None:
        """With the conversations that they opened."""
        donors = draw_donors(str(group), without=["Zed"], n_replies=500, n_valid=2)
        assert donors.left_out == {"Zed"}
        assert donors.n_conversations_left_out == 4
        assert "Zed" not in donors.people
        assert not any("Zed" in words_of(sample) for sample in every_sample(donors))

    def test_they_are_among_the_people(self, group: Path) -> None:
        """Unless they are left out."""
        assert "Zed" in draw_donors(str(group), n_replies=500, n_valid=2).people

    def test_they_have_no_replies(self, group: Path) -> None:
        """But are known; of others there are as many as in their history."""
        found = replies_of(str(group), ["zed", "Person 11"])
        assert found["Zed"] == ()
        assert found["Person 11"] == load_history(group, user="Person 11").samples
        with pytest.raises(DataError, match="the user must be in the data"):
            replies_of(str(group), ["Yan"])


def test_the_draw_is_that_of_its_seed(crowd: Path) -> None:
    """The same twice, another with another seed."""
    assert draw(crowd) == draw(crowd)
    assert draw(crowd).train != draw(crowd, seed=1).train


def test_files_of_a_format_can_be_named(crowd: Path) -> None:
    """As for a history."""
    named = draw_donors("jsonl", path=crowd, n_replies=40, n_valid=8)
    assert (named.dataset, named.train) == ("jsonl", draw(crowd).train)
