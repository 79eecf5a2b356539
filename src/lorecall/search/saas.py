"""Samples of the SAAS-GP's hyperparameters by NUTS, compiled once for every number of trials.

The model is that of BoTorch's `SaasPyroModel` (Eriksson and Jankowiak, 2021), and beside it the
trend of `lorecall.search.trend`. BoTorch compiles its own anew for every number of observations;
here observations are padded to a few sizes and masked: a padded row has a unit diagonal, zeros
beside it and residual 0, so that it adds a constant.

A chain can go on from the last one: from its position, with its step size and mass matrix, which
one observation more hardly changes. It then needs no adaptation and a short way back to the
posterior. A chain whose steps are accepted too rarely that way starts anew.

Notation
    n, N, d    observations, the size they are padded to, inputs
    X          inputs in [0, 1], shape (N, d)
    T          what the trend says alike of two rows, one matrix a part, shape (p, N, N)
    y          outcomes of one objective, standardised, shape (N,)
    mask       1.0 for an observation, 0.0 for padding, shape (N,)
    c          constant mean             c ~ Normal(0, 1)
    s          output scale              s ~ Gamma(2, 0.15)
    v          noise variance            v - 1e-4 ~ Gamma(0.9, 10)
    tau        global shrinkage          tau ~ HalfCauchy(0.1)
    rho        inverse squared length scales over tau, shape (d,): rho_j ~ HalfCauchy(1)
    w          weights of the trend's p = 3 parts, shape (p,): w_i ~ Gamma(1/2, 2)
    r2         squared scaled distances, r2_ab = sum_j tau rho_j (X_aj - X_bj)^2, shape (N, N)
    K          covariance of y, shape (N, N): s k(r2) + sum_i w_i T_i + v I, with k Matern-5/2
    L, a       Cholesky factor of K; L^-1 (y - c)
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from math import sqrt
from threading import Lock
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.linalg import solve_triangular
from numpy.typing import NDArray
from numpyro.infer import MCMC, NUTS
from threadpoolctl import threadpool_limits

from lorecall.core.files import cache_folder
from lorecall.search.chains import ChainState
from lorecall.search.options import McmcSettings
from lorecall.search.trend import PARTS, WEIGHT

MIN_NOISE = 1e-4  # BoTorch's MIN_INFERRED_NOISE_LEVEL
_SMALLEST = 16
_FEWEST_ACCEPTED = 0.6  # NUTS aims at 0.8
_COMPILING = Lock()  # NumPyro traces a model through a global stack
_SQRT5 = sqrt(5)

Floats = NDArray[np.float64]
Draws = dict[str, Floats]
_Drawn = tuple[dict[str, jax.Array], tuple[jax.Array, jax.Array, jax.Array], jax.Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What a chain drew, and where it ended."""

    draws: Draws
    state: ChainState


def draw(
    X: Floats,
    Y: Floats,
    trend: Floats,
    *,
    settings: McmcSettings,
    seed: int,
    states: Sequence[ChainState] | None = None,
) -> list[Chain]:
    """Draw the hyperparameters of every objective, one chain each, side by side.

    Args:
        X: Inputs in [0, 1], shape (n, d).
        Y: Outcomes, each standardised, shape (n, m).
        trend: T between the observations, shape (p, n, n).
        settings: How many steps.
        seed: Seed of the chains.
        states: Where the last chains ended, one an objective. They are gone on from where the
            observations are padded to the same size; a new size starts anew, so that no chain
            stays for ever where an early one led it.

    Returns:
        For each objective a chain: `mean`, `outputscale`, `noise`, shape (s,), `lengthscale`,
        shape (s, d), and `trend`, shape (s, p), for the s draws kept.
    """
    n, d = X.shape
    size = padded_size(n)
    known = [s for s in states or () if s.size == size and len(s.position) == d + 4 + PARTS]
    goes_on = len(known) == Y.shape[1] and settings.continue_steps > 0
    first = _compiled(size, d, settings, goes_on=goes_on)
    inputs, mask = _padded(X, size), _padded(np.ones(n), size)
    alike = np.pad(trend, [(0, 0), (0, size - n), (0, size - n)])

    def run(j: int) -> Chain:
        key = np.random.SeedSequence([seed, j]).generate_state(2).astype(np.uint32)
        data = (inputs, alike, _padded(Y[:, j], size), mask)
        with jax.enable_x64(True):
            if goes_on:
                state = known[j]
                drawn = first(key, *data, state.position, state.mass, np.float64(state.step))
                if float(drawn[2]) >= _FEWEST_ACCEPTED:
                    return _chain(drawn, size, settings)
            begin = _compiled(size, d, settings, goes_on=False)
            return _chain(begin(key, *data), size, settings)

    # More BLAS threads than free cores make these small factorisations slower by far, so each
    # objective gets a thread of its own and BLAS none.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor() as pool:
        return list(pool.map(run, range(Y.shape[1])))


