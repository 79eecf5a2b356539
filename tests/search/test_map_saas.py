"""The light surrogate: fitted hyperparameters, no JAX."""

import subprocess
import sys
from textwrap import dedent

import numpy as np
import torch
from torch import Tensor

from lorecall.search.map_saas import fitted
from lorecall.search.options import McmcSettings
from lorecall.search.surrogate import fit_surrogate, importance
from lorecall.search.trend import Trend


def problem(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return observations of ten inputs, of which the first two matter."""
    rng = np.random.default_rng(seed)
    X = torch.from_numpy(rng.integers(0, 5, (n, 10)) / 4)
    y = 2 * X[:, 0] - X[:, 1] + 0.05 * torch.from_numpy(rng.normal(size=n))
    return X, torch.stack([y, -y], dim=1)


def test_shapes_and_ranges() -> None:
    """Four fits an objective; everything positive."""
    X, Y = problem(20, 0)
    found = fitted(X, (Y - Y.mean(0)) / Y.std(0), Trend(X))
    assert len(found) == 2
    for _, hyper in found:
        assert hyper["lengthscale"].shape == (4, 10)
        assert hyper["trend"].shape == (4, 3)
        assert {hyper[name].shape for name in ("mean", "outputscale", "noise")} == {(4,)}
        assert all(
            (hyper[name] > 0).all() for name in ("outputscale", "noise", "lengthscale", "trend")
        )


def test_it_learns_what_matters() -> None:
    """Predictions of new points are close, and the two inputs carry the weight."""
    X, Y = problem(40, 0)
    surrogate = fit_surrogate(X, Y, settings=McmcSettings(), seed=0, kind="map")
    assert surrogate.states == ()
    new, truth = problem(30, 1)
    predicted = surrogate.model.models[0].posterior(new).mixture_mean.detach().squeeze(-1)
    expected = surrogate.standardise(truth)[:, 0]
    assert float((predicted - expected).square().mean()) < 0.1
    first, second, *_ = importance(surrogate)[0]
    assert first.median + second.median > 0.6


def test_it_is_the_same_every_time() -> None:
    """Nothing in it is drawn."""
    X, Y = problem(15, 0)
    one, two = (fit_surrogate(X, Y, settings=McmcSettings(), seed=s, kind="map") for s in (0, 1))
    assert torch.equal(one.draws[0].lengthscale, two.draws[0].lengthscale)


def test_a_search_without_jax() -> None:
    """The light option works where JAX is not installed; NUTS says what to install."""
    code = """
        import sys
        for name in ("jax", "jaxlib", "numpyro"):
            sys.modules[name] = None
        import optuna
        from optuna.distributions import CategoricalDistribution
        from lorecall.errors import MissingExtraError
        from lorecall.search.options import SamplerOptions
        from lorecall.search.sampler import SaasNehviSampler
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        kinds = {f"on_{i}": CategoricalDistribution([False, True]) for i in range(5)}
        for kind in ("map", "nuts"):
            sampler = SaasNehviSampler(
                search_space=kinds, n_initial=4, options=SamplerOptions(surrogate=kind)
            )
            study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
            try:
                for _ in range(6):
                    trial = study.ask(kinds)
                    on = list(trial.params.values())
                    study.tell(trial, [sum(on[:2]), sum(on[2:])])
                sys.stdout.write(f"{kind} {len(study.trials)}\\n")
            except MissingExtraError as reason:
                sys.stdout.write(f"{kind} {reason}\\n")
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True
    )
    light, paper = done.stdout.splitlines()
    assert light == "map 6"
    assert "pip install" in paper
    assert "--surrogate map" in paper
