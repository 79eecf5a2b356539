"""Finding a user by an id, the start of one, or nothing."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.data.resolve import may_be, resolve_user
from lorecall.data.samples import Rules
from lorecall.data.users import Users
from lorecall.errors import DataError

COUNTS = {"anna": 5, "annika": 3, "bob": 9, "ann": 1}


def resolve(user: str, counts: dict[str, int]) -> str:
    """Look a user up among users with so many replies."""
    users = Users(Rules())
    for name, n in counts.items():
        users.count(name, n)
    return resolve_user(user, users)


class TestResolveUser:
    """Full ids, starts of ids, and neither."""

    @pytest.mark.parametrize(
        ("given_id", "found"), [("bob", "bob"), ("b", "bob"), ("anni", "annika")]
    )
    def test_a_full_id_or_a_start_that_fits_one(self, given_id: str, found: str) -> None:
        """The start of an id is enough where it is unique."""
        assert resolve(given_id, COUNTS) == found

    def test_a_full_id_wins_over_longer_ones(self) -> None:
        """`ann` is a user, though two others start so."""
        assert resolve("ann", COUNTS) == "ann"

    @pytest.mark.parametrize(
        ("given_id", "found"),
        [
            ("BOB", "bob"),
            ("B", "bob"),
            ("nora", "Nora (7)"),
            ("JOSE\u0301", "Jos\u00e9"),
            ("jos\u00e9", "Jos\u00e9"),
            ("stra\u00dfe", "STRASSE 1"),
            ("Eve", "Eve"),
            ("ev", "eve x"),
        ],
    )
    def test_case_matters_last(self, given_id: str, found: str) -> None:
        """Exact ids come first, then exact starts, then those that differ in case alone."""
        names = ("bob", "Nora (7)", "Jos\u00e9", "STRASSE 1", "Eve", "eve x")
        assert resolve(given_id, dict.fromkeys(names, 1)) == found

    def test_case_that_does_not_decide(self) -> None:
        """The message names who it may be."""
        with pytest.raises(DataError, match=r"'NORA', which fits 2: 'Nora', 'nora'\."):
            resolve("NORA", {"Nora": 2, "nora": 1})

    def test_the_only_user(self) -> None:
        """Is who is meant when nobody is named."""
        users = Users(Rules())
        users.count("ann")
        assert resolve_user(None, users) == "ann"
        users.count("bob", 3)
        with pytest.raises(DataError, match="2 users: 'bob', 'ann'"):
            resolve_user(None, users)

    @given(st.text(), st.text())
    def test_whoever_is_found_may_be(self, name: str, user: str) -> None:
        """The filter that runs before lets nobody go who is found in the end."""
        with contextlib.suppress(DataError):
            assert may_be(user, resolve(user, {name: 1}))

    def test_an_ambiguous_start_lists_the_matches(self) -> None:
        """The message shows them, those with the most replies first, and counts them."""
        with pytest.raises(DataError, match=r"'an', which fits 3: 'anna', 'annika', 'ann'\."):
            resolve("an", COUNTS)

    def test_many_matches_are_cut(self) -> None:
        """The first five and the number of all."""
        with pytest.raises(DataError, match=r"fits 50: ('u\d+', ){5}\.\.\."):
            resolve("u", {f"u{i}": i for i in range(1, 51)})

    def test_an_unknown_id_names_the_nearest(self) -> None:
        """A slip of the finger is answered by what was meant."""
        with pytest.raises(DataError, match=r"'annika'"):
            resolve("Anika", COUNTS)

    def test_a_mistyped_start_of_a_long_id_names_the_nearest(self) -> None:
        """The start is compared with starts, not with whole ids."""
        counts = {"4fde054d-4dd0-4f63": 1, "31267496-e50f-4f91": 9}
        with pytest.raises(DataError, match=r"such as '4fde054d-4dd0-4f63', got"):
            resolve("4fde054e", counts)

    def test_nothing_near_names_the_largest(self) -> None:
        """Then the users with the most replies are shown."""
        with pytest.raises(DataError, match=r"such as 'bob', 'anna'"):
            resolve("zzzzzz", COUNTS)

    @pytest.mark.parametrize("counts", [{}, {"bob": 1}])
    def test_an_empty_id_fits_nobody(self, counts: dict[str, int]) -> None:
        """Not even the only user there is."""
        with pytest.raises(DataError, match="must be in the data"):
            resolve("", counts)

    @given(st.dictionaries(st.text(), st.integers(1, 9), max_size=8), st.text())
    def test_it_finds_a_known_user_or_raises_its_own_error(
        self, counts: dict[str, int], user: str
    ) -> None:
        """No text breaks it."""
        try:
            assert resolve(user, counts) in counts
        except DataError:
            assert user not in counts
