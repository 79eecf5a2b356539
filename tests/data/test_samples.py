"""From turns to samples: rules, drops, earlier turns, statements."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.data.events import Dialogue, Dropped, Known, Reply, Said, Spoken, among_people
from lorecall.data.samples import Rules, history_of, seconds, unix_seconds
from lorecall.data.seen import Seen
from lorecall.records import History, Turn

CHAT = Rules(min_words=3, max_words=6, repeats=False)


def talk(*turns: tuple[str, str], name: str = "c1", start: float = 0.0) -> Dialogue:
    """Make a dialogue of (author, text) turns, one a second."""
    spoken = (Spoken(author, text, start + i) for i, (author, text) in enumerate(turns))
    return Dialogue(name, tuple(spoken))


def collect(*dialogues: Dialogue, rules: Rules = CHAT) -> History:
    """Collect what ann wrote."""
    events = (e for dialogue in dialogues for e in among_people(dialogue) if e.user == "ann")
    return history_of(events, user="ann", dataset="made up", rules=rules)


class TestHistoryOf:
    """Collecting one speaker's replies."""

    def test_a_reply_becomes_a_sample(self) -> None:
        """The turn before is the query, the time is the response's."""
        history = collect(talk(("bob", "how are you"), ("ann", "fine thank you")))
        (sample,) = history.samples
        assert (sample.query, sample.response, sample.time) == (
            "how are you",
            "fine thank you",
            1.0,
        )
        assert (sample.user, sample.conversation, sample.earlier) == ("ann", "c1", ())

    def test_a_sample_knows_whom_it_answers(self) -> None:
        """Who spoke right before, of however many there are."""
        turns = (("bob", "hi"), ("ann", "one two three"), ("cem", "so"), ("ann", "four five six"))
        assert [s.partner for s in collect(talk(*turns)).samples] == ["bob", "cem"]

    def test_at_most_two_earlier_turns_oldest_first(self) -> None:
        """The turns right before the query, each with its side."""
        history = collect(
            talk(
                ("bob", "one"),
                ("ann", "two two two"),
                ("bob", "three"),
                ("ann", "four four four"),
                ("bob", "five"),
                ("ann", "six six six"),
            )
        )
        assert history.samples[1].earlier == (
            Turn(by_author=False, text="one"),
            Turn(by_author=True, text="two two two"),
        )
        assert history.samples[2].earlier == (
            Turn(by_author=False, text="three"),
            Turn(by_author=True, text="four four four"),
        )

    def test_an_opener_is_a_statement(self) -> None:
        """What answers nobody is no sample, and no drop either."""
        history = collect(talk(("ann", "hello to you all"), ("bob", "hi")))
        assert [s.text for s in history.statements] == ["hello to you all"]
        assert (history.samples, dict(history.dropped)) == ((), {})

    def test_a_turn_after_the_own_turn_is_a_statement(self) -> None:
        """One does not reply to oneself."""
        history = collect(talk(("bob", "hi"), ("ann", "one two three"), ("ann", "four five six")))
        assert [s.response for s in history.samples] == ["one two three"]
        assert [s.text for s in history.statements] == ["four five six"]

    def test_drops_are_counted_by_reason_and_kept_as_statements(self) -> None:
        """Short, long, repeated and unprompted replies; nothing is lost but empty text."""
        history = collect(
            talk(
                ("bob", "a"),
                ("ann", "too short"),
                ("bob", "b"),
                ("ann", "this one is much too long now"),
                ("bob", "c"),
                ("ann", "just right this"),
                ("bob", "d"),
                ("ann", "Just  right THIS"),
                ("bob", " "),
                ("ann", "answer to nothing"),
                ("bob", "e"),
                ("ann", ""),
            )
        )
        assert [s.response for s in history.samples] == ["just right this"]
        assert history.dropped == {
            "response too short: under 3 words": 1,
            "response too long: over 6 words": 1,
            "repeated response": 1,
            "empty query": 1,
            "empty response": 1,
        }
        assert len(history.statements) == 4

    def test_a_repeat_is_found_across_conversations(self) -> None:
        """The earlier one, in the order of the dialogues, is kept."""
        first = talk(("bob", "a"), ("ann", "one two three"), name="c1")
        second = talk(("eve", "b"), ("ann", "one two three"), name="c2")
        assert [s.conversation for s in collect(first, second).samples] == ["c1"]

    def test_another_speakers_words_do_not_count_as_repeats(self) -> None:
        """Only the user's own earlier responses matter."""
        history = collect(talk(("bob", "one two three"), ("ann", "one two three")))
        assert len(history.samples) == 1

    def test_ids_are_unique_and_stable(self) -> None:
        """The same words in answer to others are another sample."""
        dialogue = talk(("bob", "a"), ("ann", "yes"), ("bob", "b"), ("ann", "yes"))
        ids = [sample.id for sample in collect(dialogue, rules=Rules()).samples]
        assert len(set(ids)) == 2
        assert ids == [sample.id for sample in collect(dialogue, rules=Rules()).samples]

    def test_a_stranger_has_an_empty_history(self) -> None:
        """No turn, no sample, no error."""
        assert collect(talk(("bob", "a"), ("eve", "b"))).samples == ()


