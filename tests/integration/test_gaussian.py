"""Effects of a Gaussian outcome integrated out: the dense multivariate normal."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from pymc_mlm.integration import IntegrationError
from pymc_mlm.integration.gaussian import collapsed
from pymc_mlm.integration.laplace import laplace
from pymc_mlm.integration.rows import Rows


@pytest.fixture
def table(rng):
    """Ragged memberships, a member twice in a row, and a unit without rows."""
    count = rng.integers(1, 5, 60)
    columns = np.concatenate([rng.choice(16, c, replace=False) for c in count])
    columns[:2] = columns[0]
    indptr = np.concatenate([[0], np.cumsum(count)])
    rows = Rows("gaussian", {"value": rng.normal(size=60)}, indptr, columns, 17)
    return rows, rng.normal(size=len(columns)), rng.normal(size=60), np.array([-0.4])


def test_value_is_that_of_the_dense_normal(table):
    rows, entries, offset, logs = table
    B = rows.matrix(entries).toarray()
    marginal = multivariate_normal(offset, B @ B.T + np.exp(2 * logs[0]) * np.eye(60))
    found = collapsed(*table)
    assert found.value == pytest.approx(marginal.logpdf(rows.outcome["value"]), abs=1e-9)
    assert found.second_order == 0
    assert laplace(*table).value == pytest.approx(found.value, abs=1e-9)


def test_gradient_is_that_of_the_value(table):
    rows, *point = table
    for place, gradient in enumerate(collapsed(*table).gradient()):
        for at in range(min(len(gradient), 20)):
            h = 1e-5 * (np.arange(len(gradient)) == at)
            ends = [
                collapsed(rows, *(x + s * h if k == place else x for k, x in enumerate(point)))
                for s in (1, -1)
            ]
            assert (ends[0].value - ends[1].value) / 2e-5 == pytest.approx(gradient[at], abs=1e-6)


def test_draws_are_those_of_the_posterior(table, rng):
    rows, entries, offset, logs = table
    found = collapsed(*table)
    u, log_ratio = found.draw(100_000, rng)
    B, s2 = rows.matrix(entries).toarray(), np.exp(2 * logs[0])
    H = B.T @ B / s2 + np.eye(17)
    mean = np.linalg.solve(H, B.T @ (rows.outcome["value"] - offset)) / s2
    assert np.allclose(u.mean(axis=1), mean, atol=0.02)
    assert np.allclose(np.cov(u) @ H, np.eye(17), atol=0.1)
    # The joint density over that of the draw is the marginal density, at every draw.
    assert np.allclose(log_ratio, found.value, atol=1e-9)


def test_rows_in_another_order_have_the_same_value(table, rng):
    rows, entries, offset, logs = table
    order = rng.permutation(60)
    at = np.concatenate([np.arange(rows.indptr[i], rows.indptr[i + 1]) for i in order])
    indptr = np.concatenate([[0], np.cumsum(rows.counts[order])])
    other = Rows("gaussian", {"value": rows.outcome["value"][order]}, indptr, rows.columns[at], 17)
    assert collapsed(other, entries[at], offset[order], logs).value == pytest.approx(
        collapsed(*table).value, abs=1e-9
    )


def test_entries_that_are_not_finite_are_refused(table):
    rows, entries, offset, logs = table
    with pytest.raises(IntegrationError):
        collapsed(rows, entries * np.inf, offset, logs)
