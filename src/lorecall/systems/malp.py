"""MaLP: a memory of two terms whose hits go before the prompt, and a LoRA trained with them.

Source: Zhang et al. (2023), "LLM-based Medical Assistant Personalization with Short- and Long-Term
Memory Coordination", as SPEC section 7 reads it. One memory a person: the released code has one
for all patients. What it leaves open is read so:

* a note is a pair, found by its query, or a statement or sentence of the profile, found by itself;
  the published system has another model write the notes, which no system here may spend;
* working memory holds the notes of the dialogue that is going on; at its end they go on to
  short-term memory, in their order; it is not looked up, for the prompt shows its last turns;
* a note is seen again when its key is less than 6 changes of a character from one that is there;
  the latest text is the one kept, so both memories answer with what is true now;
* the prompt carries the nearest hit of each memory.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import numpy as np

from lorecall.lm.base import LanguageModel
from lorecall.records import DEFAULT_RANK, InjectionConfig
from lorecall.systems.about import SystemInfo
from lorecall.systems.contract import Budget, FittedSystem, PersonData
from lorecall.systems.embeddings import Direction, embedder_of
from lorecall.systems.fitting import trained
from lorecall.systems.lexical import Mask, nearest, normalised
from lorecall.systems.notes import Note
from lorecall.systems.past import Past

CAPACITY = 100
CLEARED_EVERY = 25
SEEN_BEFORE_LONG_TERM = 3
MIN_COSINE = 0.5
N_EMBEDDED = 1024  # queries are asked again: with and without their true response
SCALING = 4.0  # alpha 32 over rank 8


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryItem:
    """What is in a memory: its key, the place of its latest note, and how often it was seen."""

    key: str
    note: int
    seen: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Both memories at one moment, oldest first."""

    short: tuple[MemoryItem, ...] = ()
    long: tuple[MemoryItem, ...] = ()


class TwoTermMemory:
    """Both memories, changed by one dialogue after another."""

    def __init__(self) -> None:
        self._short: list[MemoryItem] = []
        self._long: list[MemoryItem] = []
        self._n_dialogues = 0

    @property
    def state(self) -> State:
        """Return both memories as they are."""
        return State(short=tuple(self._short), long=tuple(self._long))

    def end_dialogue(self, working: Sequence[tuple[str, int]]) -> None:
        """Take over working memory.

        Args:
            working: The key and the place of each note of the dialogue, in order.
        """
        for key, note in working:
            if key:
                self._take(key, note)
        self._n_dialogues += 1
        if self._n_dialogues % CLEARED_EVERY == 0:
            self._short.clear()

    def _take(self, key: str, note: int) -> None:
        known = _nearest(key, self._long)
        if known is not None:
            self._long[known] = replace(self._long[known], note=note)
            return
        again = _nearest(key, self._short)
        item = MemoryItem(key=key, note=note)
        if again is not None:
            old = self._short.pop(again)
            item = replace(old, note=note, seen=old.seen + 1)
        if item.seen >= SEEN_BEFORE_LONG_TERM:
            self._long.append(item)
            return
        self._short.append(item)
        del self._short[:-CAPACITY]


def _nearest(key: str, items: Sequence[MemoryItem]) -> int | None:
    """Return the place of the item whose key is nearest; None where none is near."""
    found = nearest(key, [item.key for item in items])
    return found[0] if found else None


class MalpRetriever:
    """Gives the nearest hit of each memory, as they were when the query came.

    Attributes:
        final: Both memories at the end of the training part.
    """

    def __init__(self, past: Past, embed: Callable[[str], Direction]) -> None:
        self._past = past
        self._embed = lru_cache(maxsize=N_EMBEDDED)(embed)
        memory = TwoTermMemory()
        self._states = [memory.state]  # before each dialogue
        for places in past.dialogues:
            if places:
                memory.end_dialogue([(normalised(past.notes[i].key), i) for i in places])
            self._states.append(memory.state)
        self.final = memory.state
        self._directions: dict[str, Direction] = {
            item.key: self._embed(item.key)
            for item in self.final.long  # none ever leaves it
        }

    @property
    def kept(self) -> tuple[Note, ...]:
        """Return what is in either memory at the end."""
        return tuple(self._past.notes[item.note] for item in self.final.short + self.final.long)

    @property
    def signature(self) -> str:
        """Which memories are asked, and how many notes they hold at the end."""
        short, long = len(self.final.short), len(self.final.long)
        return f"malp, at most one each of {short} short-term and {long} long-term notes"

    def retrieve(self, query: str, *, before: str | None = None) -> tuple[str, ...]:
        """Return at most two notes: the short-term one, then the long-term one."""
        asked = normalised(query)
        if not asked:
            return ()
        dialogue = self._past.dialogue_of(before)
        state = self.final if dialogue is None else self._states[dialogue]
        among = self._past.visible(before)
        hits = [self._short_term(asked, state, among), self._long_term(asked, state, among)]
        return tuple(dict.fromkeys(self._past.notes[i].text for i in hits if i is not None))

    def _short_term(self, asked: str, state: State, among: Mask) -> int | None:
        items = [item for item in state.short if among[item.note]]
        found = _nearest(asked, items)
        return None if found is None else items[found].note

    def _long_term(self, asked: str, state: State, among: Mask) -> int | None:
        items = [item for item in state.long if among[item.note]]
        if not items:
            return None
        query = self._embed(asked)
        near = [float(query @ self._directions[item.key]) for item in items]  # cosines
        best = int(np.argmax(near))
        return items[best].note if near[best] >= MIN_COSINE else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Malp:
    """The memory of two terms, and a LoRA of rank 8 and alpha 32 on half of the layers."""

    about: ClassVar[SystemInfo] = SystemInfo(
        name="malp",
        title="a dictionary of two terms before the prompt, and a LoRA trained with it",
        trains=True,
        notes=True,
        paper=True,
    )

    def fit(self, person: PersonData, base: LanguageModel, budget: Budget) -> FittedSystem:
        """Go through the person's dialogues, then train with what each prompt would retrieve."""
        retriever = MalpRetriever(Past(person), embedder_of(base))
        config = random_layers(base.n_layers, seed=budget.seed)
        sizes = {
            "short_term": float(len(retriever.final.short)),
            "long_term": float(len(retriever.final.long)),
        }
        return trained(person, base, budget, config, retriever=retriever, facts=sizes)


def random_layers(n_layers: int, *, seed: int) -> InjectionConfig:
    """Return the theta of MaLP's LoRA: half of the layers, drawn by the seed."""
    n = max(1, n_layers // 2)
    layers = tuple(sorted(random.Random(seed).sample(range(n_layers), n)))
    return InjectionConfig(layers=layers, n_loras=n, rank=DEFAULT_RANK, scaling=SCALING)


SYSTEMS = (Malp(),)
