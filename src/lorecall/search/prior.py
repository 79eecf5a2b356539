"""What other searches over the same space found, as prior observations.

Another search is another person's, or this person's own at a lower fidelity (fewer samples, fewer
epochs). Its values are on another scale: they are brought onto this study's by a shift, and by a
slope once enough configurations are known in both. What the two do not share is left to the
surrogate: an input of its own says where an observation comes from, and the SAAS prior holds it
for irrelevant until the data say otherwise.

Notation
    n, d, m   observations of a search, inputs, objectives
    points    level indices, shape (n, d)
    values    objectives, all to be maximised, shape (n, m)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from optuna.study import StudyDirection

from lorecall.errors import ConfigError
from lorecall.search.discrete import DiscreteSpace, Points
from lorecall.search.front import Values, pareto, to_maximise

_FEWEST_FOR_SLOPE = 5
_SLOPES = (0.2, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """A finished search.

    Args:
        params: One configuration a trial.
        values: What each found, in the study's own units and directions.

    Examples:
        >>> from lorecall.search import Prior, SaasNehviSampler
        >>> prior = Prior(params=({"n": 2}, {"n": 5}), values=((3.5,), (3.1,)))
        >>> sampler = SaasNehviSampler(priors=[prior])
    """

    params: tuple[Mapping[str, object], ...]
    values: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A prior in a space: points, shape (n, d), and values to be maximised, shape (n, m)."""

    points: Points
    values: Values


def placed(
    priors: Iterable[Prior], space: DiscreteSpace, directions: Sequence[StudyDirection]
) -> list[Placed]:
    """Place priors in a space; trials outside it and empty priors are left out.

    Raises:
        ConfigError: A prior has another number of objectives.
    """
    found: list[Placed] = []
    for prior in priors:
        _check_objectives(prior, len(directions))
        values = to_maximise(prior.values, directions)
        points = [space.find(params) for params in prior.params]
        inside = [(i, point) for i, point in enumerate(points) if point is not None]
        if inside:
            rows = [i for i, _ in inside]
            kept = np.stack([point for _, point in inside])
            found.append(Placed(points=kept, values=values[rows]))
    return found


def _check_objectives(prior: Prior, n: int) -> None:
    odd = next((values for values in prior.values if len(values) != n), None)
    if odd is not None:
        raise ConfigError(
            "a prior must have the study's objectives",
            expected=f"{n} values a trial",
            got=str(len(odd)),
            next_step="Give the values of a search with the same objectives, or leave it out.",
        )


def on_scale_of(own: Placed, prior: Placed) -> Values:
    """Bring a prior's values onto the scale of a study's own."""
    if not len(own.points):
        return prior.values
    at = {point.tobytes(): i for i, point in enumerate(own.points)}
    pairs = [(at[p.tobytes()], j) for j, p in enumerate(prior.points) if p.tobytes() in at]
    here = own.values[[i for i, _ in pairs]] if pairs else own.values
    there = prior.values[[j for _, j in pairs]] if pairs else prior.values
    slope = np.ones(prior.values.shape[1])
    if len(pairs) >= _FEWEST_FOR_SLOPE:
        spread = there - there.mean(axis=0)
        variance = (spread**2).sum(axis=0)
        fitted = (spread * (here - here.mean(axis=0))).sum(axis=0) / np.maximum(variance, 1e-12)
        slope = np.where(variance > 0, fitted.clip(*_SLOPES), 1.0)
    return here.mean(axis=0) + slope * (prior.values - there.mean(axis=0))


def thinned_together(priors: Sequence[Placed], most: int, rng: np.random.Generator) -> list[Placed]:
    """Thin priors to so many points together, each to an equal share."""
    share = most // max(1, len(priors))
    return [thinned(prior, share, rng) for prior in priors]


def thinned(prior: Placed, most: int, rng: np.random.Generator) -> Placed:
    """Keep a prior's front and, of the rest, as many as there is room for, drawn at random."""
    if len(prior.points) <= most:
        return prior
    front = pareto(prior.values)
    rest = rng.permutation(np.flatnonzero(~front))[: max(0, most - int(front.sum()))]
    kept = np.sort(np.concatenate([np.flatnonzero(front), rest]))
    return Placed(points=prior.points[kept], values=prior.values[kept])
