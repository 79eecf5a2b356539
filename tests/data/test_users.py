"""Summing up what each user has."""

from collections.abc import Callable

import pytest

from lorecall.data.events import Reply
from lorecall.data.resolve import resolve_user
from lorecall.data.samples import REPEATED, Rules
from lorecall.data.users import Users


def reply(user: str, query: str, response: str, conversation: str = "c1") -> Reply:
    """Make a pair."""
    return Reply(user, conversation, query, response)


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
