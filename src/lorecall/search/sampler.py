"""An Optuna sampler: SAAS-GP surrogates and noisy EHVI, over discrete parameters.

It stands on its own: any study of boolean, integer and ordinal parameters, with one or several
objectives of any direction. The first trials are random; each later one fits the surrogate to
what is finished and maximises the acquisition given what is pending.
"""

import zlib
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
import torch
from botorch.acquisition import AcquisitionFunction
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial
from torch import Tensor

from lorecall.core.checks import check_range
from lorecall.errors import ConfigError
from lorecall.search.acquisition import noisy_improvement
from lorecall.search.chains import CHAINS, ChainState, last_states
from lorecall.search.discrete import DiscreteSpace, Params, Points
from lorecall.search.front import pareto, reference_point
from lorecall.search.local_search import SpaceExhaustedError, Untried, maximise
from lorecall.search.observations import SUGGESTED, Observations, observe, queued_params
from lorecall.search.options import SamplerOptions
from lorecall.search.prior import Placed, Prior, on_scale_of, placed, thinned_together
from lorecall.search.surrogate import Surrogate, fit

SUGGEST_S = "lorecall:suggest_s"
"""System attribute with the seconds a suggestion took."""

_FEWEST = 2  # finished trials that a surrogate needs
_FAR_BELOW = 4.0  # standard deviations of the noise
_CHUNK = 64  # candidates scored at once; more at once are no faster


