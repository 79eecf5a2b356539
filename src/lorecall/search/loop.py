"""Ask, try, tell, until the budget is spent or the front no longer grows.

The search never sees a model: it is given a function from theta to its objectives. Whatever a
trial found is in the study's storage before the next one starts, so nothing finished is lost. Any
number of processes may work on one study: each asks, tries and tells for itself, and what a killed
one was trying is tried again by another.
"""

import contextlib
import time
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from statistics import median

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from lorecall.errors import SpaceExhaustedError
from lorecall.records import InjectionConfig, TrialOutcome
from lorecall.search.claims import heartbeat, running
from lorecall.search.discrete import Params
from lorecall.search.first import FirstPoints
from lorecall.search.front import Values, converged, hypervolume_trace, reference_point
from lorecall.search.observations import whole_params
from lorecall.search.options import McmcSettings, SamplerOptions
from lorecall.search.outcome import (
    OUTCOME,
    Objectives,
    importance_in,
    outcome_in,
    outcome_of,
)
from lorecall.search.prior import Prior
from lorecall.search.records import SearchOutcome
from lorecall.search.sampler import SaasNehviSampler
from lorecall.search.space import InjectionSpace
from lorecall.search.study import ask, finished, open_study, recover, release, tell_failed
from lorecall.settings import SearchSettings

_POLL_S = 0.5  # how often a process without work looks whether the others' trials have ended
_OVERRUN = 0.05  # of a budget in minutes, that a trial may be expected to take past its end
_MOST_FIRST = 8  # points taken from priors before the surrogate suggests
_DEADLINE = "deadline"

Told = Callable[[int, TrialOutcome, InjectionConfig], None]


