"""What every system under evaluation is given, and what it gives back.

A system is made for one person from that person's own split: no other data is in its reach, so
nothing of anyone else's can get into it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from lorecall.lm.base import LanguageModel
from lorecall.memory.memory import StoredMemory
from lorecall.records import History, InjectionConfig, Split
from lorecall.reply.responder import ModelResponder, Responder
from lorecall.settings import TrainSettings
from lorecall.systems.about import SystemInfo
from lorecall.systems.notes import StoredNotes

NO_FACTS: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonData:
    """One user's history and its split: all a system may learn from is the training part.

    The validation part chooses when training stops; the test part is read by the evaluation alone.

    Examples:
        >>> from lorecall.data import load_history, split_history
        >>> from lorecall.systems import PersonData
        >>> history = load_history("two.jsonl", user="ada")
        >>> ada = PersonData(history=history, split=split_history(history))
        >>> ada.split.sizes
        {'train': 18, 'valid': 3, 'test': 3}
    """

    history: History
    split: Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What every system may spend alike.

    Args:
        train: How a system that trains does it; the longest prompt and response of all of them.
        seed: Seed of everything random.

    Examples:
        >>> from lorecall.settings import TrainSettings
        >>> from lorecall.systems import Budget
        >>> Budget(train=TrainSettings(max_epochs=2)).train.max_response_tokens
        128
    """

    train: TrainSettings
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedSystem:
    """One person's system, and what it took.

    Args:
        responder: Who answers.
        samples_sha256: Hash of the training samples it was made from.
        train_s: Seconds spent in training; fitting the length of replies is none of it.
        n_bytes: What is stored for this person.
        facts: What else is to be reported, by name: a hit rate, a number of notes.
        notes: What is stored for the prompt.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall.data import load_history, split_history
        >>> from lorecall.lm import tiny_base
        >>> from lorecall.settings import TrainSettings, preset
        >>> from lorecall.systems import Budget, PersonData, make_system
        >>> history = load_history("two.jsonl", user="ada")
        >>> ada = PersonData(history=history, split=split_history(history))
        >>> budget = Budget(train=TrainSettings(reply_length="free"))
        >>> retrieval = make_system("retrieval", preset("smoke"), folder=Path("searches"))
        >>> fitted = retrieval.fit(ada, tiny_base(n_layers=1, width=16), budget)
        >>> fitted.memory is None, len(fitted.notes.notes)
        (True, 18)
        >>> fitted.save(Path("ada"))
        >>> Path("ada/notes.json").stat().st_size == fitted.n_bytes
        True
    """

    responder: Responder
    samples_sha256: str
    train_s: float = 0.0
    n_bytes: int = 0
    facts: Mapping[str, float] = field(default_factory=lambda: NO_FACTS)
    notes: StoredNotes | None = None

    @property
    def theta(self) -> InjectionConfig | None:
        """Where and how it injects a memory; None for a system that injects none itself."""
        return None if self.memory is None else self.memory.config

    @property
    def memory(self) -> StoredMemory | None:
        """What it has in the weights."""
        return self.responder.memory if isinstance(self.responder, ModelResponder) else None

    def save(self, folder: Path) -> None:
        """Write what is stored for this person: `memory/` and `notes.json`, where there are such.

        Args:
            folder: Where they go; made where it is not there.
        """
        if self.memory is not None:
            self.memory.save(folder / "memory")
        if self.notes is not None:
            self.notes.save(folder / "notes.json")


@runtime_checkable
class System(Protocol):
    """Makes a responder for one person.

    Examples:
        >>> from lorecall.reply.responder import ModelResponder
        >>> from lorecall.systems import SystemInfo, FittedSystem, System
        >>> class Alone:
        ...     about = SystemInfo(name="alone", title="the base, which knows nobody")
        ...
        ...     def fit(self, person, base, budget):
        ...         responder = ModelResponder(base, limits=budget.train)
        ...         return FittedSystem(responder=responder, samples_sha256="")
        >>> isinstance(Alone(), System)
        True
    """

    @property
    def about(self) -> SystemInfo:
        """What it is."""
        ...

    def fit(self, person: PersonData, base: LanguageModel, budget: Budget) -> FittedSystem:
        """Make this person's responder.

        Args:
            person: Whom it is for.
            base: The frozen base, as it was; it is left so.
            budget: What may be spent.
        """
        ...
