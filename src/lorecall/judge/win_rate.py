"""Win rate: every pair judged in both orders, averaged; wins over all (SPEC section 6).

| word | meaning |
|---|---|
| label | 1, 0, -1: the first system wins, ties, loses; the sign of the mean difference |
| all | every pair, ties and those with an unparsable answer among them |
| flip | the two orders of a pair give different labels |
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict

from lorecall.core.jsonl import read_records
from lorecall.judge.judge import Judge, Scores, item_of
from lorecall.judge.pairs import Pair
from lorecall.metrics.intervals import N_RESAMPLES, bootstrap_mean
from lorecall.records import Interval
from lorecall.report.words import percent

Label = Literal[-1, 0, 1]
Probed = Literal["passed", "FAILED"]
"""Whether the judge passed its sanity probe; None where there was none."""

BOTH_ORDERS = "both orders, averaged"
_EQUAL = 1e-9  # averages of equal scores may differ by rounding
_AT_ONCE = 16  # pairs handed to a judge together


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a judge said of one pair: scores of (a, b), None where the answer was unparsable.

    `swapped` are those where b's response was shown first; `label` is 1, 0 or -1: a wins, ties,
    loses. `prompt` is the hash of what was asked.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    id: str
    user: str
    system_a: str
    system_b: str
    in_order: Scores | None
    swapped: Scores | None
    label: Label | None
    judge: str
    prompt: str
    probe: Probed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WinRate:
    """How often one system beats another; `rate` is wins over all.

    `flips` is the share of the labelled pairs whose label changes with the order, `first_ahead` by
    how much the response shown first is scored higher.
    """

    system_a: str
    system_b: str
    n: int
    wins: int
    ties: int
    losses: int
    unparsable: int
    rate: Interval
    flips: Interval | None
    first_ahead: Interval | None
    judge: str
    probe: Probed | None
    signature: str

    @property
    def headline(self) -> str:
        """The rate in a line, with the judge's name and what is wrong with the judge."""
        warning = {"passed": "", "FAILED": ", WHICH FAILED ITS PROBE", None: ", not probed"}
        return (
            f"{self.system_a} beats {self.system_b} in {self.wins} of {self.n},"
            f" {percent(self.rate)}"
            f" ({self.ties} ties, {self.losses} losses, {self.unparsable} unparsable),"
            f" judged by {self.judge}{warning[self.probe]}"
        )


def judge_pairs(
    judge: Judge,
    pairs: Sequence[Pair],
    *,
    probe: Probed | None = None,
    on_judged: Callable[[int], None] | None = None,
) -> list[Judged]:
    """Let a judge score pairs, each in both orders."""
    judged: list[Judged] = []
    for start in range(0, len(pairs), _AT_ONCE):
        batch = pairs[start : start + _AT_ONCE]
        items = [item_of(pair) for pair in batch]
        scores = judge.score([*items, *(item.swapped() for item in items)])
        in_order, swapped = scores[: len(batch)], map(_swap_back, scores[len(batch) :])
        judged += [
            Judged(
                id=pair.id,
                user=pair.user,
                system_a=pair.system_a,
                system_b=pair.system_b,
                in_order=one,
                swapped=other,
                label=None if one is None or other is None else _label(one, other),
                judge=judge.name,
                prompt=judge.prompt,
                probe=probe,
            )
            for pair, one, other in zip(batch, in_order, swapped, strict=True)
        ]
        if on_judged is not None:
            on_judged(len(batch))
    return judged


def win_rates(
    judged: Sequence[Judged],
    *,
    orders: str = BOTH_ORDERS,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> list[WinRate]:
    """Return the win rate of each two systems that were compared by each judge."""
    groups: dict[tuple[object, ...], list[Judged]] = {}
    for each in judged:
        asked = (each.system_a, each.system_b, each.judge, each.prompt, each.probe)
        groups.setdefault(asked, []).append(each)
    resample = {"n_resamples": n_resamples, "seed": seed}
    return [_win_rate(group, orders=orders, **resample) for group in groups.values()]


def read_judged(path: Path) -> list[Judged]:
    """Read a file of labels, as `lorecall judge run` writes it."""
    return read_records(path, Judged, what="a judge's label of a pair")


def _win_rate(judged: Sequence[Judged], *, orders: str, n_resamples: int, seed: int) -> WinRate:
    def mean(values: Sequence[float]) -> Interval | None:
        return bootstrap_mean(values, n_resamples=n_resamples, seed=seed) if values else None

    labels = [each.label for each in judged]
    both = [(o.in_order, o.swapped) for o in judged if o.in_order and o.swapped]
    first = judged[0]
    return WinRate(
        system_a=first.system_a,
        system_b=first.system_b,
        n=len(labels),
        wins=labels.count(1),
        ties=labels.count(0),
        losses=labels.count(-1),
        unparsable=labels.count(None),
        rate=bootstrap_mean(
            [float(label == 1) for label in labels], n_resamples=n_resamples, seed=seed
        ),
        flips=mean([float(_label(one) != _label(other)) for one, other in both]),
        first_ahead=mean([(_ahead(one) - _ahead(other)) / 2 for one, other in both]),
        judge=first.judge,
        probe=first.probe,
        signature=_signature(first, len(labels), orders=orders, n_resamples=n_resamples, seed=seed),
    )


def _signature(judged: Judged, n: int, *, orders: str, n_resamples: int, seed: int) -> str:
    parts = [
        "win_rate",
        f"judge {judged.judge}",
        f"prompt {judged.prompt}",
        f"probe {judged.probe or 'none'}",
        "wins/all",
        orders,
        f"n={n}",
        f"95% bootstrap, {n_resamples} resamples, seed {seed}",
    ]
    return "|".join(parts)


def _label(*orders: Scores) -> Label:
    """Return the sign of the averaged scores' difference."""
    ahead = sum(map(_ahead, orders)) / len(orders)
    return 0 if abs(ahead) < _EQUAL else 1 if ahead > 0 else -1


def _ahead(scores: Scores) -> float:
    """Return by how much a is scored above b."""
    return scores[0] - scores[1]


def _swap_back(scores: Scores | None) -> Scores | None:
    return None if scores is None else (scores[1], scores[0])
