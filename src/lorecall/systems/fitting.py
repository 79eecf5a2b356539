"""What the systems have in common: how they train, what they retrieve, what they hand over."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from lorecall.decoding import Decoding
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.prompts import Retriever
from lorecall.memory.memory import StoredMemory
from lorecall.records import InjectionConfig, Sample
from lorecall.reply.responder import ModelResponder
from lorecall.systems.contract import NO_FACTS, Budget, FittedSystem, PersonData
from lorecall.systems.lexical import Matcher
from lorecall.systems.notes import Note, StoredNotes
from lorecall.systems.past import Past
from lorecall.train.fit import fit_memory, training_of
from lorecall.train.reading import Reader


@runtime_checkable
class NotesRetriever(Retriever, Protocol):
    """A retriever that says which notes it keeps for the person."""

    @property
    def kept(self) -> tuple[Note, ...]:
        """What must be stored so that it can retrieve."""
        ...


class MatchingRetriever:
    """Gives the notes that fit the query best, no text of them twice."""

    def __init__(self, past: Past, match: Matcher, *, n: int, show: Callable[[Note], str]) -> None:
        self._past, self._match, self._n, self._show = past, match, n, show

    @property
    def kept(self) -> tuple[Note, ...]:
        """Return all notes."""
        return self._past.notes

    @property
    def signature(self) -> str:
        """How notes are found, and how many of how many are given."""
        how = type(self._match).__name__.lower()
        return f"{how}, at most {self._n} of {len(self.kept)} notes"

    def retrieve(self, query: str, *, before: str | None = None) -> tuple[str, ...]:
        """Return notes, the best first."""
        among = self._past.visible(before)
        found = self._match.best(query, n=len(among), among=among)
        distinct = dict.fromkeys(self._show(self._past.notes[i]) for i in found)
        return tuple(distinct)[: self._n]


def trained(
    person: PersonData,
    base: LanguageModel,
    budget: Budget,
    config: InjectionConfig,
    *,
    linears: tuple[str, ...] | None = None,
    retriever: NotesRetriever | None = None,
    facts: Mapping[str, float] = NO_FACTS,
) -> FittedSystem:
    """Train one person's memory on all of the training part, and hand over the system."""
    made = fit_memory(
        config,
        person.split,
        base,
        settings=budget.train,
        seed=budget.seed,
        linears=linears,
        retriever=retriever,
    )
    return hand_over(
        person,
        base,
        budget,
        memory=made.memory,
        train_s=made.train_s,
        retriever=retriever,
        facts=facts,
    )


def hand_over(
    person: PersonData,
    base: LanguageModel,
    budget: Budget,
    *,
    memory: StoredMemory | None = None,
    train_s: float = 0.0,
    retriever: NotesRetriever | None = None,
    facts: Mapping[str, float] = NO_FACTS,
) -> FittedSystem:
    """Hand over one person's system."""
    decoding = memory.decoding if memory else fit_length(person, base, budget, retriever=retriever)
    training = training_of(person.split, seed=budget.seed)
    notes = StoredNotes(training=training, notes=retriever.kept) if retriever else None
    if retriever is not None:
        facts = {
            "notes": float(len(retriever.kept)),
            "valid_hit_rate": hit_rate(retriever, person.split.valid),
            **facts,
        }
    return FittedSystem(
        responder=ModelResponder(
            base, memory=memory, retriever=retriever, limits=budget.train, decoding=decoding
        ),
        samples_sha256=training.samples_sha256,
        train_s=train_s,
        n_bytes=(memory.n_bytes if memory else 0) + (notes.n_bytes if notes else 0),
        facts={**facts, "stop_bias": decoding.stop_bias},
        notes=notes,
    )


def fit_length(
    person: PersonData,
    base: LanguageModel,
    budget: Budget,
    *,
    memory: StoredMemory | None = None,
    retriever: Retriever | None = None,
) -> Decoding:
    """Fit the length of a system's replies, its notes in the validation prompts."""
    reader, split = Reader(base, budget.train), person.split
    own = reader.encode(split.train, past=split.train)  # of the training part the answers count
    prompts = reader.encode(split.valid, past=split.train, retriever=retriever)
    injection = memory and Injection.of(base, memory)
    longest = max(prompts.longest_response, own.longest_response)
    return reader.fit_length(prompts, own, max_new_tokens=longest, injection=injection)


def hit_rate(retriever: Retriever, samples: Sequence[Sample]) -> float:
    """Return the share of samples that notes are found for; 0 where there are no samples."""
    hits = sum(bool(retriever.retrieve(sample.query, before=sample.id)) for sample in samples)
    return hits / max(1, len(samples))
