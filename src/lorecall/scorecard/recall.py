"""Recall: half of something the person once answered, and which continuation is theirs.

A training response is cut in the middle. The true second half stands among second halves of other
people's responses, and the likeliest one, by mean loss per token, is taken. No model judges, and
all is decided by the seed. The base alone is asked the same: what it gets right by grammar and
topic is no recall.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lorecall.bench.reading import read_losses
from lorecall.core.words import n_words, pieces
from lorecall.lm.encoded import Encoded
from lorecall.metrics.intervals import bootstrap_mean, paired_difference
from lorecall.records import Interval, Sample, evenly_spaced
from lorecall.reply.responder import Responder
from lorecall.systems.contract import PersonData

MIN_WORDS = 8
N_OTHERS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """How often the true continuation is the likeliest, in percent; mean reciprocal ranks."""

    hits: Interval
    hits_before: Interval
    gain: Interval
    rank: float
    rank_before: float
    chance: float
    n: int


def recall(
    responder: Responder,
    bare: Responder,
    person: PersonData,
    others: Sequence[PersonData],
    *,
    n: int = 24,
    seed: int = 0,
) -> Recall | None:
    """Ask for continuations of what a person said in the training part.

    Returns:
        None where too few responses are long enough to be cut, or there is nobody else.
    """
    asked = [sample for sample in person.split.train if _is_long(sample)]
    foreign = [s.response for p in others for s in p.split.train if _is_long(s)]
    if not asked or len(foreign) < N_OTHERS:
        return None
    rng = random.Random(seed)
    chosen = evenly_spaced(asked, min(n, len(asked)))
    questions = [(sample, rng.sample(foreign, N_OTHERS)) for sample in chosen]
    ranks, ranks_before = (_ranks(each, questions) for each in (responder, bare))
    hits, before = ([100.0 * (rank == 1) for rank in each] for each in (ranks, ranks_before))
    return Recall(
        hits=bootstrap_mean(hits, seed=seed),
        hits_before=bootstrap_mean(before, seed=seed),
        gain=paired_difference(hits, before, seed=seed),
        rank=_mean_reciprocal(ranks),
        rank_before=_mean_reciprocal(ranks_before),
        chance=100 / (N_OTHERS + 1),
        n=len(questions),
    )


def halves(text: str) -> tuple[str, str]:
    """Cut a text in the middle, between words."""
    words = pieces(" ".join(text.split()))
    half = len(words) // 2
    return "".join(words[:half]), "".join(words[half:]).lstrip()


def _ranks(responder: Responder, questions: Sequence[tuple[Sample, list[str]]]) -> list[int]:
    """Return the rank of each true continuation; equally likely ones go before it."""
    encoded: list[Encoded] = []
    for sample, foreign in questions:
        begin, own = halves(sample.response)
        ends = (own, *(halves(text)[1] for text in foreign))
        encoded += [_cloze(responder, sample, begin, end) for end in ends]
    losses = read_losses(responder, encoded)
    width = N_OTHERS + 1
    rows = [losses[i : i + width] for i in range(0, len(losses), width)]
    return [1 + sum(loss <= row[0] for loss in row[1:]) for row in rows]


def _cloze(responder: Responder, sample: Sample, begin: str, end: str) -> Encoded:
    """Put the first half behind the prompt, so that the loss is of the second alone."""
    # under another id: notes may be of the sample itself, for that is what is asked
    asked = replace(sample, id="recall", response=f"{begin} {end}")
    whole = responder.encode(asked)
    given = responder.encode(replace(asked, response=begin)).response[:-1]
    n = min(len(given), len(whole.response) - 1)
    return Encoded(prompt=(*whole.prompt, *whole.response[:n]), response=whole.response[n:])


def _is_long(sample: Sample) -> bool:
    return n_words(sample.response) >= MIN_WORDS


def _mean_reciprocal(ranks: Sequence[int]) -> float:
    return sum(1 / rank for rank in ranks) / len(ranks)
