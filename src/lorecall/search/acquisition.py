"""Noisy expected improvement of single candidates, on a front or of one objective.

Eq. (4) of the paper: the candidate maximises the expected hypervolume improvement. What the paper
calls "negative" EHVI is **noisy** EHVI (Daulton et al., 2021), and it is maximised: the front that
is improved upon is itself uncertain, drawn from the posterior together with the candidate.

The formulas are BoTorch's (`qLogNoisyExpectedHypervolumeImprovement` and, for one objective,
`qLogNoisyExpectedImprovement`), with the same samples and so the same values. What is replaced is
how a candidate's values are computed: BoTorch predicts the baseline anew beside every candidate;
here the factorisation over observations and baseline is made once.

Notation
    n, d, m   observations, inputs, objectives
    e         draws of the posterior of the hyperparameters
    t         Monte-Carlo samples for each draw
    X, z      inputs and standardised outcomes of one objective, shapes (n, d), (n,)
    B, F      baseline (pruned) and pending points, shape (b, d), and its sampled
              values, shape (t, e, b)
    K, L      covariance of (z, F), shape (e, n + b, n + b), and its Cholesky factor
    C         candidates, one by one, shape (k, d)
    eps       standard normal for each sample, shape (t,)
"""

import warnings
from math import sqrt
from typing import cast

import torch
from botorch.acquisition import AcquisitionFunction
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective import logei
from botorch.models.model import Model
from botorch.sampling.base import MCSampler
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils import manual_seed
from botorch.utils.safe_math import log_fatplus, logmeanexp
from linear_operator.utils.cholesky import psd_safe_cholesky
from linear_operator.utils.warnings import NumericalWarning
from torch import Tensor

from lorecall.search.surrogate import Draws, Surrogate

_JITTER = 1e-8  # F is noiseless; what BoTorch adds too
_MIN_VARIANCE = 1e-12
_FAR = 1e10  # stands for a cell without an upper side, as in BoTorch
_SQRT5 = sqrt(5)