def padded_size(n: int) -> int:
    """Return the size n observations are padded to: 16, 32, 48, 64, 96, 128, 192, 256 ..."""
    step = max(_SMALLEST, 1 << max((n - 1).bit_length() - 2, 0))
    return -(-n // step) * step


def _padded(values: Floats, size: int) -> Floats:
    missing = [(0, size - len(values))] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, missing)


def _chain(drawn: _Drawn, size: int, settings: McmcSettings) -> Chain:
    draws, (position, mass, step), _ = drawn
    return Chain(
        draws={name: np.array(value[:: settings.thinning]) for name, value in draws.items()},
        state=ChainState(
            size=size, position=np.array(position), mass=np.array(mass), step=float(step)
        ),
    )


def _compiled(size: int, d: int, settings: McmcSettings, *, goes_on: bool) -> Callable[..., _Drawn]:
    """Return a chain for a size, compiled once in the process; JAX keeps it on disk besides."""
    with _COMPILING:
        return _compile(size, d, settings, goes_on)


@cache
def _compile(size: int, d: int, settings: McmcSettings, goes_on: bool) -> Callable[..., _Drawn]:  # noqa: FBT001

    def run(key: jax.Array, *given: jax.Array) -> _Drawn:
        data, state = given[:4], given[4:]
        start: dict[str, jax.Array] | None = None
        adapted: dict[str, Any] = {}
        if state:
            position, mass, step = state
            start = _unravelled(position)
            adapted = {"step_size": step, "inverse_mass_matrix": mass}
            adapted |= {"adapt_step_size": False, "adapt_mass_matrix": False}
        kernel = NUTS(_model, dense_mass=True, max_tree_depth=settings.max_tree_depth, **adapted)
        mcmc = MCMC(
            kernel,
            num_warmup=settings.continue_steps if state else settings.warmup_steps,
            num_samples=settings.posterior_samples,
            progress_bar=False,
        )
        mcmc.run(key, *data, init_params=start, extra_fields=("accept_prob",))
        last = mcmc.last_state
        assert last is not None
        (mass,) = last.adapt_state.inverse_mass_matrix.values()
        end = (_ravelled(last.z), mass, last.adapt_state.step_size)
        return _named(mcmc.get_samples()), end, mcmc.get_extra_fields()["accept_prob"].mean()

    if jax.config.values["jax_compilation_cache_dir"] is None:  # else the caller's own
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "jax"))
    if jax.config.values["jax_logging_level"] == "NOTSET":  # as above
        # XLA logs two harmless lines about tuning flags for every program read back from disk.
        jax.config.update("jax_logging_level", "CRITICAL")
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        key = jax.ShapeDtypeStruct((2,), jnp.uint32)
        k = d + 4 + PARTS
        X, T, y, position, mass, step = (
            jax.ShapeDtypeStruct(shape, jnp.float64)
            for shape in ((size, d), (PARTS, size, size), (size,), (k,), (k, k), ())
        )
        state = (position, mass, step) if goes_on else ()
        lowered = jax.jit(run).lower(key, X, T, y, y, *state)
        return lowered.compile(compiler_options={"xla_cpu_multi_thread_eigen": False})


