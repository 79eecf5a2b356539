"""The tables that lead, as text: what of a memory is the person's, and in which words it lies."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from lorecall.bench.grids import NONE, Grid
from lorecall.bench.personal import Part, PersonalPart, PersonalRow
from lorecall.records import Interval
from lorecall.report.words import signed

_PARTS: Mapping[Part, str] = MappingProxyType(
    {
        "content": "content words",
        "function": "function words",
        "mark": "punctuation, emoji",
        "end": "end of a reply",
        "met": "to partners met in training",
        "new": "to partners never met",
    }
)
_NOTE = (
    "The text stays and the memory is swapped: loss of a person's test replies with their own"
    " memory, with other people's of the same system, and with nobody's (shared: the base with the"
    " shared memory, or alone where there is none), in nats per token, means of replies, then of"
    " people, with 95% bootstrap intervals over people. PG, personal gain, is others' less own. AUC"
    " is how often a single reply prefers its own author's memory to another's; 0.5 is chance."
    " Base less shared is what the shared memory gains by itself."
)
_PARTS_NOTE = (
    "The same tokens and replies with every memory. Function words are the English stop words that"
    " Persona F1 leaves out; every token of a word counts with it."
)


def personal_grids(rows: Sequence[PersonalRow]) -> tuple[Grid, ...]:
    """Return the tables of personal gain; none where no memories were swapped.

    Args:
        rows: What was found, a row a system.
    """
    if not rows:
        return ()
    whole = Grid(
        title="Personal gain: the same replies, memories swapped",
        columns=(
            "system",
            "own less shared \N{DOWNWARDS ARROW}",
            "PG \N{UPWARDS ARROW}",
            "others' less shared",
            "own ranks first",
            "AUC \N{UPWARDS ARROW}",
            "base less shared",
        ),
        rows=tuple((row.system, *_whole(row.whole)) for row in rows),
        note=_NOTE,
    )
    parts = Grid(
        title="Personal gain by kind of token and by partner",
        columns=(
            "system, of what",
            "own less shared \N{DOWNWARDS ARROW}",
            "PG \N{UPWARDS ARROW}",
            "AUC \N{UPWARDS ARROW}",
            "replies, people",
        ),
        rows=tuple(
            (f"{row.system}, {words}", *_part(row.parts[part]))
            for row in rows
            for part, words in _PARTS.items()
            if part in row.parts
        ),
        note=_PARTS_NOTE,
    )
    return (whole, parts) if parts.rows else (whole,)


def signature_of(rows: Sequence[PersonalRow]) -> dict[str, str]:
    """Write down how personal gain was made, where it was."""
    return {
        f"personal gain of {row.system}": "own, others' and shared loss of the same replies|"
        "cross entropy|nats per token|mean of tokens, then of replies, then of people|"
        f"n={row.whole.n_replies} replies of {row.whole.n_people} people|"
        f"{row.whole.gain.n_memories} memories|people drawn"
        for row in rows
    }


def _whole(part: PersonalPart) -> tuple[str, ...]:
    gain = part.gain
    generic = gain.generic_gain
    return (
        f"{signed(gain.own_less_shared)}\nbetter for {gain.n_better} of {part.n_people}",
        signed(gain.gain),
        signed(gain.others_less_shared),
        f"{gain.n_first} of {part.n_people}\namong {gain.n_memories} memories",
        _share(gain.auc),
        NONE if generic is None else signed(generic),
    )


def _part(part: PersonalPart) -> tuple[str, ...]:
    gain = part.gain
    counts = f"{part.n_replies}, {part.n_people}"
    return (signed(gain.own_less_shared), signed(gain.gain), _share(gain.auc), counts)


def _share(share: Interval) -> str:
    return f"{share.value:.2f} [{share.low:.2f}, {share.high:.2f}]"
