"""Word overlap: ROUGE-1 and ROUGE-L with the true response, Persona F1 with the user's content.

| symbol | meaning |
|---|---|
| H | tokens of what the user wrote in the training part, and of the profile |
| R | tokens of the response |
| p, r | `|H & R| / |R|`, `|H & R| / |H|` |

All scores are times 100.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from types import MappingProxyType
from typing import Literal

from lorecall.errors import ConfigError
from lorecall.metrics.intervals import N_RESAMPLES

Metric = Literal["rouge1", "rougeL", "persona_f1"]

_TOKEN = re.compile(r"[a-z0-9']+")
_PACKAGES = MappingProxyType(
    {
        "rouge1": "rouge-score",
        "rougeL": "rouge-score",
        "persona_f1": "stop-words",
    }
)
_OPTIONS = MappingProxyType(
    {
        "rouge1": "F1|no stemmer",
        "rougeL": "F1|no stemmer",
        "persona_f1": "F1 of sets|[a-z0-9']+|no english stop words",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RougeScores:
    """ROUGE-1 and ROUGE-L, F1 times 100, one value a sample."""

    rouge1: tuple[float, ...]
    rouge_l: tuple[float, ...]


def rouge(responses: Sequence[str], references: Sequence[str]) -> RougeScores:
    """Score responses against the true ones.

    `rouge-score` keeps only ASCII letters and digits: a text in another script scores 0, and an
    accented letter splits its word.

    Args:
        responses: What was generated.
        references: What the author answered, in the same order.

    Raises:
        ConfigError: The numbers of responses and references differ.
    """
    if len(responses) != len(references):
        raise ConfigError(
            "each response needs its reference",
            expected=f"{len(responses)} references",
            got=str(len(references)),
            next_step="Pass the two in the same order.",
        )
    # Slow to import (it brings nltk): only who scores pays for it.
    from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415

    scorer = RougeScorer(["rouge1", "rougeL"], use_stemmer=False)
    pairs = zip(responses, references, strict=True)
    scores = [scorer.score(reference, response) for response, reference in pairs]
    return RougeScores(
        rouge1=tuple(100.0 * float(score["rouge1"].fmeasure) for score in scores),
        rouge_l=tuple(100.0 * float(score["rougeL"].fmeasure) for score in scores),
    )


def persona_tokens(texts: Iterable[str]) -> frozenset[str]:
    """Return the set of lower-cased tokens of texts, without English stop words."""
    tokens = (token for text in texts for token in _TOKEN.findall(text.lower()))
    return frozenset(tokens) - _stop_words()


def persona_f1(response: str, persona: frozenset[str]) -> float:
    """Score how much of the user's content a response shares (SPEC section 6).

    It falls as H grows: compare only scores against the same H.

    Args:
        response: What was generated.
        persona: H, from `persona_tokens` over the user's training content.

    Returns:
        F1 times 100; 0 when nothing is shared.
    """
    tokens = persona_tokens([response])
    shared = len(persona & tokens)
    if not shared:
        return 0.0
    p, r = shared / len(tokens), shared / len(persona)
    return 100.0 * 2 * p * r / (p + r)


def signature(
    metric: Metric,
    n: int,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    n_persona_tokens: int | None = None,
) -> str:
    """Write down how a score was made: metric, package and version, options, n, interval.

    Args:
        metric: Which score.
        n: Number of samples.
        n_resamples: Bootstrap resamples of the interval.
        seed: Seed of the bootstrap.
        n_persona_tokens: The size of H, for Persona F1.
    """
    package = _PACKAGES[metric]
    parts = [metric, f"{package} {version(package)}", _OPTIONS[metric], "x100", f"n={n}"]
    if n_persona_tokens is not None:
        parts.append(f"H={n_persona_tokens} tokens")
    return "|".join([*parts, f"95% bootstrap, {n_resamples} resamples, seed {seed}"])


@cache
def _stop_words() -> frozenset[str]:
    from stop_words import get_stop_words  # noqa: PLC0415 - reads a file when imported

    return frozenset(get_stop_words("english"))
