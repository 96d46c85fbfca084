"""What the data say about crossed effects, before sampling: against exact normal answers."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from pymc_mlm.approximation import crossed_information as module
from pymc_mlm.approximation.crossed_information import crossed_information
from pymc_mlm.approximation.standard import standard

SIGMA = 0.8


def gaussian(y):
    return lambda eta, _: ((y - eta) / SIGMA**2, np.full(len(y), 1 / SIGMA**2))


def crossed(rng, rows=400, units=(12, 7)):
    codes = [rng.integers(0, n, rows) for n in units]
    blocks = [
        csr_array((np.ones(rows), (np.arange(rows), c)), shape=(rows, n))
        for c, n in zip(codes, units, strict=True)
    ]
    effects = [rng.normal(0.0, 1.0, n) for n in units]
    y = 3.0 + sum(u[c] for u, c in zip(effects, codes, strict=True))
    return blocks, y + rng.normal(0.0, SIGMA, rows)


def information(blocks, y, X=None, likelihood=None, spread=1.0, **kwargs):
    X = np.zeros((len(y), 0)) if X is None else X
    told = standard(X, intercept=True), np.zeros(len(y)), likelihood or gaussian(y)
    return crossed_information(blocks, X, *told, spread, **kwargs)


def dense_answer(blocks, X, y, order, variances, spread):
    """Precision and slope of everything: ones, X, and effects in their order, for vague coefs."""
    told = standard(X, intercept=True)
    B = np.column_stack([told.columns(X), *(blocks[t].toarray() for t in order)])
    prior = [told.prior_precision(spread)]
    prior += [np.full(blocks[t].shape[1], 1 / v) for t, v in zip(order, variances, strict=True)]
    return B.T @ B / SIGMA**2 + np.diag(np.concatenate(prior)), B.T @ y / SIGMA**2


SIZES = {"few": (12, 7), "many": (150, 7), "both many": (150, 140)}


@pytest.mark.parametrize("units", SIZES.values(), ids=SIZES.keys())
def test_effects_follow_coefficients_and_earlier_effects_as_normal_theory_says(rng, units):
    blocks, y = crossed(rng, units=units)
    X = rng.normal(5.0, 2.0, (len(y), 2))
    found = information(blocks, y, X, spread=1.5)
    first, last = found.order
    assert blocks[first].shape[1] <= blocks[last].shape[1]
    n, told = blocks[last].shape[1], found.effects[last]
    # The last term's own precision and cross product, by columns as given.
    B, earlier = blocks[last].toarray(), [np.ones((len(y), 1)), X]
    if found.num_few:
        earlier.append(blocks[first].toarray())
    G = np.column_stack(earlier)
    if units == (150, 140):
        return  # The other term is at its mode, which no small formula gives.
    Q = told.basis if len(told.basis) else np.eye(n)
    C = told.cross if isinstance(told.cross, np.ndarray) else told.cross.toarray()
    np.testing.assert_allclose(Q @ np.diag(told.precision) @ Q.T, B.T @ B / SIGMA**2, atol=1e-8)
    np.testing.assert_allclose(Q @ C, B.T @ G / SIGMA**2, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(Q @ told.score, B.T @ y / SIGMA**2, rtol=1e-6)


def test_coefficients_are_those_with_all_effects_integrated_out(rng, monkeypatch):
    blocks, y = crossed(rng)
    X = rng.normal(5.0, 2.0, (len(y), 2))
    used = []
    inner = module.integrated_effects
    monkeypatch.setattr(module, "integrated_effects", lambda *a: used.append(a[-2]) or inner(*a))
    found = information(blocks, y, X, spread=1.5)
    variances = [used[0][t] for t in found.order]
    A, b = dense_answer(blocks, X, y, found.order, variances, 1.5)
    covariance = np.linalg.inv(A)
    np.testing.assert_allclose(found.coefficients.covariance, covariance[:3, :3], rtol=1e-7)
    np.testing.assert_allclose(found.coefficients.mode, (covariance @ b)[:3], rtol=1e-7)
    mode, root = found.coefficients.block(0, 2)
    sds = X.std(axis=0)
    np.testing.assert_allclose(mode, (covariance @ b)[1:3] / sds, rtol=1e-7)
    np.testing.assert_allclose(root @ root.T, covariance[1:3, 1:3] / np.outer(sds, sds), rtol=1e-7)
    constant, slopes, sd = found.coefficients.intercept()
    # At the mode of the coefficients the intercept is at its own: 3 less nothing, as X is noise.
    at = constant + slopes @ mode
    np.testing.assert_allclose(at, (covariance @ b)[0] - X.mean(axis=0) @ mode, rtol=1e-7)
    assert sd == pytest.approx(np.sqrt(1 / np.linalg.inv(covariance[:3, :3])[0, 0]), rel=1e-6)


@pytest.mark.parametrize("count", [30, 200], ids=["few", "many"])
def test_members_that_share_groups_follow_the_intercept_by_what_it_moves(rng, count):
    """Weights sum to one: when the intercept moves by one, every effect goes the other way."""
    rows, each = 900, 3
    member = rng.integers(0, count, (rows, each))
    places = np.repeat(np.arange(rows), each), member.ravel()
    block = csr_array((np.full(rows * each, 1 / each), places), shape=(rows, count))
    u = rng.normal(0.0, 4.0, count)
    y = block @ u + SIGMA * rng.normal(size=rows)
    (told,) = information([block], y, spread=4.0).effects
    Q = told.basis if len(told.basis) else np.eye(count)
    C = told.cross if isinstance(told.cross, np.ndarray) else told.cross.toarray()
    moved = Q @ (C[:, 0] / (told.precision + 1e-2))
    np.testing.assert_allclose(moved, 1.0, atol=0.35)


def test_unit_without_rows_has_no_information(rng):
    blocks, y = crossed(rng)
    wider = csr_array((blocks[0].data, blocks[0].nonzero()), shape=(len(y), 13))
    told = information([wider], y).effects[0]
    alone = np.argmin(told.precision)
    assert told.precision[alone] == pytest.approx(0.0, abs=1e-9)
    assert told.score[alone] == pytest.approx(0.0, abs=1e-9)


def test_weights_of_members_count_squared(rng):
    blocks, y = crossed(rng)
    half = blocks[0] * 0.5
    whole, halved = (information([b], y).effects[0].precision for b in (blocks[0], half))
    np.testing.assert_allclose(halved, whole / 4)


def test_steps_that_lead_nowhere_are_given_up(rng):
    blocks, y = crossed(rng)
    nowhere = lambda eta, _: (np.full(len(y), np.nan), np.ones(len(y)))  # noqa: E731
    assert information(blocks, y, likelihood=nowhere) is None


def test_log_link_does_not_run_away(rng):
    """A first step of scoring from far below overshoots: mean 100, started at 1."""
    rows = 300
    code = rng.integers(0, 10, rows)
    block = csr_array((np.ones(rows), (np.arange(rows), code)), shape=(rows, 10))
    u = rng.normal(0.0, 0.3, 10)
    y = rng.poisson(np.exp(4.6 + u[code]))
    poisson = lambda eta, _: (y - np.exp(eta), np.exp(eta))  # noqa: E731
    told = information([block], y, likelihood=poisson, spread=1.5)
    (said,) = told.effects
    mode = (said.score - said.cross[:, 0] * 4.6) / said.precision
    assert np.corrcoef(mode, u)[0, 1] > 0.9
    assert told.coefficients.mode[0] == pytest.approx(4.6, abs=0.4)
