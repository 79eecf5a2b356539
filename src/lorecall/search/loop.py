"""Ask, try, tell, until the budget is spent or the front no longer grows.

The search never sees a model: it is given a function from theta to its objectives. Whatever a
trial found is in the study's storage before the next one starts, so nothing finished is lost.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import optuna
import torch
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from pydantic import TypeAdapter

from lorecall.metrics.intervals import standard_error
from lorecall.records import InjectionConfig, Objectives
from lorecall.results import Hypervolume, Quartiles, Trial
from lorecall.search.discrete import DiscreteSpace
from lorecall.search.front import (
    Candidate,
    Values,
    choose,
    converged,
    hypervolume_trace,
    pareto,
    reference_point,
    to_maximise,
)
from lorecall.search.local_search import SpaceExhaustedError
from lorecall.search.options import McmcSettings, SamplerOptions
from lorecall.search.sampler import SUGGEST_S, SaasNehviSampler
from lorecall.search.space import InjectionSpace
from lorecall.search.study import ask, finished, open_study, recover
from lorecall.search.surrogate import fit, importance
from lorecall.settings import SearchSettings

OBJECTIVES = ("loss", "rougeL")
DIRECTIONS = (StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE)
_FINDING = "finding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What trying one theta found.

    `rouge_l` has one value a validation sample; `curve` holds (epoch, validation loss).
    """

    objectives: Objectives
    rouge_l: tuple[float, ...]
    n_parameters: int
    n_tokens: int
    curve: tuple[tuple[float, float], ...]
    train_s: float
    evaluate_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOutcome:
    """A finished search: the chosen theta, every trial, and what the surrogate learnt.

    `importance` maps objective -> input -> quartiles; it is empty with too few trials for a fit.
    """

    config: InjectionConfig
    chosen: int
    trials: tuple[Trial, ...]
    hypervolume: Hypervolume
    importance: dict[str, dict[str, Quartiles]]


