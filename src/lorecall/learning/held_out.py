"""One person's test part on one base: what is made of it with a memory, or without any."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from lorecall.decoding import READABLE, Decoding
from lorecall.learning.others import N_CANDIDATES
from lorecall.learning.run import FitSummary
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.generate import respond
from lorecall.memory.memory import StoredMemory
from lorecall.metrics.personal import Picked, pick_own
from lorecall.records import Sample, Split, evenly_spaced
from lorecall.settings import TrainSettings
from lorecall.train.reading import Reader

_N_SHOWN = 5
_NO_FIT = FitSummary()


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemReading:
    """What one system made of the test samples, and how its memory was made.

    Args:
        losses: Of the true responses, in nats per token; one a sample.
        responses: What was answered, greedily; none where it was not asked.
        shown: What was answered for people to read: drawn, one for each of `shown_of`.
        seconds: All of it, without what `fit` took.
        fit: How its memory was made; all zero where it has none.
    """

    losses: tuple[float, ...]
    responses: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    seconds: float
    fit: FitSummary = _NO_FIT


@dataclass(frozen=True, slots=True, kw_only=True)
class PickedReading:
    """Which of several replies was taken for the person's own, and how long that took."""

    picked: Picked
    seconds: float


class HeldOut:
    """One person's test part on one base, to be read with any memory.

    Args:
        base: The base.
        split: The person's samples.
        settings: The longest prompt and response, and what a prompt shows.
    """

    def __init__(self, base: LanguageModel, split: Split, settings: TrainSettings) -> None:
        self.base, self._split, self._reader = base, split, Reader(base, settings)
        encode = partial(self._reader.encode, past=split.train)
        self._train, self._valid, self._test = map(encode, (split.train, split.valid, split.test))
        self._longest = max(self._train.longest_response, self._valid.longest_response)

    def read(self, memory: StoredMemory | None = None, fit: FitSummary = _NO_FIT) -> SystemReading:
        """Read the true responses, and answer the queries: for metrics, and for people.

        Args:
            memory: What is in the weights; nothing beside the base when None.
            fit: How it was made.
        """
        started = perf_counter()
        injection = memory and Injection.of(self.base, memory)
        decoding = (
            memory.decoding
            if memory
            else self._reader.fit_length(self._valid, self._train, max_new_tokens=self._longest)
        )
        reading = self._reader.read(
            self._test, max_new_tokens=self._longest, injection=injection, decoding=decoding
        )
        shown = self._shown(decoding, injection)
        return SystemReading(
            losses=reading.losses,
            responses=reading.responses,
            shown=shown,
            seconds=perf_counter() - started,
            fit=fit,
        )

    def read_other(self, memory: StoredMemory, fit: FitSummary, *, answers: bool) -> SystemReading:
        """Read the true responses with another person's memory.

        Args:
            memory: What is in the weights.
            fit: How it was made.
            answers: Whether to answer for people to read, too.
        """
        started = perf_counter()
        injection = Injection.of(self.base, memory)
        losses = self._reader.losses(self._test, injection=injection)
        shown = self._shown(memory.decoding, injection) if answers else ()
        return SystemReading(losses=losses, shown=shown, seconds=perf_counter() - started, fit=fit)

    def pick(self, rows: Sequence[Sequence[Sample]], memory: StoredMemory) -> PickedReading:
        """Pick the reply of each row that gains most from a memory.

        Args:
            rows: Candidates of each query, the true one first.
            memory: The person's own.
        """
        started = perf_counter()
        samples = [sample for row in rows for sample in row]
        part = self._reader.encode(samples, past=self._split.train)
        injections = (Injection.of(self.base, memory), None)
        read = (self._reader.losses(part, injection=injection) for injection in injections)
        own, shared = (
            [losses[i : i + N_CANDIDATES] for i in range(0, len(losses), N_CANDIDATES)]
            for losses in read
        )
        return PickedReading(picked=pick_own(own, shared), seconds=perf_counter() - started)

    def _shown(self, decoding: Decoding, injection: Injection | None) -> tuple[str, ...]:
        """Answer the queries that are shown, drawn."""
        answers = respond(
            self.base,
            self._reader.format,
            [self._test.encoded[i].prompt for i in shown_of(self._split)],
            max_new_tokens=self._longest,
            decoding=decoding.drawn_as(READABLE),
            injection=injection,
        )
        return tuple(answers)


def shown_of(split: Split) -> tuple[int, ...]:
    """Return which test samples are shown to people: evenly spaced, not picked by their answers."""
    return evenly_spaced(range(len(split.test)), min(_N_SHOWN, len(split.test)))
