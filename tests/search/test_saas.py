"""The SAAS-GP: the same model as BoTorch's, however much padding there is."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from botorch.fit import fit_fully_bayesian_model_nuts
from botorch.models.fully_bayesian import SaasFullyBayesianSingleTaskGP
from numpy.typing import NDArray
from numpyro.infer.util import log_density
from scipy.stats import multivariate_normal

from lorecall.search import saas
from lorecall.search.options import McmcSettings, SamplerOptions
from lorecall.search.trend import PARTS, Trend

Data = tuple[NDArray[np.float64], NDArray[np.float64]]
OURS = {"c": "mean", "s": "outputscale", "v": "noise", "tau": "kernel_tausq"}
OURS |= {"rho": "_kernel_inv_length_sq"}


@pytest.fixture
def data() -> Data:
    """Return fourteen observations of three inputs, of which two matter."""
    rng = np.random.default_rng(0)
    X = rng.random((14, 3)).round(1)
    X[1] = X[0]  # a repeated point
    y = np.sin(5 * X[:, 0]) + X[:, 1] + 0.1 * rng.normal(size=14)
    return X, (y - y.mean()) / y.std(ddof=1)


def hyperparameters(seed: int) -> dict[str, jax.Array]:
    """Draw hyperparameters from a wide range, by our names."""
    rng = np.random.default_rng(seed)
    return {
        "c": jnp.array(rng.normal()),
        "s": jnp.array(rng.gamma(2.0)),
        "v": jnp.array(rng.gamma(0.9) / 10),
        "tau": jnp.array(rng.lognormal(-1)),
        "rho": jnp.array(rng.lognormal(0, 2, size=3)),
    }


def our_density(
    data: Data, size: int, *, trend: NDArray[np.float64] | None = None
) -> Callable[[dict[str, jax.Array]], jax.Array]:
    """Return our log density, padded to a size; without a trend when None."""
    X, y = data
    n = len(X)
    alike = np.zeros((PARTS, size, size))
    alike[:, :n, :n] = 0 if trend is None else trend
    x, observed, mask = (jnp.array(saas._padded(a, size)) for a in (X, y, np.ones(n)))
    args = (x, jnp.array(alike), observed, mask)
    fixed = {"w": jnp.full(PARTS, 0.3)}
    return lambda values: log_density(saas._model, args, {}, fixed | values)[0]


def drawn(X: NDArray[np.float64], Y: NDArray[np.float64], **given: Any) -> list[saas.Chain]:
    """Draw with the trend of these observations."""
    points = torch.from_numpy(X)
    return saas.draw(X, Y, Trend(points).between(points, points).numpy(), **given)


def botorch_density(data: Data) -> Callable[[dict[str, jax.Array]], jax.Array]:
    """Return the log density of BoTorch's own NumPyro model."""
    X, y = (torch.from_numpy(array) for array in data)
    model = SaasFullyBayesianSingleTaskGP(X, y[:, None]).pyro_model.sample
    return lambda values: log_density(model, (), {}, {OURS[k]: v for k, v in values.items()})[0]


@pytest.mark.parametrize("size", [14, 16, 32])
def test_density_and_gradient_are_botorchs(data: Data, size: int) -> None:
    """The log density differs from BoTorch's by a constant, whatever the padding."""
    with jax.enable_x64(True):
        ours, theirs = our_density(data, size), botorch_density(data)
        mine, their = (jax.jit(jax.value_and_grad(f)) for f in (ours, theirs))
        gaps: list[float] = []
        for seed in range(6):
            (value, slopes), (expected, expected_slopes) = (
                f(hyperparameters(seed)) for f in (mine, their)
            )
            gaps.append(float(value - expected))
            for name in OURS:
                np.testing.assert_allclose(
                    slopes[name], expected_slopes[name], rtol=1e-4, atol=1e-4
                )
        assert gaps == pytest.approx([gaps[0]] * 6, abs=1e-6)


def test_the_trend_is_in_the_density(data: Data) -> None:
    """With a trend the density is that of a normal with its covariance, written out."""
    X, y = data
    points = torch.from_numpy(X)
    T = Trend(points).between(points, points).numpy()
    gaps: list[float] = []
    with jax.enable_x64(True):
        density = our_density(data, 16, trend=T)
        plain = our_density(data, 16)
        for seed in range(3):
            values = hyperparameters(seed)
            found = {name: np.asarray(value) for name, value in values.items()}
            moved = (X[:, None] - X) * np.sqrt(found["tau"] * found["rho"])
            r = np.sqrt(5 * (moved**2).sum(-1))
            K = found["s"] * (1 + r + r**2 / 3) * np.exp(-r)
            K += (saas.MIN_NOISE + found["v"]) * np.eye(len(X))
            pdf = [
                multivariate_normal(np.full(len(X), found["c"]), cov).logpdf(y)
                for cov in (K + 0.3 * T.sum(0), K)
            ]
            gaps.append(float(density(values) - plain(values)) - (pdf[0] - pdf[1]))
    assert gaps == pytest.approx([0.0] * 3, abs=1e-6)


LONG = McmcSettings(warmup_steps=128, posterior_samples=256, thinning=2)


