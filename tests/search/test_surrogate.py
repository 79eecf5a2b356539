"""The surrogate around the chains: standardising, importance, a missing extra."""

import subprocess
import sys
from textwrap import dedent

import numpy as np
import pytest
import torch

from lorecall.records import SurrogateKind
from lorecall.search.options import McmcSettings, SamplerOptions
from lorecall.search.surrogate import fit_surrogate, importance


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
    """With draws that are alike the quartiles are the shares; what never changes shares equally."""
    X, Y = made_up()
    fitted = fit_surrogate(X, Y, settings=McmcSettings(), seed=0, kind="map")
    for shares in importance(fitted):
        assert sum(share.median for share in shares) == pytest.approx(1.0, abs=0.05)
    flat = fit_surrogate(X, torch.full_like(Y, 3.0), settings=McmcSettings(), seed=0, kind="map")
    assert [share.median for share in importance(flat)[0]] == pytest.approx([1 / 8] * 8)


@pytest.mark.parametrize("kind", ["map", "nuts"])
def test_inputs_that_each_matter_a_little_are_learnt(
    kind: SurrogateKind, quick: SamplerOptions
) -> None:
    """A bowl over twelve inputs is predicted from thirty points, and every input has a share."""
    rng = np.random.default_rng(0)
    X = torch.from_numpy(rng.integers(0, 7, (60, 12)) / 6)
    Y = ((X - 0.5) ** 2).sum(dim=1, keepdim=True)
    fitted = fit_surrogate(X[:30], Y[:30], settings=quick.mcmc, seed=0, kind=kind)
    predicted = fitted.model.models[0].posterior(X[30:]).mixture_mean.detach()[:, 0]
    truth = fitted.standardise(Y[30:])[:, 0]
    assert float((predicted - truth).square().mean() / truth.var()) < 0.2
    assert min(share.median for share in importance(fitted)[0]) > 0.02


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
