"""The Gaussian process that is asked for an improvement: BoTorch's plain one.

Ours is asked by our sampler itself.
"""

import warnings
from collections.abc import Callable

import numpy as np
import torch
from botorch.acquisition.multi_objective import logei
from botorch.fit import fit_gpytorch_mll
from botorch.models import ModelListGP, SingleTaskGP
from botorch.sampling.normal import SobolQMCNormalSampler
from gpytorch.mlls import SumMarginalLogLikelihood
from torch import Tensor

_MC_SAMPLES = 64  # BoTorch's own default, 128, takes twice as long

Improvement = Callable[[Tensor], Tensor]
Surrogate = Callable[[Tensor, Tensor, Tensor, np.random.Generator], Improvement]
"""From inputs (n, d), objectives to be maximised (n, m), the reference point (m,) and a source of
seeds to what scores candidates (k, 1, d)."""


class PlainGp:
    """BoTorch's `SingleTaskGP` as it comes, and its qLogNEHVI.

    A fit starts from the last one's parameters: it comes to the same likelihood in a fifth of the
    time.
    """

    def __init__(self) -> None:
        self._last: list[dict[str, Tensor]] = []

    def __call__(
        self, X: Tensor, Y: Tensor, reference: Tensor, rng: np.random.Generator
    ) -> Improvement:
        """Fit, and give the acquisition."""
        # BoTorch would start a C++ compiler here; ours goes without its kernel, too.
        logei._load_attempted = True  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scaling and numerical remarks of BoTorch's
            model = self._fitted(X, Y)
            sampler = SobolQMCNormalSampler(
                torch.Size([_MC_SAMPLES]), seed=int(rng.integers(2**31))
            )
            acquisition = logei.qLogNoisyExpectedHypervolumeImprovement(
                model, reference, X, sampler=sampler, prune_baseline=True
            )

        def improvement(candidates: Tensor) -> Tensor:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return acquisition(candidates)

        return improvement

    def _fitted(self, X: Tensor, Y: Tensor) -> ModelListGP:
        gps = [SingleTaskGP(X, y[:, None]) for y in Y.T]
        for gp, last in zip(gps, self._last, strict=False):  # none before the first fit
            for name, parameter in gp.named_parameters():
                parameter.data.copy_(last[name])
        model = ModelListGP(*gps)
        fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
        self._last = [
            {name: parameter.detach().clone() for name, parameter in gp.named_parameters()}
            for gp in gps
        ]
        return model
