"""What the data say about crossed effects, before sampling: against exact normal answers."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from pymc_mlm.data.crossed_information import crossed_information

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


def test_normal_rows_give_their_exact_precision_and_a_joint_mode(rng):
    blocks, y = crossed(rng)
    X = np.ones((len(y), 1))
    found = crossed_information(blocks, X, np.zeros(len(y)), gaussian(y), spread=1.5)
    B = np.column_stack([X, *(b.toarray() for b in blocks)])
    # The sds that the last step used are those that make score and precision the joint mode.
    modes = []
    for block, said in zip(blocks, found, strict=True):
        np.testing.assert_allclose(said.precision, block.toarray().sum(axis=0) / SIGMA**2)
        modes.append(said.score / (said.precision + 1.0))  # near: any sd about 1 will do
    residual = y - B[:, 0] * np.mean(y) - sum(b @ m for b, m in zip(blocks, modes, strict=True))
    assert np.var(residual) < 1.3 * SIGMA**2


def test_unit_without_rows_has_no_information(rng):
    blocks, y = crossed(rng)
    wider = csr_array((blocks[0].data, blocks[0].nonzero()), shape=(len(y), 13))
    X = np.ones((len(y), 1))
    found = crossed_information([wider], X, np.zeros(len(y)), gaussian(y), spread=1.0)
    assert found[0].precision[-1] == 0.0
    assert found[0].score[-1] == pytest.approx(0.0, abs=1e-9)


def test_weights_of_members_count_squared(rng):
    blocks, y = crossed(rng)
    half = blocks[0] * 0.5
    X = np.ones((len(y), 1))
    whole, halved = (
        crossed_information([b], X, np.zeros(len(y)), gaussian(y), spread=1.0)[0].precision
        for b in (blocks[0], half)
    )
    np.testing.assert_allclose(halved, whole / 4)


def test_steps_that_lead_nowhere_are_given_up(rng):
    blocks, y = crossed(rng)
    X = np.ones((len(y), 1))
    nowhere = lambda eta, _: (np.full(len(y), np.nan), np.ones(len(y)))  # noqa: E731
    assert crossed_information(blocks, X, np.zeros(len(y)), nowhere, spread=1.0) is None


def test_log_link_does_not_run_away(rng):
    """A first step of scoring from far below overshoots: mean 100, started at 1."""
    rows = 300
    code = rng.integers(0, 10, rows)
    block = csr_array((np.ones(rows), (np.arange(rows), code)), shape=(rows, 10))
    u = rng.normal(0.0, 0.3, 10)
    y = rng.poisson(np.exp(4.6 + u[code]))
    poisson = lambda eta, _: (y - np.exp(eta), np.exp(eta))  # noqa: E731
    found = crossed_information([block], np.ones((rows, 1)), np.zeros(rows), poisson, spread=1.5)
    mode = found[0].score / found[0].precision
    assert np.corrcoef(mode, u)[0, 1] > 0.9
