"""Ask, try, tell, until the budget is spent or the front no longer grows.

The search never sees a model: it is given a function from theta to its objectives. Whatever a
trial found is in the study's storage before the next one starts, so nothing finished is lost.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import cast

import optuna
from optuna.trial import FrozenTrial

from lorecall.metrics.intervals import standard_error
from lorecall.progress import Ledger
from lorecall.records import InjectionConfig, Objectives
from lorecall.results import Hypervolume, Quartiles, Trial
from lorecall.search.front import choose, converged, hypervolume_trace, pareto, reference_point
from lorecall.search.sampler import SaasNehviSampler
from lorecall.search.space import InjectionSpace
from lorecall.search.study import finished, open_study, recover
from lorecall.settings import LearnSettings, SearchSettings

DIRECTIONS = ("minimize", "maximize")  # validation loss, validation ROUGE-L


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
