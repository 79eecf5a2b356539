"""A small discrete problem, and settings of the sampler that are quick rather than good."""

from collections.abc import Callable

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from lorecall.search.options import AcquisitionSettings, McmcSettings, SamplerOptions
from lorecall.search.sampler import SaasNehviSampler
from lorecall.search.study import ask

N_SWITCHES = 6


@pytest.fixture
def distributions() -> dict[str, BaseDistribution]:
    """Return six booleans, an integer and an ordinal: 960 points."""
    return {
        **{f"on_{i}": CategoricalDistribution([False, True]) for i in range(N_SWITCHES)},
        "amount": IntDistribution(0, 4),
        "size": CategoricalDistribution([8, 16, 32]),
    }


@pytest.fixture
def quick() -> SamplerOptions:
    """Return settings for tests that do not look at the quality of suggestions."""
    return SamplerOptions(
        mcmc=McmcSettings(warmup_steps=16, posterior_samples=16, thinning=4, max_tree_depth=4),
        acquisition=AcquisitionSettings(
            mc_samples=8, n_pareto=2, n_random=2, n_pool=32, n_swaps=4, max_steps=6
        ),
    )


@pytest.fixture
def light(quick: SamplerOptions) -> SamplerOptions:
    """Return the same for the surrogate that needs no JAX."""
    return SamplerOptions(acquisition=quick.acquisition, surrogate="map")


@pytest.fixture
def make_sampler(
    distributions: dict[str, BaseDistribution], quick: SamplerOptions
) -> Callable[..., SaasNehviSampler]:
    """Make a quick sampler over the small problem."""

    def make(**options: object) -> SaasNehviSampler:
        given = {"search_space": distributions, "n_initial": 4, "options": quick, **options}
        return SaasNehviSampler(**given)

    return make


@pytest.fixture
def evaluate() -> Callable[[dict[str, object]], tuple[float, float]]:
    """Return the small problem's loss and score: two switches, the amount and the size matter."""

    def objectives(params: dict[str, object]) -> tuple[float, float]:
        loss = 3.0 - params["on_0"] + 0.1 * (params["amount"] - 2) ** 2
        score = 2.0 * params["on_1"] - params["on_0"] + 0.3 * np.log2(params["size"])
        return float(loss), float(score)

    return objectives


@pytest.fixture
def run(
    distributions: dict[str, BaseDistribution],
    evaluate: Callable[[dict[str, object]], tuple[float, float]],
) -> Callable[[optuna.Study, int], None]:
    """Ask and tell a number of trials of the small problem."""

    def go(study: optuna.Study, n: int) -> None:
        for _ in range(n):
            trial = ask(study, distributions)
            values = evaluate(trial.params)
            study.tell(trial, values[: len(study.directions)])

    return go


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
