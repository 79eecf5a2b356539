"""The base alone, and the LoRA that people train without a search: the two controls."""

from dataclasses import dataclass

from lorecall.baselines.contract import Budget, Fitted, Person
from lorecall.baselines.fitting import fitted, train_memory
from lorecall.lm.base import BaseModel
from lorecall.records import default_lora


@dataclass(frozen=True, slots=True, kw_only=True)
class Vanilla:
    """The base, untuned."""

    name: str = "vanilla"

    def fit(self, person: Person, base: BaseModel, budget: Budget) -> Fitted:
        """Learn nothing."""
        return fitted(person, base, budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultLora:
    """Feed-forward pairs of rank 8 in every layer."""

    name: str = "default-lora"

    def fit(self, person: Person, base: BaseModel, budget: Budget) -> Fitted:
        """Train it on the person's own pairs."""
        trained = train_memory(person, base, budget, default_lora(base.n_layers))
        return fitted(person, base, budget, trained=trained)
