"""The base alone, and LoRAs that are trained without a search: the controls."""

from dataclasses import dataclass
from typing import ClassVar

from lorecall.lm.base import LanguageModel
from lorecall.records import InjectionConfig, default_lora
from lorecall.settings import MAX_LORAS, RANKS
from lorecall.systems.about import CONTROL, VANILLA, SystemInfo
from lorecall.systems.contract import Budget, FittedSystem, PersonData
from lorecall.systems.fitting import hand_over, trained


@dataclass(frozen=True, slots=True, kw_only=True)
class Vanilla:
    """The base with nothing of the person; a shared memory may be in its weights."""

    about: ClassVar[SystemInfo] = SystemInfo(
        name=VANILLA,
        title="the base, with the shared memory where there is one: nothing of the person",
        paper=True,
    )

    def fit(self, person: PersonData, base: LanguageModel, budget: Budget) -> FittedSystem:
        """Learn nothing."""
        return hand_over(person, base, budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultLora:
    """Feed-forward pairs of rank 8 in every layer."""

    about: ClassVar[SystemInfo] = SystemInfo(
        name=CONTROL, title="pairs of rank 8 in every layer, without a search", trains=True
    )

    def fit(self, person: PersonData, base: LanguageModel, budget: Budget) -> FittedSystem:
        """Train it on the person's own pairs."""
        return trained(person, base, budget, default_lora(base.n_layers))


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestLora:
    """As many feed-forward pairs of as high a rank as a search may take, over every layer.

    A searched memory is mostly of that size; this is what the same parameters do unsearched.
    """

    about: ClassVar[SystemInfo] = SystemInfo(
        name="largest-lora", title="pairs of the highest rank, without a search", trains=True
    )

    def fit(self, person: PersonData, base: LanguageModel, budget: Budget) -> FittedSystem:
        """Train it on the person's own pairs."""
        return trained(person, base, budget, largest_lora(base))


def largest_lora(base: LanguageModel) -> InjectionConfig:
    """Return the theta of most parameters that a base may have (Table 2), over all its layers."""
    rank = max((r for r in RANKS if r <= base.max_rank), default=base.max_rank)
    return InjectionConfig(layers=tuple(range(base.n_layers)), n_loras=MAX_LORAS, rank=rank)


SYSTEMS = (Vanilla(), DefaultLora(), LargestLora())
