"""One adapter per user on queries and values, with retrieved history in the prompt or without.

Source: Tan et al. (2024), "Democratizing Large Language Models via Personalized Parameter-Efficient
Fine-tuning" (OPPU): rank 8, scaling 1, queries and values of every layer. Its first stage, a base
tuned on other users' data, is left out: a system here knows one person alone. GPT-2 makes queries,
keys and values with one linear, so there the pair is on all three.
"""

from dataclasses import dataclass, replace

from lorecall.lm.base import LanguageModel
from lorecall.records import default_lora
from lorecall.systems.about import SystemInfo
from lorecall.systems.contract import Budget, FittedSystem, PersonData
from lorecall.systems.fitting import trained
from lorecall.systems.retrieval import N_NOTES, bm25_retriever


@dataclass(frozen=True, slots=True, kw_only=True)
class Oppu:
    """An adapter per user.

    Args:
        n_notes: Most notes that are found for a query, in training and after; 0 for no retrieval.
    """

    n_notes: int = 0

    @property
    def about(self) -> SystemInfo:
        """What it is."""
        alone = SystemInfo(
            name="oppu", title="pairs on queries and values of every layer", trains=True
        )
        if not self.n_notes:
            return alone
        title = f"{alone.title}, trained with retrieved notes"
        return replace(alone, name="oppu-retrieval", title=title, notes=True)

    def fit(self, person: PersonData, base: LanguageModel, budget: Budget) -> FittedSystem:
        """Train it on the person's own pairs, each with notes from before it alone."""
        retriever = bm25_retriever(person, n_notes=self.n_notes) if self.n_notes else None
        config, linears = default_lora(base.n_layers), tuple(base.family.attention)
        return trained(person, base, budget, config, linears=linears, retriever=retriever)


SYSTEMS = (Oppu(), Oppu(n_notes=N_NOTES))
