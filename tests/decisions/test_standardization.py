"""Averages of response patterns over rows and new clusters, against plain NumPy."""

import numpy as np
import pytest
from scipy.special import softmax

from pymc_mlm.decisions.standardization import CoefficientDraws, average_cells, new_clusters


@pytest.mark.parametrize("size", [1.0, 300.0, 5000.0])
def test_averages_are_those_of_a_softmax_for_log_odds_of_any_size(size):
    rng = np.random.default_rng(1)
    beta, X = size * rng.normal(size=(5, 3, 2)), rng.normal(size=(7, 2))
    weight = rng.random(7)
    eta = np.concatenate([beta @ X.T, np.zeros((5, 1, 7))], axis=1)
    expected = softmax(eta, axis=1) @ (weight / weight.sum())
    found = average_cells(CoefficientDraws(beta, np.eye(3)), X, weight)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("slopes", [1, 2])
def test_new_clusters_are_dealt_to_rows_in_turn(slopes):
    rng = np.random.default_rng(2)
    dim, rows = 3 * slopes, 5
    clusters = new_clusters(rng.normal(size=(4, dim, dim)), 8)
    Z = rng.normal(size=(rows, slopes))
    found = clusters.shift(slice(1, 3), Z)
    for s in (1, 2):
        nodes = clusters.nodes[(np.arange(rows) + clusters.turn[s]) % len(clusters.nodes)]
        u = (clusters.roots[s] * clusters.signs[s]) @ nodes.T
        expected = np.einsum("nr,rmn->mn", Z, u.reshape(slopes, -1, rows))
        np.testing.assert_allclose(found[s - 1], expected, atol=1e-12)
