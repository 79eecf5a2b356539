"""What a finished run tells another search."""

from dataclasses import replace
from math import log2
from types import SimpleNamespace

import pytest

from lorecall.errors import ConfigError
from lorecall.learning.search import prior_of
from lorecall.records import InjectionConfig
from lorecall.search.outcome import Objectives
from lorecall.search.records import Trial
from lorecall.search.space import InjectionSpace

NARROW = InjectionSpace(n_layers=3, max_loras=4)
WIDE = replace(NARROW, scalings=(0.5, 1.0, 2.0))
THETA = InjectionConfig(layers=(0, 2), n_loras=2, rank=8)


def run_of(*configs: InjectionConfig) -> SimpleNamespace:
    """Stand in for a run's result: all that is read of it."""
    trials = tuple(
        Trial(
            number=i,
            config=config,
            loss=3.0 + i,
            rouge_l=10.0 + i,
            rouge_l_error=1.0,
            on_front=True,
            n_parameters=1024,
            n_tokens=1,
            curve=(),
            suggest_s=0.0,
            train_s=0.0,
            evaluate_s=0.0,
        )
        for i, config in enumerate(configs)
    )
    return SimpleNamespace(trials=trials, user="ada", n_layers=3)


def test_a_narrower_run_lies_inside_a_wider_space() -> None:
    """With the paper's scaling; how many parameters it had is known as well."""
    prior = prior_of(run_of(THETA), WIDE, Objectives("parameters"))
    assert prior.values == ((3.0, 10.0, log2(1024)),)
    (params,) = prior.params
    assert params["scaling"] == 1.0
    assert WIDE.config(params) == THETA
    assert prior_of(run_of(THETA), WIDE, Objectives()).values == ((3.0, 10.0),)


def test_of_a_wider_run_what_lies_inside_is_taken() -> None:
    """The rest would be another model here."""
    prior = prior_of(run_of(replace(THETA, scaling=2.0), THETA), NARROW, Objectives())
    assert prior.values == ((4.0, 11.0),)
    assert "scaling" not in prior.params[0]


def test_a_run_with_nothing_inside_is_refused() -> None:
    """The line says what both have."""
    steep = replace(NARROW, scalings=(2.0, 4.0))
    with pytest.raises(ConfigError, match=r"scaling 2, 4, got .* scaling 1"):
        prior_of(run_of(THETA), steep, Objectives())
    with pytest.raises(ConfigError, match="got the run of user ada"):
        prior_of(run_of(replace(THETA, scaling=4.0)), WIDE, Objectives())
