"""What the stages of a run leave behind, and what is made of it for the search and the result."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from lorecall.errors import ConfigError
from lorecall.learning.result import RunResult, System
from lorecall.records import ObjectiveValues
from lorecall.search.discrete import Params
from lorecall.search.outcome import Objectives, SearchOutcome, TrialOutcome
from lorecall.search.prior import Prior
from lorecall.search.records import Trial
from lorecall.search.space import InjectionSpace
from lorecall.train.trial import TrialResult


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemReading:
    """What one system made of the test samples, as its stage left it.

    `valid_losses` holds the base's own on the validation samples, for the vanilla stage alone;
    `stop_bias` is what its replies were decoded with, `length_s` the seconds of finding it. `taken`
    is which of the search's finalists the memory is.
    """

    losses: tuple[float, ...]
    responses: tuple[str, ...]
    valid_losses: tuple[float, ...] = ()
    curve: tuple[tuple[float, float], ...] = ()
    n_parameters: int = 0
    train_s: float = 0.0
    evaluate_s: float = 0.0
    length_s: float = 0.0
    stop_bias: float = 0.0
    taken: int = 0

    @property
    def valid_loss(self) -> float:
        """Mean validation loss."""
        return fmean(self.valid_losses)


def outcome_of_trial(result: TrialResult) -> TrialOutcome:
    """Return what the search is to know of a trial."""
    report = result.trained.report
    return TrialOutcome(
        objectives=result.objectives,
        rouge_l=result.rouge_l,
        n_parameters=result.trained.n_parameters,
        n_tokens=report.n_tokens,
        curve=report.points,
        train_s=report.seconds,
        evaluate_s=result.evaluate_s,
    )


def seconds_of(readings: Mapping[System, SystemReading], found: SearchOutcome) -> dict[str, float]:
    """Add up what was measured; `total` leaves out loading the data and the base."""
    suggest = sum(trial.seconds["suggest"] for trial in found.trials)
    trained = sum(trial.seconds["train"] for trial in found.trials)
    read = sum(trial.seconds["evaluate"] for trial in found.trials)
    train_s = trained + sum(reading.train_s for reading in readings.values())
    evaluate_s = read + sum(reading.evaluate_s for reading in readings.values())
    length_s = sum(reading.length_s for reading in readings.values())
    return {
        "search": suggest + trained + read,
        "suggest": suggest,
        "train": train_s,
        "evaluate": evaluate_s,
        "length": length_s,
        "total": suggest + train_s + evaluate_s + length_s,
    }


def prior_of(result: RunResult, space: InjectionSpace, objectives: Objectives) -> Prior:
    """Return the trials of a finished run to another person's search.

    Trials outside the space are left out. A run over a narrower space lies inside a wider one that
    has the paper's scaling and dropout among its levels; how many parameters a trial had is known
    of every run.

    Raises:
        ConfigError: None lies in it.
    """
    prior = prior_of_trials(result.trials, space, objectives)
    if not prior.params:
        raise ConfigError(
            "a run to start from must have searched the same space, or a part of it",
            expected=f"trials in a space of {space.n_layers} layers, {space.searched} searched,"
            f" scaling {_levels(space.scalings)}, dropout {_levels(space.dropouts)}",
            got=f"the run of user {result.user}, with {result.n_layers} layers, scaling"
            f" {_levels(trial.config.scaling for trial in result.trials)}, dropout"
            f" {_levels(trial.config.dropout for trial in result.trials)}",
            next_step="Start from runs with the same base and options, or from none.",
        )
    return prior


def prior_of_trials(
    trials: Iterable[Trial], space: InjectionSpace, objectives: Objectives
) -> Prior:
    """Return those of the trials that lie in the space; none may."""
    params: list[Params] = []
    values: list[tuple[float, ...]] = []
    for trial in trials:
        with contextlib.suppress(ConfigError):
            params.append(space.params(trial.config))
            found = ObjectiveValues(loss=trial.loss, rouge_l=trial.rougeL)
            values.append(objectives.values(found, trial.trainable_parameters))
    return Prior(params=tuple(params), values=tuple(values))


def _levels(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in sorted(set(values))) or "none"
