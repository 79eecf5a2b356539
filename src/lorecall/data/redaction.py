"""A history without what names someone outright: placeholders stand there instead."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from lorecall.data.history import sample_id
from lorecall.data.privacy import found, mask
from lorecall.records import History, Sample


def redact(history: History) -> History:
    """Return a history in whose texts the kind stands for what would be masked if it were shown.

    What a user is called stays. A sample that is changed gets the id of what it holds now.
    `redacted` of the new history counts the places by kind, once a text; a history that is
    redacted already stays as it is.

    Args:
        history: Anyone's.

    Examples:
        >>> from lorecall import History, Sample
        >>> from lorecall.data import redact
        >>> day = Sample(id="1", user="ann", conversation="1", query="your number?",
        ...     response="it is 555-010-4477")
        >>> safe = redact(History(dataset="diary", user="ann", samples=(day,)))
        >>> safe.samples[0].response, dict(safe.redacted)
        ('it is [phone]', {'phone': 1})
    """
    if history.redacted is not None:
        return history
    texts: dict[str, str] = {}

    def clean(text: str) -> str:
        if text not in texts:
            texts[text] = mask(text)
        return texts[text]

    samples = tuple(_sample(each, i, clean) for i, each in enumerate(history.samples))
    statements = tuple(replace(each, text=clean(each.text)) for each in history.statements)
    profile = tuple(map(clean, history.profile))
    counts = Counter(span.kind for text in texts for span in found(text))
    return replace(
        history,
        samples=samples,
        statements=statements,
        profile=profile,
        redacted=MappingProxyType(dict(sorted(counts.items()))),
    )


def by_kind(counts: Mapping[str, int]) -> str:
    """Write how much of each kind there is, the most first: `12 phone, 3 e-mail`, or `nothing`."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{n:,} {kind}" for kind, n in ordered) or "nothing"


def _sample(sample: Sample, position: int, clean: Callable[[str], str]) -> Sample:
    query, response = clean(sample.query), clean(sample.response)
    earlier = tuple(replace(turn, text=clean(turn.text)) for turn in sample.earlier)
    if (query, response) == (sample.query, sample.response):
        return replace(sample, earlier=earlier)
    named = sample_id(
        sample.user, sample.conversation, position=position, query=query, response=response
    )
    return replace(sample, id=named, query=query, response=response, earlier=earlier)
