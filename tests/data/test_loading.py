"""From a stream of events to a history, a summary or a pool."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lorecall.data.events import (
    About,
    Dialogue,
    Dropped,
    Earlier,
    Event,
    Known,
    Reply,
    Said,
    Spoken,
    among_people,
    located,
    with_assistant,
)
from lorecall.data.history import split_history
from lorecall.data.loader import Dataset, Loader
from lorecall.data.loading import NOT_DRAWN, events, history_from, summary_from
from lorecall.data.pool import merged
from lorecall.data.samples import Rules
from lorecall.data.user_filter import UserFilter
from lorecall.errors import DataError
from lorecall.records import History, Sample, Statement, Turn


def loader(*events: Event, strict: bool = False, rules: Rules = Rules()) -> Loader:  # noqa: B008
    """Make a format whose files hold these events."""

    def read(paths: Sequence[Path]) -> Iterator[Event]:
        del paths
        yield from events

    made_up = Dataset(name="made up", title="", licence="", origin="")
    return Loader(dataset=made_up, record="good", rules=rules, read=read, strict=strict)


def pairs(user: str, n: int) -> list[Event]:
    """Make pairs of a user, each in a conversation of its own."""
    return [Reply(user, f"{user}{i}", f"query {i}", f"response {i} of {user}") for i in range(n)]


class TestLoadHistory:
    """One user out of all."""

    @pytest.mark.parametrize("given", ["Nora", "Nor", "nora", "NORA K", "nora k\u00f6hl"])
    def test_case_and_accents_matter_last(self, given: str) -> None:
        """Whoever is meant by it is loaded, with everything of that user's."""
        events = (*pairs("Nora Ko\u0308hl", 3), *pairs("Ann", 2))
        history = history_from(loader(*events), [], user=given)
        assert (history.user, len(history.samples)) == ("Nora Ko\u0308hl", 3)

    def test_the_only_user_need_not_be_named(self) -> None:
        """However many events there are."""
        events = [*pairs("ann", 21_000), Said("bob", "x", "only opened")]
        history = history_from(loader(*events), [])
        assert (history.user, len(history.samples)) == ("ann", 21_000)

    def test_several_users_are_named(self) -> None:
        """Rather than one of them taken."""
        with pytest.raises(DataError, match=r"got none, and 2 users: 'bob', 'ann'\. Say whose"):
            history_from(loader(*pairs("ann", 1), *pairs("bob", 2)), [])

    def test_no_user_at_all(self) -> None:
        """A file where nobody answers."""
        with pytest.raises(DataError, match="got none, and 0 users"):
            history_from(loader(Said("bob", "x", "hello")), [])

    def test_only_what_is_the_users_is_kept(self) -> None:
        """And the drops that may be the user's."""
        events = (
            *(Known("ann", "has a dog"), Known("bob", "has a cat"), Said("ann", "x", "hi")),
            *(*pairs("ann", 2), *pairs("bob", 3), Dropped("bob's", 1, user="bob")),
            *(Dropped("somebody's", 2), Dropped("ann's", 3, user="ann")),
        )
        history = history_from(loader(*events), [], user="an")
        assert (history.user, len(history.samples), history.profile) == ("ann", 2, ("has a dog",))
        assert history.dropped == {"somebody's": 1, "ann's": 1}
        assert history.pooled is None

    def test_what_a_conversation_is_about_comes_before_its_replies(self) -> None:
        """Unless something does already; whichever user it is."""
        before = (Turn(by_author=True, text="before"),)
        events = (
            Reply("ann", "lamp", "q", "r1", earlier=()),
            Reply("ann", "lamp", "q", "r2", earlier=before),
            Reply("ann", "sofa", "q", "r3", earlier=()),
            Reply("bob", "lamp", "q", "r4", earlier=()),
            *(About("lamp", "a lamp of tin"), About("rug", "a rug")),
        )
        turns = [s.earlier for s in history_from(loader(*events), [], user="ann").samples]
        lamp = (Turn(by_author=False, text="a lamp of tin"),)
        assert turns == [lamp, before, ()]
        assert history_from(loader(*events), [], user="pooled").samples[0].earlier in (lamp, ())

    def test_a_user_among_very_many_that_start_so(self) -> None:
        """Is read a second time, alone."""
        events = [event for i in range(21_000) for event in pairs(f"u{i}", 1)]
        history = history_from(loader(*events, *pairs("u", 2)), [], user="u")
        assert [sample.user for sample in history.samples] == ["u", "u"]

    def test_a_strict_format_refuses_a_broken_row(self) -> None:
        """But not one that is left out by rule."""
        broken = Dropped("bad", 7, detail="very bad")
        with pytest.raises(DataError, match=r"each row must be good: .* got line 7: very bad"):
            history_from(loader(*pairs("ann", 1), broken, strict=True), [], user="ann")
        left_out = Dropped("bad", 7, broken=False)
        assert history_from(loader(*pairs("ann", 1), left_out, strict=True), [], user="ann")