class SaasNehviSampler(BaseSampler):
    """Suggest by SAAS-GP and noisy expected (hypervolume) improvement.

    What is random in a trial depends on `seed` and the trial's number alone, so a study that was
    killed and opened again goes on as it would have. No suggestion is the same as a point that was
    evaluated, is being tried or failed.

    Args:
        search_space: Optuna's distributions by name. None: the parameters that all finished trials
            share; then the first trial's parameters are drawn one by one, unchecked.
        n_initial: Random trials before the first suggestion of the surrogate; their values set the
            reference point.
        seed: Seed of everything random.
        is_candidate: Whether parameters are valid; all are when None.
        same_as: What parameters come to; parameters with equal keys are tried once.
        canonical: From parameters to those, of all that come to the same, that the surrogate is
            shown; what is suggested may be any of them. Each is shown as it is when None.
        candidates: The only points there are, for a space whose valid points are a known few: a
            table, a catalogue. Each suggestion scores all that are left. Needs `search_space`.
        priors: Finished searches over the same space: other observations for the surrogate.
        options: The numbers of NUTS and of the acquisition.

    Attributes:
        last_suggest_s: Seconds the last suggestion took, also a system attribute of its trial.

    Raises:
        ConfigError: `n_initial` below 1, a distribution that is not discrete and ordered, or
            candidates that are none or no points of the search space.
    """

    def __init__(  # noqa: PLR0913 - one parameter an option
        self,
        *,
        search_space: Mapping[str, BaseDistribution] | None = None,
        n_initial: int = 10,
        seed: int = 0,
        is_candidate: Callable[[Params], bool] | None = None,
        same_as: Callable[[Params], Hashable] | None = None,
        canonical: Callable[[Params], Params] | None = None,
        candidates: Sequence[Mapping[str, object]] | None = None,
        priors: Sequence[Prior] = (),
        options: SamplerOptions | None = None,
    ) -> None:
        check_range("n_initial", n_initial, low=1)
        check_range("seed", seed, low=0)
        self._given = None if search_space is None else dict(search_space)
        # what is not supported is refused before any trial
        space = None if self._given is None else DiscreteSpace(self._given)
        self._only = None if candidates is None else _placed(candidates, space)
        self._intersection = IntersectionSearchSpace()
        self._n_initial, self._seed = n_initial, seed
        self._is_candidate = is_candidate or _any
        self._same_as = same_as or _itself
        self._canonical = canonical
        self._priors = tuple(priors)
        self._options = options or SamplerOptions()
        self.last_suggest_s = 0.0

    def infer_relative_search_space(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002  # Optuna's signature
    ) -> dict[str, BaseDistribution]:
        """Return the search space, or what the finished trials share."""
        if self._given is not None:
            return dict(self._given)
        return self._intersection.calculate(study)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Params:
        """Suggest a point, and leave it in the storage for other processes to see.

        Raises:
            SpaceExhaustedError: Every valid point has been tried; the trial is still running.
            ConfigError: A parameter that is not discrete and ordered.
            MissingExtraError: JAX is not installed.
        """
        if not search_space or search_space.keys() <= queued_params(trial).keys():
            return {}
        started = perf_counter()
        space = DiscreteSpace(search_space, canonical=self._canonical)
        trials = study.get_trials(deepcopy=False)
        states = last_states(trials, before=trial.number)
        seen = observe(
            trials,
            asking=trial.number,
            space=space,
            directions=study.directions,
        )
        try:
            point, ended = self._suggest(space, seen, study.directions, states)
        except SpaceExhaustedError as reason:
            raise SpaceExhaustedError(trial.number) from reason
        params = space.params(point)
        self.last_suggest_s = perf_counter() - started
        _record(study, trial, SUGGESTED, params)
        _record(study, trial, SUGGEST_S, self.last_suggest_s)
        if ended:
            _record(study, trial, CHAINS, [state.as_json() for state in ended])
        return params

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw a parameter that is not in the search space, uniformly."""
        entropy = [self._seed, trial.number, zlib.crc32(param_name.encode())]
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        drawn = RandomSampler(seed)
        return drawn.sample_independent(study, trial, param_name, param_distribution)

    def _suggest(
        self,
        space: DiscreteSpace,
        seen: Observations,
        directions: Sequence[StudyDirection],
        states: Sequence[ChainState],
    ) -> tuple[Points, Sequence[ChainState]]:
        """Return a point, and where the surrogate's chains ended, if there was one."""
        rng = np.random.default_rng([self._seed, seen.stream])
        tried = np.concatenate([seen.points, seen.pending, seen.closed])
        untried = Untried(
            space,
            is_candidate=self._is_candidate,
            same_as=self._same_as,
            taken=(self._same_as(space.params(point)) for point in tried),
            only=self._only,
        )
        if seen.n_counted < self._n_initial or len(seen.points) < _FEWEST:
            return untried.random(rng), ()
        with _one_torch_thread() as n_threads, ThreadPoolExecutor(n_threads) as pool:
            own = Placed(points=seen.points, values=seen.values)
            others = self._others(own, space, directions, rng)
            improvement, ended = self._improvement(space, seen, others, states, rng)
            front = space.canonical(rng.permutation(seen.points[pareto(seen.values)]))
            settings = self._options.acquisition
            best = maximise(
                partial(_score, improvement, space, pool, with_origin=bool(others)),
                untried,
                starts=front[: settings.n_pareto],
                settings=settings,
                rng=rng,
            )
            return best, ended

    def _others(
        self,
        own: Placed,
        space: DiscreteSpace,
        directions: Sequence[StudyDirection],
        rng: np.random.Generator,
    ) -> list[Placed]:
        """Return the priors on this study's scale, as many of their points as there is room for."""
        priors = placed(self._priors, space, directions)
        few = thinned_together(priors, self._options.prior_points, rng)
        return [Placed(points=p.points, values=on_scale_of(own, p)) for p in few]

    def _improvement(
        self,
        space: DiscreteSpace,
        seen: Observations,
        others: Sequence[Placed],
        states: Sequence[ChainState],
        rng: np.random.Generator,
    ) -> tuple[AcquisitionFunction, Sequence[ChainState]]:
        given = bool(others)
        own = _inputs(space, seen.points, with_origin=given)
        elsewhere = [_inputs(space, o.points, with_origin=True, origin=1) for o in others]
        X = torch.cat([own, *elsewhere])
        Y = torch.from_numpy(np.concatenate([seen.values, *(o.values for o in others)]))
        nuts_seed, acquisition_seed = (int(seed) for seed in rng.integers(2**31, size=2))
        options = self._options
        surrogate = fit(
            X, Y, settings=options.mcmc, seed=nuts_seed, states=states, kind=options.surrogate
        )
        reference = torch.from_numpy(reference_point(seen.values[: self._n_initial]))
        improvement = noisy_improvement(
            surrogate,
            baseline=own[_plausible(surrogate, n=len(own))],
            reference=surrogate.standardise(reference),
            pending=_inputs(space, seen.pending, with_origin=given),
            mc_samples=self._options.acquisition.mc_samples,
            seed=acquisition_seed,
        )
        return improvement, surrogate.states


def _placed(candidates: Sequence[Mapping[str, object]], space: DiscreteSpace | None) -> Points:
    """Place candidates in the space, shape (n, d)."""
    if space is None or not candidates:
        raise ConfigError(
            "candidates must be points of a search space",
            expected="1 or more of them, and a search_space",
            got="no candidate" if space is not None else "no search_space",
            next_step="Give both, or leave the candidates out.",
        )
    return np.stack([space.point(params) for params in candidates])


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

    Shape (k, d), or (k, d + 1) with the origin: 0 for the study itself, 1 for a prior.
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


def _record(study: Study, trial: FrozenTrial, key: str, value: Any) -> None:
    """Set a system attribute, as samplers do; Optuna has no public way."""
    storage, trial_id = study._storage, trial._trial_id  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    storage.set_trial_system_attr(trial_id, key, value)


@contextmanager
def _one_torch_thread() -> Generator[int]:
    """Keep PyTorch to one thread, as on small arrays and busy cores more of them are slower.

    Gives how many there were, for whoever has several things to do.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield n_threads
    finally:
        torch.set_num_threads(n_threads)


def _any(params: Params) -> bool:  # noqa: ARG001  # every point is valid
    return True


def _itself(params: Params) -> Hashable:
    return tuple(params.items())
