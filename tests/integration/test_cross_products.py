"""Cross products of a table: the dense multivariate normal, and the same from rows."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from pymc_mlm.integration.cross_products import CrossProducts
from pymc_mlm.integration.gaussian import collapsed
from pymc_mlm.integration.log_densities import ROW_WEIGHT
from pymc_mlm.integration.rows import Rows

N, FRONT, OTHERS = 80, 7, 9
SCALES, COEFFICIENTS, LOG_SD = np.array([0.7, -0.4, 1.3]), np.array([0.5, -2.0]), -0.4


def table_of(front, weighted, far, rng):
    """Each row with one front unit (of one or two effects), and one to three other effects."""
    units, width = front
    others = [rng.choice(OTHERS - 1, rng.integers(1, 4), replace=False) for _ in range(N)]
    others[0] = np.array([3, 3])  # an effect twice
    unit = rng.integers(0, max(units, 1), N)
    columns = [
        np.concatenate([u * width + np.arange(width), units * width + o]).astype(np.int64)
        for u, o in zip(unit, others, strict=True)
    ]
    indptr = np.concatenate([[0], np.cumsum([len(c) for c in columns])])
    outcome = {"value": far + rng.normal(size=N)}
    if weighted:
        outcome[ROW_WEIGHT] = rng.uniform(0.5, 2, N)
    rows = Rows("gaussian", outcome, indptr, np.concatenate(columns), units * width + OTHERS, front)
    # The first matrix is of the front, the others of all effects, with rows that are zero.
    entries = rng.normal(size=(3, len(rows.columns)))
    if units:
        entries[0, rows.columns >= rows.num_front] = 0
    entries[1, rng.random(len(rows.columns)) < 0.5] = 0
    offset = np.vstack([rng.normal(size=N) + far, np.ones(N), rng.normal(size=N)])
    return rows, entries, offset


@pytest.fixture(
    params=[((0, 0), False, 0), ((FRONT, 1), True, 0), ((FRONT, 2), False, 1e6)],
    ids=["dense", "front, weighted", "slopes, far from zero"],
)
def table(request, rng):
    """Return rows, entries and offset."""
    return table_of(*request.param, rng)


def at(products, x):
    """Evaluate at scales, coefficients and log sd in one vector."""
    return products.at(x[:3], x[3:5], x[5])


POINT = np.concatenate([SCALES, COEFFICIENTS, [LOG_SD]])


def test_value_mode_and_draws_are_those_from_rows(table):
    rows, entries, offset = table
    found = at(CrossProducts(rows, list(entries), offset), POINT)
    o = offset[0] + COEFFICIENTS @ offset[1:]
    expected = collapsed(rows, SCALES @ entries, o, np.array([LOG_SD]))
    assert found.value == pytest.approx(expected.value, rel=1e-9)
    assert np.allclose(found.mode, expected.mode, atol=1e-7)
    u, ratio = found.draw(3, np.random.default_rng(1))
    v, _ = expected.draw(3, np.random.default_rng(1))
    assert np.allclose(u, v, atol=1e-7)
    assert (ratio == found.value).all()


def test_value_is_that_of_the_dense_normal(rng):
    rows, entries, offset = table_of((FRONT, 1), False, 0.0, rng)
    found = at(CrossProducts(rows, list(entries), offset), POINT)
    B = rows.matrix(SCALES @ entries).toarray()
    o = offset[0] + COEFFICIENTS @ offset[1:]
    marginal = multivariate_normal(o, B @ B.T + np.exp(2 * LOG_SD) * np.eye(N))
    assert found.value == pytest.approx(marginal.logpdf(rows.outcome["value"]), abs=1e-9)


def test_gradient_is_that_of_the_value(table):
    rows, entries, offset = table
    products = CrossProducts(rows, list(entries), offset)
    gradient = np.concatenate(at(products, POINT).gradient())
    for k, direction in enumerate(np.eye(6)):
        ends = [at(products, POINT + s * 1e-5 * direction).value for s in (1, -1)]
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(gradient[k], rel=1e-6, abs=1e-5)


def test_rows_in_another_order_have_the_same_value(table, rng):
    rows, entries, offset = table
    order = rng.permutation(N)
    at_rows = [np.arange(rows.indptr[i], rows.indptr[i + 1]) for i in order]
    moved = np.concatenate(at_rows)
    indptr = np.concatenate([[0], np.cumsum([len(a) for a in at_rows])])
    outcome = {k: v[order] for k, v in rows.outcome.items()}
    other = Rows("gaussian", outcome, indptr, rows.columns[moved], rows.size, rows.front)
    values = [
        at(CrossProducts(r, list(e), o), POINT).value
        for r, e, o in ((rows, entries, offset), (other, entries[:, moved], offset[:, order]))
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-12)