class TestFiles:
    """What is told of files."""

    def test_without_a_reply_it_says_what_a_file_looks_like(self, tmp_path: Path) -> None:
        """And where more is told."""
        (tmp_path / "x").write_text('{"prompt": "a", "completion": "b"}\n')
        for user in ("ann", None, "pooled"):
            with pytest.raises(DataError, match="must hold someone's replies") as error:
                history_from(loader(Dropped("bad", 1)), [tmp_path / "x"], user=user)
            assert "no reply in JSON objects with the fields completion, prompt" in error.value.got
        summary = summary_from(loader(Dropped("bad", 1)), [tmp_path / "x"])
        assert "no reply was found. The file is JSON objects" in str(summary.refusal)

    def test_what_two_files_have_counts_once(self) -> None:
        """A turn by its place in a conversation, what answers nobody by its text; in order."""
        turns = (
            Spoken("bob", "hi", 1.0),
            Spoken("ann", "hello to you", 2.0),
            Spoken("bob", "so", 3.0),
        )
        first, longer = (tuple(among_people(Dialogue("c", turns[:n]))) for n in (2, 3))
        both = loader(*first, *longer, Said("bob", "c", "hi", 9.0))
        paths = [Path("none"), Path("nil")]
        assert list(events(both, paths)) == [
            *first,
            *[
                Dropped("message that another file has too", 0, broken=False, user=u)
                for u in ("bob", "ann")
            ],
            longer[2],
            Said("bob", "c", "hi", 9.0),
        ]
        assert list(events(both, paths[:1])) == [*first, *longer, Said("bob", "c", "hi", 9.0)]


class TestKept:
    """What is kept of what goes by."""

    def test_beyond_the_room_nothing_is_kept(self) -> None:
        """Half of a user's events would be worse than none."""
        kept = UserFilter(lambda user: user.startswith("a"), room=3)
        for event in [*pairs("b", 9), *pairs("ann", 3)]:
            kept.add(event)
        assert (kept.overflowed, len(list(kept.events_of("ann")))) == (False, 3)
        kept.add(pairs("abe", 1)[0])
        kept.add(pairs("ann", 1)[0])
        assert (kept.overflowed, list(kept.events_of("ann"))) == (True, [])

    @pytest.mark.parametrize(("everyones", "lost"), [(True, 2), (False, 1)])
    def test_whose_drops_are_counted(self, everyones: bool, lost: int) -> None:  # noqa: FBT001
        """Nobody's always; those of other users in a pool alone."""
        kept = UserFilter("ann".__eq__, everyones_drops=everyones)
        for user in (None, "bob", "ann"):
            kept.add(Dropped("bad", 1, user=user))
        assert kept.lost == {"bad": lost}
        assert len(list(kept.events_of("ann"))) == 1