class Search:
    """One search over theta's space, kept in an Optuna study.

    Args:
        space: What is searched.
        settings: Budget, start, stop and the surrogate's numbers.
        seed: Seed of the suggestions.
        storage: Optuna storage URL.
        study_name: The study's name there; a study of that name goes on.
        priors: Other searches over the same space: their best points are tried first, in place of
            random ones, and their trials inform the surrogate.

    Raises:
        StorageError: The storage cannot be reached.

    Examples:
        >>> from lorecall.records import TrialOutcome
        >>> from lorecall.search import InjectionSpace, Search
        >>> from lorecall.settings import SearchSettings
        >>> def tried(theta):  # in earnest: train theta, then read the validation part
        ...     n = sum(theta.ranks().values())
        ...     return TrialOutcome(
        ...         loss=4 - 0.01 * n,
        ...         rouge_l=10 + len(theta.layers),
        ...         rouge_l_error=0.5,
        ...         n_parameters=1_000 * n,
        ...         n_tokens=8_000,
        ...         curve=((0.0, 4.0),),
        ...         train_s=20.0,
        ...         evaluate_s=4.0,
        ...     )
        >>> search = Search(
        ...     InjectionSpace(n_layers=3, max_loras=3, ranks=(4, 8)),
        ...     settings=SearchSettings(trials=3, initial=3),
        ...     seed=0,
        ...     storage="sqlite:///search.db",
        ...     study_name="ann",
        ... )
        >>> search.run(tried).hypervolume.stopped
        'the budget of 3 trials is spent'
        >>> search.n_finished
        3
    """

    def __init__(
        self,
        space: InjectionSpace,
        *,
        settings: SearchSettings,
        seed: int,
        storage: str,
        study_name: str,
        priors: Sequence[Prior] = (),
    ) -> None:
        self.objectives = Objectives(settings.third_objective)
        self.space, self.settings, self.seed = space, settings, seed
        mcmc = McmcSettings(
            warmup_steps=settings.warmup_steps,
            posterior_samples=settings.posterior_samples,
            thinning=settings.thinning,
        )
        self.options = SamplerOptions(mcmc=mcmc, surrogate=settings.surrogate)
        self._first = FirstPoints(
            priors,
            space.columns(),
            self.objectives.directions,
            most=min(settings.initial, _MOST_FIRST),
            same_as=space.same_as,
            options=self.options,
        )
        self._n_initial = self._first.n or settings.initial
        self._designs: tuple[Params, ...] = ()
        if settings.start == "known" and not self._first.n:
            self._designs = space.known_designs()[: settings.initial]
        sampler = SaasNehviSampler(
            search_space=space.distributions(),
            n_initial=self._n_initial,
            seed=seed,
            is_candidate=space.is_candidate,
            same_as=space.same_as,
            canonical=space.canonical,
            repeat=False,
            priors=priors,
            options=self.options,
        )
        self.study = open_study(
            storage, study_name, directions=self.objectives.directions, sampler=sampler
        )
        names = list(self.objectives.names)
        if self.study.metric_names != names:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                self.study.set_metric_names(names)  # what a dashboard calls them

    @property
    def n_finished(self) -> int:
        """How many trials are finished."""
        return len(finished(self.study))

    @property
    def at_work(self) -> int:
        """How many trials are being tried, by any process."""
        return len(running(self.study))

    @property
    def spent_s(self) -> float:
        """Seconds in which anyone was at work on this search."""
        return _time_at_work(finished(self.study)).total_seconds()

    def prepare(self) -> None:
        """Queue the first points and start the clock; once, before other processes join."""
        recover(self.study)
        best = self._first.ranked(seed=self.seed) if len(self._asked()) < self._first.n else []
        for params in (*self._designs, *best):
            if self.space.same_as(params) not in self._asked():  # others may prepare it, too
                self.study.enqueue_trial(params)
        if self.settings.budget_min is not None:
            left = timedelta(minutes=self.settings.budget_min, seconds=-self.spent_s)
            self.study.set_user_attr(_DEADLINE, (datetime.now() + left).timestamp())  # noqa: DTZ005 - as Optuna's own

    def _asked(self) -> set[Hashable]:
        """Return every model that is tried, or is to be; one whose trial has broken is not."""
        trials = [t for t in self.study.get_trials(deepcopy=False) if t.state != TrialState.FAIL]
        names = self.space.distributions()
        known = (whole_params(trial, names) for trial in trials)
        return {self.space.same_as(params) for params in known if params is not None}

    def run(
        self,
        objective: Callable[[InjectionConfig], TrialOutcome],
        *,
        on_trial: Told | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> SearchOutcome:
        """Go on until the budget is spent, the front stops growing, or the space is used up.

        Args:
            objective: Tries one theta.
            on_trial: Called once for each trial that finishes, this process's or another's, with
                its number, what it found and theta.
            on_wait: Called every time that others' trials are waited for.
        """
        self.prepare()
        stopped = self.work(objective, on_trial=on_trial, on_wait=on_wait)
        done = finished(self.study)
        learnt = {}
        if len(done) > self._n_initial:  # else the surrogate was never asked
            learnt = importance_in(
                done, self.space, objectives=self.objectives, options=self.options, seed=self.seed
            )
        return outcome_of(
            done,
            self.space,
            objectives=self.objectives,
            reference=self._reference(self.objectives.to_maximise(done)),
            stopped=stopped,
            importance=learnt,
        )

    def work(
        self,
        objective: Callable[[InjectionConfig], TrialOutcome],
        *,
        on_trial: Told | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> str:
        """Ask, try and tell until the search is over; any number of processes may do so.

        Arguments as `run`.

        Returns:
            Why it is over.
        """
        telling = _Telling(self.study, self.space, on_trial)
        used_up = False
        while True:
            recover(self.study)
            telling.tell()
            others = self.at_work
            if stopped := self._why_stop(used_up=used_up):
                if not others:
                    return stopped
            elif batch := self._ask():
                for trial in batch:
                    self._try(trial, objective)
                    telling.tell()
                continue
            elif batch is None and not others:
                used_up = True
                continue
            if on_wait is not None:
                on_wait()
            time.sleep(_POLL_S)

    def _ask(self) -> list[optuna.Trial] | None:
        """Ask for a batch of q, fewer where the budget ends; None where the space is used up.

        Processes that ask at once may together ask for more than the budget has left: whoever's
        trial is beyond it releases it.
        """
        batch: list[optuna.Trial] = []
        taken = self.n_finished + self.at_work
        n = min(self.settings.batch, self.settings.trials - taken)
        try:
            while len(batch) < n:
                trial = ask(self.study, self.space.distributions(), same_as=self.space.same_as)
                if self._is_beyond(trial):
                    release(self.study, trial)
                    break
                batch.append(trial)
        except SpaceExhaustedError:
            return batch or None
        return batch

    def _is_beyond(self, trial: optuna.Trial) -> bool:
        """Whether the trials before this one, finished or at work, are the budget already."""
        alive = (*finished(self.study), *running(self.study))
        return sum(other.number < trial.number for other in alive) >= self.settings.trials

    def _try(
        self, trial: optuna.Trial, objective: Callable[[InjectionConfig], TrialOutcome]
    ) -> None:
        with heartbeat(self.study, trial):
            try:
                outcome = objective(self.space.config(trial.params))
            except Exception:
                tell_failed(self.study, trial.number)
                raise
            # taken for lost while this process was held up: then another does it again
            with contextlib.suppress(UpdateFinishedTrialError):
                trial.set_user_attr(OUTCOME, asdict(outcome))
                self.study.tell(trial, self.objectives.values(outcome), skip_if_finished=True)

    def _why_stop(self, *, used_up: bool) -> str:
        """Return why the search is over; an empty string while it is not."""
        done = finished(self.study)
        s = self.settings
        if len(done) >= s.trials:
            return f"the budget of {s.trials} trials is spent"
        if used_up:
            return "every configuration of the space was tried"
        if self._is_late(done):
            return f"the budget of {s.budget_min:g} minutes is spent"
        if len(done) < self._n_initial:
            return ""
        values = self.objectives.to_maximise(done)
        trace = hypervolume_trace(values, self._reference(values))
        rounds = trace[self._n_initial - 1 :: s.batch]
        if converged(rounds, rounds=s.stop_rounds, gain=s.stop_gain):
            return f"the hypervolume grew by less than {s.stop_gain:.0%} in {s.stop_rounds} rounds"
        return ""

    def _is_late(self, done: Sequence[FrozenTrial]) -> bool:
        """Whether another trial would end past the budget in minutes; one is always tried."""
        deadline = self.study.user_attrs.get(_DEADLINE)
        if self.settings.budget_min is None or deadline is None or not done:
            return False
        took = [t.duration.total_seconds() for t in done if t.duration is not None]
        end = time.time() + (median(took) if took else 0.0)
        return end > deadline + 60 * _OVERRUN * self.settings.budget_min

    def _reference(self, values: Values) -> Values:
        return reference_point(values[: self._n_initial])


class _Telling:
    """Tells of every trial that finishes from now on, once."""

    def __init__(self, study: optuna.Study, space: InjectionSpace, on_trial: Told | None) -> None:
        self._study, self._space, self._on_trial = study, space, on_trial
        self._told = {trial.number for trial in finished(study)}

    def tell(self) -> None:
        """Tell of what has finished since."""
        for trial in finished(self._study):
            if trial.number not in self._told and self._on_trial is not None:
                config = self._space.config(trial.params)
                self._on_trial(trial.number, outcome_in(trial), config)
            self._told.add(trial.number)


def _time_at_work(done: Sequence[FrozenTrial]) -> timedelta:
    """Add up the time in which any trial was worked on, whoever worked beside it."""
    total, end = timedelta(0), datetime.min  # noqa: DTZ901 - as Optuna's own
    spans = [(t.datetime_start, t.datetime_complete) for t in done]
    for start, stop in sorted((a, b) for a, b in spans if a is not None and b is not None):
        total += max(timedelta(0), stop - max(start, end))
        end = max(end, stop)
    return total
