"""Search over discrete spaces: an Optuna sampler with SAAS-GPs and noisy EHVI, and theta's search.

`SaasNehviSampler` works on any Optuna study and never sees a model; `Search` runs it over theta's
space, an `InjectionSpace`, by any number of processes. `pareto`, `hypervolume` and the like read
what was found. The other names are what these are made of, for whoever builds another search.
"""

from typing import TYPE_CHECKING

from lorecall.core.lazy import lazy_names

if TYPE_CHECKING:
    from lorecall.search.chains import ChainState
    from lorecall.search.discrete import DiscreteSpace, Params, Points
    from lorecall.search.front import (
        Values,
        converged,
        hypervolume,
        hypervolume_trace,
        pareto,
        reference_point,
        to_maximise,
    )
    from lorecall.search.local_search import Score, Untried, maximise
    from lorecall.search.loop import Search
    from lorecall.search.options import AcquisitionSettings, McmcSettings, SamplerOptions
    from lorecall.search.outcome import Objectives
    from lorecall.search.prior import Prior
    from lorecall.search.records import Hypervolume, Quartiles, SearchOutcome, Trial
    from lorecall.search.sampler import SaasNehviSampler
    from lorecall.search.space import InjectionSpace
    from lorecall.search.surrogate import Draws, Surrogate, fit_surrogate, importance

__all__ = [
    "AcquisitionSettings",
    "ChainState",
    "DiscreteSpace",
    "Draws",
    "Hypervolume",
    "InjectionSpace",
    "McmcSettings",
    "Objectives",
    "Params",
    "Points",
    "Prior",
    "Quartiles",
    "SaasNehviSampler",
    "SamplerOptions",
    "Score",
    "Search",
    "SearchOutcome",
    "Surrogate",
    "Trial",
    "Untried",
    "Values",
    "converged",
    "fit_surrogate",
    "hypervolume",
    "hypervolume_trace",
    "importance",
    "maximise",
    "pareto",
    "reference_point",
    "to_maximise",
]

__getattr__, __dir__ = lazy_names(__name__)
