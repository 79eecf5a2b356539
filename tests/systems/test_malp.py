"""MaLP: what goes from working memory over short-term to long-term memory, and what is recalled."""

import random
import string
from collections.abc import Callable

import numpy as np
import pytest

from lorecall.lm.base import LanguageModel
from lorecall.reply.responder import ModelResponder
from lorecall.settings import TrainSettings
from lorecall.systems.contract import Budget, PersonData
from lorecall.systems.malp import Malp, MalpRetriever, TwoTermMemory, random_layers
from lorecall.systems.past import Past

MakePerson = Callable[..., PersonData]
BUDGET = Budget(train=TrainSettings(max_epochs=1))
DRAW = random.Random(0)
KEYS = ["".join(DRAW.choices(string.ascii_lowercase, k=14)) for _ in range(101)]  # none are near


class Letters:
    """Embeds a text by its first letter, vowels alike."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, text: str) -> np.ndarray:
        """Return one of 27 directions."""
        self.asked.append(text)
        direction = np.zeros(27)
        direction[26 if text[0] in "aeiou" else ord(text[0]) % 26] = 1
        return direction


def fed(*dialogues: list[str]) -> TwoTermMemory:
    """Feed dialogues of keys; each note's place is its number."""
    memory, place = TwoTermMemory(), 0
    for keys in dialogues:
        memory.end_dialogue([(key, place + i) for i, key in enumerate(keys)])
        place += len(keys)
    return memory


class TestTwoTerms:
    """The mechanism, dialogue by dialogue."""

    def test_a_note_is_short_term_first(self) -> None:
        """Oldest first; one without letters is none."""
        state = fed(["hello", "", "where do you live"]).state
        assert [item.key for item in state.short] == ["hello", "where do you live"]
        assert state.long == ()

    def test_seen_three_times_it_is_long_term(self) -> None:
        """Less than six changes away is the same; the latest note is the one kept."""
        twice = fed(["how are you"], ["how are you?"]).state
        assert [(item.seen, item.note) for item in twice.short] == [(2, 1)]
        thrice = fed(["how are you"], ["how is you", "what a day"], ["how are they"]).state
        assert [item.key for item in thrice.short] == ["what a day"]
        assert [(item.key, item.note) for item in thrice.long] == [("how are you", 3)]

    def test_what_is_long_term_stays_and_is_brought_up_to_date(self) -> None:
        """It does not come back to short-term memory."""
        state = fed(*[["how are you"]] * 5, ["how are you"]).state
        assert state.short == ()
        assert [(item.key, item.note) for item in state.long] == [("how are you", 5)]

    def test_short_term_memory_holds_a_hundred(self) -> None:
        """The one longest unseen goes first."""
        full = fed(KEYS[:100], [KEYS[0]], [KEYS[100]]).state
        keys = [item.key for item in full.short]
        assert len(keys) == 100
        assert KEYS[0] in keys
        assert KEYS[100] in keys
        assert KEYS[1] not in keys

    def test_it_is_cleared_every_25_dialogues(self) -> None:
        """With what was seen twice; long-term memory is not."""
        dialogues = [["how are you"]] * 3 + [[KEYS[i]] for i in range(21)]
        before = fed(*dialogues).state
        assert len(before.short) == 21
        after = fed(*dialogues, [KEYS[30]]).state
        assert after.short == ()
        assert [item.key for item in after.long] == ["how are you"]
        again = fed(*dialogues, [KEYS[30]], [KEYS[0]]).state
        assert [(item.key, item.seen) for item in again.short] == [(KEYS[0], 1)]


class TestRetriever:
    """What comes with a query."""

    def test_the_nearest_hit_of_each_memory(self, make_person: MakePerson) -> None:
        """Short-term by characters, long-term by direction; the values are what was answered."""
        lines = [(f"c{i}", "every day?", f"answer {i}") for i in range(3)]
        lines += [("d", "trains", "by night")]
        retriever = MalpRetriever(
            Past(make_person(lines, profile=("zoo keeper",))), Letters().embed
        )
        assert len(retriever.final.long) == 1
        assert retriever.retrieve("Trains!") == ("by night",)
        assert retriever.retrieve("every day") == ("answer 2",)
        assert retriever.retrieve("any other thing that is far away") == ("answer 2",)
        assert retriever.retrieve("oh train") == ("by night", "answer 2")
        assert retriever.retrieve("zoo keepers") == ("zoo keeper",)
        assert retriever.retrieve("nothing of that kind at all") == ()
        assert retriever.retrieve("🙂") == ()
        assert {note.text for note in retriever.kept} == {"answer 2", "by night", "zoo keeper"}

    def test_a_training_sample_sees_the_memory_of_its_time(self, make_person: MakePerson) -> None:
        """As it was before its dialogue."""
        lines = [(f"c{i}", "every day?", f"answer {i}") for i in range(5)]
        retriever = MalpRetriever(Past(make_person(lines)), Letters().embed)
        seen = [retriever.retrieve("every day?", before=f"s{i}") for i in range(5)]
        assert seen == [(), ("answer 0",), ("answer 1",), ("answer 2",), ("answer 3",)]
        assert retriever.retrieve("every day?", before="another") == ("answer 4",)

    def test_asking_changes_nothing(self, make_person: MakePerson) -> None:
        """Memory is made by the history alone."""
        retriever = MalpRetriever(Past(make_person([("a", "every day?", "yes")])), Letters().embed)
        before = retriever.final
        assert [retriever.retrieve("every day?") for _ in range(4)] == [("yes",)] * 4
        assert retriever.final == before

    def test_a_query_is_embedded_once(self, make_person: MakePerson) -> None:
        """And not at all while long-term memory is empty."""
        lines = [(f"c{i}", "every day?", "yes") for i in range(3)]
        embedder = Letters()
        retriever = MalpRetriever(Past(make_person(lines)), embedder.embed)
        for _ in range(3):
            retriever.retrieve("Apples?")
            retriever.retrieve("pears", before="s0")
        assert embedder.asked == ["every day", "apples"]


class TestSystem:
    """With its LoRA."""

    @pytest.mark.parametrize("n_layers", [1, 2, 7, 30])
    def test_half_of_the_layers_are_drawn(self, n_layers: int) -> None:
        """By the seed; rank 8, alpha 32."""
        config = random_layers(n_layers, seed=1)
        assert len(config.ranks()) == max(1, n_layers // 2)
        assert config == random_layers(n_layers, seed=1)
        assert (config.rank, config.scaling) == (8, 4.0)
        assert len({random_layers(30, seed=seed).layers for seed in range(5)}) == 5

    def test_it_trains_with_what_it_recalls(
        self, llama: LanguageModel, make_person: MakePerson
    ) -> None:
        """The base's own embedding is the default; sizes of both memories are told."""
        lines = [(f"c{i}", "every day?", f"answer {i}") for i in range(4)]
        person = make_person([*lines, ("valid", "every day", "yes")])
        fit = Malp().fit(person, llama, BUDGET)
        assert fit.facts["long_term"] == 1
        assert fit.facts["short_term"] == 0
        assert fit.facts["valid_hit_rate"] == 1.0
        assert isinstance(fit.responder, ModelResponder)
        assert fit.responder.memory is not None
        assert fit.responder.memory.config == random_layers(llama.n_layers, seed=0)
        notes = fit.responder.memory.manifest.recipe.notes
        assert notes == "malp, at most one each of 0 short-term and 1 long-term notes"