def _ravelled(z: dict[str, jax.Array]) -> jax.Array:
    """Lay hyperparameters in a row, by name, as NumPyro's mass matrix has them."""
    return jnp.concatenate([jnp.atleast_1d(z[name]) for name in sorted(z)])


def _unravelled(position: jax.Array) -> dict[str, jax.Array]:
    """Undo `_ravelled`: c, rho, s, tau, v, w."""
    rho, (s, tau, v), w = position[1 : -3 - PARTS], position[-3 - PARTS : -PARTS], position[-PARTS:]
    return {"c": position[0], "rho": rho, "s": s, "tau": tau, "v": v, "w": w}


def _model(X: jax.Array, T: jax.Array, y: jax.Array, mask: jax.Array) -> None:
    c = numpyro.sample("c", dist.Normal(0.0, 1.0))
    s = numpyro.sample("s", dist.Gamma(2.0, 0.15))
    v = MIN_NOISE + numpyro.sample("v", dist.Gamma(0.9, 10.0))
    tau = numpyro.sample("tau", dist.HalfCauchy(0.1))
    rho = numpyro.sample("rho", dist.HalfCauchy(jnp.ones(X.shape[1])))
    w = numpyro.sample("w", dist.Gamma(WEIGHT[0] * jnp.ones(PARTS), WEIGHT[1]))
    signal = jnp.tensordot(w, T, 1) + s * _matern52(_squared_distances(X * jnp.sqrt(tau * rho)))
    K = signal * jnp.outer(mask, mask) + jnp.diag(jnp.where(mask > 0, v, 1.0))
    numpyro.factor("y", _log_likelihood(K, mask * (y - c)))


def _named(drawn: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Name draws as BoTorch does."""
    return {
        "mean": drawn["c"],
        "outputscale": drawn["s"],
        # BoTorch's own fit loads v - 1e-4 here; the noise of the model is v.
        "noise": MIN_NOISE + drawn["v"],
        "trend": drawn["w"],
        "lengthscale": 1 / jnp.sqrt(drawn["tau"][:, None] * drawn["rho"]),
    }


def _squared_distances(S: jax.Array) -> jax.Array:
    """Return r2 from scaled inputs S by one matrix product: no (N, N, d) array is made."""
    norms = (S * S).sum(-1)
    return jnp.maximum(norms[:, None] + norms[None, :] - 2 * S @ S.T, 0.0)


def _matern52_value(r2: jax.Array) -> jax.Array:
    r = jnp.sqrt(r2)
    return (1 + _SQRT5 * r + 5 / 3 * r2) * jnp.exp(-_SQRT5 * r)


def _matern52_change(
    primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """Differentiate in r2, where k is smooth at 0; in r the square root's slope is infinite."""
    (r2,), (change,) = primals, tangents
    r = jnp.sqrt(r2)
    slope = -5 / 6 * (1 + _SQRT5 * r) * jnp.exp(-_SQRT5 * r)
    return _matern52_value(r2), slope * change


_matern52 = jax.custom_jvp(_matern52_value)
_matern52.defjvp(_matern52_change)


def _log_likelihood_value(K: jax.Array, residual: jax.Array) -> jax.Array:
    """Return log N(residual; 0, K) but for its constant: -a.a / 2 - log det L."""
    return _log_likelihood_forward(K, residual)[0]


def _log_likelihood_forward(
    K: jax.Array, residual: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    L = jnp.linalg.cholesky(K)
    L_inverse = solve_triangular(L, jnp.eye(len(residual)), lower=True)
    a = L_inverse @ residual
    return -0.5 * a @ a - jnp.log(jnp.diagonal(L)).sum(), (L_inverse, a)


def _log_likelihood_backward(
    kept: tuple[jax.Array, jax.Array], slope: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """With b = K^-1 residual: (b b^T - K^-1) / 2 and -b; cheaper than through the Cholesky."""
    L_inverse, a = kept
    b = L_inverse.T @ a
    return slope * 0.5 * (jnp.outer(b, b) - L_inverse.T @ L_inverse), -slope * b


_log_likelihood = jax.custom_vjp(_log_likelihood_value)
_log_likelihood.defvjp(_log_likelihood_forward, _log_likelihood_backward)