class TestSummarise:
    """Counts of everything."""

    def test_every_reply_is_a_sample_or_a_drop(self) -> None:
        """Broken rows are problems, others are not."""
        events = (
            *(*pairs("ann", 2), *pairs("ann", 1), Reply("bob", "c", " ", "r")),
            *(Dropped("broken", 4, detail="there"), Dropped("by rule", 5, broken=False)),
        )
        summary = summary_from(loader(*events, rules=Rules(repeats=False)), [])
        assert (summary.n_replies, summary.totals.n_samples, summary.n_users) == (4, 2, 2)
        assert summary.dropped == {
            "repeated response": 1,
            "empty query": 1,
            "broken": 1,
            "by rule": 1,
        }
        assert summary.n_problems == 1
        assert (summary.problems[0].line, summary.problems[0].reason) == (4, "there")

    def test_as_many_users_as_asked_for(self) -> None:
        """The counts stay those of all."""
        events = [event for i in range(5) for event in pairs(f"u{i}", i + 1)]
        summary = summary_from(loader(*events), [], n_users=2)
        assert [user.user for user in summary.users] == ["u4", "u3"]
        assert (summary.n_users, summary.totals.n_samples) == (5, 15)

    def test_a_drop_says_in_which_file_it_is(self) -> None:
        """Other events are as they were."""
        reply = pairs("ann", 1)[0]
        found = list(located([reply, Dropped("bad", 3)], Path("folder/name.txt")))
        assert found == [reply, Dropped("bad", 3, file="name.txt")]


class TestPool:
    """Many users as one."""

    def test_a_user_stands_where_a_conversation_does(self) -> None:
        """The profile is what the user said; the sample stays the user's."""
        sample = Sample(id="1", user="ann", conversation="c", query="q", response="r")
        said = Statement(conversation="d", text="hi")
        ann = History(
            dataset="x",
            user="ann",
            samples=(sample,),
            statements=(said,),
            profile=("is tall",),
            dropped={"bad": 1},
        )
        silent = History(
            dataset="x", user="bob", samples=(), statements=(said,), dropped={"bad": 2}
        )
        pool = merged([ann, silent], dataset="x", seed=5)
        assert {part.conversation for part in (*pool.samples, *pool.statements)} == {"ann"}
        assert [statement.text for statement in pool.statements] == ["hi", "is tall"]
        assert (pool.samples[0].user, pool.profile, pool.dropped) == ("ann", (), {"bad": 3})
        assert (pool.pooled and (pool.pooled.n_users, pool.pooled.seed)) == (1, 5)

    def test_a_pair_that_two_users_have_counts_once(self) -> None:
        """The first one's: the other may be on the other side of the cut."""
        events = [Reply(f"u{i}", f"c{i}", "how are you?", "fine thanks") for i in range(4)]
        pool = history_from(loader(*events, *pairs("ann", 20)), [], user="pooled")
        assert len(pool.samples) == 21
        assert pool.dropped == {"pair that another user has": 3}

    def test_the_parts_are_of_different_users(self) -> None:
        """70/10/20 of the samples; what is known of the held-out users is not in the content."""
        events = [
            event
            for i in range(40)
            for event in (*pairs(f"u{i}", 1 + i % 3), Known(f"u{i}", f"known {i}"))
        ]
        split = split_history(history_from(loader(*events), [], user="pooled", seed=2))
        parts = [{s.user for s in part} for part in (split.train, split.valid, split.test)]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 40
        sizes = [len(part) / 79 for part in (split.train, split.valid, split.test)]
        assert sizes == pytest.approx([0.7, 0.1, 0.2], abs=0.03)
        known = {text for text in split.own_content if text.startswith("known")}
        assert known == {f"known {user[1:]}" for user in parts[0]}

    def test_the_order_of_the_file_does_not_matter(self) -> None:
        """Only the seed does."""
        events = [event for i in range(9) for event in pairs(f"u{i}", 2)]
        pools = [
            history_from(loader(*given), [], user="pooled", seed=seed).samples
            for given, seed in ((events, 0), (events[8:] + events[:8], 0), (events, 1))
        ]
        assert (
            [s.user for s in pools[0]] == [s.user for s in pools[1]] != [s.user for s in pools[2]]
        )

    def test_a_full_pool_leaves_whole_users_out(self) -> None:
        """And counts their replies; drops of everyone are counted too."""
        events = [event for i in range(9) for event in pairs(f"u{i}", 2)]
        made = loader(*events, Dropped("bad", 1, user="nobody"))
        pool = history_from(made, [], user="pooled", max_pooled=7)
        assert len(pool.samples) == 6
        assert pool.dropped == {"bad": 1, NOT_DRAWN: 12}


