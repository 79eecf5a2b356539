"""Absence: questions about things the person never mentioned. To make something up is to fail.

An answer counts as one that does not know when it holds one of a few phrases. That is coarse: a
made-up answer with such a phrase in it counts, and a dodge without one does not. The base alone is
asked the same, and a few answers are kept to be read.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from lorecall.metrics.intervals import bootstrap_mean, paired_difference
from lorecall.metrics.overlap import persona_tokens
from lorecall.records import Interval
from lorecall.reply.responder import Responder
from lorecall.report.words import masked_line

N_KEPT = 4
_PHRASES = (
    r"(?:dont|do not|didnt|did not)(?: \w+)? (?:know|remember|recall|have|own|keep|play)",
    r"(?:cant|cannot|can not|couldnt) (?:say|tell|remember|recall)",
    r"not (?:so |quite |really )?(?:sure|certain)",
    r"no (?:idea|clue)",
    r"(?:have|ive|i) never",
    r"dunno|idk|unsure|havent|have not|unable to|forgot|forgotten",
)
_UNKNOWING = re.compile(rf"\b(?:{'|'.join(_PHRASES)})\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question with both answers, masked."""

    question: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """How often an answer does not claim to know, in percent, and a few of the answers."""

    admitted: Interval
    admitted_before: Interval
    change: Interval
    n: int
    answers: tuple[Asked, ...]


def absence(
    responder: Responder, bare: Responder, own_content: Sequence[str], *, seed: int = 0
) -> Absence | None:
    """Ask about things that are nowhere in the person's content.

    Returns:
        None where the person mentioned something of every question.
    """
    asked = questions_never_said(own_content)
    if not asked:
        return None
    after, before = (each.reply_all(asked) for each in (responder, bare))
    now, then = ([100.0 * does_not_know(answer) for answer in each] for each in (after, before))
    texts = (map(masked_line, each) for each in (asked, before, after))
    answers = [Asked(question=q, before=b, after=a) for q, b, a in zip(*texts, strict=True)]
    return Absence(
        admitted=bootstrap_mean(now, seed=seed),
        admitted_before=bootstrap_mean(then, seed=seed),
        change=paired_difference(now, then, seed=seed),
        n=len(asked),
        answers=tuple(answers[:N_KEPT]),
    )


def questions_never_said(own_content: Sequence[str]) -> list[str]:
    """Return the questions none of whose subjects the person mentioned."""
    said = persona_tokens(own_content)
    path = files("lorecall.scorecard").joinpath("questions.jsonl")
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [row["question"] for row in rows if said.isdisjoint(row["about"])]


def does_not_know(answer: str) -> bool:
    """Whether an answer admits, by its phrases, that it does not know."""
    bare = re.sub("['\N{RIGHT SINGLE QUOTATION MARK}]", "", answer.lower())
    return _UNKNOWING.search(" ".join(bare.split())) is not None
