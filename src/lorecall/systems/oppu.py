"""One adapter per user on queries and values, with retrieved history in the prompt or without.

Source: Tan et al. (2024), "Democratizing Large Language Models via Personalized Parameter-Efficient
Fine-tuning" (OPPU): rank 8, scaling 1, queries and values of every layer. Its first stage, a base
tuned on other users' data, is left out: a system here knows one person alone. GPT-2 makes queries,
keys and values with one linear, so there the pair is on all three.
"""

from dataclasses import dataclass, replace

from lorecall.lm.base import LanguageModel
from lorecall.records import default_lora
from lorecall.systems.about import About
from lorecall.systems.contract import Budget, Fitted, Person
from lorecall.systems.fitting import trained
from lorecall.systems.retrieval import N_NOTES, retrieving


@dataclass(frozen=True, slots=True, kw_only=True)
class Oppu:
    """An adapter per user.

    Args:
        n_notes: Most notes that are found for a query, in training and after; 0 for no retrieval.
    """

    n_notes: int = 0

    @property
    def about(self) -> About:
        """What it is."""
        alone = About(name="oppu", title="pairs on queries and values of every layer", trains=True)
        if not self.n_notes:
            return alone
        title = f"{alone.title}, trained with retrieved notes"
        return replace(alone, name="oppu-retrieval", title=title, notes=True)

    def fit(self, person: Person, base: LanguageModel, budget: Budget) -> Fitted:
        """Train it on the person's own pairs, each with notes from before it alone."""
        recall = retrieving(person, n_notes=self.n_notes) if self.n_notes else None
        config, linears = default_lora(base.n_layers), tuple(base.family.attention)
        return trained(person, base, budget, config, linears=linears, recall=recall)


SYSTEMS = (Oppu(), Oppu(n_notes=N_NOTES))
