"""Finding a user and summing up what each has."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.data.events import Reply
from lorecall.data.samples import REPEATED, Rules
from lorecall.data.users import Users, may_be, resolve_user
from lorecall.errors import DataError

COUNTS = {"anna": 5, "annika": 3, "bob": 9, "ann": 1}


def resolve(user: str, counts: dict[str, int]) -> str:
    """Look a user up among users with so many replies."""
    users = Users(Rules())
    for name, n in counts.items():
        users.count(name, n)
    return resolve_user(user, users)


def reply(user: str, query: str, response: str, conversation: str = "c1") -> Reply:
    """Make a pair."""
    return Reply(user, conversation, query, response)


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


class TestUsers:
    """Counting without keeping."""

    def test_the_means_are_those_of_the_usable(self) -> None:
        """A dropped reply counts as a text, not as a sample."""
        users = Users(Rules(min_words=2))
        for query, response in (("a b c", "d e"), ("a", "d e f g"), ("a", "short")):
            users.reply(reply("ann", query, response))
        (summary,) = users.summaries()
        assert (summary.n_samples, summary.n_conversations, summary.n_texts) == (2, 1, 3)
        assert (summary.query_words, summary.response_words) == (2.0, 3.0)
        assert summary.text_words == pytest.approx(7 / 3)

    def test_users_are_those_who_replied(self) -> None:
        """Most samples first, equal ones by name; who only opened is none."""
        users = Users(Rules(repeats=False))
        users.text("eve", "hi there")
        for name in ("bob", "ann", "cat"):
            users.reply(reply(name, "q", f"{name} says"))
        users.reply(reply("cat", "q", "more"))
        assert [user.user for user in users.summaries()] == ["cat", "ann", "bob"]
        assert [user.user for user in users.summaries(1)] == ["cat"]
        assert users.n_users() == 3

    def test_a_text_given_again_counts_once(self) -> None:
        """For each user."""
        users = Users(Rules())
        users.reply(reply("ann", "q", "r"))
        for text in ("said before", "said before", "another"):
            users.text_once("ann", text)
        users.text_once("bob", "said before")
        assert users.summaries()[0].n_texts == 3

    def test_totals_are_those_of_users_with_a_sample(self) -> None:
        """An unusable reply makes a user, but no row of Table 1."""
        users = Users(Rules())
        assert users.totals().n_users == 0
        assert users.totals().response_words == 0
        users.reply(reply("ann", "q", "one two"))
        users.reply(reply("ann", "q", "one two three four"))
        users.reply(reply("bob", "", "five"))
        totals = users.totals()
        assert (totals.n_users, totals.n_samples, totals.n_texts) == (1, 2, 2)
        assert totals.response_words == totals.text_words == 3.0

    def test_more_users_than_fit_in_memory(self) -> None:
        """What went to disk is counted on: samples, repeats and conversations."""
        users = Users(Rules(repeats=False))
        for _ in range(2):
            for i in range(110_000):
                users.reply(reply(f"u{i}", "q", "the same", "c"))
        totals = users.totals()
        assert (totals.n_users, totals.n_samples, totals.n_texts) == (110_000, 110_000, 220_000)
        assert users.reply(reply("u5", "q", "the same")) == REPEATED
        assert users.summaries(1)[0].n_conversations == 1
        assert resolve_user("u109999", users) == "u109999"

    def test_the_draw_depends_on_the_seed_alone(self) -> None:
        """Not on the order of the file."""
        drawn: list[list[str]] = []
        for names, seed in (("abcdef", 1), ("fedcba", 1), ("abcdef", 2)):
            users = Users(Rules())
            for name in names:
                users.count(name)
            drawn.append([user for user, _ in users.drawn(seed)])
        assert drawn[0] == drawn[1] != drawn[2]
        assert sorted(drawn[0]) == list("abcdef")

    def test_a_full_disk_is_an_error_of_the_system(
        self, file_size_limit: Callable[[int], None]
    ) -> None:
        """Which the command line reports as one."""
        users = Users(Rules())

        def count_many() -> None:
            for i in range(200_000):
                users.count(f"{i} {'x' * 300}")

        file_size_limit(100_000)
        with pytest.raises(OSError, match="no room for the counts of users"):
            count_many()
