"""The surrogate: one SAAS-GP and trend per objective, as BoTorch models, and which inputs matter.

Notation
    n, d, m   observations, inputs, objectives
    s         posterior draws of the hyperparameters
    X         inputs in [0, 1], shape (n, d)
    Y         objectives, all to be maximised, shape (n, m)
    Z         Y standardised: (Y - mean) / std
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from botorch.exceptions import InputDataWarning
from botorch.models import ModelListGP
from botorch.models.fully_bayesian import SaasFullyBayesianSingleTaskGP
from gpytorch.kernels import Kernel
from torch import Tensor

from lorecall.errors import MissingExtraError
from lorecall.records import SurrogateKind
from lorecall.search.chains import ChainState
from lorecall.search.map_saas import fitted
from lorecall.search.options import McmcSettings
from lorecall.search.records import Quartiles
from lorecall.search.trend import Trend, TrendKernel

if TYPE_CHECKING:
    from lorecall.search.saas import Chain

_PARTNERS = 8  # other observations that each one takes an input from


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Posterior draws of one objective's hyperparameters.

    Args:
        mean: Constant mean, shape (s,).
        outputscale: Shape (s,).
        noise: Noise variance, shape (s,).
        lengthscale: Shape (s, d).
        trend: Weights of the trend's parts, shape (s, 3).

    Examples:
        >>> import torch
        >>> from lorecall.search import McmcSettings, fit_surrogate
        >>> X = torch.linspace(0, 1, 6, dtype=torch.float64)[:, None]
        >>> fitted = fit_surrogate(X, X, settings=McmcSettings(), seed=0, kind="map")
        >>> fitted.draws[0].lengthscale.shape  # four draws of one input's
        torch.Size([4, 1])
    """

    mean: Tensor
    outputscale: Tensor
    noise: Tensor
    lengthscale: Tensor
    trend: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrogate:
    """A fitted surrogate, in standardised outcomes.

    Args:
        model: One GP per objective, an ensemble over the draws; predicts Z.
        draws: What each of them holds.
        X: Inputs it was fitted to, shape (n, d).
        Z: Standardised outcomes it was fitted to, shape (n, m).
        mean: Mean of Y, shape (m,).
        std: Standard deviation of Y, shape (m,); 1 where Y does not vary.
        trend: What is said of inputs that each matter a little.
        states: Where the chains ended, for the next fit to go on from.

    Examples:
        >>> import torch
        >>> from lorecall.search import McmcSettings, fit_surrogate
        >>> X = torch.linspace(0, 1, 6, dtype=torch.float64)[:, None]
        >>> fitted = fit_surrogate(X, 40 + 10 * X, settings=McmcSettings(), seed=0, kind="map")
        >>> fitted.mean, fitted.standardise(torch.tensor([45.0]))
        (tensor([45.], dtype=torch.float64), tensor([0.], dtype=torch.float64))
    """

    model: ModelListGP
    draws: tuple[Draws, ...]
    X: Tensor
    Z: Tensor
    mean: Tensor
    std: Tensor
    trend: Trend
    states: tuple[ChainState, ...] = ()

    def standardise(self, Y: Tensor) -> Tensor:
        """Return Z of any Y, shape (..., m)."""
        return (Y - self.mean) / self.std


def fit_surrogate(
    X: Tensor,
    Y: Tensor,
    *,
    settings: McmcSettings,
    seed: int,
    states: Sequence[ChainState] | None = None,
    kind: SurrogateKind = "nuts",
) -> Surrogate:
    """Fit one SAAS-GP to each objective.

    Args:
        X: Inputs in [0, 1], float64, shape (n, d).
        Y: Objectives, all to be maximised, float64, shape (n, m); n >= 2.
        settings: How long NUTS runs.
        seed: Seed of the chains.
        states: Where the chains of the last fit ended.
        kind: How the hyperparameters are found; `settings`, `seed` and `states` are for NUTS.

    Raises:
        MissingExtraError: JAX or NumPyro is not installed.

    Examples:
        >>> import torch
        >>> from lorecall.search import McmcSettings, fit_surrogate
        >>> X = torch.linspace(0, 1, 9, dtype=torch.float64)[:, None]
        >>> fitted = fit_surrogate(X, 3 * X + 1, settings=McmcSettings(), seed=0, kind="map")
        >>> Z = fitted.model.posterior(torch.tensor([[0.2], [0.7]]).to(X)).mean.mean(dim=0)
        >>> [round(y, 1) for y in (Z * fitted.std + fitted.mean).flatten().tolist()]
        [1.6, 3.1]
    """
    mean, std = Y.mean(dim=0), Y.std(dim=0)
    std = torch.where(std > 0, std, torch.ones_like(std))
    Z = (Y - mean) / std
    trend = Trend(X)
    ended: tuple[ChainState, ...] = ()
    if kind == "map":
        found = fitted(X, Z, trend)
        gps = [gp for gp, _ in found]
        draws = [drawn for _, drawn in found]
    else:
        alike = trend.between(X, X)
        chains = _chains(X, Z, alike, settings=settings, seed=seed, states=states)
        draws = [{k: torch.from_numpy(v) for k, v in chain.draws.items()} for chain in chains]
        ended = tuple(chain.state for chain in chains)
        gps = [_loaded(X, z, drawn, trend) for z, drawn in zip(Z.T, draws, strict=True)]
    return Surrogate(
        model=ModelListGP(*gps),
        draws=tuple(Draws(**drawn) for drawn in draws),
        X=X,
        Z=Z,
        mean=mean,
        std=std,
        trend=trend,
        states=ended,
    )


