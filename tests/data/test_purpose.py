"""What is said of a memory before it is learnt."""

import pytest

from lorecall.data.purpose import LIMITS, purpose, purpose_of
from lorecall.records import Authorship, History, Pooled, Sample


def history(*authors: Authorship, pooled: Pooled | None = None) -> History:
    """Make a history with a response by each of these authors."""
    samples = tuple(
        Sample(id=str(i), user="ann", conversation="c", query="q", response="r", authored_by=author)
        for i, author in enumerate(authors)
    )
    return History(dataset="made up", user="ann", samples=samples, pooled=pooled)


@pytest.mark.parametrize(
    ("authors", "said"),
    [
        (("user", "user"), "will speak as ann"),
        (("assistant",), "will know ann, not speak as ann"),
        (("user", "assistant"), "will mix two voices"),
        ((), "nothing to learn of ann"),
    ],
)
def test_who_wrote_the_responses_decides(authors: tuple[Authorship, ...], said: str) -> None:
    """The first line says whether it speaks as the person, the second what it cannot hold."""
    first, second = purpose_of(history(*authors)).splitlines()
    assert said in first
    assert second == LIMITS


def test_a_pool_is_no_one() -> None:
    """Nor is it called by the name of a user."""
    found = purpose_of(history("user", pooled=Pooled(n_users=7, seed=0)))
    assert "speak as 7 people in one" in found
    assert "pooled" not in found


def test_the_name_can_be_chosen() -> None:
    """For a file of many."""
    assert "speak as the person" in purpose({"user"}, who="the person")
