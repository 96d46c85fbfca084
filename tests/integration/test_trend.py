"""Mode and variance followed from the mode of hyperparameters: near there, harmless elsewhere."""

from dataclasses import replace

import numpy as np
import pytest

from pymc_mlm.integration.importance import Mode
from pymc_mlm.integration.laplace import laplace
from pymc_mlm.integration.rows import Rows
from pymc_mlm.integration.trend import trend


@pytest.fixture
def approximate(rng):
    """Binary rows of two units each, by log standard deviation and intercept."""
    columns = np.concatenate([rng.choice(30, 2, replace=False) for _ in range(400)])
    y = {"value": 1.0 * rng.integers(0, 2, 400)}
    rows = Rows("bernoulli", y, 2 * np.arange(401), columns, 30)
    none = np.zeros(0)
    return lambda x: laplace(rows, np.full(800, np.exp(x[0])), np.full(400, x[1]), none)


@pytest.fixture
def near():
    covariance = np.array([[0.04, 0.005], [0.005, 0.01]])
    return Mode(np.array([-0.5, 0.1]), covariance, 0.0, 1)


def test_mode_and_variance_are_followed(approximate, near, rng):
    found = trend(approximate, near)
    for z in rng.normal(size=(5, 2)):
        point = near.point + np.linalg.cholesky(near.covariance) @ z
        exact = approximate(point)
        mode, variance = found.effects(point), found.variance(point, exact.entries)
        away = exact.mode - found.center.mode
        assert np.abs(mode - exact.mode).max() < 0.2 * np.abs(away).max() + 0.003  # no mixed terms
        assert np.allclose(variance, exact.variance, rtol=0.1)


def test_far_points_have_the_trend_at_its_end(approximate, near):
    found = trend(approximate, near)
    root = np.linalg.cholesky(near.covariance)
    far, end = (near.point + root @ np.array([z, 0.0]) for z in (50.0, 3.0))
    assert np.allclose(found.effects(far), found.effects(end))
    here = found.center
    assert np.allclose(found.variance(far, here.entries), found.variance(end, here.entries))
    assert (found.variance(far, here.entries) < 2 * np.exp(2 * near.point[0])).all()  # of the prior


def test_another_variance_moves_proposals_and_no_weighted_mean(approximate, near, rng):
    """Draws weighted by joint density over that of the draw estimate the same marginal."""
    found = approximate(near.point)
    other = replace(found, known_variance=1.5 * found.variance)
    assert not np.allclose(other.shift, found.shift)
    estimates = [
        np.log(np.exp(x.draw(20_000, rng)[1] - found.value).mean()) for x in (found, other)
    ]
    assert estimates[0] == pytest.approx(estimates[1], abs=0.01)


def test_the_second_order_is_followed_within_what_was_met(approximate, near, rng):
    found = trend(approximate, near)
    root = np.linalg.cholesky(near.covariance)
    met = found.orders.min(), found.orders.max()
    for z in rng.normal(size=(5, 2)):
        point = near.point + root @ z
        assert found.second_order(point) == pytest.approx(approximate(point).second_order, abs=0.05)
        assert met[0] <= found.second_order(near.point + 50 * root @ z) <= met[1]
