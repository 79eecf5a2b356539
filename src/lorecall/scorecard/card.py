"""One person's scorecard: what is personal, style, recall, absence, damage; what it comes to.

Every number stands beside the base's own, with the shared memory that is in it, for a memory is
worth what it adds; and other people's memories are swapped for it, for it is the person's own only
as far as theirs do not add the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from lorecall.bench.reading import PartReading, read_fitted
from lorecall.core.options import check_options, option
from lorecall.errors import ConfigError
from lorecall.memory.memory import StoredMemory
from lorecall.metrics.intervals import bootstrap_mean, paired_difference
from lorecall.metrics.overlap import persona_f1, persona_tokens
from lorecall.records import Interval, Sample, evenly_spaced
from lorecall.reply.responder import ModelResponder, Responder
from lorecall.scorecard.ability import Ability, ability
from lorecall.scorecard.absence import Absence, absence
from lorecall.scorecard.personal import Personal, personal
from lorecall.scorecard.recall import Recall, recall
from lorecall.settings import TrainSettings
from lorecall.systems.contract import Budget, FittedSystem, PersonData

_NO_MEMORIES: Mapping[str, StoredMemory] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSettings:
    """How much is asked; `limits` has the longest prompt and response."""

    limits: TrainSettings = field(default_factory=TrainSettings)
    test_samples: int = option(32, "Most test samples read, evenly spaced.", low=1)
    n_recall: int = option(24, "Most questions of recall.", low=1)
    seed: int = 0

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A mean with the memory, without it, and the difference, paired by sample."""

    after: Interval
    before: Interval
    change: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How like the person the answers are: the loss of the true ones, and Persona F1.

    `own` is against the person's content, of `n_own` words, `other` against another's.
    """

    loss: Change
    own: Change
    other: Change | None
    n_own: int
    n_other: int
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """What one memory knows of its person; a part that could not be asked is None.

    `shared` is the shared memory in the base, by its name, if there is one.
    """

    user: str
    dataset: str
    shared: str | None
    personal: Personal | None
    style: Style
    recall: Recall | None
    absence: Absence | None
    ability: Ability

    @property
    def verdicts(self) -> tuple[str, ...]:
        """Return what it comes to, the damage first."""
        found: list[str] = []
        change = self.ability.change
        if self.ability.is_damaged:
            found.append(
                f"DAMAGED: the loss on general text rose by {change.value:.3f} nats per token"
                f" [{change.low:.3f}, {change.high:.3f}]. Do not use this memory: train it again"
                " with fewer epochs, a lower rank or a lower learning rate."
            )
        found.append(_personal_verdict(self.personal))
        found.append(_moved("own style (loss)", self.style.loss.change, lower_is_better=True))
        if self.recall is not None:
            found.append(_moved("recall (hits)", self.recall.gain))
        if self.absence is not None:
            found.append(_moved("admits what it cannot know", self.absence.change))
        if self.left_out:
            left_out = ", ".join(self.left_out)
            found.append(f"left out, for it takes other people, or longer responses: {left_out}")
        return tuple(found)

    @property
    def left_out(self) -> tuple[str, ...]:
        """What could not be asked."""
        parts = {
            "recall": self.recall,
            "Persona F1 against another's content": self.style.other,
        }
        return tuple(name for name, part in parts.items() if part is None)


def make_card(
    responder: Responder,
    person: PersonData,
    others: Sequence[PersonData],
    *,
    memories: Mapping[str, StoredMemory] = _NO_MEMORIES,
    settings: CardSettings,
) -> Scorecard:
    """Make one person's scorecard.

    Args:
        responder: The person's.
        person: Who.
        others: Other people, whose words stand beside the person's.
        memories: user -> the memory of someone else, to swap with.
        settings: How much is asked.

    Raises:
        ConfigError: The person is among the others.
    """
    user = person.history.user
    if user in {*(other.history.user for other in others), *memories}:
        raise ConfigError(
            "a scorecard sets a person beside other people",
            expected="nobody twice",
            got=f"{user!r} among the others",
            next_step="Leave the person out there.",
        )
    bare = ModelResponder(responder.base, limits=settings.limits)
    seed, shared = settings.seed, responder.base.shared
    test = person.split.test
    samples = evenly_spaced(test, min(len(test), settings.test_samples))
    return Scorecard(
        user=user,
        dataset=person.history.dataset,
        shared=None if shared is None else Path(shared.name).name,
        personal=personal(responder, bare, samples, memories, limits=settings.limits, seed=seed),
        style=_style(responder, bare, person, samples, others[0] if others else None, settings),
        recall=recall(responder, bare, person, others, n=settings.n_recall, seed=seed),
        absence=absence(responder, bare, person.split.own_content, seed=seed),
        ability=ability(responder, bare, seed=seed),
    )


def _style(
    responder: Responder,
    bare: Responder,
    person: PersonData,
    samples: Sequence[Sample],
    other: PersonData | None,
    settings: CardSettings,
) -> Style:
    budget = Budget(train=settings.limits, seed=settings.seed)

    def read(each: Responder) -> PartReading:
        fitted = FittedSystem(responder=each, samples_sha256="")
        return read_fitted(fitted, samples, person=person, budget=budget, n_timed=1)

    after, before = read(responder), read(bare)
    own = persona_tokens(person.split.own_content)
    foreign = persona_tokens(other.split.own_content) if other else frozenset[str]()

    def overlap(persona: frozenset[str]) -> Change:
        now, then = (
            [persona_f1(response, persona) for response in each.responses]
            for each in (after, before)
        )
        return _change(now, then, seed=settings.seed)

    return Style(
        loss=_change(after.losses, before.losses, seed=settings.seed),
        own=overlap(own),
        other=overlap(foreign) if other else None,
        n_own=len(own),
        n_other=len(foreign),
        n=len(samples),
    )


def _change(after: Sequence[float], before: Sequence[float], *, seed: int) -> Change:
    return Change(
        after=bootstrap_mean(after, seed=seed),
        before=bootstrap_mean(before, seed=seed),
        change=paired_difference(after, before, seed=seed),
    )


def _personal_verdict(found: Personal | None) -> str:
    if found is None:
        return "personal: cannot be told, for there is nobody else's memory to swap with"
    gain = found.gain
    sure = "" if gain.low > 0 else "NOT SURELY " if gain.high >= 0 else "NOT "
    return (
        f"personal: {sure}its own person's. Others' memories on the same replies lose"
        f" {gain.value:+.3f} nats per token [{gain.low:+.3f}, {gain.high:+.3f}];"
        f" it ranks {found.rank} of {found.n_memories}"
    )


def _moved(what: str, change: Interval, *, lower_is_better: bool = False) -> str:
    if not change.excludes_zero:
        return f"{what}: no sure change"
    better = (change.value < 0) == lower_is_better
    return f"{what}: {'better' if better else 'WORSE'}"
