"""Splitting, thinning and hashing a history."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.data.history import (
    MIN_SAMPLES,
    goes_on,
    is_long_enough,
    sample_id,
    samples_hash,
    split_history,
    subset,
)
from lorecall.errors import ConfigError, DataError
from lorecall.records import History, Sample, Statement, Turn


def make_sample(conversation: str, number: int, *, time: float | None = None) -> Sample:
    """Make a sample whose texts are unique to it."""
    return Sample(
        id=f"{conversation}/{number}",
        user="ann",
        conversation=conversation,
        query=f"question {number} of {conversation}",
        response=f"answer {number} of {conversation}",
        time=time,
    )


def make_history(sizes: list[int], *, timed: bool = False) -> History:
    """Make a history of conversations of these sizes; conversation c starts at time 100 c."""
    samples = tuple(
        make_sample(f"c{c}", i, time=100.0 * c + i if timed else None)
        for c, size in enumerate(sizes)
        for i in range(size)
    )
    return History(dataset="made up", user="ann", samples=samples)


class TestSplit:
    """Cutting at conversation boundaries."""

    def test_cuts_fall_on_the_nearest_boundaries(self) -> None:
        """Sizes 10, 11, 3, 6 have ends 10, 21, 24, 30: cuts at 21 and 24 of 30."""
        split = split_history(make_history([10, 11, 3, 6]))
        assert (len(split.train), len(split.valid), len(split.test)) == (21, 3, 6)

    def test_one_huge_first_conversation_leaves_one_each_for_the_rest(self) -> None:
        """The parts stay non-empty even when the shares cannot be met."""
        split = split_history(make_history([100, 1, 1]))
        assert (len(split.train), len(split.valid), len(split.test)) == (100, 1, 1)

    def test_one_huge_last_conversation_is_the_test_part(self) -> None:
        """The last conversation can never be moved out of the test part."""
        split = split_history(make_history([1, 1, 100]))
        assert (len(split.train), len(split.valid), len(split.test)) == (1, 1, 100)

    def test_interleaved_samples_are_grouped_by_conversation(self) -> None:
        """A conversation whose samples are scattered is not cut in two."""
        history = make_history([10, 10, 10])
        scattered = tuple(history.samples[i + 10 * c] for i in range(10) for c in range(3))
        split = split_history(replace(history, samples=scattered))
        parts = [{s.conversation for s in part} for part in (split.train, split.valid, split.test)]
        assert parts == [{"c0"}, {"c1"}, {"c2"}]

    def test_fractions_can_be_chosen(self) -> None:
        """Half, a quarter and a quarter of four equal conversations."""
        split = split_history(make_history([10] * 4), fractions=(0.5, 0.25, 0.25))
        assert (len(split.train), len(split.valid), len(split.test)) == (20, 10, 10)

    @given(st.lists(st.integers(1, 12), min_size=3, max_size=12).filter(lambda s: sum(s) >= 20))
    def test_the_parts_are_the_history_in_order(self, sizes: list[int]) -> None:
        """No part is empty, no sample lost or moved, no conversation in two parts."""
        history = make_history(sizes)
        split = split_history(history)
        parts = (split.train, split.valid, split.test)
        assert all(parts)
        assert sum(parts, ()) == history.samples
        conversations = [{s.conversation for s in part} for part in parts]
        assert sum(map(len, conversations)) == len(sizes)


class TestApart:
    """Nothing of the held-out parts is learnt."""

    @pytest.mark.parametrize("held_out", [15, 18])
    def test_a_pair_that_is_in_two_parts_is_refused(self, held_out: int) -> None:
        """Of the valid or the test part; the message says how many there are."""
        history = make_history([14, 3, 4])
        first, other = history.samples[0], history.samples[held_out]
        again = replace(other, query=first.query, response=first.response)
        samples = (*history.samples[:held_out], again, *history.samples[held_out + 1 :])
        with pytest.raises(
            DataError, match="no pair of the training part may be in another"
        ) as error:
            split_history(replace(history, samples=samples))
        assert "1 of 7 held-out samples" in error.value.got

    def test_within_a_part_it_may_be_there_again(self) -> None:
        """A response to another query is another pair."""
        history = make_history([14, 3, 4])
        first, second, *others = history.samples
        again = replace(second, query=first.query, response=first.response)
        last = replace(others.pop(), response=first.response)
        assert (
            split_history(replace(history, samples=(first, again, *others, last))).test[-1] == last
        )


class TestOwnContent:
    """What counts as the user's own content: nothing of the valid or test part."""

    def test_it_is_train_samples_train_statements_and_profile(self) -> None:
        """Statements of held-out conversations stay out."""
        history = replace(
            make_history([14, 3, 4]),
            statements=tuple(Statement(conversation=f"c{c}", text=f"said {c}") for c in range(3)),
            profile=("likes westerns",),
        )
        content = split_history(history).own_content
        assert content[0] == "answer 0 of c0"
        assert content[14:] == ("said 0", "likes westerns")

    def test_the_query_is_the_users_text_where_the_assistant_answers(self) -> None:
        """With `authored_by="assistant"` the responses are not the user's."""
        history = make_history([14, 3, 4])
        samples = tuple(replace(s, authored_by="assistant") for s in history.samples)
        content = split_history(replace(history, samples=samples)).own_content
        assert content == tuple(s.query for s in samples[:14])

    @pytest.mark.parametrize(
        ("time", "kept"),
        [(50.0, True), (99.0, True), (100.0, False), (250.0, False), (None, False)],
    )
    def test_a_conversation_without_samples_counts_when_it_is_older(
        self, time: float | None, *, kept: bool
    ) -> None:
        """Only what was said before the first held-out conversation (time 100) is kept."""
        history = make_history([14, 3, 4], timed=True)
        aside = Statement(conversation="aside", text="an aside", time=time)
        content = split_history(replace(history, statements=(aside,))).own_content
        assert ("an aside" in content) is kept

    def test_an_opener_of_a_held_out_conversation_moves_the_cutoff(self) -> None:
        """The first held-out conversation starts with its opener, not with its first reply."""
        opener = Statement(conversation="c1", text="the opener", time=90.0)
        aside = Statement(conversation="aside", text="an aside", time=95.0)
        history = replace(make_history([14, 3, 4], timed=True), statements=(opener, aside))
        assert not {"the opener", "an aside"} & set(split_history(history).own_content)

    def test_without_times_a_conversation_without_samples_is_left_out(self) -> None:
        """Nothing says when it was, so it might be later."""
        aside = Statement(conversation="aside", text="an aside", time=1.0)
        history = replace(make_history([14, 3, 4]), statements=(aside,))
        assert "an aside" not in split_history(history).own_content


