"""From replies read with swapped memories to the numbers of the tables that lead.

A further seed is no further person: the seeds of a person are averaged, reply by reply.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from lorecall.bench.plan import BenchPlan
from lorecall.bench.swaps import SwapReading
from lorecall.lm.token_kinds import TOKEN_KINDS, TokenKind
from lorecall.metrics.personal import PersonalGain, SwappedLosses, personal_gain

Partner = Literal["met", "new"]
Part = TokenKind | Partner
"""A kind of token; or replies to someone who was met in training, or to someone new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalPart:
    """What swapping memories says of some of what people wrote.

    Args:
        n_people: How many of them there are.
        n_replies: How many replies.
        gain: What it says of them.

    Examples:
        >>> from lorecall.bench import PersonalPart
        >>> from lorecall.metrics import SwappedLosses, personal_gain
        >>> ann = SwappedLosses(user="ann", own=(3.0,), others={"bob": (3.5,)}, shared=(3.2,))
        >>> PersonalPart(n_people=1, n_replies=1, gain=personal_gain([ann])).gain.gain.value
        0.5
    """

    n_people: int
    n_replies: int
    gain: PersonalGain


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalRow:
    """What swapping one system's memories says.

    Args:
        system: Its name.
        whole: All replies that were read.
        parts: The same of each kind of token, and of replies to those who were met in training and
            to those who were not; what there is nothing of is left out.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall.bench import finished_swaps, personal_rows, read_plan
        >>> plan = read_plan(Path("bench"))[1]
        >>> personal_rows(plan, "chitchat", finished_swaps(Path("bench")))  # nothing was swapped
        ()
    """

    system: str
    whole: PersonalPart
    parts: Mapping[Part, PersonalPart]


def personal_rows(
    plan: BenchPlan, dataset: str, readings: Sequence[SwapReading]
) -> tuple[PersonalRow, ...]:
    """Sum up what swapping says of each system of a dataset, in the plan's order.

    Args:
        plan: The bench.
        dataset: Which dataset.
        readings: What was read.

    Examples:
        >>> from lorecall.bench import BenchPlan, Cell, Source, SwapReading, personal_rows
        >>> from lorecall.metrics import SwappedLosses
        >>> source = Source(name="d", users=("ann", "bob"))
        >>> plan = BenchPlan(sources=(source,), systems=("vanilla", "personal"))
        >>> ann = SwapReading(
        ...     cell=Cell(dataset="d", user="ann", seed=0, system="personal"),
        ...     sample_ids=("a",),
        ...     new_partner=(True,),
        ...     losses=SwappedLosses(
        ...         user="ann", own=(3.0,), others={"bob": (3.5,)}, shared=(3.2,)
        ...     ),
        ...     kinds={},
        ... )
        >>> (row,) = personal_rows(plan, "d", [ann])
        >>> row.system, row.whole.gain.gain.value, list(row.parts)
        ('personal', 0.5, ['new'])
    """
    wanted = {*plan.cells()}
    rows: list[PersonalRow] = []
    for system in plan.systems:
        of_system = [
            reading
            for reading in readings
            if reading.cell in wanted
            and (reading.cell.dataset, reading.cell.system) == (dataset, system)
        ]
        people = [
            [reading for reading in of_system if reading.cell.user == user]
            for user in plan.source(dataset).users
        ]
        if row := _row(system, [each for each in people if each], plan):
            rows.append(row)
    return tuple(rows)


def _row(
    system: str, people: Sequence[Sequence[SwapReading]], plan: BenchPlan
) -> PersonalRow | None:
    n_resamples = plan.settings.learn.n_bootstrap

    def part(of: Callable[[SwapReading], SwappedLosses | None]) -> PersonalPart | None:
        losses = [
            averaged_losses([each for each in map(of, seeds) if each is not None])
            for seeds in people
        ]
        known = [each for each in losses if each is not None]
        if not known:
            return None
        return PersonalPart(
            n_people=len(known),
            n_replies=sum(len(each.own) for each in known),
            gain=personal_gain(known, n_resamples=n_resamples),
        )

    whole = part(lambda reading: reading.losses)
    parts: dict[Part, PersonalPart | None] = {
        kind: part(lambda reading, kind=kind: reading.kinds.get(kind)) for kind in TOKEN_KINDS
    }
    parts["met"] = part(lambda reading: _to_partner(reading, new=False))
    parts["new"] = part(lambda reading: _to_partner(reading, new=True))
    known: dict[Part, PersonalPart] = {
        name: each for name, each in parts.items() if each is not None
    }
    return None if whole is None else PersonalRow(system=system, whole=whole, parts=known)


def averaged_losses(seeds: Sequence[SwappedLosses]) -> SwappedLosses | None:
    """Average one person's losses over seeds, reply by reply; of others those whom all have.

    Args:
        seeds: The losses of the same replies, seed by seed.

    Returns:
        None where there are none, or no other is in all of them.
    """
    others = set.intersection(*(set(each.others) for each in seeds)) if seeds else set[str]()
    if not others:
        return None

    def mean(of: Callable[[SwappedLosses], Iterable[float]]) -> tuple[float, ...]:
        return tuple(map(fmean, zip(*map(of, seeds), strict=True)))

    return SwappedLosses(
        user=seeds[0].user,
        own=mean(lambda each: each.own),
        others={user: mean(lambda each, user=user: each.others[user]) for user in sorted(others)},
        shared=mean(lambda each: each.shared),
        base=mean(lambda each: each.base),
    )


def _to_partner(reading: SwapReading, *, new: bool) -> SwappedLosses | None:
    """Return the losses of replies to someone new, or to someone who was met in training."""
    chosen = [i for i, is_new in enumerate(reading.new_partner) if is_new is new]
    return reading.losses.of_replies(chosen) if chosen else None
