"""Proposals near the mode of the hyperparameters: weighted, they have the exact marginal."""

import numpy as np
import pytest

from pymc_mlm.integration.importance import Mode
from pymc_mlm.integration.laplace import laplace
from pymc_mlm.integration.near import Near
from pymc_mlm.integration.rows import Rows
from pymc_mlm.integration.trend import trend


@pytest.fixture(params=["dense", "matrix-free", "factored"])
def near(request, rng, monkeypatch):
    """Binary rows of two units each, by log standard deviation and intercept."""
    if request.param != "dense":
        monkeypatch.setattr("pymc_mlm.integration.laplace.MOST_DENSE", 0)
    if request.param == "matrix-free":
        monkeypatch.setattr("pymc_mlm.integration.near.MOST_FACTORED", 0)
    columns = np.concatenate([rng.choice(30, 2, replace=False) for _ in range(400)])
    rows = Rows(
        "bernoulli", {"value": 1.0 * rng.integers(0, 2, 400)}, 2 * np.arange(401), columns, 30
    )
    mode = Mode(np.array([-0.5, 0.1]), np.array([[0.04, 0.005], [0.005, 0.01]]), 0.0, 1)
    return Near(trend(lambda x: laplace(rows, *pieces(x)), mode), rng)


def pieces(x):
    return np.full(800, np.exp(x[0])), np.full(400, x[1]), np.zeros(0)


@pytest.mark.parametrize("z", [(0.0, 0.0), (1.0, -0.5), (-2.0, 1.0), (8.0, 8.0)])
def test_weighted_draws_have_the_marginal_of_the_approximation_there(near, z, rng):
    """Up to one constant, the determinant at the mode; also where the trend does not lead."""
    center = near.trend.mode
    point = center.point + np.linalg.cholesky(center.covariance) @ z
    exact = laplace(near.trend.center.rows, *pieces(point))
    _, log_ratio = exact.draw(4000, rng)
    expected = np.log(np.exp(log_ratio - exact.value).mean())
    found = near.at(point, *pieces(point), 2000)
    ratio = np.exp(found.log_ratio - exact.value)
    size = ratio.sum() ** 2 / (ratio @ ratio)
    is_dense = near.trend.center.root.__class__.__name__ == "Factor"
    assert np.log(ratio.mean()) == pytest.approx(expected, abs=0.05 if is_dense else 0.2)
    if max(z) < 3:
        assert size > 1500
        assert found.log_marginal == pytest.approx(exact.value + exact.second_order, abs=0.2)


def test_effects_are_the_draws_that_were_weighted(near):
    point = near.trend.mode.point + 0.1
    found = near.at(point, *pieces(point), 50)
    u = near.effects(found, np.arange(50))
    rows, (entries, offset, logs) = near.trend.center.rows, pieces(point)
    joint = rows.log_density(offset[:, None] + rows.times(entries, u), logs)
    joint -= 0.5 * (u * u).sum(axis=0)
    x = (u - found.mean[:, None]) / found.scale[:, None]
    W = -rows.derivatives(near.trend.center.eta, logs).by_eta[1]
    B = rows.matrix(near.trend.center.entries).toarray()
    energy = 0.5 * (x * ((np.eye(30) + (B.T * W) @ B) @ x)).sum(axis=0)
    log_ratio = joint + energy + np.log(found.scale).sum() - near.center
    assert np.allclose(found.log_ratio, log_ratio)
    assert len(set(found.origin)) == 50


def test_noise_of_up_to_two_thousand_effects_is_of_one_factor(near, request):
    """The constant of the weights is then the determinant itself, and no estimate."""
    found = near.trend.center
    W = -found.derivatives.by_eta[1]
    B = found.rows.matrix(found.entries).toarray()
    exact = 0.5 * np.linalg.slogdet(np.eye(30) + (B.T * W) @ B).logabsdet
    if "matrix-free" in request.node.name:
        assert near.center == found.root.log_determinant
        assert near.center == pytest.approx(exact, abs=1.0)
    else:
        assert near.center == pytest.approx(exact, abs=1e-9)
