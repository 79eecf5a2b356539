"""The acquisition: BoTorch's values, at a fraction of the work."""

import numpy as np
import pytest
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.models import ModelListGP
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils import manual_seed

from lorecall.search.acquisition import noisy_improvement
from lorecall.search.surrogate import Draws, Surrogate, _loaded
from lorecall.search.trend import Trend

N_DRAWS = 3


def made_up(m: int, n: int = 18, d: int = 8) -> Surrogate:
    """Make a surrogate from drawn hyperparameters, without a fit."""
    rng = np.random.default_rng(m)
    X = torch.from_numpy(np.unique(rng.integers(0, 2, (n, d)), axis=0).astype(float))
    f = [X[:, 0] - X[:, 1], X[:, 1] - X[:, 2], X[:, 2] - X[:, 3]][:m]
    Z = torch.stack(f, dim=1) + 0.2 * torch.from_numpy(rng.normal(size=(len(X), m)))
    drawn = [
        {
            "mean": torch.from_numpy(rng.normal(size=N_DRAWS) / 4),
            "outputscale": torch.from_numpy(1 + rng.random(N_DRAWS)),
            "noise": torch.from_numpy(0.02 + 0.1 * rng.random(N_DRAWS)),
            "lengthscale": torch.from_numpy(1 + 4 * rng.random((N_DRAWS, d))),
            "trend": torch.from_numpy(0.3 * rng.random((N_DRAWS, 3))),
        }
        for _ in range(m)
    ]
    trend = Trend(X)
    return Surrogate(
        model=ModelListGP(*(_loaded(X, z, one, trend) for z, one in zip(Z.T, drawn, strict=True))),
        draws=tuple(Draws(**one) for one in drawn),
        X=X,
        Z=Z,
        mean=torch.zeros(m, dtype=torch.float64),
        std=torch.ones(m, dtype=torch.float64),
        trend=trend,
    )


def candidates(n: int, taken: torch.Tensor) -> torch.Tensor:
    """Draw n points of eight booleans that are not taken, none twice."""
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 8)
    free = every[~(every[:, None] == taken).all(dim=2).any(dim=1)]
    return free[torch.from_numpy(np.random.default_rng(9).permutation(len(free))[:n])]


@pytest.mark.filterwarnings("ignore:A not p.d.")  # BoTorch's own, on its noiseless baseline
@pytest.mark.parametrize("n_pending", [0, 2])
@pytest.mark.parametrize("m", [1, 2, 3])
def test_values_are_botorchs(m: int, n_pending: int) -> None:
    """For one, two and three objectives, with and without pending points."""
    surrogate = made_up(m)
    reference = torch.full((m,), -2.0, dtype=torch.float64)
    points = candidates(40 + n_pending, surrogate.X)
    C, pending = points[:40, None], points[40:]
    ours = noisy_improvement(
        surrogate, baseline=surrogate.X, reference=reference, pending=pending, mc_samples=8, seed=5
    )
    stock = {
        "sampler": SobolQMCNormalSampler(torch.Size([8]), seed=5),
        "X_pending": pending if n_pending else None,
        "prune_baseline": True,
    }
    with torch.no_grad(), manual_seed(5):
        if m == 1:
            theirs = qLogNoisyExpectedImprovement(surrogate.model.models[0], surrogate.X, **stock)
        else:
            theirs = qLogNoisyExpectedHypervolumeImprovement(
                surrogate.model, reference, surrogate.X, **stock
            )
        torch.testing.assert_close(ours(C), theirs(C), rtol=1e-3, atol=1e-3)


def test_a_pending_point_lowers_what_is_beside_it() -> None:
    """A point that is being tried is worth little more, the others keep their worth."""
    surrogate = made_up(2)
    C = candidates(40, surrogate.X)
    reference = torch.full((2,), -2.0, dtype=torch.float64)

    def values(pending: torch.Tensor) -> torch.Tensor:
        acquisition = noisy_improvement(
            surrogate,
            baseline=surrogate.X,
            reference=reference,
            pending=pending,
            mc_samples=32,
            seed=0,
        )
        with torch.no_grad():
            return acquisition(C[:, None])

    alone = values(C[:0])
    best = int(alone.argmax())
    beside = values(C[best : best + 1])
    assert beside[best] < alone[best] - 1
    assert int(beside.argmax()) != best


def test_the_global_generator_is_left_as_it_was() -> None:
    """Making an acquisition draws nothing from the caller's random stream."""
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    surrogate = made_up(2)
    noisy_improvement(
        surrogate,
        baseline=surrogate.X,
        reference=surrogate.mean - 1,
        pending=surrogate.X[:0],
        mc_samples=4,
        seed=0,
    )
    assert torch.equal(torch.rand(1), expected)
