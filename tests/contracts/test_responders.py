"""The contract every responder keeps, run on each of them."""

from collections.abc import Callable

import pytest

from lorecall.lm.base import LanguageModel
from lorecall.memory.memory import StoredMemory
from lorecall.records import Sample, Turn
from lorecall.reply.messages import messages_of
from lorecall.reply.responder import (
    ModelResponder,
    Responder,
)

MakeMemory = Callable[..., StoredMemory]
QUERIES = ["hello there", "x", "how are you doing today, my friend?", "né 日本 🙂", "hello there"]


def brief(responder: ModelResponder) -> ModelResponder:
    """Let it answer in a few tokens."""
    responder.max_new_tokens = 12
    return responder


class ResponderContract:
    """Subclass it and give `responder`, which answers from `base`."""

    @pytest.fixture
    def responder(self, base: LanguageModel, make_memory: MakeMemory) -> Responder:
        """Return the responder under test."""
        raise NotImplementedError

    def test_a_reply_is_text(self, responder: Responder) -> None:
        """Without blanks around it."""
        answer = responder.reply("hello there")
        assert isinstance(answer, str)
        assert answer == answer.strip()

    def test_a_reply_can_be_had_again(self, responder: Responder) -> None:
        """Answers are greedy: nothing is drawn, nothing is remembered."""
        first = responder.reply("hello there")
        responder.reply("something else")
        assert responder.reply("hello there") == first

    def test_many_replies_are_those_of_one_at_a_time(self, responder: Responder) -> None:
        """In the order of the queries, in fp32."""
        together = responder.reply_all(QUERIES)
        assert together == [responder.reply(query) for query in QUERIES]
        assert responder.reply_all(QUERIES[::-1]) == together[::-1]
        assert together[0] == together[-1]

    def test_no_queries_no_replies(self, responder: Responder) -> None:
        """An empty list is answered with one."""
        assert responder.reply_all([]) == []

    @pytest.mark.parametrize(
        "query", ["", "word " * 2000, "🙂" * 1500], ids=["empty", "long", "wide"]
    )
    def test_any_query_is_answered(self, responder: Responder, query: str) -> None:
        """Empty, or longer than the model."""
        assert isinstance(responder.reply(query), str)

    @pytest.mark.parametrize("query", ["hello there", "🙂" * 20])
    def test_a_stream_is_the_reply_in_pieces(self, responder: Responder, query: str) -> None:
        """Whole characters, none of them twice."""
        pieces = list(responder.stream(query))
        assert "".join(pieces) == responder.reply(query)
        assert all(pieces)

    def test_earlier_turns_may_be_given(self, responder: Responder) -> None:
        """In any order, however long."""
        turns = [Turn(by_author=True, text="two"), Turn(by_author=False, text="word " * 2000)]
        assert isinstance(responder.reply(messages_of("hello", turns)), str)

    def test_a_sample_is_read_as_the_query_is_answered(
        self, responder: Responder, make_samples: Callable[..., tuple[Sample, ...]]
    ) -> None:
        """Its prompt ends in the query, its response is the true one, whoever reads it."""
        vanilla = ModelResponder(responder.base)
        for sample in make_samples(3):
            encoded = responder.encode(sample)
            assert encoded.response == vanilla.encode(sample).response
            assert sample.query in vanilla.format.text(encoded.prompt)

    def test_without_a_fast_path_it_replies_the_same(
        self, responder: Responder, base: LanguageModel
    ) -> None:
        """Transformers' own forward pass does it then."""
        replies = responder.reply_all(QUERIES)
        base.has_fast_path = False
        assert responder.reply_all(QUERIES) == replies

    def test_the_base_is_left_as_it_was(
        self, responder: Responder, base: LanguageModel, state_hash: Callable[[LanguageModel], str]
    ) -> None:
        """To the bit, after any number of calls."""
        before = state_hash(base)
        responder.reply("hello there")
        responder.reply_all(QUERIES)
        assert state_hash(base) == before


class TestVanillaResponder(ResponderContract):
    """The base alone."""

    @pytest.fixture
    def responder(self, base: LanguageModel) -> Responder:
        """Return the base."""
        return brief(ModelResponder(base))


class Fixed:
    """Tells the same of everyone."""

    signature = "fixed, two notes"

    def retrieve(self, query: str, *, before: str | None = None) -> tuple[str, ...]:
        """Return two notes, one of them naming what was asked."""
        return ("likes tea", f"asked {query[:5]} {before or 'now'}")


class TestRetriever(ResponderContract):
    """The base with notes in the prompt."""

    @pytest.fixture
    def responder(self, base: LanguageModel) -> Responder:
        """Return the base with fixed notes."""
        return brief(ModelResponder(base, retriever=Fixed()))

    def test_notes_are_in_the_prompt(self, base: LanguageModel, make_samples: MakeMemory) -> None:
        """Those of the query, and the sample is named to who recalls them."""
        responder = ModelResponder(base, retriever=Fixed())
        sample = make_samples(1)[0]
        notes = Fixed().retrieve(sample.query, before=sample.id)
        wanted = responder.format.encode(sample, notes=notes)
        assert responder.encode(sample) == wanted
        assert responder.reply("hello") != ModelResponder(base).reply("hello")


class TestMemoryAndRetriever(ResponderContract):
    """Both at once."""

    @pytest.fixture
    def responder(self, base: LanguageModel, make_memory: MakeMemory) -> Responder:
        """Return the base with a drawn memory and fixed notes."""
        return brief(ModelResponder(base, memory=make_memory(base), retriever=Fixed()))


class TestMemoryResponder(ResponderContract):
    """The base with one person's memory."""

    @pytest.fixture
    def responder(self, base: LanguageModel, make_memory: MakeMemory) -> Responder:
        """Return the base with a drawn memory."""
        return brief(ModelResponder(base, make_memory(base)))

    def test_two_persons_on_one_base_do_not_mix(
        self, base: LanguageModel, make_memory: MakeMemory
    ) -> None:
        """Each answers as if alone, in whatever order they are asked."""
        ann, bob = (brief(ModelResponder(base, make_memory(base, seed=s))) for s in (1, 2))
        vanilla = brief(ModelResponder(base))
        alone = [responder.reply_all(QUERIES) for responder in (ann, bob, vanilla)]
        for i, query in enumerate(QUERIES):
            assert [r.reply(query) for r in (ann, bob, vanilla)] == [row[i] for row in alone]
        assert alone[0] != alone[1] != alone[2] != alone[0]