def noisy_improvement(
    surrogate: Surrogate,
    *,
    baseline: Tensor,
    reference: Tensor,
    pending: Tensor,
    mc_samples: int,
    seed: int,
) -> AcquisitionFunction:
    """Make the acquisition, eq. (4), to be maximised over single candidates.

    Args:
        surrogate: Fitted to every observation.
        baseline: Inputs whose front is to be improved on, shape (b, d): what was observed of the
            study itself.
        reference: Standardised reference point, shape (m,); not used for one objective.
        pending: Inputs being tried, shape (p, d); p may be 0.
        mc_samples: t.
        seed: Seed of the Monte-Carlo samples.

    Returns:
        A function from candidates, shape (k, 1, d), to the logarithm of the noisy expected
        improvement, shape (k,).
    """
    sampler = SobolQMCNormalSampler(torch.Size([mc_samples]), seed=seed)
    waiting = pending if len(pending) else None
    # Pruning draws from the global generator; it is seeded for the block and put back.
    with torch.no_grad(), manual_seed(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore", NumericalWarning)  # jitter on a noiseless covariance
        if len(surrogate.draws) == 1:
            return NoisyImprovement(surrogate, baseline, sampler=sampler, pending=waiting)
        return NoisyHypervolumeImprovement(
            surrogate, baseline, reference, sampler=sampler, pending=waiting
        )


class NoisyHypervolumeImprovement(logei.qLogNoisyExpectedHypervolumeImprovement):
    """BoTorch's acquisition, eq. (4), for single candidates with shared factorisations."""

    def __init__(
        self,
        surrogate: Surrogate,
        baseline: Tensor,
        reference: Tensor,
        *,
        sampler: MCSampler,
        pending: Tensor | None,
    ) -> None:
        # BoTorch would start a C++ compiler here, for a kernel that brings little once sampling
        # is cheap and whose lock file blocks later runs if this one is killed.
        logei._load_attempted = True  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        super().__init__(
            surrogate.model,
            reference,
            baseline,
            sampler=sampler,
            X_pending=pending,
            prune_baseline=True,
        )
        B = self.X_baseline
        F = cast("MCSampler", self.base_sampler)(surrogate.model.posterior(B))
        super()._compute_posterior_samples_and_concat_pending(B[:1, None])  # draws eps
        eps = _last_base_samples(sampler)
        self._objectives = [
            _Conditioned(surrogate, j, B, F[..., j], eps[:, j]) for j in range(len(surrogate.draws))
        ]

    def _compute_posterior_samples_and_concat_pending(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Sample f at candidates of shape (k, 1, d): shape (t, k, e, 1, m)."""
        samples = [given.sample(X[:, 0]) for given in self._objectives]
        return torch.stack(samples, dim=-1).unsqueeze(-2), X

    def _compute_log_qehvi(
        self,
        samples: Tensor,
        X: Tensor | None = None,  # noqa: ARG002  # BoTorch passes it
    ) -> Tensor:
        """Average the improvement over t: shape (k, e).

        For one candidate a time BoTorch's sum over subsets has one term. Its smooth minimum with
        the cells' sides serves gradients alone; here the minimum is exact.
        """
        lower = cast("Tensor", self.cell_lower_bounds)[:, None]  # shape (t, 1, e, cells, m)
        upper = cast("Tensor", self.cell_upper_bounds)[:, None]
        sides = (upper.clamp_max(_FAR) - lower).log()
        gain = log_fatplus(samples - lower, tau=self.tau_relu)
        areas = torch.minimum(gain, sides).sum(dim=-1)
        return logmeanexp(areas.logsumexp(dim=-1), dim=0)


class NoisyImprovement(qLogNoisyExpectedImprovement):
    """BoTorch's acquisition of one objective, for single candidates, likewise."""

    def __init__(
        self, surrogate: Surrogate, baseline: Tensor, *, sampler: MCSampler, pending: Tensor | None
    ) -> None:
        super().__init__(
            cast("Model", surrogate.model.models[0]),
            baseline,
            sampler=sampler,
            X_pending=pending,
            prune_baseline=True,
        )
        B = self.X_baseline
        super()._get_samples_and_objectives(B[:1, None])  # draws eps
        F = cast("Tensor", self.baseline_samples)[..., 0]
        self._objective = _Conditioned(surrogate, 0, B, F, _last_base_samples(sampler))

    def _get_samples_and_objectives(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Sample f at candidates of shape (k, 1, d): shapes (t, k, e, 1, 1) and (t, k, e, 1)."""
        samples = self._objective.sample(X[:, 0])
        return samples[..., None, None], samples[..., None]


class _Conditioned:
    """Objective j at single candidates, given its observations and the baseline's samples."""

    def __init__(self, surrogate: Surrogate, j: int, B: Tensor, F: Tensor, eps: Tensor) -> None:
        self._drawn, self._eps, self._trend = surrogate.draws[j], eps, surrogate.trend
        self._points = torch.cat([surrogate.X, B])
        self._mean = self._drawn.mean[:, None]
        e, n = len(self._mean), len(surrogate.X)
        noise = torch.full((e, len(self._points)), _JITTER, dtype=B.dtype)
        noise[:, :n] = self._drawn.noise[:, None]
        K = self._covariance(self._points, self._points) + torch.diag_embed(noise)
        L = psd_safe_cholesky(K)
        one = torch.eye(len(self._points), dtype=B.dtype)
        self._L_inverse = torch.linalg.solve_triangular(L, one, upper=False)
        z = surrogate.Z[:, j].expand(len(F), e, n)
        known = torch.cat([z, F], dim=-1) - self._mean
        self._a = self._L_inverse @ known.permute(1, 2, 0)  # shape (e, n + b, t)

    def sample(self, C: Tensor) -> Tensor:
        """Sample f at candidates C: shape (t, k, e)."""
        cross = self._covariance(self._points, C)
        W = self._L_inverse @ cross  # shape (e, n + b, k); many small solves would be slower
        mean = self._mean[..., None] + W.mT @ self._a  # shape (e, k, t)
        own = torch.tensordot(self._drawn.trend, self._trend.within(C), 1)
        variance = own + self._drawn.outputscale[:, None] - W.square().sum(dim=1)
        deviation = variance.clamp_min(_MIN_VARIANCE).sqrt()
        return (mean + deviation[..., None] * self._eps).permute(2, 1, 0)

    def _covariance(self, A: Tensor, C: Tensor) -> Tensor:
        trend = torch.tensordot(self._drawn.trend, self._trend.between(A, C), 1)
        return trend + _covariance(self._drawn, A, C)


def _covariance(drawn: Draws, A: Tensor, C: Tensor) -> Tensor:
    """Matern-5/2 between points of shapes (a, d) and (k, d), for every draw: shape (e, a, k)."""
    scale = drawn.lengthscale[:, None]
    r = torch.cdist(A / scale, C / scale)
    return drawn.outputscale[:, None, None] * (1 + _SQRT5 * r + 5 / 3 * r**2) * (-_SQRT5 * r).exp()


def _last_base_samples(sampler: MCSampler) -> Tensor:
    """Return eps, the base samples of the point after the baseline: shape (t, m) or (t,)."""
    samples = cast("Tensor", sampler.base_samples)
    return samples[:, 0, 0, -1]
