"""How much of what memories gain is their mask's, and how much is noise: a two-way layout.

Every mask was tried on every person, once. What remains of a value without its mask's and its
person's mean holds the luck of the training and what one mask means to one person; a mean over few
people holds some of it, so the masks' means differ even where no mask is better than another.

Notation
    y[m, p]     what mask m came to with person p
    M, P        masks, people
    MS_mask     P / (M - 1) * sum_m (mean_p y[m, .] - mean y)^2
    MS_rest     sum_mp (y[m, p] - mean_p y[m, .] - mean_m y[., p] + mean y)^2 / (M - 1) / (P - 1)
    spread      sqrt(max(0, MS_mask - MS_rest) / P): standard deviation of the masks' own effects
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import fmean

import numpy as np
from mask_study import DESIGN, Study, tuned_scalings, tuning_cells
from scipy.stats import f as f_distribution

KILL_BELOW = 0.01

_TAILS = (0.975, 0.025)  # of F, for a 95% interval


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskEffects:
    """What the layout says.

    Args:
        means: mask -> its mean over people.
        n_people: P.
        spread: The standard deviation of the masks' own effects.
        low: Its 95% interval, by the distribution of F for normal values.
        high: The same.
        rest: The standard deviation of what remains.
        p: How often masks that are all alike would differ so, or more.
        best_less_mean: The lowest mean less the mean of all, times the share of what masks differ
            by that is their own: what a search among as many masks may hope for.
    """

    means: dict[str, float]
    n_people: int
    spread: float
    low: float
    high: float
    rest: float
    p: float
    best_less_mean: float


def mask_effects(values: Mapping[str, Mapping[str, float]]) -> MaskEffects:
    """Take a layout apart.

    Args:
        values: mask -> person -> value; every mask with the same people, two or more of each.
    """
    people = sorted(next(iter(values.values())))
    y = np.array([[of[person] for person in people] for of in values.values()])
    M, P = y.shape
    mean, by_mask, by_person = y.mean(), y.mean(axis=1), y.mean(axis=0)
    ms_mask = P * np.square(by_mask - mean).sum() / (M - 1)
    rest = y - by_mask[:, None] - by_person + mean
    ms_rest = np.square(rest).sum() / ((M - 1) * (P - 1))
    degrees = (M - 1, (M - 1) * (P - 1))
    ratio = ms_mask / ms_rest

    def spread_where(noise: float) -> float:
        """Return the spread where F of alike masks is `noise`; its mean is near 1."""
        return sqrt(max(0.0, ms_mask / noise - ms_rest) / P)

    own = max(0.0, 1 - 1 / ratio)
    return MaskEffects(
        means=dict(zip(values, by_mask.tolist(), strict=True)),
        n_people=P,
        spread=spread_where(1),
        low=spread_where(float(f_distribution.ppf(_TAILS[0], *degrees))),
        high=spread_where(float(f_distribution.ppf(_TAILS[1], *degrees))),
        rest=sqrt(ms_rest),
        p=float(f_distribution.sf(ratio, *degrees)),
        best_less_mean=float(own * (by_mask.min() - mean)),
    )


def seed_spread(
    first: Mapping[str, Mapping[str, float]], second: Mapping[str, Mapping[str, float]]
) -> float:
    """Return the standard deviation of what another seed changes.

    Args:
        first: mask -> person -> value.
        second: The same with another seed, of those that have one.
    """
    squares = [
        (value - first[mask][person]) ** 2 / 2
        for mask, of in second.items()
        for person, value in of.items()
    ]
    return sqrt(sum(squares) / len(squares))


def told(study: Study) -> str:
    """Return what the rows come to, as Markdown: of those people whose masks are all read."""
    rows = study.rows()
    if not all(cell in rows for cell in tuning_cells(study, study.scalings)):
        return f"{len(rows)} trainings so far; scalings are not tuned yet"
    scalings = tuned_scalings(study, rows)
    first, second, design = (
        {
            mask: {
                row.cell.user: row.test
                for row in rows.values()
                if row.test is not None and (row.cell.mask, row.cell.seed) == (mask, seed)
            }
            for mask in masks
        }
        for masks, seed in ((scalings, 0), (scalings, 1), ((DESIGN,), 0))
    )
    whole = set.intersection(*(set(of) for of in first.values()))
    if len(whole) < 2:
        return f"{len(rows)} trainings so far; fewer than two people are read with every mask"
    effects = mask_effects({m: {u: of[u] for u in whole} for m, of in first.items()})
    lines = [table(effects, scalings, design[DESIGN]), verdict(effects, n=len(study.read))]
    if any(second.values()):
        luck = seed_spread(first, second)
        lines.append(
            f"Another seed changes a value by {luck:.4f} (standard deviation); what one mask means"
            f" to one person: {max(0.0, effects.rest**2 - luck**2) ** 0.5:.4f}."
        )
    return "\n\n".join(lines)


def table(effects: MaskEffects, scalings: Mapping[str, float], design: Mapping[str, float]) -> str:
    """Lay out the masks' means, the best first."""
    lines = ["| layers | scaling | own less shared |", "|---|---|---|"]
    for mask, mean in sorted(effects.means.items(), key=lambda each: each[1]):
        lines.append(f"| {mask} | {scalings[mask]:g} | {mean:+.4f} |")
    if design:
        lines.append(f"| {DESIGN} ({len(design)} people) | | {fmean(design.values()):+.4f} |")
    return "\n".join(lines)


def verdict(effects: MaskEffects, *, n: int) -> str:
    """Say what the kill rule says; of fewer people than it names, that it is not due yet."""
    dropped = "layers are dropped" if effects.spread < KILL_BELOW else "layers stay"
    due = "" if effects.n_people == n else f" (due at {n} people)"
    return (
        f"{effects.n_people} people. Spread of the masks' own effects {effects.spread:.4f}"
        f" [{effects.low:.4f}, {effects.high:.4f}] (p = {effects.p:.3f}), what remains"
        f" {effects.rest:.4f}; best less mean, shrunk, {effects.best_less_mean:+.4f}."
        f" Kill rule (spread below {KILL_BELOW}): {dropped}{due}."
    )