def importance(surrogate: Surrogate) -> list[list[Quartiles]]:
    """Return which inputs matter: for each objective the share of each input.

    What an input does is how much the prediction changes, in the mean of squares over what was
    observed, where that input alone is another observation's. A draw's shares sum to 1 (all are
    equal where nothing changes); quartiles are over the draws.

    Examples:
        >>> import torch
        >>> from lorecall.search import McmcSettings, fit_surrogate, importance
        >>> X = torch.rand(12, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        >>> fitted = fit_surrogate(X, X[:, 1:2], settings=McmcSettings(), seed=0, kind="map")
        >>> [round(share.median) for share in importance(fitted)[0]]
        [0, 1, 0]
    """
    found: list[list[Quartiles]] = []
    for gp in surrogate.model.models:
        changes = _changes(cast("SaasFullyBayesianSingleTaskGP", gp), surrogate.X)
        total = changes.sum(dim=-1, keepdim=True)
        share = torch.where(total > 0, changes / total, 1 / changes.shape[-1])
        quartiles = torch.quantile(share, torch.tensor([0.25, 0.5, 0.75]).to(share), dim=0)
        found.append([Quartiles(low=a, median=b, high=c) for a, b, c in quartiles.T.tolist()])
    return found


@torch.no_grad()
def _changes(gp: SaasFullyBayesianSingleTaskGP, X: Tensor) -> Tensor:
    """Return what each input does to the prediction of each draw, shape (s, d)."""
    n, d = X.shape
    others = torch.stack([X.roll(k, dims=0) for k in range(1, min(_PARTNERS, n - 1) + 1)])
    before = gp.posterior(X).mean[:, None, :, 0]  # shape (s, 1, n)
    squares: list[Tensor] = []
    for j in range(d):
        moved = X.expand_as(others).clone()
        moved[..., j] = others[..., j]
        after = gp.posterior(moved.reshape(-1, d)).mean[..., 0].reshape(len(before), -1, n)
        squares.append((after - before).square().mean(dim=(1, 2)))
    return torch.stack(squares, dim=-1)


def _chains(
    X: Tensor,
    Z: Tensor,
    alike: Tensor,
    *,
    settings: McmcSettings,
    seed: int,
    states: Sequence[ChainState] | None,
) -> "list[Chain]":
    try:
        from lorecall.search import saas  # noqa: PLC0415  # JAX is imported where it is used
    except ImportError as reason:
        raise MissingExtraError(
            "the SAAS-GP search by NUTS (--surrogate map does without)",
            package="JAX and NumPyro",
            install="pip install 'botorch[fully-bayesian]'",
        ) from reason
    return saas.draw(
        X.numpy(), Z.numpy(), alike.numpy(), settings=settings, seed=seed, states=states
    )


def _loaded(
    X: Tensor, z: Tensor, drawn: dict[str, Tensor], trend: Trend
) -> SaasFullyBayesianSingleTaskGP:
    with warnings.catch_warnings():  # z is 0 throughout where Y does not vary
        warnings.simplefilter("ignore", InputDataWarning)
        gp = SaasFullyBayesianSingleTaskGP(X, z[:, None])
    gp.load_mcmc_samples(drawn)
    kernel = TrendKernel(trend, len(drawn["mean"]), weights=drawn["trend"])
    gp.covar_module = cast("Kernel", gp.covar_module) + kernel
    return gp.eval()
