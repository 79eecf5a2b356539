"""What the systems have in common: how they train, what they recall, what they hand over."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from lorecall.lm.base import LanguageModel
from lorecall.lm.prompts import Recall
from lorecall.memory.memory import StoredMemory, Training
from lorecall.records import InjectionConfig, Sample
from lorecall.reply.responder import ModelResponder
from lorecall.systems.contract import NO_FACTS, Budget, Fitted, Person
from lorecall.systems.lexical import Matcher
from lorecall.systems.notes import Note, StoredNotes
from lorecall.systems.past import Past
from lorecall.train.reply_length import FittedLength
from lorecall.train.storing import to_memory, training_of
from lorecall.train.trial import TrialRunner


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedMemory:
    """A memory, and the seconds its training took."""

    memory: StoredMemory
    seconds: float


@runtime_checkable
class NotesRecall(Protocol):
    """A recall that says which notes it keeps for the person."""

    @property
    def kept(self) -> tuple[Note, ...]:
        """What must be stored so that it can recall."""
        ...

    def recall(self, query: str, *, before: str | None = None) -> Sequence[str]:
        """As `lorecall.lm.prompts.Recall`."""
        ...


class MatchingRecall:
    """Gives the notes that fit the query best, no text of them twice.

    Args:
        past: The person's notes.
        match: Finds them; made of one text a note.
        n: Most that are given.
        show: What is shown of a note.
    """

    def __init__(self, past: Past, match: Matcher, *, n: int, show: Callable[[Note], str]) -> None:
        self._past, self._match, self._n, self._show = past, match, n, show

    @property
    def kept(self) -> tuple[Note, ...]:
        """Return all notes."""
        return self._past.notes

    def recall(self, query: str, *, before: str | None = None) -> tuple[str, ...]:
        """Return notes, the best first."""
        among = self._past.visible(before)
        found = self._match.best(query, n=len(among), among=among)
        distinct = dict.fromkeys(self._show(self._past.notes[i]) for i in found)
        return tuple(distinct)[: self._n]


def train_memory(
    person: Person,
    base: LanguageModel,
    budget: Budget,
    config: InjectionConfig,
    *,
    linears: tuple[str, ...] | None = None,
    recall: Recall | None = None,
) -> TrainedMemory:
    """Train one person's memory on all of the training part.

    Args:
        person: Whose.
        base: The frozen base.
        budget: How it is trained.
        config: theta.
        linears: Which linears take a module; None for the family's default.
        recall: What is put in the prompts in training; nothing when None.
    """
    trials = TrialRunner(base, settings=budget.train, seed=budget.seed)
    data = trials.data(person.split, person.split.train, recall=recall)
    trained = trials.train(config, data, linears=linears)
    memory = to_memory(trained, config, base=base, training=_training(person, budget))
    return TrainedMemory(memory=memory, seconds=trained.report.seconds)


def fitted(
    person: Person,
    base: LanguageModel,
    budget: Budget,
    *,
    trained: TrainedMemory | None = None,
    recall: NotesRecall | None = None,
    facts: Mapping[str, float] = NO_FACTS,
) -> Fitted:
    """Hand over one person's system, its replies as long as the person's where that is asked for.

    Args:
        person: Whose.
        base: The base it answers from.
        budget: The longest prompt and response.
        trained: What it has in the weights.
        recall: What it puts in the prompt.
        facts: What is to be reported beside the number of notes and how often one is found.
    """
    training, memory = _training(person, budget), trained.memory if trained else None
    responder = ModelResponder(base, memory=memory, recall=recall, limits=budget.train)
    length = _length(responder, person, budget)
    memory = memory.decoded(length.decoding) if memory else None
    notes = StoredNotes(training=training, notes=recall.kept) if recall else None
    if recall is not None:
        facts = {
            "notes": float(len(recall.kept)),
            "valid_hit_rate": hit_rate(recall, person.split.valid),
            **facts,
        }
    return Fitted(
        responder=ModelResponder(
            base, memory=memory, recall=recall, limits=budget.train, decoding=length.decoding
        ),
        samples_sha256=training.samples_sha256,
        train_s=trained.seconds if trained else 0.0,
        n_bytes=(memory.n_bytes if memory else 0) + (notes.n_bytes if notes else 0),
        facts={**facts, "stop_bias": length.decoding.stop_bias},
        notes=notes,
    )


def hit_rate(recall: Recall, samples: Sequence[Sample]) -> float:
    """Return the share of samples that notes are found for; 0 where there are no samples."""
    hits = sum(bool(recall.recall(sample.query, before=sample.id)) for sample in samples)
    return hits / max(1, len(samples))


def _length(responder: ModelResponder, person: Person, budget: Budget) -> FittedLength:
    """Fit the length of a system's replies, its notes in the validation prompts alone."""
    trials = TrialRunner(responder.base, settings=budget.train, seed=budget.seed)
    split = person.split
    data = trials.data(split, split.train)  # of the training part only the answers count
    if responder.recall is not None:
        valid = trials.encode(split.valid, past=split.train, recall=responder.recall)
        data = replace(data, valid=valid)
    with responder.attached() as injection:
        return trials.fit_length(data, injection=injection)


def _training(person: Person, budget: Budget) -> Training:
    history = person.history
    return training_of(person.split, user=history.user, dataset=history.dataset, seed=budget.seed)
