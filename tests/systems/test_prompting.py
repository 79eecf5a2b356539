"""Dictionary and retrieval: which notes come with which query."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lorecall.errors import ConfigError
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.prompts import NOTES_HEAD, Retriever
from lorecall.reply.responder import ModelResponder
from lorecall.settings import TrainSettings, preset
from lorecall.systems.catalog import make_system
from lorecall.systems.contract import Budget, FittedSystem, PersonData, System
from lorecall.systems.dictionary import Dictionary
from lorecall.systems.fitting import hit_rate
from lorecall.systems.lora import DefaultLora, Vanilla
from lorecall.systems.retrieval import Retrieval, WithRetrieval, bm25_retriever

MakePerson = Callable[..., PersonData]
BUDGET = Budget(train=TrainSettings(max_epochs=1))
FREE = Budget(train=replace(BUDGET.train, reply_length="free"))  # no number in the manifest
LINES = [
    ("a", "how are you?", "never better"),
    ("a", "do you like tea?", "i adore tea"),
    ("b", "how are you", "rather tired"),
    ("b", "which trains do you take?", "the night train"),
    ("b", "", "coffee keeps me awake"),
    ("valid1", "how are you!", "well"),
    ("valid2", "zzz", "well"),
    ("test", "how are we?", "well"),
]


def retriever_of(system: System, person: PersonData, base: LanguageModel) -> Retriever:
    """Fit a system and give what it recalls."""
    responder = system.fit(person, base, BUDGET).responder
    assert isinstance(responder, ModelResponder)
    assert responder.retriever is not None
    return responder.retriever


class TestDictionary:
    """One value: what was answered to the nearest key."""

    def test_faithful_is_near_or_nothing(
        self, llama: LanguageModel, make_person: MakePerson
    ) -> None:
        """The latest of equal keys; a query of other words finds nothing."""
        person = make_person(LINES, profile=("i am old",))
        retriever = retriever_of(Dictionary(lookup="faithful"), person, llama)
        assert retriever.retrieve("How are you??") == ("rather tired",)
        assert retriever.retrieve("which tea do you like best?") == ()
        assert retriever.retrieve("i am cold") == ("i am old",)
        assert retriever.retrieve("how are you", before="s2") == ("never better",)
        assert retriever.retrieve("how are you", before="s0") == ()

    def test_fair_is_the_best_there_is(self, llama: LanguageModel, make_person: MakePerson) -> None:
        """However far; statements are no entries."""
        retriever = retriever_of(Dictionary(lookup="fair"), make_person(LINES), llama)
        assert retriever.retrieve("tell me which tea is best") == ("i adore tea",)
        assert retriever.retrieve("coffee awake") == ()

    def test_the_hit_rate_is_told(self, llama: LanguageModel, make_person: MakePerson) -> None:
        """Of the validation queries when fitted, of any others by the same function."""
        person = make_person(LINES)
        fit = Dictionary(lookup="faithful").fit(person, llama, BUDGET)
        assert set(fit.facts) == {"notes", "valid_hit_rate", "stop_bias"}
        assert (fit.facts["notes"], fit.facts["valid_hit_rate"]) == (4, 0.5)
        assert isinstance(fit.responder, ModelResponder)
        assert fit.responder.retriever is not None
        assert hit_rate(fit.responder.retriever, person.split.test) == 1.0
        assert hit_rate(fit.responder.retriever, ()) == 0.0

    def test_the_value_is_in_the_prompt(self, base: LanguageModel, make_person: MakePerson) -> None:
        """Before the query, on a hit alone."""
        person = make_person(LINES)
        responder = Dictionary(lookup="faithful").fit(person, base, BUDGET).responder
        hit, miss = (base.tokenizer.decode(responder.encode(s).prompt) for s in person.split.valid)
        assert f"{NOTES_HEAD}\n- rather tired\n\nhow are you!" in hit
        assert NOTES_HEAD not in miss


class TestRetrieval:
    """As many notes as wanted, of all kinds."""

    def test_the_best_come_first(self, make_person: MakePerson) -> None:
        """Pairs with their query, statements and profile as they are; no text twice."""
        lines = [*LINES, ("c", "do you like tea?", "i adore tea")]
        retriever = bm25_retriever(make_person(lines, profile=("a tea drinker",)))
        found = retriever.retrieve("do you like tea or coffee?")
        assert found[0] == "do you like tea? -> i adore tea"
        assert set(found) == {
            "do you like tea? -> i adore tea",
            "which trains do you take? -> the night train",
            "coffee keeps me awake",
            "a tea drinker",
        }

    def test_no_more_than_wanted(self, make_person: MakePerson) -> None:
        """The best of them."""
        person = make_person(LINES)
        assert bm25_retriever(person, n_notes=1).retrieve("coffee") == ("coffee keeps me awake",)

    def test_an_empty_history_has_nothing(
        self, llama: LanguageModel, make_person: MakePerson
    ) -> None:
        """It answers as the base."""
        person = make_person([("a", "🙂", "🙂"), ("valid", "q", "r")])
        fit = Retrieval().fit(person, llama, BUDGET)
        assert fit.responder.reply("hi") == Vanilla().fit(person, llama, BUDGET).responder.reply(
            "hi"
        )


class TestWithRetrieval:
    """A memory and notes together."""

    @pytest.fixture
    def both(self, llama: LanguageModel, make_person: MakePerson) -> FittedSystem:
        """Fit the default LoRA with retrieval."""
        return WithRetrieval(system=DefaultLora()).fit(make_person(LINES), llama, FREE)

    def test_it_has_what_each_has(
        self, both: FittedSystem, llama: LanguageModel, make_person: MakePerson
    ) -> None:
        """The memory is the one trained without notes; sizes add up."""
        person = make_person(LINES)
        lora = DefaultLora().fit(person, llama, FREE)
        notes = Retrieval().fit(person, llama, FREE)
        assert both.n_bytes == lora.n_bytes + notes.n_bytes
        assert both.notes == notes.notes
        assert both.facts == notes.facts
        assert both.train_s > 0
        sample = person.split.test[0]
        assert both.responder.encode(sample) == notes.responder.encode(sample)
        one, other = both.responder.injection, lora.responder.injection
        assert isinstance(one, Injection)
        assert isinstance(other, Injection)
        ours, expected = one.tensors(), other.tensors()
        assert all(ours[name].equal(expected[name]) for name in expected)

    @pytest.mark.parametrize("name", ["vanilla", "retrieval", "oppu-retrieval"])
    def test_a_system_without_a_memory_or_with_notes_is_refused(
        self, llama: LanguageModel, make_person: MakePerson, name: str
    ) -> None:
        """What would come out is another system, or two kinds of notes."""
        system = make_system(name, preset(), folder=Path())
        with pytest.raises(ConfigError, match=f"beside a memory.*got {name}"):
            WithRetrieval(system=system).fit(make_person(LINES), llama, BUDGET)


def test_the_limits_are_the_budgets(llama: LanguageModel, make_person: MakePerson) -> None:
    """For every system alike."""
    train = replace(BUDGET.train, max_response_tokens=7, earlier_turns=1, max_prompt_tokens=64)
    for system in (Vanilla(), Retrieval(), DefaultLora()):
        fit = system.fit(make_person(LINES), llama, Budget(train=train))
        assert isinstance(fit.responder, ModelResponder)
        assert fit.responder.max_new_tokens == 7
        assert fit.responder.earlier_turns == 1
        assert fit.responder.format.max_prompt_tokens == 64