def loaded(X: torch.Tensor, y: torch.Tensor, chain: saas.Chain) -> SaasFullyBayesianSingleTaskGP:
    """Return BoTorch's model with our draws."""
    gp = SaasFullyBayesianSingleTaskGP(X, y[:, None])
    gp.load_mcmc_samples({k: torch.from_numpy(v) for k, v in chain.draws.items()})
    return gp.eval()


def predictions_like_a_stock_fit(X: torch.Tensor, y: torch.Tensor, chain: saas.Chain) -> Any:
    """Check means and variances against BoTorch's fit, within Monte-Carlo error; give ours."""
    held_out = torch.rand(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with jax.enable_x64(True):
        stock = SaasFullyBayesianSingleTaskGP(X, y[:, None])
        fit_fully_bayesian_model_nuts(
            stock, warmup_steps=128, num_samples=256, thinning=2, disable_progbar=True
        )
        theirs = stock.posterior(held_out)
    ours = loaded(X, y, chain).posterior(held_out)
    deviation = theirs.mixture_variance.sqrt()
    assert ((ours.mixture_mean - theirs.mixture_mean).abs() / deviation).max() < 0.25
    assert (ours.mixture_variance / theirs.mixture_variance).log().abs().max() < 0.4
    return ours


def test_predictions_agree_with_a_stock_fit(data: Data) -> None:
    """Without a trend, means and variances are BoTorch's fit's, within Monte-Carlo error."""
    X, y = data
    none = np.zeros((PARTS, len(X), len(X)))
    (chain,) = saas.draw(X, y[:, None], none, settings=LONG, seed=0)
    ours = predictions_like_a_stock_fit(torch.from_numpy(X), torch.from_numpy(y), chain)
    assert ours.mixture_mean.std() > 0.3  # it has learnt something to agree upon


def test_a_chain_that_goes_on_agrees_with_a_stock_fit(data: Data) -> None:
    """From where a chain of fewer observations ended, the same predictions as BoTorch's fit."""
    X, y = data
    none = np.zeros((PARTS, len(X), len(X)))
    (before,) = saas.draw(X[:12], y[:12, None], none[:, :12, :12], settings=LONG, seed=0)
    (chain,) = saas.draw(X, y[:, None], none, settings=LONG, seed=1, states=[before.state])
    assert chain.state.step == before.state.step  # it went on, and did not start anew
    predictions_like_a_stock_fit(torch.from_numpy(X), torch.from_numpy(y), chain)


def test_a_chain_that_is_rarely_accepted_starts_anew(booleans: Data, quick: SamplerOptions) -> None:
    """So does one padded to another size; then nothing depends on the state that was given."""
    X, y = booleans
    (cold,) = drawn(X, y[:, None], settings=quick.mcmc, seed=3)
    wild = replace(cold.state, step=50.0)
    (anew,) = drawn(X, y[:, None], settings=quick.mcmc, seed=3, states=[wild])
    other_size = replace(cold.state, size=32)
    (resized,) = drawn(X, y[:, None], settings=quick.mcmc, seed=3, states=[other_size])
    for chain in (anew, resized):
        np.testing.assert_array_equal(chain.draws["lengthscale"], cold.draws["lengthscale"])


@pytest.fixture
def booleans() -> Data:
    """Return fourteen observations of eight booleans."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 2, (14, 8)).astype(float), rng.normal(size=14)


def test_a_chain_depends_on_its_seed_alone(booleans: Data, quick: SamplerOptions) -> None:
    """Same seed, same draws; objectives have chains of their own; nothing is left of JAX's mode."""
    X, y = booleans
    Y = np.stack([y, y], axis=1)
    first, again, other = (
        [chain.draws for chain in drawn(X, Y, settings=quick.mcmc, seed=seed)] for seed in (1, 1, 2)
    )
    assert (first[0]["lengthscale"] == again[0]["lengthscale"]).all()
    assert (first[0]["lengthscale"] != other[0]["lengthscale"]).any()
    assert (first[0]["lengthscale"] != first[1]["lengthscale"]).any()
    assert first[0]["lengthscale"].shape == (4, 8)
    assert first[0]["mean"].dtype == np.float64
    assert (first[0]["noise"] > saas.MIN_NOISE).all()
    assert jnp.ones(1).dtype == jnp.float32


def test_one_compilation_serves_every_number_of_observations(
    booleans: Data, quick: SamplerOptions
) -> None:
    """Within a size nothing is compiled again."""
    X, y = booleans
    drawn(X, y[:, None], settings=quick.mcmc, seed=0)
    before = saas._compile.cache_info().misses
    for n in (3, 9, 13):
        drawn(X[:n], y[:n, None], settings=quick.mcmc, seed=0)
    assert saas._compile.cache_info().misses == before


@pytest.mark.parametrize(
    ("n", "size"),
    [(1, 16), (16, 16), (17, 32), (33, 48), (64, 64), (65, 96), (100, 128), (129, 192), (257, 384)],
)
def test_padded_sizes(n: int, size: int) -> None:
    """A few sizes, none more than twice what is needed once past the smallest."""
    assert saas.padded_size(n) == size