class Search:
    """One search over theta's space, kept in an Optuna study.

    Args:
        space: What is searched.
        settings: Budget, start, stop and the surrogate's numbers.
        seed: Seed of the suggestions.
        storage: Optuna storage URL.
        study_name: The study's name there; a study of that name goes on.

    Raises:
        StorageError: The storage cannot be reached.
    """

    def __init__(
        self,
        space: InjectionSpace,
        *,
        settings: SearchSettings,
        seed: int,
        storage: str,
        study_name: str,
    ) -> None:
        self.space, self.settings, self.seed = space, settings, seed
        self.mcmc = McmcSettings(
            warmup_steps=settings.warmup_steps,
            posterior_samples=settings.posterior_samples,
            thinning=settings.thinning,
        )
        sampler = SaasNehviSampler(
            search_space=space.distributions(),
            n_initial=settings.initial,
            seed=seed,
            is_candidate=space.is_candidate,
            same_as=space.same_as,
            options=SamplerOptions(mcmc=self.mcmc),
        )
        self.study = open_study(storage, study_name, directions=DIRECTIONS, sampler=sampler)

    @property
    def n_finished(self) -> int:
        """How many trials are finished."""
        return len(finished(self.study))

    def run(
        self,
        objective: Callable[[InjectionConfig], Finding],
        *,
        together: Callable[[Sequence[InjectionConfig]], Sequence[Finding]] | None = None,
        on_trial: Callable[[int, Objectives, InjectionConfig], None] | None = None,
    ) -> SearchOutcome:
        """Go on until the budget is spent, the front stops growing, or the space is used up.

        Args:
            objective: Tries one theta.
            together: Tries a batch of them side by side; one after another when None.
            on_trial: Called as a trial finishes, with its number, what it found and theta.
        """
        recover(self.study)
        stopped = self._why_stop()
        while not stopped:
            batch = self._ask()
            width = len(batch) if together is not None else 1
            for first in range(0, len(batch), max(1, width)):
                self._try(
                    batch[first : first + width], together or _one_by_one(objective), on_trial
                )
            stopped = self._why_stop() if batch else "every configuration of the space was tried"
        return self._outcome(stopped)

    def _ask(self) -> list[optuna.Trial]:
        """Ask for a batch of q; fewer where the budget ends or the space is used up."""
        batch: list[optuna.Trial] = []
        n = min(self.settings.batch, self.settings.trials - self.n_finished)
        with contextlib.suppress(SpaceExhaustedError):
            while len(batch) < n:
                batch.append(ask(self.study, self.space.distributions()))
        return batch

    def _try(
        self,
        trials: Sequence[optuna.Trial],
        objective: Callable[[Sequence[InjectionConfig]], Sequence[Finding]],
        on_trial: Callable[[int, Objectives, InjectionConfig], None] | None,
    ) -> None:
        configs = [self.space.config(trial.params) for trial in trials]
        try:
            findings = objective(configs)
        except Exception:
            for trial in trials:
                self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise
        for trial, config, finding in zip(trials, configs, findings, strict=True):
            trial.set_user_attr(_FINDING, asdict(finding))
            self.study.tell(trial, [finding.objectives.loss, finding.objectives.rouge_l])
            if on_trial is not None:
                on_trial(trial.number, finding.objectives, config)

    def _why_stop(self) -> str:
        """Say why the search is over; an empty string while it is not."""
        n = self.n_finished
        if n >= self.settings.trials:
            return f"the budget of {self.settings.trials} trials is spent"
        if n < self.settings.initial:
            return ""
        values = self._values()
        trace = hypervolume_trace(values, self._reference(values))
        rounds = trace[self.settings.initial - 1 :: self.settings.batch]
        s = self.settings
        if converged(rounds, rounds=s.stop_rounds, gain=s.stop_gain):
            return f"the hypervolume grew by less than {s.stop_gain:.0%} in {s.stop_rounds} rounds"
        return ""

    def _values(self) -> Values:
        return to_maximise([trial.values for trial in finished(self.study)], DIRECTIONS)

    def _reference(self, values: Values) -> Values:
        return reference_point(values[: self.settings.initial])

    def _outcome(self, stopped: str) -> SearchOutcome:
        done = finished(self.study)
        values = self._values()
        reference = self._reference(values)
        on_front = pareto(values)
        chosen = choose([_candidate(trial) for trial in done])
        loss, rouge_l = (-reference[0], reference[1])
        return SearchOutcome(
            config=self.space.config(done[chosen].params),
            chosen=done[chosen].number,
            trials=tuple(
                self._record(trial, on_front=bool(front))
                for trial, front in zip(done, on_front, strict=True)
            ),
            hypervolume=Hypervolume(
                reference=(float(loss), float(rouge_l)),
                trace=tuple(float(hv) for hv in hypervolume_trace(values, reference)),
                stopped=stopped,
            ),
            importance=self._importance(done),
        )

    def _record(self, trial: FrozenTrial, *, on_front: bool) -> Trial:
        finding = _finding(trial)
        return Trial(
            number=trial.number,
            config=self.space.config(trial.params),
            loss=finding.objectives.loss,
            rougeL=finding.objectives.rouge_l,
            on_front=on_front,
            trainable_parameters=finding.n_parameters,
            train_tokens=finding.n_tokens,
            curve=finding.curve,
            seconds={
                "suggest": float(trial.system_attrs.get(SUGGEST_S, 0.0)),
                "train": finding.train_s,
                "evaluate": finding.evaluate_s,
            },
        )

    def _importance(self, done: Sequence[FrozenTrial]) -> dict[str, dict[str, Quartiles]]:
        if len(done) <= self.settings.initial:  # the surrogate was never asked
            return {}
        space = DiscreteSpace(self.space.distributions())
        codes = space.encode(np.stack([space.point(trial.params) for trial in done]))
        surrogate = fit(
            torch.as_tensor(codes),
            torch.as_tensor(self._values()),
            settings=self.mcmc,
            seed=self.seed,
        )
        return {
            objective: {
                name: Quartiles(low=low, median=median, high=high)
                for name, low, median, high in zip(
                    space.names,
                    spread.low.tolist(),
                    spread.median.tolist(),
                    spread.high.tolist(),
                    strict=True,
                )
            }
            for objective, spread in zip(OBJECTIVES, importance(surrogate), strict=True)
        }


def _one_by_one(
    objective: Callable[[InjectionConfig], Finding],
) -> Callable[[Sequence[InjectionConfig]], Sequence[Finding]]:
    return lambda configs: [objective(config) for config in configs]


def _finding(trial: FrozenTrial) -> Finding:
    return TypeAdapter(Finding).validate_python(trial.user_attrs[_FINDING])


def _candidate(trial: FrozenTrial) -> Candidate:
    finding = _finding(trial)
    return Candidate(
        loss=finding.objectives.loss,
        rouge_l=finding.objectives.rouge_l,
        rouge_l_error=standard_error(finding.rouge_l),
        n_parameters=finding.n_parameters,
    )
