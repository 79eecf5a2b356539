"""The light surrogate: SAAS-GPs at their maximum a posteriori, without JAX.

The hyperparameters of a SAAS-GP are not drawn but fitted, once for each of a few global shrinkages
tau; the fits stand for the draws of `lorecall.search.saas`. BoTorch's `EnsembleMapSaasSingleTaskGP`
does it. It is lighter to install and knows less of its own uncertainty.

Notation as in `lorecall.search.saas`; e is the number of shrinkages.
"""

from typing import Any, cast

import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models.map_saas import EnsembleMapSaasSingleTaskGP
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor
from torch.distributions import HalfCauchy

from lorecall.search.trend import Trend, TrendKernel

_SHARES = (0.125, 0.375, 0.625, 0.875)  # quantiles of tau's prior, one a fit
_TAU_SCALE = 0.1
_SEVERAL = ("lengthscale", "trend")  # numbers a fit


Fitted = tuple[EnsembleMapSaasSingleTaskGP, dict[str, Tensor]]


def fitted(X: Tensor, Z: Tensor, trend: Trend) -> list[Fitted]:
    """Fit the hyperparameters of every objective.

    Args:
        X: Inputs in [0, 1], float64, shape (n, d).
        Z: Outcomes, each standardised, shape (n, m).
        trend: What is said of inputs that each matter a little.

    Returns:
        For each objective the model, and `mean`, `outputscale`, `noise`, shape (e,),
        `lengthscale`, shape (e, d), and the weights of the `trend`, shape (e, 3).
    """
    taus = HalfCauchy(torch.tensor(_TAU_SCALE, dtype=X.dtype)).icdf(torch.tensor(_SHARES).to(X))
    return [_fitted(X, z, taus, trend) for z in Z.T]


def _fitted(X: Tensor, z: Tensor, taus: Tensor, trend: Trend) -> Fitted:
    gp = EnsembleMapSaasSingleTaskGP(
        X, z[:, None], num_taus=len(taus), taus=taus, outcome_transform=None
    )
    kernel: Any = gp.covar_module
    surface = TrendKernel(trend, len(taus))
    gp.covar_module = kernel + surface
    fit_gpytorch_mll(ExactMarginalLogLikelihood(gp.likelihood, gp))
    found: dict[str, Tensor] = {
        "mean": cast("Any", gp.mean_module).constant,
        "outputscale": kernel.outputscale,
        "noise": cast("Any", gp.likelihood).noise,
        "lengthscale": kernel.base_kernel.lengthscale,
        "trend": surface.weights,
    }
    e = len(taus)
    return gp.eval(), {
        name: value.detach().reshape((e, -1) if name in _SEVERAL else (e,))
        for name, value in found.items()
    }
