"""Dictionary memory: what the user answered to a query like this one goes before the prompt.

Source: Madaan et al. (2022), "Memory-assisted prompt editing to improve GPT-3 after deployment"
(MemPrompt), as SPEC section 7 reads it. Key: a past query; value: the user's response to it. A
sentence of the profile is its own key and value.
"""

from dataclasses import dataclass
from typing import Literal

from lorecall.lm.base import LanguageModel
from lorecall.systems.about import SystemInfo
from lorecall.systems.contract import Budget, FittedSystem, PersonData
from lorecall.systems.fitting import MatchingRetriever, hand_over
from lorecall.systems.lexical import Bm25, Levenshtein
from lorecall.systems.past import Past


@dataclass(frozen=True, slots=True, kw_only=True)
class Dictionary:
    """One entry a query: the nearest key's.

    Args:
        lookup: `faithful` takes a key less than 6 changes of a character away, as published; that
            is rare but among short queries. `fair` takes the best lexical match, however far.
    """

    lookup: Literal["faithful", "fair"]

    @property
    def about(self) -> SystemInfo:
        """What it is."""
        return SystemInfo(
            name=f"dictionary-{self.lookup}",
            title=f"the answer to the nearest past query before the prompt, {self.lookup} lookup",
            notes=True,
            paper=True,
        )

    def fit(self, person: PersonData, base: LanguageModel, budget: Budget) -> FittedSystem:
        """Note the person's own pairs; nothing is trained."""
        past = Past(person, statements=False)
        keys = [note.key for note in past.notes]
        match = Levenshtein(keys) if self.lookup == "faithful" else Bm25(keys)
        retriever = MatchingRetriever(past, match, n=1, show=lambda note: note.text)
        return hand_over(person, base, budget, retriever=retriever)


SYSTEMS = (Dictionary(lookup="faithful"), Dictionary(lookup="fair"))
