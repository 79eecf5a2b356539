"""The trend: lines, curves and products, as their features written out say."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lorecall.search.trend import PARTS, Trend, TrendKernel


def features(X: NDArray[np.float64], at: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the features of each part; lines and curves are centred at X."""

    def raw(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        t = 2 * x - 1
        return np.sqrt(3) * t, np.sqrt(5) / 2 * (3 * t**2 - 1)

    u, v = (a - b.mean(0) for a, b in zip(raw(at), raw(X), strict=True))
    d = X.shape[1]
    i, j = np.triu_indices(d, 1)
    return [u / np.sqrt(d), v / np.sqrt(d), u[:, i] * u[:, j] / np.sqrt(d * (d - 1) / 2)]


def test_parts_are_the_products_of_their_features() -> None:
    """Between points, and of a point with itself; also with leading dimensions."""
    rng = np.random.default_rng(0)
    X, C = rng.random((9, 5)), rng.random((4, 5))
    trend = Trend(torch.from_numpy(X))
    between = trend.between(torch.from_numpy(X), torch.from_numpy(C)).numpy()
    expected = [a @ b.T for a, b in zip(features(X, X), features(X, C), strict=True)]
    np.testing.assert_allclose(between, expected, atol=1e-12)
    within = trend.within(torch.from_numpy(C)).numpy()
    np.testing.assert_allclose(within, [(f**2).sum(1) for f in features(X, C)], atol=1e-12)
    stacked = torch.from_numpy(np.stack([C, C]))
    assert trend.within(stacked).shape == (PARTS, 2, 4)
    assert trend.between(stacked, stacked).shape == (PARTS, 2, 4, 4)


def test_two_levels_have_no_curve_and_one_input_no_product() -> None:
    """What cannot be told from the mean is not there."""
    X = torch.tensor([[0.0], [1.0], [1.0]], dtype=torch.float64)
    lines, curves, products = Trend(X).between(X, X)
    assert lines.abs().max() > 0
    assert curves.abs().max() == pytest.approx(0, abs=1e-12)
    assert products.abs().max() == pytest.approx(0, abs=1e-12)


def test_the_kernel_is_the_weighted_sum() -> None:
    """For every draw, whole and its diagonal; weights given are the weights it has."""
    X = torch.from_numpy(np.random.default_rng(1).random((6, 3)))
    trend = Trend(X)
    weights = torch.tensor([[0.1, 0.2, 0.3], [1.0, 1e-4, 2.0]], dtype=torch.float64)
    kernel = TrendKernel(trend, 2, weights=weights)
    torch.testing.assert_close(kernel.weights, weights)
    whole = kernel(X.expand(2, 6, 3)).to_dense()
    torch.testing.assert_close(whole, torch.tensordot(weights, trend.between(X, X), 1))
    diagonal = kernel(X.expand(2, 6, 3), diag=True)
    torch.testing.assert_close(diagonal, whole.diagonal(dim1=-2, dim2=-1))
