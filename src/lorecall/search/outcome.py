"""What a finished search comes to: the chosen theta, every trial, what the surrogate learnt."""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import log2

import numpy as np
import torch
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from pydantic import TypeAdapter

from lorecall.errors import ConfigError
from lorecall.records import ThirdObjective, TrialOutcome
from lorecall.search.discrete import Params
from lorecall.search.front import (
    Values,
    choose,
    hypervolume_trace,
    pareto,
    to_maximise,
)
from lorecall.search.options import SamplerOptions
from lorecall.search.prior import Prior
from lorecall.search.records import Hypervolume, Quartiles, SearchOutcome, Trial
from lorecall.search.sampler import SUGGEST_S
from lorecall.search.space import InjectionSpace
from lorecall.search.surrogate import fit_surrogate, importance

OUTCOME = "outcome"
"""User attribute of a trial: its `TrialOutcome`."""


@dataclass(frozen=True, slots=True)
class Objectives:
    """What a search is after: the loss and ROUGE-L, and how few parameters if asked to.

    Parameters are counted by their logarithm, so that halving a large memory and halving a small
    one are worth the same in the hypervolume; which points are on the front does not depend on it.

    Args:
        third: The third objective, if any.

    Examples:
        >>> from lorecall.search import Objectives
        >>> Objectives().names
        ('loss', 'rougeL')
    """

    third: ThirdObjective | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Name the objectives, as a dashboard and the result call them."""
        return ("loss", "rougeL") if self.third is None else ("loss", "rougeL", "log2_parameters")

    @property
    def directions(self) -> tuple[StudyDirection, ...]:
        """Return which way is better, for each."""
        down, up = StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE
        return (down, up) if self.third is None else (down, up, down)

    def values(self, outcome: TrialOutcome) -> tuple[float, ...]:
        """Return what a trial found, as a study is told it."""
        two = (outcome.loss, outcome.rouge_l)
        return two if self.third is None else (*two, log2(outcome.n_parameters))

    def to_maximise(self, done: Sequence[FrozenTrial]) -> Values:
        """Return the objectives of finished trials, all to be maximised, shape (n, m)."""
        return to_maximise([trial.values for trial in done], self.directions)


def outcome_of(
    done: Sequence[FrozenTrial],
    space: InjectionSpace,
    *,
    objectives: Objectives,
    reference: Values,
    stopped: str,
    importance: dict[str, dict[str, Quartiles]],
) -> SearchOutcome:
    """Put a search's outcome together."""
    values = objectives.to_maximise(done)
    front = pareto(values)
    chosen = choose([outcome_in(trial) for trial in done], front)
    (shown,) = to_maximise(reference, objectives.directions).tolist()
    return SearchOutcome(
        config=space.config(done[chosen].params),
        chosen=done[chosen].number,
        trials=tuple(
            _trial(trial, space, on_front=bool(on_front))
            for trial, on_front in zip(done, front, strict=True)
        ),
        hypervolume=Hypervolume(
            reference=tuple(shown),
            trace=tuple(float(hv) for hv in hypervolume_trace(values, reference)),
            stopped=stopped,
        ),
        importance=importance,
    )


def outcome_in(trial: FrozenTrial) -> TrialOutcome:
    """Read what a finished trial found."""
    return TypeAdapter(TrialOutcome).validate_python(trial.user_attrs[OUTCOME])


def importance_in(
    done: Sequence[FrozenTrial],
    space: InjectionSpace,
    *,
    objectives: Objectives,
    options: SamplerOptions,
    seed: int,
) -> dict[str, dict[str, Quartiles]]:
    """Return which inputs matter for each objective, by a surrogate of the finished trials."""
    columns = space.columns()
    codes = columns.encode(np.stack([columns.point(trial.params) for trial in done]))
    surrogate = fit_surrogate(
        torch.as_tensor(codes),
        torch.as_tensor(objectives.to_maximise(done)),
        settings=options.mcmc,
        seed=seed,
        kind=options.surrogate,
    )
    return {
        objective: dict(zip(columns.names, shares, strict=True))
        for objective, shares in zip(objectives.names, importance(surrogate), strict=True)
    }


def _trial(trial: FrozenTrial, space: InjectionSpace, *, on_front: bool) -> Trial:
    return Trial(
        number=trial.number,
        config=space.config(trial.params),
        on_front=on_front,
        suggest_s=float(trial.system_attrs.get(SUGGEST_S, 0.0)),
        **asdict(outcome_in(trial)),
    )


def prior_of_trials(
    trials: Iterable[Trial], space: InjectionSpace, objectives: Objectives
) -> Prior:
    """Return those of the trials that lie in the space; none may."""
    inside: list[tuple[Params, tuple[float, ...]]] = []
    for trial in trials:
        with contextlib.suppress(ConfigError):
            inside.append((space.params(trial.config), objectives.values(trial)))
    return Prior(
        params=tuple(params for params, _ in inside), values=tuple(values for _, values in inside)
    )
