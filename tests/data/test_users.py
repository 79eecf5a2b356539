"""Finding a user and summing up what each has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.data.samples import Dialogue, Rules, Spoken
from lorecall.data.users import UserTally, repliers, resolve_user
from lorecall.errors import DataError

COUNTS = {"anna": 5, "annika": 3, "bob": 9, "ann": 1}


class TestResolveUser:
    """Full ids, starts of ids, and neither."""

    @pytest.mark.parametrize(
        ("given_id", "found"), [("bob", "bob"), ("b", "bob"), ("anni", "annika")]
    )
    def test_a_full_id_or_a_start_that_fits_one(self, given_id: str, found: str) -> None:
        """The start of an id is enough where it is unique."""
        assert resolve_user(given_id, COUNTS) == found

    def test_a_full_id_wins_over_longer_ones(self) -> None:
        """`ann` is a user, though two others start so."""
        assert resolve_user("ann", COUNTS) == "ann"

    def test_an_ambiguous_start_lists_the_matches(self) -> None:
        """The message shows them, those with the most replies first, and counts them."""
        with pytest.raises(DataError, match=r"'an', which fits 3: 'anna', 'annika', 'ann'\."):
            resolve_user("an", COUNTS)

    def test_many_matches_are_cut(self) -> None:
        """The first five and the number of all."""
        with pytest.raises(DataError, match=r"fits 50: ('u\d+', ){5}\.\.\."):
            resolve_user("u", {f"u{i}": i for i in range(50)})

    def test_an_unknown_id_names_the_nearest(self) -> None:
        """A slip of the finger is answered by what was meant."""
        with pytest.raises(DataError, match=r"'annika'"):
            resolve_user("Anika", COUNTS)

    def test_a_mistyped_start_of_a_long_id_names_the_nearest(self) -> None:
        """The start is compared with starts, not with whole ids."""
        counts = {"4fde054d-4dd0-4f63": 1, "31267496-e50f-4f91": 9}
        with pytest.raises(DataError, match=r"such as '4fde054d-4dd0-4f63', got"):
            resolve_user("4fde054e", counts)

    def test_nothing_near_names_the_largest(self) -> None:
        """Then the users with the most replies are shown."""
        with pytest.raises(DataError, match=r"such as 'bob', 'anna'"):
            resolve_user("zzzzzz", COUNTS)

    @pytest.mark.parametrize("counts", [{}, {"bob": 1}])
    def test_an_empty_id_fits_nobody(self, counts: dict[str, int]) -> None:
        """Not even the only user there is."""
        with pytest.raises(DataError, match="must be in the data"):
            resolve_user("", counts)

    @given(st.dictionaries(st.text(), st.integers(0, 9), max_size=8), st.text())
    def test_it_finds_a_known_user_or_raises_its_own_error(
        self, counts: dict[str, int], user: str
    ) -> None:
        """No text breaks it."""
        try:
            assert resolve_user(user, counts) in counts
        except DataError:
            assert user not in counts


class TestSummaries:
    """Counting without keeping."""

    def test_the_means_are_those_of_the_usable(self) -> None:
        """A dropped reply counts as a text, not as a sample."""
        tally = UserTally(Rules(min_words=2))
        for query, response in (("a b c", "d e"), ("a", "d e f g"), ("a", "short")):
            tally.text(response)
            tally.reply("c1", query, response)
        summary = tally.summary("ann")
        assert (summary.n_samples, summary.n_conversations, summary.n_texts) == (2, 1, 3)
        assert (summary.query_words, summary.response_words) == (2.0, 3.0)
        assert summary.text_words == pytest.approx(7 / 3)

    def test_nothing_counted_is_zero(self) -> None:
        """No division by nothing."""
        summary = UserTally(Rules()).summary("ann")
        assert (summary.n_samples, summary.response_words, summary.text_words) == (0, 0.0, 0.0)

    def test_repliers_are_sorted_and_complete(self) -> None:
        """Who only opened a conversation is not among them; openers count as texts."""
        turns = [("eve", "hi"), ("bob", "x y"), ("ann", "z"), ("bob", "x"), ("ann", "w")]
        spoken = tuple(Spoken(author, text, None) for author, text in turns)
        lone = Dialogue("c2", (Spoken("ann", "anyone there", None),))
        found = repliers([Dialogue("c1", spoken), lone], rules=Rules())
        assert [(s.user, s.n_samples, s.n_texts) for s in found] == [("ann", 2, 3), ("bob", 2, 2)]
