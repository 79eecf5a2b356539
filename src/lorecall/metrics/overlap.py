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
from functools import cache, partial
from typing import Literal

from lorecall.errors import ConfigError
from lorecall.metrics.registry import Answers, Metric

Rouge = Literal["rouge1", "rougeL"]

_TOKEN = re.compile(r"[a-z0-9']+")


def rouge(
    responses: Sequence[str], references: Sequence[str], *, kind: Rouge = "rougeL"
) -> tuple[float, ...]:
    """Return ROUGE of responses against the true ones: F1 times 100, one value a sample.

    `rouge-score` keeps only ASCII letters and digits: a text in another script scores 0, and an
    accented letter splits its word.

    Args:
        responses: What was generated.
        references: What the author answered, in the same order.
        kind: Over single words, or over the longest common subsequence of words.

    Raises:
        ConfigError: The numbers of responses and references differ.

    Examples:
        >>> from lorecall.metrics import rouge
        >>> rouge(["tea and rain", "no"], ["rain and tea", "no"])
        (33.33333333333333, 100.0)
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

    scorer = RougeScorer([kind], use_stemmer=False)
    pairs = zip(responses, references, strict=True)
    scores = [scorer.score(reference, response) for response, reference in pairs]
    return tuple(100.0 * float(score[kind].fmeasure) for score in scores)


def persona_tokens(texts: Iterable[str]) -> frozenset[str]:
    """Return the set of lower-cased tokens of texts, without English stop words.

    Examples:
        >>> from lorecall.metrics import persona_tokens
        >>> sorted(persona_tokens(["We sail the sea", "The SEA!"]))
        ['sail', 'sea']
    """
    tokens = (token for text in texts for token in _TOKEN.findall(text.lower()))
    return frozenset(tokens) - stop_words()


def persona_f1(response: str, persona: frozenset[str]) -> float:
    """Return how much of the user's content a response shares (SPEC section 6).

    It falls as H grows: compare only scores against the same H.

    Args:
        response: What was generated.
        persona: H, from `persona_tokens` over the user's training content.

    Returns:
        F1 times 100; 0 when nothing is shared.

    Examples:
        >>> from lorecall.metrics import persona_f1, persona_tokens
        >>> persona_f1("the sea and boats", persona_tokens(["We sail the sea"]))
        50.0
    """
    tokens = persona_tokens([response])
    shared = len(persona & tokens)
    if not shared:
        return 0.0
    p, r = shared / len(tokens), shared / len(persona)
    return 100.0 * 2 * p * r / (p + r)


def _rouge_of(answers: Answers, kind: Rouge) -> tuple[float, ...]:
    return rouge(answers.responses, answers.references, kind=kind)


@cache
def stop_words() -> frozenset[str]:
    """Return the English words that say little by themselves."""
    from stop_words import get_stop_words  # noqa: PLC0415 - reads a file when imported

    return frozenset(get_stop_words("english"))


PERSONA_F1 = Metric(
    key="persona_f1",
    title="Persona F1",
    lower_is_better=False,
    unit="times 100",
    decimals=2,
    score=lambda answers: [persona_f1(each, answers.persona) for each in answers.responses],
    made="F1 of sets|[a-z0-9']+|no english stop words|x100",
    package="stop-words",
    of_content=True,
)
_ROUGE = partial(
    Metric,
    lower_is_better=False,
    unit="times 100",
    decimals=2,
    made="F1|no stemmer|x100",
    package="rouge-score",
)
METRICS = (
    _ROUGE(key="rouge1", title="ROUGE-1", score=partial(_rouge_of, kind="rouge1")),
    _ROUGE(key="rougeL", title="ROUGE-L", score=partial(_rouge_of, kind="rougeL")),
    PERSONA_F1,
)
