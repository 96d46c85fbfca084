"""Units that are eliminated first: the same factor, inverse and approximation as without."""

from dataclasses import replace

import numpy as np
import pytest

from pymc_mlm.integration import IntegrationError
from pymc_mlm.integration.factor import factor
from pymc_mlm.integration.gaussian import collapsed
from pymc_mlm.integration.laplace import laplace
from pymc_mlm.integration.rows import Rows

UNITS = 20


def crossed(width, family, rng, members=(0, 4), others=9):
    """Units with one or several effects, one a row, and other effects, some twice in a row."""
    unit = rng.integers(0, UNITS - 1, 150)  # the last unit has no rows
    behind = [rng.integers(0, others, n) for n in rng.integers(*members, 150)]
    front = unit[:, None] * width + np.arange(width)
    columns = [np.concatenate([f, UNITS * width + b]) for f, b in zip(front, behind, strict=True)]
    indptr = np.concatenate([[0], np.cumsum([len(c) for c in columns])])
    y = {"value": 1.0 * rng.integers(0, 2, 150)}
    size = UNITS * width + others
    rows = Rows(family, y, indptr, np.concatenate(columns), size, (UNITS, width))
    logs = np.full(len(rows.density.parameters), 0.3)
    return rows, 0.7 * rng.normal(size=indptr[-1]), 0.2 * rng.normal(size=150), logs


def nested(width, family, rng):
    """Units within five others, all with as many effects: rows of a unit share all effects."""
    rows, *_ = crossed(width, family, rng, members=(0, 1), others=5 * width)
    unit = rows.columns[::width] // width
    behind = UNITS * width + (unit % 5)[:, None] * width + np.arange(width)
    columns = np.hstack([rows.columns.reshape(-1, width), behind])
    indptr = np.arange(151) * 2 * width
    table = replace(rows, columns=columns.ravel(), indptr=indptr)
    logs = np.full(len(rows.density.parameters), 0.3)
    return table, 0.7 * rng.normal(size=columns.size), 0.2 * rng.normal(size=150), logs


LAYOUTS = {
    "crossed": crossed,
    "nested": nested,
    "alone": lambda w, f, rng: crossed(w, f, rng, members=(0, 1), others=0),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("width", [1, 2, 3])
def test_the_factor_is_that_of_the_precision(layout, width, rng):
    rows, entries, *_ = LAYOUTS[layout](width, "bernoulli", rng)
    W, B = rng.uniform(0.1, 1, 150), rows.matrix(entries).toarray()
    H = np.eye(rows.size) + (B.T * W) @ B
    found, b, z = factor(rows, entries, W), rng.normal(size=rows.size), np.eye(rows.size)
    assert found.log_determinant == pytest.approx(np.linalg.slogdet(H).logabsdet / 2)
    assert np.allclose(found.solve(b), np.linalg.solve(H, b))
    root = found.scale(z)
    assert np.allclose(root @ root.T, np.linalg.inv(H))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("family", ["bernoulli", "student_t", "gaussian"])
def test_the_approximation_is_that_without_a_front(layout, width, family, rng):
    rows, *point = LAYOUTS[layout](width, family, rng)
    by = collapsed if family == "gaussian" else laplace
    found, plain = by(rows, *point), by(replace(rows, front=(0, 0)), *point)
    assert found.value == pytest.approx(plain.value, abs=1e-9)
    assert found.second_order == pytest.approx(plain.second_order, abs=1e-9)
    for name in ("mode", "shift", "variance", "by_entry"):
        assert np.allclose(getattr(found, name), getattr(plain, name), atol=1e-9), name
    for ours, theirs in zip(found.gradient(), plain.gradient(), strict=True):
        assert np.allclose(ours, theirs, atol=1e-9)


def test_draws_have_the_covariance_of_the_approximation(rng):
    found = collapsed(*nested(2, "gaussian", rng))
    u, log_ratio = found.draw(40_000, rng)
    H = np.linalg.inv(found.root.solve(np.eye(len(u))))
    assert np.allclose(np.cov(u) @ H, np.eye(len(u)), atol=0.1)
    # The joint density over that of the draw is the marginal density, at every draw.
    assert np.allclose(log_ratio, found.value, atol=1e-9)


def test_second_order_of_rows_that_share_effects_is_the_sum_over_their_pairs(rng):
    found = laplace(*nested(2, "bernoulli", rng))
    B, V = found.rows.matrix(found.entries).toarray(), found.root.solve(np.eye(found.rows.size))
    unit = found.rows.links.unit
    h = np.where(unit[:, None] == unit, B @ V @ B.T, 0)
    _, _, l3, l4 = found.derivatives.by_eta
    q = np.diagonal(h) * l3 / 2
    expected = l4 @ np.diagonal(h) ** 2 / 8 + q @ B @ V @ B.T @ q / 2 + l3 @ h**3 @ l3 / 12
    assert found.second_order == pytest.approx(expected, rel=1e-9)


def test_a_precision_that_is_not_positive_is_refused(rng):
    rows, entries, *_ = crossed(2, "bernoulli", rng)
    for W in (np.full(150, -5.0), np.full(150, np.nan)):
        with pytest.raises(IntegrationError, match="not curved downwards"):
            factor(rows, entries, W)
