"""One person's scorecard: style, recall, absence, control, general ability, and what it comes to.

Every number stands beside the base's own, for a memory is worth what it adds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lorecall.bench.reading import PartReading, read_fitted, read_losses
from lorecall.core.options import check_options, option
from lorecall.errors import ConfigError
from lorecall.metrics.intervals import bootstrap_mean, paired_difference
from lorecall.metrics.overlap import persona_f1, persona_tokens
from lorecall.records import Interval, evenly_spaced
from lorecall.reply.responder import ModelResponder, Responder
from lorecall.scorecard.ability import Ability, ability
from lorecall.scorecard.absence import Absence, absence
from lorecall.scorecard.recall import Recall, recall
from lorecall.settings import TrainSettings
from lorecall.systems.contract import Budget, Fitted, Person


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSettings:
    """How much is asked; `limits` has the longest prompt and response."""

    limits: TrainSettings = field(default_factory=TrainSettings)
    test_samples: int = option(32, "Most test samples read, evenly spaced.", low=1)
    n_recall: int = option(24, "Most questions of recall.", low=1)
    n_control: int = option(24, "Samples of other people for the control.", low=1)
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

    `control` is the loss of other people's test responses with the same memory: it should not fall.
    """

    user: str
    dataset: str
    style: Style
    recall: Recall | None
    absence: Absence | None
    control: Change | None
    ability: Ability

    @property
    def personal_share(self) -> float | None:
        """Share of the gain on the person's own responses that others' do not have as well.

        0 where others' responses gained more; None where the person's own gained nothing, or there
        is nobody else.
        """
        gain = -self.style.loss.change.value
        if gain <= 0 or self.control is None:
            return None
        return max(0.0, 1 - max(0.0, -self.control.change.value) / gain)

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
        found.append(_moved("own style (loss)", self.style.loss.change, lower_is_better=True))
        if self.recall is not None:
            found.append(_moved("recall (hits)", self.recall.gain))
        if self.absence is not None:
            found.append(_moved("admits what it cannot know", self.absence.change))
        if self.control is not None:
            found.append(self._control_verdict(self.control))
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
            "control": self.control,
        }
        return tuple(name for name, part in parts.items() if part is None)

    def _control_verdict(self, control: Change) -> str:
        if control.change.high >= 0:
            return "control: it does not answer for other people any better"
        share = self.personal_share
        kept = "" if share is None else f"; {100 * share:.0f}% of the gain is the person's own"
        return f"control: it answers for other people better too{kept}"


def scorecard(
    responder: Responder, person: Person, others: Sequence[Person], *, settings: CardSettings
) -> Scorecard:
    """Make one person's scorecard.

    Raises:
        ConfigError: The person is among the others.
    """
    if person.history.user in {other.history.user for other in others}:
        raise ConfigError(
            "a scorecard's controls are of other people",
            expected="nobody twice",
            got=f"{person.history.user!r} among the others",
            next_step="Leave the person out there.",
        )
    bare = ModelResponder(responder.base, limits=settings.limits)
    seed = settings.seed
    return Scorecard(
        user=person.history.user,
        dataset=person.history.dataset,
        style=_style(responder, bare, person, others[0] if others else None, settings),
        recall=recall(responder, bare, person, others, n=settings.n_recall, seed=seed),
        absence=absence(responder, bare, person.split.own_content, seed=seed),
        control=_control(responder, bare, others, settings) if others else None,
        ability=ability(responder, bare, seed=seed),
    )


def _style(
    responder: Responder,
    bare: Responder,
    person: Person,
    other: Person | None,
    settings: CardSettings,
) -> Style:
    test = person.split.test
    n = min(len(test), settings.test_samples)
    samples = evenly_spaced(test, n)
    budget = Budget(train=settings.limits, seed=settings.seed)

    def read(each: Responder) -> PartReading:
        fitted = Fitted(responder=each, samples_sha256="")
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
        n=n,
    )


def _control(
    responder: Responder, bare: Responder, others: Sequence[Person], settings: CardSettings
) -> Change:
    every = [sample for other in others for sample in other.split.test]
    n = min(len(every), settings.n_control)
    samples = evenly_spaced(every, n)
    after, before = (
        read_losses(each, [each.encode(sample) for sample in samples]) for each in (responder, bare)
    )
    return _change(after, before, seed=settings.seed)


def _change(after: Sequence[float], before: Sequence[float], *, seed: int) -> Change:
    return Change(
        after=bootstrap_mean(after, seed=seed),
        before=bootstrap_mean(before, seed=seed),
        change=paired_difference(after, before, seed=seed),
    )


def _moved(what: str, change: Interval, *, lower_is_better: bool = False) -> str:
    if not change.excludes_zero:
        return f"{what}: no sure change"
    better = (change.value < 0) == lower_is_better
    return f"{what}: {'better' if better else 'WORSE'}"