class TestMinimums:
    """Histories too short and fractions that make no sense."""

    def test_too_few_samples(self) -> None:
        """The message says how many are needed, how many there are and what was dropped."""
        history = replace(make_history([5, 5, 5]), dropped={"empty query": 4})
        with pytest.raises(DataError, match=rf"{MIN_SAMPLES}.*got 15 in 3.*4 dropped: empty query"):
            split_history(history)

    def test_what_was_dropped_reads_in_any_number(self) -> None:
        """The reasons are no nouns that could be counted."""
        history = replace(make_history([5]), dropped={"message without text": 2, "empty query": 1})
        told = r"\(1 dropped: empty query; 2 dropped: message without text\)"
        with pytest.raises(DataError, match=told):
            split_history(history)

    def test_too_few_conversations(self) -> None:
        """Three parts need three conversations."""
        with pytest.raises(DataError, match=r"3 conversations, got 40 in 2"):
            split_history(make_history([20, 20]))

    def test_an_empty_history(self) -> None:
        """No sample at all is the same error."""
        with pytest.raises(DataError, match="got 0 in 0"):
            split_history(make_history([]))

    def test_the_smallest_history(self) -> None:
        """Exactly the minimum is enough."""
        assert len(split_history(make_history([18, 1, 1])).train) == 18

    @given(st.lists(st.integers(1, 12), max_size=8))
    def test_what_is_long_enough_can_be_split(self, sizes: list[int]) -> None:
        """The rule that a check tells and the refusal of the split are one."""
        try:
            split_history(make_history(sizes))
            split = True
        except DataError:
            split = False
        assert split == is_long_enough(n_samples=sum(sizes), n_conversations=len(sizes))

    @pytest.mark.parametrize("fractions", [(0.7, 0.1, 0.1), (1.0, 0.0, 0.0), (1.2, -0.4, 0.2)])
    def test_fractions_that_are_no_shares(self, fractions: tuple[float, float, float]) -> None:
        """Shares must be positive and add up to one."""
        with pytest.raises(ConfigError, match="add up to 1"):
            split_history(make_history([10, 10, 10]), fractions=fractions)


