"""Search over discrete spaces: an Optuna sampler with SAAS-GPs and noisy EHVI, and theta's search.

`SaasNehviSampler` works on any Optuna study and never sees a model; `Search` runs it over theta's
space, an `InjectionSpace`, by any number of processes. `pareto`, `hypervolume` and the like read
what was found. The other names are what these are made of, for whoever builds another search.
"""

from importlib import import_module
from typing import TYPE_CHECKING

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

_HOMES = {
    "AcquisitionSettings": "options",
    "ChainState": "chains",
    "DiscreteSpace": "discrete",
    "Draws": "surrogate",
    "Hypervolume": "records",
    "InjectionSpace": "space",
    "McmcSettings": "options",
    "Objectives": "outcome",
    "Params": "discrete",
    "Points": "discrete",
    "Prior": "prior",
    "Quartiles": "records",
    "SaasNehviSampler": "sampler",
    "SamplerOptions": "options",
    "Score": "local_search",
    "Search": "loop",
    "SearchOutcome": "records",
    "Surrogate": "surrogate",
    "Trial": "records",
    "Untried": "local_search",
    "Values": "front",
    "converged": "front",
    "fit_surrogate": "surrogate",
    "hypervolume": "front",
    "hypervolume_trace": "front",
    "importance": "surrogate",
    "maximise": "local_search",
    "pareto": "front",
    "reference_point": "front",
    "to_maximise": "front",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that nothing heavy is imported before."""
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
