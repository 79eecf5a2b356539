"""Word overlap: ROUGE-1 and ROUGE-L with the true response, Persona F1 with the user's content.

| symbol | meaning |
|---|---|
| H | tokens of what the user wrote in the training part, and of the profile |
| R | tokens of the response |
| p, r | `|H & R| / |R|`, `|H & R| / |H|` |

All scores are times 100. Tokens are those of `lorecall.core.words`: `rouge-score`'s own for a text
in ASCII, words of any script otherwise.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, partial
from typing import Literal, Self
from unicodedata import normalize

from lorecall.core.words import PACKAGES, tokens
from lorecall.errors import ConfigError
from lorecall.metrics.registry import Answers, Metric

Rouge = Literal["rouge1", "rougeL"]

_ENGLISH = "english"
_MIN_TOKENS, _MIN_SHARE = 40, 0.15  # of fewer, or where fewer are stop words, it cannot be told


class Tokens(frozenset[str]):
    """Distinct tokens without the stop words of a language."""

    language: str

    def __new__(cls, found: Iterable[str] = (), *, language: str = _ENGLISH) -> Self:
        """Make a set that knows its language."""
        made = super().__new__(cls, found)
        made.language = language
        return made


class _Tokenizer:
    """The tokens, as `rouge-score` asks for them."""

    def tokenize(self, text: str) -> list[str]:
        return tokens(text)


def rouge(
    responses: Sequence[str], references: Sequence[str], *, kind: Rouge = "rougeL"
) -> tuple[float, ...]:
    """Return ROUGE of responses against the true ones: F1 times 100, one value a sample.

    `rouge-score` computes it. Its own tokens are ASCII letters and digits alone, so it is given
    others: an accented letter is part of its word, and a text in any script has words.

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

    scorer = RougeScorer([kind], tokenizer=_Tokenizer())
    pairs = zip(responses, references, strict=True)
    scores = [scorer.score(reference, response) for response, reference in pairs]
    return tuple(100.0 * float(score[kind].fmeasure) for score in scores)


def persona_tokens(texts: Iterable[str], *, language: str | None = None) -> Tokens:
    """Return the set of lower-cased tokens of texts, without stop words.

    Args:
        texts: What someone wrote.
        language: Whose stop words are left out, as `stop-words` names it; None for the language
            of which the texts have the most, English where they have few.

    Raises:
        ConfigError: There are no stop words of that language.

    Examples:
        >>> from lorecall.metrics import persona_tokens
        >>> sorted(persona_tokens(["We sail the sea", "The SEA!"]))
        ['sail', 'sea']
        >>> sorted(persona_tokens(["Ich mag das Meer"], language="german"))
        ['mag', 'meer']
    """
    counts = Counter(token for text in texts for token in tokens(text, apostrophes=True))
    language = _language_of(counts) if language is None else language
    return Tokens(counts.keys() - stop_words(language), language=language)


def persona_f1(response: str, persona: frozenset[str]) -> float:
    """Return how much of the user's content a response shares (SPEC section 6).

    It falls as H grows: compare only scores against the same H.

    Args:
        response: What was generated.
        persona: H, from `persona_tokens` over the user's training content; the response is freed of
            stop words of the same language.

    Returns:
        F1 times 100; 0 when nothing is shared.

    Examples:
        >>> from lorecall.metrics import persona_f1, persona_tokens
        >>> persona_f1("the sea and boats", persona_tokens(["We sail the sea"]))
        50.0
    """
    language = persona.language if isinstance(persona, Tokens) else _ENGLISH
    said = persona_tokens([response], language=language)
    shared = len(persona & said)
    if not shared:
        return 0.0
    p, r = shared / len(said), shared / len(persona)
    return 100.0 * 2 * p * r / (p + r)


def _rouge_of(answers: Answers, kind: Rouge) -> tuple[float, ...]:
    return rouge(answers.responses, answers.references, kind=kind)


def _language_of(counts: Counter[str]) -> str:
    """Return of which language's stop words there are the most."""
    from stop_words import AVAILABLE_LANGUAGES  # noqa: PLC0415 - reads a file when imported

    n = len(counts)  # each word once: how often one is repeated says nothing
    if n < _MIN_TOKENS:
        return _ENGLISH
    found = {
        language: len(counts.keys() & stop_words(language))
        for language in (_ENGLISH, *sorted(AVAILABLE_LANGUAGES))
    }
    first = max(found, key=found.__getitem__)  # English among equals
    return first if found[first] >= _MIN_SHARE * n else _ENGLISH


@cache
def stop_words(language: str = _ENGLISH) -> frozenset[str]:
    """Return the words of a language that say little by themselves.

    Raises:
        ConfigError: There are none of that language.
    """
    from stop_words import StopWordError, get_stop_words  # noqa: PLC0415

    try:
        listed = get_stop_words(language)
    except StopWordError as reason:
        raise ConfigError(
            "stop words must be of a known language",
            expected="a name that the package stop-words has, such as german",
            got=repr(language),
            next_step="Leave the language out to have it found.",
        ) from reason
    return frozenset(normalize("NFC", word) for word in listed)


PERSONA_F1 = Metric(
    key="persona_f1",
    title="Persona F1",
    lower_is_better=False,
    unit="times 100",
    decimals=2,
    score=lambda answers: [persona_f1(each, answers.persona) for each in answers.responses],
    made="F1 of sets|words with apostrophes, lower-case NFC|no stop words of H's language|x100",
    packages=("stop-words", *PACKAGES),
    of_content=True,
)
_ROUGE = partial(
    Metric,
    lower_is_better=False,
    unit="times 100",
    decimals=2,
    made="F1|words, lower-case NFC|no stemmer|x100",
    packages=("rouge-score", *PACKAGES),
)
METRICS = (
    _ROUGE(key="rouge1", title="ROUGE-1", score=partial(_rouge_of, kind="rouge1")),
    _ROUGE(key="rougeL", title="ROUGE-L", score=partial(_rouge_of, kind="rougeL")),
    PERSONA_F1,
)
