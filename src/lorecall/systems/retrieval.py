"""Retrieval: what of the history shares the query's words best goes before the prompt (BM25)."""

from dataclasses import dataclass
from typing import ClassVar

from lorecall.errors import ConfigError
from lorecall.lm.base import LanguageModel
from lorecall.systems.about import About
from lorecall.systems.contract import Budget, Fitted, Person, System
from lorecall.systems.fitting import MatchingRecall, fit_length, fitted
from lorecall.systems.lexical import Bm25
from lorecall.systems.past import Past

N_NOTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """The base with what it finds in the person's pairs, own statements and profile."""

    about: ClassVar[About] = About(
        name="retrieval", title="what shares the query's words before the prompt", notes=True
    )

    def fit(self, person: Person, base: LanguageModel, budget: Budget) -> Fitted:
        """Index the history; nothing is trained."""
        return fitted(person, base, budget, recall=retrieving(person))


@dataclass(frozen=True, slots=True, kw_only=True)
class WithRetrieval:
    """A memory, trained without notes, and retrieval together."""

    system: System

    @property
    def about(self) -> About:
        """What it is."""
        return self.system.about.with_retrieval()

    def fit(self, person: Person, base: LanguageModel, budget: Budget) -> Fitted:
        """Fit the memory's system and index the history.

        Raises:
            ConfigError: The system has no memory, or puts notes in the prompt itself.
        """
        inner = self.system.fit(person, base, budget)
        memory, recall = inner.memory, retrieving(person)
        if memory is None or inner.notes is not None:
            raise ConfigError(
                "retrieval is put beside a memory in the weights",
                expected="a system with a memory and without notes of its own",
                got=self.system.about.name,
                next_step="Take that system as it is, or one that trains a memory alone.",
            )
        decoding = fit_length(person, base, budget, memory=memory, recall=recall)
        return fitted(
            person,
            base,
            budget,
            memory=memory.decoded(decoding),
            train_s=inner.train_s,
            recall=recall,
            facts=inner.facts,
        )


def retrieving(person: Person, *, n_notes: int = N_NOTES) -> MatchingRecall:
    """Return what finds the notes of one person that share a query's words."""
    past = Past(person)
    match = Bm25([note.whole for note in past.notes])
    return MatchingRecall(past, match, n=n_notes, show=lambda note: note.whole)


SYSTEMS = (Retrieval(),)
