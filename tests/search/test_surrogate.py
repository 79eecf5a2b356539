"""The surrogate around the chains: standardising, importance, a missing extra."""

import subprocess
import sys
from textwrap import dedent

import numpy as np
import pytest
import torch
from botorch.models import ModelListGP

from lorecall.search.options import SamplerOptions
from lorecall.search.surrogate import Draws, Surrogate, fit_surrogate, importance


def made_up(n: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Return n points of eight inputs: the first for one objective, the second for another."""
    X = torch.from_numpy(np.random.default_rng(0).integers(0, 2, (n, 8)).astype(float))
    return X, torch.stack([100 + 5 * X[:, 0], -0.01 * X[:, 1]], dim=1)


def test_outcomes_are_standardised(quick: SamplerOptions) -> None:
    """The models see zero mean and unit variance, and any value can be brought there."""
    X, Y = made_up()
    fitted = fit_surrogate(X, Y, settings=quick.mcmc, seed=0)
    assert torch.allclose(fitted.Z.mean(dim=0), torch.zeros(2, dtype=X.dtype), atol=1e-9)
    assert torch.allclose(fitted.Z.std(dim=0), torch.ones(2, dtype=X.dtype))
    assert torch.allclose(fitted.standardise(Y), fitted.Z)
    assert fitted.model.posterior(X[:3]).mean.shape == (4, 3, 2)


def test_an_objective_that_never_varies_can_be_fitted(quick: SamplerOptions) -> None:
    """A constant objective is predicted as that constant, with no division by zero."""
    X, Y = made_up()
    fitted = fit_surrogate(X, torch.full_like(Y, 3.0), settings=quick.mcmc, seed=0)
    assert fitted.std.tolist() == [1.0, 1.0]
    assert fitted.model.posterior(X[:3]).mixture_mean.abs().max() < 0.5


def test_importance_finds_the_inputs_that_matter(quick: SamplerOptions) -> None:
    """In each objective its own input has the largest share; shares have ordered quartiles."""
    X, Y = made_up(16)
    found = importance(fit_surrogate(X, Y, settings=quick.mcmc, seed=0))
    for j, shares in enumerate(found):
        assert np.argmax([share.median for share in shares]) == j
        assert all(share.low <= share.median <= share.high for share in shares)


def test_shares_sum_to_one_in_every_draw() -> None:
    """With a single draw the quartiles are the shares, and these sum to one."""
    lengthscale = torch.tensor([[1.0, 2.0, 1e3]], dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    drawn = Draws(mean=one, outputscale=one, noise=one, lengthscale=lengthscale)
    empty = torch.empty(0, dtype=torch.float64)
    none = ModelListGP()
    (shares,) = importance(
        Surrogate(model=none, draws=(drawn,), X=empty, Z=empty, mean=empty, std=empty)
    )
    assert [share.median for share in shares] == pytest.approx([0.8, 0.2, 0.0], abs=1e-4)
    assert sum(share.median for share in shares) == pytest.approx(1.0)
    assert [share.low for share in shares] == [share.high for share in shares]


def test_without_jax_the_error_names_what_to_install() -> None:
    """A missing JAX is said in one line with the command, and only when it is needed."""
    code = """
        import sys
        sys.modules["jax"] = None
        import torch
        from lorecall.errors import MissingExtraError
        from lorecall.search.options import McmcSettings
        from lorecall.search.surrogate import fit_surrogate
        try:
            X = torch.eye(3).double()
            fit_surrogate(X, X, settings=McmcSettings(), seed=0)
        except MissingExtraError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True
    )
    assert "pip install 'botorch[fully-bayesian]'" in done.stdout
