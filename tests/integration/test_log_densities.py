"""Sums over rows that are computed without the density of each row."""

import numpy as np
import pytest

from pymc_mlm.integration.log_densities import bernoulli
from pymc_mlm.integration.rows import Rows


def rows_of(count, rng, **more):
    value = 1 * (rng.random(count) < 0.4)
    return Rows("bernoulli", {"value": value} | more, np.arange(count + 1), np.zeros(count, int), 1)


@pytest.mark.parametrize("count", [1, 511, 512, 513, 1500])
@pytest.mark.parametrize("vectors", [None, 1, 3])
def test_the_sum_of_events_is_that_of_all_rows(count, vectors, rng):
    rows = rows_of(count, rng)
    eta = 4 * rng.normal(size=count if vectors is None else (count, vectors))
    found = rows.log_density(eta, np.zeros(0))
    value = rows.outcome["value"] if vectors is None else rows.outcome["value"][:, None]
    expected = bernoulli({"value": value}, eta, np.zeros(0)).sum(axis=0)
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("far", [1e-300, 40.0, -40.0, 800.0, -800.0, 1e300, -np.inf, np.nan])
def test_the_sum_of_events_is_right_far_from_zero(far, rng):
    rows = rows_of(600, rng)
    rows.outcome["value"][7] = 1
    eta = rng.normal(size=600)
    eta[7] = far
    with np.errstate(all="ignore"):
        expected = bernoulli(rows.outcome, eta, np.zeros(0)).sum()
    for found in (rows.log_density(eta, np.zeros(0)), *rows.log_density(eta[:, None], np.zeros(0))):
        np.testing.assert_allclose(float(found), expected, rtol=1e-12)


def test_weights_of_rows_count(rng):
    weight = rng.random(50)
    rows, eta = rows_of(50, rng, row_weight=weight), rng.normal(size=50)
    expected = weight @ bernoulli(rows.outcome, eta, np.zeros(0))
    assert float(rows.log_density(eta, np.zeros(0))) == pytest.approx(expected, rel=1e-12)
