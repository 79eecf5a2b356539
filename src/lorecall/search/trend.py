"""What a surrogate says of inputs that each matter a little: a polynomial of second order.

A SAAS-GP finds the few inputs that matter. Where every input matters a little it needs far more
observations than there are inputs, and until then knows nothing of what lies away from them, so
that the acquisition goes to corners. A response surface of second order, the oldest surrogate of
all, learns such a problem from a few observations an input; the GP is what is left beside it
(universal kriging). Its weights are drawn with the other hyperparameters, and fall to nothing
where the GP says it better.

Notation
    n, d    points, inputs
    t       an input from -1 to 1
    u, v    lines sqrt(3) t and curves sqrt(5) (3 t^2 - 1) / 2 (Legendre), less their means over
            what was observed, so that they say nothing of the mean
    T       the three parts between two points: sum_j u_j u'_j / d, sum_j v_j v'_j / d, and
            sum_{i<j} u_i u_j u'_i u'_j / (d (d - 1) / 2)
    w       the weight of each part
"""

from math import sqrt

import torch
from gpytorch.constraints import Positive
from gpytorch.kernels import Kernel
from gpytorch.priors import GammaPrior
from torch import Tensor

PARTS = 3
"""Lines, curves, products of two inputs."""
WEIGHT = (0.5, 2.0)
"""Shape and rate of the Gamma prior of a weight; observations have variance 1.

Much of it is near 0, for problems of which few inputs matter.
"""


class Trend:
    """The parts T, centred at what was observed.

    Args:
        X: Inputs in [0, 1], shape (n, d).
    """

    def __init__(self, X: Tensor) -> None:
        u, v = _legendre(X)
        self._u_mean, self._v_mean = u.mean(dim=0), v.mean(dim=0)

    def between(self, A: Tensor, C: Tensor) -> Tensor:
        """Return T between points of shapes (..., a, d) and (..., k, d): shape (3, ..., a, k)."""
        (u, v), (u_, v_) = self._features(A), self._features(C)
        lines = u @ u_.mT
        return self._parts(lines, v @ v_.mT, u.square() @ u_.square().mT, d=A.shape[-1])

    def within(self, C: Tensor) -> Tensor:
        """Return T between each point, shape (..., k, d), and itself: shape (3, ..., k)."""
        u, v = self._features(C)
        lines = u.square().sum(dim=-1)
        return self._parts(lines, v.square().sum(dim=-1), u.pow(4).sum(dim=-1), d=C.shape[-1])

    def _features(self, X: Tensor) -> tuple[Tensor, Tensor]:
        u, v = _legendre(X)
        return u - self._u_mean, v - self._v_mean

    @staticmethod
    def _parts(lines: Tensor, curves: Tensor, squares: Tensor, *, d: int) -> Tensor:
        products = (lines.square() - squares) / max(1, d * (d - 1))
        return torch.stack([lines / d, curves / d, products])


class TrendKernel(Kernel):
    """The sum of the parts by their weights, one set of weights a draw.

    Args:
        trend: The parts.
        n_draws: e.
        weights: Shape (e, 3); the mode of their prior, to be fitted, when None.
    """

    raw_weights: torch.nn.Parameter

    def __init__(self, trend: Trend, n_draws: int, *, weights: Tensor | None = None) -> None:
        super().__init__(batch_shape=torch.Size([n_draws]))
        self.trend = trend
        raw = torch.nn.Parameter(torch.zeros(n_draws, PARTS, dtype=torch.float64))
        self.register_parameter("raw_weights", raw)
        self._positive = Positive()
        self.register_constraint("raw_weights", self._positive)
        self.register_prior("weights_prior", _of_logarithm(), _weights, _set_weights)
        start = torch.full_like(raw, WEIGHT[0] / WEIGHT[1]) if weights is None else weights
        self.set_weights(start)

    @property
    def weights(self) -> Tensor:
        """Shape (e, 3)."""
        return self._positive.transform(self.raw_weights)

    def set_weights(self, weights: Tensor) -> None:
        """Take over weights, shape (e, 3)."""
        self.initialize(raw_weights=self._positive.inverse_transform(weights))

    def forward(  # GPyTorch's signature
        self,
        x1: Tensor,
        x2: Tensor,
        diag: bool = False,  # noqa: FBT001, FBT002
        last_dim_is_batch: bool = False,  # noqa: ARG002, FBT001, FBT002
        **params: object,  # noqa: ARG002
    ) -> Tensor:
        """Return the covariance of points of shapes (..., e, a, d) and (..., e, k, d)."""
        if diag:
            return _weighted(self.weights[..., None], self.trend.within(x1))
        return _weighted(self.weights[..., None, None], self.trend.between(x1, x2))


def _legendre(X: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lines and curves of inputs, each before its mean is taken off."""
    t = 2 * X - 1
    return sqrt(3) * t, sqrt(5) / 2 * (3 * t * t - 1)


def _of_logarithm() -> GammaPrior:
    """Return the prior whose mode is that of a weight's logarithm, since a weight's own is at 0."""
    shape, rate = WEIGHT
    return GammaPrior(shape + 1, rate)


def _weighted(weights: Tensor, parts: Tensor) -> Tensor:
    """Sum parts, shape (3, ...), by weights, shape (e, 3, 1 ...)."""
    return torch.stack([w * part for w, part in zip(weights.unbind(1), parts, strict=True)]).sum(0)


def _weights(kernel: TrendKernel) -> Tensor:
    return kernel.weights


def _set_weights(kernel: TrendKernel, weights: Tensor | float) -> None:
    kernel.set_weights(torch.as_tensor(weights).to(kernel.raw_weights))