class TestSubset:
    """Thinning the training part."""

    samples = make_history([30]).samples

    @given(st.integers(1, 40), st.integers(0, 5))
    def test_it_draws_in_time_order_without_repeats(self, n: int, seed: int) -> None:
        """The drawn samples are a subsequence of the given ones."""
        drawn = subset(self.samples, n, seed=seed)
        assert len(drawn) == min(n, 30)
        assert drawn == tuple(s for s in self.samples if s in drawn)

    def test_it_is_seeded(self) -> None:
        """The same seed draws the same samples, another seed others."""
        assert subset(self.samples, 10, seed=1) == subset(self.samples, 10, seed=1)
        assert subset(self.samples, 10, seed=1) != subset(self.samples, 10, seed=2)

    def test_none_is_all(self) -> None:
        """No number keeps everything."""
        assert subset(self.samples, None, seed=0) == self.samples

    def test_an_empty_draw_is_refused(self) -> None:
        """There is nothing to train on in no samples."""
        with pytest.raises(ConfigError, match="got 0"):
            subset(self.samples, 0, seed=0)


class TestNames:
    """Ids and hashes."""

    def test_a_sample_id_is_pinned(self) -> None:
        """The id is part of stored artefacts, so it must never change."""
        name = sample_id("ann", "c1", position=3, query="How?", response="Like so, é.")
        assert name == "ea1cba4b57a1c433"

    @pytest.mark.parametrize("change", ["user", "conversation", "query", "response"])
    def test_every_text_is_in_the_id(self, change: str) -> None:
        """Two samples that differ in one text have two ids."""
        texts = {"user": "u", "conversation": "c", "query": "q", "response": "r"}
        names = {
            sample_id(
                t["user"], t["conversation"], position=0, query=t["query"], response=t["response"]
            )
            for t in (texts, texts | {change: "other"})
        }
        assert len(names) == 2

    def test_the_hash_is_pinned(self) -> None:
        """The training set's hash is part of stored artefacts."""
        assert (
            samples_hash(make_history([2]).samples)
            == "bc6f51af49fa003c307c0cb34a6d2b5af5b5e1c24f5715d26a2392faa00dffca"
        )

    def test_the_hash_sees_order_and_content(self) -> None:
        """Another order or another text is another training set."""
        a, b = make_history([2]).samples
        hashes = {samples_hash(s) for s in ((a, b), (b, a), (a, replace(b, response="x")), (a,))}
        assert len(hashes) == 4

    def test_the_hash_does_not_see_whom_one_answers(self) -> None:
        """Nothing is learnt from it, and it is not in every format."""
        (sample,) = make_history([1]).samples
        assert samples_hash([sample]) == samples_hash([replace(sample, partner="bob")])

    def test_half_a_surrogate_pair_can_be_hashed(self) -> None:
        """Text that is no valid Unicode raises nothing here."""
        assert samples_hash([replace(make_sample("c", 0), response="\ud800")])


class TestGoesOn:
    """Whether one sample follows another without a gap."""

    before = replace(make_sample("c", 0), query="q", response="r")
    pair = (Turn(by_author=False, text="q"), Turn(by_author=True, text="r"))

    def test_the_pair_before_it_is_what_it_shows(self) -> None:
        """Nothing was left out between them."""
        assert goes_on(replace(make_sample("c", 1), earlier=self.pair), self.before)

    @pytest.mark.parametrize(
        "after",
        [
            make_sample("c", 1),
            replace(make_sample("other", 1), earlier=pair),
            replace(make_sample("c", 1), earlier=pair[1:]),
            replace(make_sample("c", 1), earlier=pair[::-1]),
            replace(make_sample("c", 1), earlier=(pair[0], Turn(by_author=True, text="other"))),
            replace(make_sample("c", 1), earlier=(pair[0], Turn(by_author=False, text="r"))),
        ],
        ids=["nothing shown", "elsewhere", "one turn", "turned round", "another", "other side"],
    )
    def test_anything_else_is_a_gap(self, after: Sample) -> None:
        """Another conversation, fewer turns, other words, the other side's."""
        assert not goes_on(after, self.before)
