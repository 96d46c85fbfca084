"""Laws of `leaf_moments`: the moments of a leaf's rows, exact around any centre."""

import tracemalloc

import numpy as np
import pytest

from pymc_mlm.data import sufficient
from pymc_mlm.data.sufficient import leaf_moments
from pymc_mlm.errors import DataError

NUM_LEAVES = 6


@pytest.fixture
def rows(rng):
    leaf = rng.integers(0, NUM_LEAVES - 1, 500)  # the last leaf has no rows
    X = np.column_stack([np.ones(500), rng.normal(size=(500, 2))])
    return X, 3 + rng.normal(size=500), leaf


def residual_squares(moments, beta):
    shift = beta - moments.center
    return moments.yy - 2 * shift @ moments.xy.sum(0) + shift @ moments.xx.sum(0) @ shift


def test_moments_are_the_cross_products_of_a_leafs_rows(rows):
    X, y, leaf = rows
    moments = leaf_moments(X, y, leaf, NUM_LEAVES)
    for g in range(NUM_LEAVES):
        x, r = X[leaf == g], y[leaf == g] - X[leaf == g] @ moments.center
        np.testing.assert_allclose(moments.xx[g], x.T @ x, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(moments.xy[g], x.T @ r, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(moments.counts, np.bincount(leaf, minlength=NUM_LEAVES))
    assert moments.n == 500.0


def test_the_centre_is_exact_whatever_it_is(rows, rng):
    X, y, leaf = rows
    beta = rng.normal(size=3)
    for center in (np.zeros(3), rng.normal(size=3), None):
        moments = leaf_moments(X, y, leaf, NUM_LEAVES, center=center)
        expected = np.sum((y - X @ beta) ** 2)
        np.testing.assert_allclose(residual_squares(moments, beta), expected, rtol=1e-12)


def test_a_large_mean_of_the_outcome_costs_no_digits(rows):
    X, y, leaf = rows
    moments = leaf_moments(X, 1e6 + y, leaf, NUM_LEAVES)
    beta = moments.center + 0.1
    expected = np.sum((1e6 + y - X @ beta) ** 2)
    # y itself has lost six of its sixteen digits; around zero all of them would go.
    np.testing.assert_allclose(residual_squares(moments, beta), expected, rtol=1e-9)


def test_chunks_do_not_change_the_sums(rows, monkeypatch):
    X, y, leaf = rows
    whole = leaf_moments(X, y, leaf, NUM_LEAVES)
    monkeypatch.setattr(sufficient, "CHUNK_ROWS", 7)
    chunked = leaf_moments(X, y, leaf, NUM_LEAVES)
    np.testing.assert_allclose(chunked.xx, whole.xx, rtol=1e-12)
    np.testing.assert_allclose(chunked.xy, whole.xy, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(chunked.yy, whole.yy, rtol=1e-12)


def test_columns_of_their_own_are_a_matrix(rows):
    X, y, leaf = rows
    columns = [np.broadcast_to(1.0, 500), *X.T[1:]]
    one, other = (leaf_moments(x, y, leaf, NUM_LEAVES) for x in (X, columns))
    np.testing.assert_array_equal(one.xx, other.xx)
    np.testing.assert_allclose(one.xy, other.xy, rtol=1e-12)


def test_row_order_does_not_change_the_sums(rows, rng):
    X, y, leaf = rows
    order = rng.permutation(500)
    first = leaf_moments(X, y, leaf, NUM_LEAVES)
    second = leaf_moments(X[order], y[order], leaf[order], NUM_LEAVES)
    np.testing.assert_allclose(second.xx, first.xx, rtol=1e-12)
    np.testing.assert_allclose(second.xy, first.xy, rtol=1e-10, atol=1e-10)


def test_memory_does_not_grow_with_the_rows(rng):
    X = rng.normal(size=(2_000_000, 3)).astype(np.float32)
    y, leaf = X[:, 0], rng.integers(0, 100, 2_000_000)
    tracemalloc.start()
    leaf_moments(X, y, leaf, 100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # One (row, 3) float64 copy would be 48 MB; a chunk of 262,144 rows needs some 20 MB.
    assert peak < 30e6


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_missing_or_infinite_value_is_refused(rows, bad):
    X, y, leaf = rows
    X = X.copy()
    X[3, 1] = bad
    with pytest.raises(DataError, match=r"Column 1 .* of X has a missing or infinite value"):
        leaf_moments(X, y, leaf, NUM_LEAVES)
    with pytest.raises(DataError, match="y has a missing or infinite value"):
        leaf_moments(rows[0], np.where(np.arange(500) == 9, bad, y), leaf, NUM_LEAVES)
