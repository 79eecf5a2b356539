"""One suggestion: fit the surrogate to what is known, maximise the acquisition over the untried."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from botorch.acquisition import AcquisitionFunction
from numpy.typing import NDArray
from optuna.study import StudyDirection
from torch import Tensor

from lorecall.errors import SpaceExhaustedError
from lorecall.search.acquisition import noisy_improvement
from lorecall.search.chains import ChainState
from lorecall.search.discrete import DiscreteSpace, Points
from lorecall.search.front import pareto, reference_point
from lorecall.search.local_search import Untried, maximise
from lorecall.search.observations import Observations
from lorecall.search.options import SamplerOptions
from lorecall.search.prior import Placed, Prior, on_scale_of, placed, thinned_together
from lorecall.search.surrogate import Surrogate, fit_surrogate

_FEWEST = 2  # finished trials that a surrogate needs
_FAR_BELOW = 4.0  # standard deviations of the noise
_CHUNK = 64  # candidates scored at once; more at once are no faster


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggester:
    """From what is known to the point that is tried next."""

    space: DiscreteSpace
    directions: Sequence[StudyDirection]
    n_initial: int
    repeat: bool
    priors: Sequence[Prior]
    options: SamplerOptions

    def suggest(
        self,
        seen: Observations,
        untried: Untried,
        *,
        states: Sequence[ChainState],
        rng: np.random.Generator,
    ) -> tuple[Points, Sequence[ChainState]]:
        """Return a point, shape (d,), and where the surrogate's chains ended, if there was one.

        Raises:
            SpaceExhaustedError: No point is left, and none is to be repeated.
        """
        if seen.n_counted < self.n_initial or len(seen.points) < _FEWEST:
            return self._pick(lambda left: left.random(rng), untried), ()
        with _one_torch_thread() as n_threads, ThreadPoolExecutor(n_threads) as pool:
            others = self._others(seen, rng)
            improvement, ended = self._improvement(seen, others, states, rng)
            front = self.space.canonical(rng.permutation(seen.points[pareto(seen.values)]))
            settings = self.options.acquisition
            best = partial(
                maximise,
                partial(_score, improvement, self.space, pool, with_origin=bool(others)),
                starts=front[: settings.n_pareto],
                settings=settings,
                rng=rng,
            )
            return self._pick(best, untried), ended

    def _pick(self, pick: Callable[[Untried], Points], untried: Untried) -> Points:
        try:
            return pick(untried)
        except SpaceExhaustedError:
            if not self.repeat:
                raise
            return pick(untried.none_taken())

    def _others(self, seen: Observations, rng: np.random.Generator) -> list[Placed]:
        """Return the priors on this study's scale, as many of their points as there is room for."""
        own = Placed(points=seen.points, values=seen.values)
        priors = placed(self.priors, self.space, self.directions)
        few = thinned_together(priors, self.options.prior_points, rng)
        return [Placed(points=p.points, values=on_scale_of(own, p)) for p in few]

    def _improvement(
        self,
        seen: Observations,
        others: Sequence[Placed],
        states: Sequence[ChainState],
        rng: np.random.Generator,
    ) -> tuple[AcquisitionFunction, Sequence[ChainState]]:
        given, space, options = bool(others), self.space, self.options
        own = _inputs(space, seen.points, with_origin=given)
        elsewhere = [_inputs(space, o.points, with_origin=True, origin=1) for o in others]
        X = torch.cat([own, *elsewhere])
        Y = torch.from_numpy(np.concatenate([seen.values, *(o.values for o in others)]))
        nuts_seed, acquisition_seed = (int(seed) for seed in rng.integers(2**31, size=2))
        surrogate = fit_surrogate(
            X, Y, settings=options.mcmc, seed=nuts_seed, states=states, kind=options.surrogate
        )
        reference = torch.from_numpy(reference_point(seen.values[: self.n_initial]))
        improvement = noisy_improvement(
            surrogate,
            baseline=own[_plausible(surrogate, n=len(own))],
            reference=surrogate.standardise(reference),
            pending=_inputs(space, seen.pending, with_origin=given),
            mc_samples=options.acquisition.mc_samples,
            seed=acquisition_seed,
        )
        return improvement, surrogate.states


def _plausible(surrogate: Surrogate, *, n: int) -> Tensor:
    """Return which of the first n observations may be on their front: none is far below another.

    BoTorch prunes the rest, too, but by sampling the posterior at all of them.
    """
    noise = torch.stack([drawn.noise.median() for drawn in surrogate.draws]).sqrt()
    Z = surrogate.Z[:n]
    below = (Z[None] - _FAR_BELOW * noise > Z[:, None]).all(dim=-1)
    return ~below.any(dim=1)


def _inputs(space: DiscreteSpace, points: Points, *, with_origin: bool, origin: int = 0) -> Tensor:
    """Return the surrogate's inputs: codes and, where there are priors, where they come from.

    Shape (k, w), or (k, w + 1) with the origin: 0 for the study itself, 1 for a prior.
    """
    X = torch.from_numpy(space.encode(points))
    return torch.cat([X, torch.full_like(X[:, :1], origin)], dim=1) if with_origin else X


def _score(
    improvement: AcquisitionFunction,
    space: DiscreteSpace,
    pool: ThreadPoolExecutor,
    points: Points,
    *,
    with_origin: bool,
) -> NDArray[np.float64]:
    candidates = _inputs(space, points, with_origin=with_origin)[:, None]

    def scored(chunk: Tensor) -> Tensor:
        with torch.no_grad():  # a thread has a mode of its own
            return improvement(chunk)

    return torch.cat(list(pool.map(scored, candidates.split(_CHUNK)))).numpy()


@contextmanager
def _one_torch_thread() -> Generator[int]:
    """Keep PyTorch to one thread, as on small arrays and busy cores more of them are slower.

    Yields how many there were, for whoever has several things to do.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield n_threads
    finally:
        torch.set_num_threads(n_threads)
