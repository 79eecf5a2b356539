"""One way to read any system on a person's test samples: quality and cost, sample by sample.

All systems of a person are read with the same samples, limits and decoding, whatever they have in
the weights or put in the prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from lorecall.lm.base import LanguageModel
from lorecall.lm.encoded import Encoded
from lorecall.lm.prompts import format_for
from lorecall.records import Sample, evenly_spaced
from lorecall.reply.messages import messages_of
from lorecall.reply.responder import Responder
from lorecall.settings import TrainSettings
from lorecall.systems.contract import Budget, FittedSystem, PersonData
from lorecall.train.reading import EncodedPart, Reader

N_TIMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReading:
    """What one system made of test samples; one value a sample.

    Args:
        losses: Cross entropy of the true responses, in nats per token.
        responses: What was answered, greedily.
        prompt_tokens: Length of the prompts.
        extra_prompt_tokens: By how much they are longer than those of the base alone.
        seconds: Time to read and answer all, in batches.
        latency_s: Median time of one reply by itself.
    """

    losses: tuple[float, ...]
    responses: tuple[str, ...]
    prompt_tokens: tuple[int, ...]
    extra_prompt_tokens: tuple[int, ...]
    seconds: float
    latency_s: float


def read_fitted(
    fitted: FittedSystem,
    samples: Sequence[Sample],
    *,
    person: PersonData,
    budget: Budget,
    n_timed: int = N_TIMED,
) -> PartReading:
    """Read one person's system on test samples, and time `n_timed` replies one by one."""
    responder = fitted.responder
    base = responder.base
    encoded = [responder.encode(sample) for sample in samples]
    part = EncodedPart(samples=tuple(samples), encoded=tuple(encoded))
    reader = Reader(base, budget.train)
    reading = reader.read(
        part,
        max_new_tokens=longest_response(person, base, budget.train),
        injection=responder.injection,
        decoding=responder.decoding,
    )
    bare = plain_encoded(samples, base, budget.train)
    return PartReading(
        losses=reading.losses,
        responses=reading.responses,
        prompt_tokens=tuple(len(e.prompt) for e in encoded),
        extra_prompt_tokens=tuple(
            len(e.prompt) - len(b.prompt) for e, b in zip(encoded, bare, strict=True)
        ),
        seconds=reading.seconds,
        latency_s=_latency_s(responder, samples, n=n_timed),
    )


def read_losses(responder: Responder, encoded: Sequence[Encoded]) -> tuple[float, ...]:
    """Read the losses of anything in tokens, with what the responder has in its weights."""
    reader = Reader(responder.base, TrainSettings())
    part = EncodedPart(samples=(), encoded=tuple(encoded))
    return reader.losses(part, injection=responder.injection)


def plain_encoded(
    samples: Sequence[Sample], base: LanguageModel, settings: TrainSettings
) -> list[Encoded]:
    """Return samples as the base alone reads them: without any notes."""
    form = format_for(base, settings)
    return [form.encode(sample, earlier=settings.earlier_turns) for sample in samples]


def longest_response(person: PersonData, base: LanguageModel, settings: TrainSettings) -> int:
    """Return the longest response outside the test, in tokens: no system answers at more length."""
    seen = (*person.split.train, *person.split.valid)
    return max(len(e.response) for e in plain_encoded(seen, base, settings))


def _latency_s(responder: Responder, samples: Sequence[Sample], *, n: int) -> float:
    """Time replies one at a time, after one that does not count."""
    times: list[float] = []
    timed = evenly_spaced(samples, min(n, len(samples)))
    for i, sample in enumerate((timed[0], *timed)):
        started = perf_counter()
        responder.reply(messages_of(sample.query, sample.earlier))
        if i:
            times.append(perf_counter() - started)
    return median(times)
