"""A precision that is not written: what it solves and estimates is that of the dense one."""

from dataclasses import replace

import numpy as np
import pytest

from pymc_mlm.integration import IntegrationError
from pymc_mlm.integration.factor import factor
from pymc_mlm.integration.laplace import laplace
from pymc_mlm.integration.matrix_free import MatrixFree
from pymc_mlm.integration.rows import Rows


@pytest.fixture
def table(rng):
    """Six hundred binary rows of three of forty units, some twice in a row; one has no rows."""
    columns = rng.integers(0, 39, 1800)
    y = {"value": 1.0 * rng.integers(0, 2, 600)}
    rows = Rows("bernoulli", y, 3 * np.arange(601), columns, 40)
    return rows, 0.6 * rng.normal(size=1800), rng.uniform(0.1, 0.3, 600)


@pytest.fixture
def dense(table):
    rows, entries, W = table
    B = rows.matrix(entries).toarray()
    return np.eye(40) + (B.T * W) @ B


def test_products_and_solves_are_those_of_the_matrix(table, dense, rng):
    H, x = MatrixFree(*table), rng.normal(size=(40, 3))
    assert np.allclose(H.times(x), dense @ x)
    assert np.allclose(H.times(x[:, :1]), dense @ x[:, :1])
    assert np.allclose(H.solve(x, 1e-10), np.linalg.solve(dense, x))
    assert np.allclose(H.solve(x[:, 0], 1e-10), np.linalg.solve(dense, x[:, 0]))


def test_many_probes_have_the_determinant_and_the_covariances(table):
    found, exact = MatrixFree(*table, probes=4000), factor(*table)
    assert found.log_determinant == pytest.approx(exact.log_determinant, abs=0.03)
    ours, theirs = found.covariances(table[1]), exact.covariances(table[1])
    assert np.abs(ours.by_entry - theirs.by_entry).max() < 0.04
    assert np.allclose(ours.variance, theirs.variance, rtol=0.05, atol=0.005)
    assert ours.squared.sum() == pytest.approx(theirs.squared.sum(), rel=0.02)


def test_squares_of_few_probes_have_no_bias(table, monkeypatch):
    exact, found = factor(*table).covariances(table[1]), []
    for seed in range(300):
        monkeypatch.setattr("pymc_mlm.integration.matrix_free.PROBE_SEED", seed)
        found.append(MatrixFree(*table, probes=8).covariances(table[1]))
    squared = np.array([f.squared.sum() for f in found])
    error = squared.std() / np.sqrt(len(squared))
    assert abs(squared.mean() - exact.squared.sum()) < 4 * error
    biased = np.mean([(f.variance**2).sum() for f in found])
    assert biased - exact.squared.sum() > 10 * error


def test_a_diagonal_precision_has_no_error(rng):
    columns = rng.integers(0, 10, 50)
    rows = Rows("bernoulli", {}, np.arange(51), columns, 10)
    given = rows, rng.normal(size=50), rng.uniform(0.1, 1, 50)
    found, exact = MatrixFree(*given), factor(*given)
    assert found.log_determinant == pytest.approx(exact.log_determinant, abs=1e-12)
    ours, theirs = found.covariances(given[1]), exact.covariances(given[1])
    for a, b in zip(ours, theirs, strict=True):
        assert np.allclose(a, b, atol=1e-12)


def test_draws_have_the_covariance_and_the_energy(table, dense, rng):
    x, energy = MatrixFree(*table).draw(20_000, rng)
    assert np.allclose(np.cov(x) @ dense, np.eye(40), atol=0.2)
    assert np.allclose(energy, 0.5 * np.einsum("in,ij,jn->n", x, dense, x))
    assert energy.mean() == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize("shared", [False, True])
def test_cubes_are_those_of_the_factor(shared, table, rng):
    """Of unlike rows, and of rows of the same units with the same entries."""
    rows, entries, W = table
    if shared:
        kind = rng.integers(0, 30, 600)
        rows = replace(rows, columns=rows.columns.reshape(-1, 3)[kind].ravel())
        entries = entries.reshape(-1, 3)[kind].ravel()
    l3 = 0.1 * rng.normal(size=600)
    assert (rows.patterns is not None) == shared
    found = MatrixFree(rows, entries, W, probes=4000).cubes(entries, l3)
    assert found == pytest.approx(factor(rows, entries, W).cubes(entries, l3), rel=0.05)


def test_the_gradient_is_that_of_the_factor(table, monkeypatch):
    """Within a few hundredths of a posterior standard deviation of a common scale of entries."""
    rows, entries, _ = table
    offset, none = np.zeros(600), np.zeros(0)
    exact = laplace(rows, entries, offset, none)
    monkeypatch.setattr("pymc_mlm.integration.laplace.MOST_DENSE", 0)
    monkeypatch.setattr("pymc_mlm.integration.effect_mode.CHEAP_FACTOR", 0)
    found = laplace(rows, entries, offset, none)
    assert isinstance(found.root, MatrixFree)
    assert np.allclose(found.mode, exact.mode, atol=1e-4)
    slopes = [x.gradient()[0] @ entries for x in (found, exact)]
    assert slopes[0] == pytest.approx(slopes[1], abs=0.5)  # a sd is .1 here: .05 of its sds
    assert found.gradient()[1].sum() == pytest.approx(exact.gradient()[1].sum(), abs=0.3)
    assert found.second_order == pytest.approx(exact.second_order, abs=0.05)


def test_a_search_that_does_not_end_is_an_error(table, monkeypatch):
    monkeypatch.setattr("pymc_mlm.integration.matrix_free.MOST_ITERATIONS", 2)
    with pytest.raises(IntegrationError, match="do not end in 2 steps"):
        MatrixFree(*table).solve(np.ones(40), 1e-12)
