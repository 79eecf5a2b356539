"""The memory that `lorecall learn` makes without a search: one training of a design that is known.

The design is the settings' (`design.rank`, `design.scaling`, `design.layers`).
"""

from dataclasses import dataclass

from lorecall.lm.base import LanguageModel
from lorecall.settings import LearnSettings
from lorecall.systems.about import PERSONAL, SystemInfo
from lorecall.systems.contract import Budget, FittedSystem, PersonData
from lorecall.systems.fitting import trained

ABOUT = SystemInfo(
    name=PERSONAL,
    title="what `lorecall learn` makes: a memory of one design, without a search",
    trains=True,
    searches="none",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalMemory:
    """A memory of the design, on whatever base there is."""

    settings: LearnSettings

    @property
    def about(self) -> SystemInfo:
        """What it is."""
        return ABOUT

    def fit(self, person: PersonData, base: LanguageModel, budget: Budget) -> FittedSystem:
        """Train it on the person's own pairs."""
        settings = self.settings
        theta = settings.design.config(base.n_layers, inject=settings.search.inject)
        return trained(person, base, budget, theta)
