"""Retrieval: what of the history shares the query's words best goes before the prompt (BM25)."""

from dataclasses import dataclass
from typing import ClassVar

from lorecall.errors import ConfigError
from lorecall.lm.base import LanguageModel
from lorecall.systems.about import SystemInfo
from lorecall.systems.contract import Budget, FittedSystem, PersonData, System
from lorecall.systems.fitting import MatchingRetriever, fit_length, hand_over
from lorecall.systems.lexical import Bm25
from lorecall.systems.past import Past

N_NOTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """The base with what it finds in the person's pairs, own statements and profile."""

    about: ClassVar[SystemInfo] = SystemInfo(
        name="retrieval", title="what shares the query's words before the prompt", notes=True
    )

    def fit(self, person: PersonData, base: LanguageModel, budget: Budget) -> FittedSystem:
        """Index the history; nothing is trained."""
        return hand_over(person, base, budget, retriever=bm25_retriever(person))


@dataclass(frozen=True, slots=True, kw_only=True)
class WithRetrieval:
    """A memory, trained without notes, and retrieval together."""

    system: System

    @property
    def about(self) -> SystemInfo:
        """What it is."""
        return self.system.about.with_retrieval()

    def fit(self, person: PersonData, base: LanguageModel, budget: Budget) -> FittedSystem:
        """Fit the memory's system and index the history.

        Raises:
            ConfigError: The system has no memory, or puts notes in the prompt itself.
        """
        inner = self.system.fit(person, base, budget)
        memory, retriever = inner.memory, bm25_retriever(person)
        if memory is None or inner.notes is not None:
            raise ConfigError(
                "retrieval is put beside a memory in the weights",
                expected="a system with a memory and without notes of its own",
                got=self.system.about.name,
                next_step="Take that system as it is, or one that trains a memory alone.",
            )
        decoding = fit_length(person, base, budget, memory=memory, retriever=retriever)
        return hand_over(
            person,
            base,
            budget,
            memory=memory.decoded(decoding),
            train_s=inner.train_s,
            retriever=retriever,
            facts=inner.facts,
        )


def bm25_retriever(person: PersonData, *, n_notes: int = N_NOTES) -> MatchingRetriever:
    """Return what finds the notes of one person that share a query's words."""
    past = Past(person)
    match = Bm25([note.whole for note in past.notes])
    return MatchingRetriever(past, match, n=n_notes, show=lambda note: note.whole)


SYSTEMS = (Retrieval(),)