def replies(*events: Reply | Said | Known | Dropped, rules: Rules = Rules()) -> History:  # noqa: B008
    """Make a history of events."""
    return history_of(events, user="ann", dataset="made up", rules=rules)


class TestEvents:
    """What every loader brings."""

    def test_conversations_are_ordered_by_their_start(self) -> None:
        """Where it is known; a reply's own time does not matter then."""
        late = Reply("ann", "late", "q", "r late", time=1.0, started=9.0)
        early = Reply("ann", "early", "q", "r early", time=5.0, started=2.0)
        assert [s.conversation for s in replies(late, early).samples] == ["early", "late"]

    @pytest.mark.parametrize(
        ("times", "order"),
        [
            ((9.0, None), "ab"),
            ((None, 9.0), "ab"),
            ((9.0, None, 3.0), "cba"),
            ((3.0, None, 9.0, 1.0), "dabc"),
            ((9.0, None, None, 3.0), "dbca"),
            ((None, None), "ab"),
        ],
    )
    def test_one_unknown_time_stays_between_its_neighbours(
        self, times: tuple[float | None, ...], order: str
    ) -> None:
        """Others are put in order all the same; without any the order is the file's."""
        events = (
            Reply("ann", name, "q", f"r {name}", time=time)
            for name, time in zip("abcd", times, strict=False)
        )
        found = "".join(sample.conversation for sample in replies(*events).samples)
        assert found == order

    def test_a_pair_counts_once(self) -> None:
        """Whenever it was given; it is no statement either. Another query makes another pair."""
        events = (
            *(Reply("ann", "a", "q", "r", time=1.0), Reply("ann", "b", " q", "r ", time=2.0)),
            *(Reply("ann", "c", "q", "r"), Reply("ann", "d", "another", "r", time=3.0)),
        )
        history = replies(*events)
        assert [sample.conversation for sample in history.samples] == ["a", "d"]
        assert (history.dropped, history.statements) == ({"pair given before": 2}, ())

    def test_the_pair_before_is_the_earlier_turns(self) -> None:
        """Of the same conversation, in time order, where a loader gives none."""
        events = (
            Reply("ann", "c", "third", "fourth", time=2.0),
            Reply("ann", "d", "x", "y", time=1.5),
            Reply("ann", "c", "first", "second", time=1.0),
        )
        last = replies(*events).samples[1]
        assert last.query == "third"
        assert last.earlier == (
            Turn(by_author=False, text="first"),
            Turn(by_author=True, text="second"),
        )

    def test_what_is_given_again_is_one_statement(self) -> None:
        """But two equal openers are two."""
        events = (
            *(Said("ann", "c", "before", again=True), Said("ann", "d", "before", again=True)),
            *(Said("ann", "c", "hi"), Said("ann", "d", "hi")),
        )
        assert sorted(s.text for s in replies(*events).statements) == ["before", "hi", "hi"]

    def test_drops_and_the_profile_are_gathered(self) -> None:
        """Profile sentences without repeats."""
        history = replies(
            *(Known("ann", " likes tea "), Known("ann", "likes tea"), Known("ann", " ")),
            *(Dropped("broken", 1), Dropped("broken", 2), Reply("ann", "c", "q", " ")),
        )
        assert history.profile == ("likes tea",)
        assert history.dropped == {"broken": 2, "empty response": 1}

    def test_more_drops_can_be_counted(self) -> None:
        """The history stays as it is."""
        history = replies(Dropped("broken", 1))
        assert history.with_drops({"broken": 1, "lost": 2}).dropped == {"broken": 2, "lost": 2}
        assert history.dropped == {"broken": 1}


