"""Who suggests: Optuna's samplers, BoTorch's plain GP and ours, behind one `suggest` and `tell`.

All start from the same points. The Gaussian processes of BoTorch and ours never suggest what is no
candidate or was tried; Optuna's samplers cannot be told, so they may spend a trial on the vanilla
model, and get its value.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import optuna
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import TrialState, create_trial
from search_gps import PlainGp, Surrogate
from search_problems import Objectives, Problem

from lorecall.search import (
    AcquisitionSettings,
    DiscreteSpace,
    Points,
    SaasNehviSampler,
    Score,
    Untried,
    Values,
    maximise,
    pareto,
    reference_point,
    to_maximise,
)

OURS, RANDOM = "ours", "random"
METHODS = (OURS, RANDOM, "tpe", "nsga2", "gpsampler", "botorch")
_CHUNK = 64  # candidates scored at once


class Method(Protocol):
    """One search."""

    def suggest(self) -> Points:
        """Return the point to try next, shape (d,)."""
        ...

    def tell(self, point: Points, values: Objectives) -> None:
        """Tell what was found; in a table, at the row that stood for the suggestion."""
        ...


class ByStudy:
    """A sampler in an Optuna study.

    Args:
        problem: What is searched.
        sampler: Who suggests.
        initial: The points it starts with, shape (k, d).
        distributions: Of the inputs, level by level those of the problem.
    """

    def __init__(
        self,
        problem: Problem,
        sampler: BaseSampler,
        *,
        initial: Points,
        distributions: Mapping[str, BaseDistribution],
    ) -> None:
        self._distributions = dict(distributions)
        self._space = DiscreteSpace(distributions)
        self._study = optuna.create_study(directions=list(problem.directions), sampler=sampler)
        for point in initial:
            self._study.enqueue_trial(self._space.params(point))

    def suggest(self) -> Points:
        """Ask the study."""
        self._trial = self._study.ask(self._distributions)
        return self._space.point(self._trial.params)

    def tell(self, point: Points, values: Objectives) -> None:
        """Tell the study; a row that stands for a suggestion is a trial of its own."""
        if np.array_equal(point, self._space.point(self._trial.params)):
            self._study.tell(self._trial, values)
            return
        attributes = self._study.trials[self._trial.number].system_attrs  # NSGA-II's generation
        self._study.tell(self._trial, state=TrialState.FAIL)
        row = create_trial(
            params=self._space.params(point),
            distributions=self._distributions,
            values=values,
            system_attrs=attributes,
        )
        self._study.add_trial(row)


class BySurrogate:
    """A surrogate's improvement, maximised over valid points or over a table's rows.

    Args:
        problem: What is searched.
        surrogate: What is fitted.
        initial: The points it starts with, shape (k, d).
        seed: Seed of everything random.
    """

    def __init__(
        self, problem: Problem, surrogate: Surrogate, *, initial: Points, seed: int
    ) -> None:
        self._problem, self._surrogate = problem, surrogate
        self._initial, self._seed = initial, seed
        self._space = DiscreteSpace(problem.distributions)
        self._points: list[Points] = []
        self._values: list[Objectives] = []

    def suggest(self) -> Points:
        """Return the initial points in turn, then the best of what is untried."""
        n = len(self._points)
        if n < len(self._initial):
            return self._initial[n]
        problem, rng = self._problem, np.random.default_rng([self._seed, n])
        untried = Untried(
            self._space,
            is_candidate=problem.is_candidate,
            same_as=problem.same_as,
            taken=[problem.same_as(self._space.params(point)) for point in self._points],
            only=problem.rows,
        )
        points = np.stack(self._points)
        values = to_maximise(self._values, problem.directions)
        score = self._score(points, values, rng)
        settings = AcquisitionSettings()
        starts = rng.permutation(points[pareto(values)])[: settings.n_pareto]
        return maximise(score, untried, starts=starts, settings=settings, rng=rng)

    def tell(self, point: Points, values: Objectives) -> None:
        """Keep what was found."""
        self._points.append(point)
        self._values.append(values)

    def _score(
        self,
        points: Points,
        values: Values,
        rng: np.random.Generator,
    ) -> Score:
        reference = torch.from_numpy(reference_point(values[: len(self._initial)]))
        X, Y = torch.from_numpy(self._space.encode(points)), torch.from_numpy(values)
        improvement = self._surrogate(X, Y, reference, rng)

        def score(candidates: Points) -> Values:
            codes = torch.from_numpy(self._space.encode(candidates))[:, None]
            with torch.no_grad():
                return torch.cat([improvement(part) for part in codes.split(_CHUNK)]).numpy()

        return score


def make_method(name: str, problem: Problem, *, initial: Points, seed: int) -> Method:
    """Make a method.

    Args:
        name: One of `METHODS`.
        problem: What it searches.
        initial: The points it starts with, shape (k, d).
        seed: Seed of everything random in it.
    """
    if name == "botorch":
        return BySurrogate(problem, PlainGp(), initial=initial, seed=seed)
    if name == OURS:
        space, rows = DiscreteSpace(problem.distributions), problem.rows
        sampler: BaseSampler = SaasNehviSampler(
            search_space=problem.distributions,
            n_initial=len(initial),
            seed=seed,
            is_candidate=problem.is_candidate,
            same_as=problem.same_as,
            canonical=problem.canonical,
            candidates=None if rows is None else [space.params(row) for row in rows],
        )
        return ByStudy(problem, sampler, initial=initial, distributions=problem.distributions)
    known: dict[str, Callable[[], BaseSampler]] = {
        RANDOM: lambda: RandomSampler(seed=seed),
        "tpe": lambda: TPESampler(seed=seed, n_startup_trials=len(initial)),
        "nsga2": lambda: NSGAIISampler(seed=seed),
        "gpsampler": lambda: GPSampler(seed=seed, n_startup_trials=len(initial)),
    }
    return ByStudy(problem, known[name](), initial=initial, distributions=ordered(problem))


def ordered(problem: Problem) -> dict[str, BaseDistribution]:
    """Return inputs with ordinals as integers: Optuna's samplers take categories as unordered."""
    return {
        name: IntDistribution(0, len(kind.choices) - 1)
        if isinstance(kind, CategoricalDistribution) and not isinstance(kind.choices[0], bool)
        else kind
        for name, kind in problem.distributions.items()
    }
