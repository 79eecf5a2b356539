"""Which points of other searches are tried first: the best by what all of them found together.

What a trial finds has noise on it, the more the shorter it is, and the front of one search is made
of its luckiest trials. A surrogate of the trials of all priors, brought onto one scale, says what
of it was luck; the points are ranked by its mean.

Notation
    n, d, m   points of all priors, inputs, objectives
    X         their codes in [0, 1], shape (n, d)
    Y         what they found, on the scale of the first prior, all to be maximised, shape (n, m)
"""

from collections.abc import Callable, Hashable, Sequence

import numpy as np
import torch
from optuna.study import StudyDirection

from lorecall.search.discrete import DiscreteSpace, Params
from lorecall.search.front import Values, pareto
from lorecall.search.options import SamplerOptions
from lorecall.search.prior import Placed, Prior, on_scale_of, placed, thinned_together
from lorecall.search.surrogate import fit_surrogate

_FEWEST = 4  # points that a surrogate is fitted to; fewer are ranked as they are


class FirstPoints:
    """The points of priors that a search begins with.

    Raises:
        ConfigError: A prior has another number of objectives.
    """

    def __init__(
        self,
        priors: Sequence[Prior],
        space: DiscreteSpace,
        directions: Sequence[StudyDirection],
        *,
        most: int,
        same_as: Callable[[Params], Hashable],
        options: SamplerOptions,
    ) -> None:
        self._space, self._same_as, self._options = space, same_as, options
        self._placed = placed(priors, space, directions)
        params = [space.params(point) for each in self._placed for point in each.points]
        self.n = min(most, len({same_as(each) for each in params}))
        """How many there are; known without ranking them."""

    def ranked(self, *, seed: int) -> list[Params]:
        """Rank the points and return the first `n` models.

        Raises:
            MissingExtraError: JAX is not installed, and the surrogate wants it.
        """
        if not self.n:
            return []
        rng = np.random.default_rng(seed)
        few = thinned_together(self._placed, self._options.prior_points, rng)
        points = np.concatenate([each.points for each in few])
        values = np.concatenate([few[0].values, *(on_scale_of(few[0], p) for p in few[1:])])
        if len(points) >= _FEWEST:
            values = self._means(Placed(points=points, values=values), seed=seed)
        chosen: dict[Hashable, Params] = {}
        for i in _order(values):
            params = self._space.params(points[i])
            chosen.setdefault(self._same_as(params), params)
        return list(chosen.values())[: self.n]

    def _means(self, seen: Placed, *, seed: int) -> Values:
        X = torch.from_numpy(self._space.encode(seen.points))
        Y = torch.from_numpy(seen.values)
        options = self._options
        surrogate = fit_surrogate(X, Y, settings=options.mcmc, seed=seed, kind=options.surrogate)
        with torch.no_grad():
            means = surrogate.model.posterior(X).mean
        return means.reshape(-1, *Y.shape).mean(dim=0).numpy()  # over the draws


def _order(values: Values) -> list[int]:
    """Rank Y front after front, within a front by the sum of the scaled values."""
    spread = np.ptp(values, axis=0)
    scaled = ((values - values.min(axis=0)) / np.where(spread > 0, spread, 1)).sum(1)
    left = np.arange(len(values))
    order: list[int] = []
    while len(left):
        front = left[pareto(values[left])]
        order += sorted(front.tolist(), key=lambda i: -scaled[i])
        left = np.setdiff1d(left, front)
    return order