class TestRules:
    """Rules as data."""

    @pytest.mark.parametrize(
        ("n_words", "reason"),
        [
            (2, "response too short: under 3 words"),
            (3, None),
            (6, None),
            (7, "response too long: over 6 words"),
        ],
    )
    def test_the_bounds_are_inclusive(self, n_words: int, reason: str | None) -> None:
        """Both ends of the range are usable."""
        found = CHAT.drop_reason("query", "word " * n_words, is_new=Seen().is_new)
        assert found == reason

    def test_the_default_rules_drop_only_the_empty(self) -> None:
        """Repeats, short and long responses stay, but for a pair that was given before."""
        pairs = (("q", "a"), ("p", "a"), ("q", "a " * 500), ("q", " \n"), ("q ", "a"))
        is_new = Seen().is_new
        reasons = [Rules().drop_reason(*pair, is_new=is_new) for pair in pairs]
        assert reasons == [None, None, None, "empty response", "pair given before"]

    @given(st.text(), st.text())
    def test_what_is_kept_once_is_dropped_the_second_time(self, query: str, response: str) -> None:
        """A usable reply is never usable twice where repeats are dropped."""
        rules, is_new = Rules(repeats=False), Seen().is_new
        first = rules.drop_reason(query, response, is_new=is_new)
        second = rules.drop_reason(query, response, is_new=is_new)
        assert second == ("repeated response" if first is None else first)

    @pytest.mark.parametrize("text", ["It is  so", " it IS so\n", "it\tis\x1fso", "IT is so "])
    def test_case_and_blanks_make_no_other_response(self, text: str) -> None:
        """Whatever the blanks are."""
        rules, is_new = Rules(repeats=False), Seen().is_new
        reasons = [rules.drop_reason("q", each, is_new=is_new) for each in ("it is so", text)]
        assert reasons == [None, "repeated response"]

    def test_repeats_may_be_told_exactly(self) -> None:
        """Case counts then, white space at the ends does not."""
        rules, is_new = Rules(repeats=False, fold=False), Seen().is_new
        texts = ("Yes", "yes", "Yes ", "yes")
        reasons = [rules.drop_reason("q", text, is_new=is_new) for text in texts]
        assert reasons == [None, None, "repeated response", "repeated response"]


class TestSeconds:
    """Times as exports write them."""

    @pytest.mark.parametrize(
        ("value", "found"),
        [
            *((5, 5.0), (1.5, 1.5), ("5", 5.0), (" 1577872800 ", 1577872800.0)),
            *(("1970-01-01T00:00:09", 9.0), ("soon", None), ("", None), (None, None)),
            *((True, None), (-1, None), (float("nan"), None), ("9" * 40, None), (1e30, None)),
            *((1.7e12, 1.7e9), ("1700000001000", 1700000001.0), (1.7e15, 1.7e9), (1.7e18, 1.7e9)),
            ("1700000001.5", 1700000001.5),
            *(([], None), (10**400, None), ("\u0665", None), ("0000-00-00", None)),
        ],
    )
    def test_numbers_and_dates(self, value: object, found: float | None) -> None:
        """Anything else is no time, and no error."""
        assert seconds(value) == found


class TestUnixSeconds:
    """ISO-8601 to Unix seconds."""

    @pytest.mark.parametrize(
        "text",
        ["2018-05-02T19:38:15Z", "2018-05-02 19:38:15", "2018-05-02T21:38:15+02:00"],
    )
    def test_an_offset_is_applied_and_utc_is_assumed(self, text: str) -> None:
        """Three ways to write one instant."""
        assert unix_seconds(text) == datetime(2018, 5, 2, 19, 38, 15, tzinfo=UTC).timestamp()

    @pytest.mark.parametrize("text", ["", "yesterday", "1700101012345", "2018-13-02", "2018-05"])
    def test_anything_else_is_refused(self, text: str) -> None:
        """A number in a string is not taken for a date either."""
        with pytest.raises(ValueError, match=r".+"):
            unix_seconds(text)
