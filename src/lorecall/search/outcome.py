"""What a finished search comes to: the chosen theta, every trial, what the surrogate learnt."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
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
    hypervolume_trace,
    pareto,
    to_maximise,
)
from lorecall.search.options import SamplerOptions
from lorecall.search.sampler import SUGGEST_S
from lorecall.search.space import InjectionSpace
from lorecall.search.surrogate import fit, importance

OBJECTIVES = ("loss", "rougeL")
DIRECTIONS = (StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE)
FINDING = "finding"
"""User attribute of a trial: what it found beside its objectives."""


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


def outcome_of(
    done: Sequence[FrozenTrial],
    space: InjectionSpace,
    *,
    reference: Values,
    stopped: str,
    importance: dict[str, dict[str, Quartiles]],
) -> SearchOutcome:
    """Put a search's outcome together.

    Args:
        done: Its finished trials.
        space: What was searched.
        reference: The reference point, all to be maximised, shape (2,).
        stopped: Why it ended.
        importance: What the surrogate learnt.
    """
    values = values_of(done)
    chosen = choose([_candidate(trial) for trial in done])
    loss, rouge_l = (-reference[0], reference[1])
    return SearchOutcome(
        config=space.config(done[chosen].params),
        chosen=done[chosen].number,
        trials=tuple(
            _record(trial, space, on_front=bool(front))
            for trial, front in zip(done, pareto(values), strict=True)
        ),
        hypervolume=Hypervolume(
            reference=(float(loss), float(rouge_l)),
            trace=tuple(float(hv) for hv in hypervolume_trace(values, reference)),
            stopped=stopped,
        ),
        importance=importance,
    )


def values_of(done: Sequence[FrozenTrial]) -> Values:
    """Give the objectives of finished trials, all to be maximised, shape (n, 2)."""
    return to_maximise([trial.values for trial in done], DIRECTIONS)


def finding_in(trial: FrozenTrial) -> Finding:
    """Read what a finished trial found."""
    return TypeAdapter(Finding).validate_python(trial.user_attrs[FINDING])


def importance_in(
    done: Sequence[FrozenTrial], space: InjectionSpace, *, options: SamplerOptions, seed: int
) -> dict[str, dict[str, Quartiles]]:
    """Fit the surrogate to finished trials and say which inputs matter for each objective."""
    columns = DiscreteSpace(space.distributions())
    codes = columns.encode(np.stack([columns.point(trial.params) for trial in done]))
    surrogate = fit(
        torch.as_tensor(codes),
        torch.as_tensor(values_of(done)),
        settings=options.mcmc,
        seed=seed,
        kind=options.surrogate,
    )
    return {
        objective: {
            name: Quartiles(low=low, median=median, high=high)
            for name, low, median, high in zip(
                columns.names,
                spread.low.tolist(),
                spread.median.tolist(),
                spread.high.tolist(),
                strict=True,
            )
        }
        for objective, spread in zip(OBJECTIVES, importance(surrogate), strict=True)
    }


def _record(trial: FrozenTrial, space: InjectionSpace, *, on_front: bool) -> Trial:
    finding = finding_in(trial)
    return Trial(
        number=trial.number,
        config=space.config(trial.params),
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


def _candidate(trial: FrozenTrial) -> Candidate:
    finding = finding_in(trial)
    return Candidate(
        loss=finding.objectives.loss,
        rouge_l=finding.objectives.rouge_l,
        rouge_l_error=standard_error(finding.rouge_l),
        n_parameters=finding.n_parameters,
    )
