"""An Optuna sampler: SAAS-GP surrogates and noisy EHVI, over discrete parameters.

It stands on its own: any study, with one or several objectives of any direction. The first trials
are random; each later one fits the surrogate to what is finished and maximises the acquisition
given what is pending.
"""

import warnings
import zlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from threading import Lock
from time import perf_counter
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import intersection_search_space
from optuna.study import Study
from optuna.trial import FrozenTrial

from lorecall.core.checks import check_range
from lorecall.errors import ConfigError, SpaceExhaustedError
from lorecall.search.chains import CHAINS, last_draws
from lorecall.search.discrete import MAX_LEVELS, DiscreteSpace, Params, Points, levels_of
from lorecall.search.local_search import Untried
from lorecall.search.observations import SUGGESTED, Observations, observe, queued_params
from lorecall.search.options import SamplerOptions
from lorecall.search.prior import Prior
from lorecall.search.suggestion import Suggester

SUGGEST_S = "lorecall:suggest_s"
"""System attribute with the seconds a suggestion took."""

_SUGGESTING = Lock()  # the threads of PyTorch and its generator are the process's


class SaasNehviSampler(BaseSampler):
    """Suggest by SAAS-GP and noisy expected (hypervolume) improvement.

    Integers, floats with a step and choices are modelled, of up to 1,000 values each. Any other
    parameter is drawn independently, with one warning.

    What is random in a trial depends on `seed` and the trial's number alone, so a study that was
    killed and opened again goes on as it would have. No suggestion is the same as a point that was
    evaluated, is being tried or failed, while there is another.

    Args:
        search_space: What is modelled: Optuna's distributions by name. None: the parameters that
            all finished trials share; then the first trial's are drawn one by one, unchecked.
        n_initial: Random trials before the first suggestion of the surrogate; their values set the
            reference point.
        seed: Seed of everything random.
        is_candidate: Whether parameters are valid; all are when None.
        same_as: What parameters come to; parameters with equal keys are tried once.
        canonical: From parameters to those, of all that come to the same, that the surrogate is
            shown; what is suggested may be any of them. Each is shown as it is when None.
        candidates: The only points there are, for a space whose valid points are a known few: a
            table, a catalogue. Each suggestion scores all that are left. Needs `search_space`.
        repeat: Whether points are suggested again once every one has been tried.
        priors: Finished searches over the same space: other observations for the surrogate.
        options: The numbers of NUTS and of the acquisition.

    Attributes:
        last_suggest_s: Seconds the last suggestion took, also a system attribute of its trial.

    Raises:
        ConfigError: `n_initial` below 1, a distribution in `search_space` that cannot be modelled,
            or candidates that are none or no points of the search space.

    Examples:
        >>> import optuna
        >>> from lorecall.search import SaasNehviSampler, SamplerOptions
        >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
        >>> sampler = SaasNehviSampler(n_initial=4, options=SamplerOptions(surrogate="map"))
        >>> study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
        >>> def objective(trial: optuna.Trial) -> tuple[float, float]:
        ...     rank = trial.suggest_int("rank", 1, 64, log=True)
        ...     dropout = trial.suggest_float("dropout", 0.0, 0.5, step=0.1)
        ...     return 4 / rank + dropout, -rank
        >>> study.optimize(objective, n_trials=6)
        >>> len(study.best_trials) >= 1
        True
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
        repeat: bool = True,
        priors: Sequence[Prior] = (),
        options: SamplerOptions | None = None,
    ) -> None:
        check_range("n_initial", n_initial, low=1)
        check_range("seed", seed, low=0)
        self._given = None if search_space is None else dict(search_space)
        # what is not supported is refused before any trial
        space = None if self._given is None else DiscreteSpace(self._given)
        self._only = None if candidates is None else _placed(candidates, space)
        self._n_initial, self._seed, self._repeat = n_initial, seed, repeat
        self._is_candidate = is_candidate or _any
        self._same_as = same_as or _itself
        self._canonical = canonical
        self._priors = tuple(priors)
        self._options = options or SamplerOptions()
        self._warned_of: set[str] = set()
        self.last_suggest_s = 0.0

    def infer_relative_search_space(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002  # Optuna's signature
    ) -> dict[str, BaseDistribution]:
        """Return the search space, or what the finished trials share and the surrogate models."""
        if self._given is not None:
            return dict(self._given)
        shared = intersection_search_space(study.get_trials(deepcopy=False))
        return {name: kind for name, kind in shared.items() if levels_of(kind) is not None}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> Params:
        """Suggest a point, and leave it in the storage for other processes to see.

        Raises:
            SpaceExhaustedError: Every valid point has been tried, and none is to be repeated; the
                trial is still running.
            ConfigError: A parameter that is not discrete.
            MissingExtraError: JAX is not installed.
        """
        if not search_space or search_space.keys() <= queued_params(trial).keys():
            return {}
        started = perf_counter()
        space = DiscreteSpace(search_space, canonical=self._canonical)
        trials = study.get_trials(deepcopy=False)
        states = last_draws(trials, before=trial.number)
        seen = observe(trials, asking=trial.number, space=space, directions=study.directions)
        suggester = Suggester(
            space=space,
            directions=study.directions,
            n_initial=self._n_initial,
            repeat=self._repeat,
            priors=self._priors,
            options=self._options,
        )
        rng = np.random.default_rng([self._seed, seen.stream])
        try:
            with _SUGGESTING:
                point, ended = suggester.suggest(
                    seen, self._untried(space, seen), states=states, rng=rng
                )
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
        if levels_of(param_distribution) is None and param_name not in self._warned_of:
            self._warned_of.add(param_name)
            warnings.warn(
                f"{param_name} is drawn independently: the surrogate models integers, floats with a"
                f" step and choices, of at most {MAX_LEVELS} values. Give it a step or few levels.",
                stacklevel=2,
            )
        entropy = [self._seed, trial.number, zlib.crc32(param_name.encode())]
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        drawn = RandomSampler(seed)
        return drawn.sample_independent(study, trial, param_name, param_distribution)

    def _untried(self, space: DiscreteSpace, seen: Observations) -> Untried:
        tried = np.concatenate([seen.points, seen.pending, seen.closed])
        return Untried(
            space,
            is_candidate=self._is_candidate,
            same_as=self._same_as,
            taken=(self._same_as(space.params(point)) for point in tried),
            only=self._only,
        )


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


def _record(study: Study, trial: FrozenTrial, key: str, value: Any) -> None:
    """Set a system attribute, as samplers do; Optuna has no public way."""
    storage, trial_id = study._storage, trial._trial_id  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    storage.set_trial_system_attr(trial_id, key, value)


def _any(params: Params) -> bool:  # noqa: ARG001  # every point is valid
    return True


def _itself(params: Params) -> Hashable:
    return tuple(params.items())