class TestWithAssistant:
    """Dialogues with an assistant."""

    def test_defects_and_what_got_no_answer(self) -> None:
        """A user's turn is a query, a statement or a drop, and never two of them."""
        turns = (
            *(Spoken("a", "hello"), Spoken("u", "one"), Spoken("a", "two")),
            *(
                Spoken("u", "three", defect="bad"),
                Spoken("u", "four"),
                Spoken("a", "x", defect="odd"),
            ),
            *(Spoken("a", "again"), Spoken("u", "five", defect="bad"), Spoken("a", "six")),
            Spoken("u", "seven"),
        )
        events = list(with_assistant(Dialogue("d", turns), user="ann", assistant="a", place=3))
        assert [event for event in events if isinstance(event, Dropped)] == [
            Dropped("bad (unanswered)", 3, broken=False, user="ann"),
            Dropped("odd", 3, broken=False, user="ann"),
            Dropped("bad", 3, broken=False, user="ann"),
        ]
        assert [event.text for event in events if isinstance(event, Said)] == ["four", "seven"]
        (reply,) = (event for event in events if isinstance(event, Reply))
        assert (reply.query, reply.response, reply.own_text) == ("one", "two", "one")
        assert isinstance(reply.earlier, Earlier)
        assert reply.earlier.turns() == (Turn(by_author=True, text="hello"),)
        assert reply.partner is None  # an assistant is nobody whom one meets


class TestWhoCanBeLearnt:
    """The rule of the split, told of each user and of all."""

    def test_each_user(self) -> None:
        """Twenty samples, in three conversations."""
        one = [Reply("cat", "one", f"q {i}", f"response {i} of cat") for i in range(30)]
        summary = summary_from(loader(*pairs("ann", 20), *pairs("bob", 19), *one), [])
        found = {user.user: user.learnable for user in summary.users}
        assert found == {"ann": True, "bob": False, "cat": False}
        assert summary.n_learnable == 1
        assert summary.refusal is None

    @pytest.mark.parametrize(
        ("users", "next_step"), [("ab", "Export a longer chat"), ("abc", "--user pooled")]
    )
    def test_nobody(self, users: str, next_step: str) -> None:
        """What can be done depends on whether they can be pooled."""
        summary = summary_from(loader(*(event for user in users for event in pairs(user, 10))), [])
        assert summary.n_learnable == 0
        assert "at least 20 usable samples in 3 conversations" in str(summary.refusal)
        assert next_step in str(summary.refusal)

    def test_a_broken_row_of_a_strict_format(self) -> None:
        """Refuses everyone, and is none of anyone's business elsewhere."""
        events = (*pairs("ann", 20), Dropped("bad", 1))
        strict = summary_from(loader(*events, strict=True), [], strict=False)
        assert "broken rows are refused" in str(strict.refusal)
        assert summary_from(loader(*events), []).refusal is None

    def test_who_wrote_the_usable_responses(self) -> None:
        """An unusable one tells nothing."""
        events = [*pairs("ann", 1), Reply("ann", "c", "q", "", authored_by="assistant")]
        assert summary_from(loader(*events), []).authored_by == {"user"}
        assert summary_from(loader(events[1]), []).authored_by == frozenset()

    def test_it_is_plain_json(self) -> None:
        """Everything that a command prints of it."""
        summary = summary_from(loader(*pairs("ann", 20), Dropped("bad", 1)), [])
        value = json.loads(json.dumps(summary.as_json()))
        assert value["users"][0]["learnable"] is True
        assert (value["format"], value["n_problems"], value["refusal"]) == ("", 1, None)
