"""Laws of the joint Bernoulli likelihood."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode
from pytensor.gradient import verify_grad
from scipy import stats

from pymc_mlm.data.cells import cells, logit_basis, response_patterns
from pymc_mlm.data.trial import collapse_rows
from pymc_mlm.ops import register_jax
from pymc_mlm.ops.multivariate_bernoulli import (
    multivariate_bernoulli_loglik,
    multivariate_bernoulli_logp,
    reference_multivariate_bernoulli_logp,
)

# Rounding of a log of a sum of 2^K exponentials, relative.
RTOL = 1e-12


# Runs `perform` as it stands: nothing is compiled.
PERFORM = Mode(linker="py", optimizer=None)


def simulate(rng, rows, num_outcomes, missing=0.0):
    outcomes = rng.integers(0, 2, size=(rows, num_outcomes)).astype(float)
    outcomes[rng.random(outcomes.shape) < missing] = np.nan
    return rng.normal(size=(rows, 2**num_outcomes - 1)), *response_patterns(outcomes)


def logp_of(*inputs):
    return multivariate_bernoulli_logp(*inputs).eval(mode=PERFORM)


def probabilities(logits):
    weight = np.exp(np.column_stack([logits, np.zeros(len(logits))]))
    return weight / weight.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("num_outcomes", [1, 2, 3, 6])
def test_full_rows_are_multinomial(rng, num_outcomes):
    logits, pattern, compatible = simulate(rng, 50, num_outcomes)
    one_hot = compatible[pattern].astype(int)
    expected = stats.multinomial.logpmf(one_hot, 1, probabilities(logits))
    # scipy's own log of a rounded probability limits the agreement.
    np.testing.assert_allclose(logp_of(logits, pattern, compatible), expected, rtol=1e-9)


def test_one_outcome_is_a_bernoulli_logit(rng):
    logits, pattern, compatible = simulate(rng, 50, 1)
    seen = compatible[pattern][:, 0]
    expected = -np.logaddexp(0.0, np.where(seen, -logits[:, 0], logits[:, 0]))
    np.testing.assert_allclose(logp_of(logits, pattern, compatible), expected, rtol=RTOL)


def test_independent_logits_factorise(rng):
    log_odds = rng.normal(size=(20, 3))
    outcomes = rng.integers(0, 2, size=(20, 3))
    pattern, compatible = response_patterns(outcomes)
    expected = -np.logaddexp(0.0, np.where(outcomes == 1, -log_odds, log_odds)).sum(axis=1)
    logits = log_odds @ logit_basis(3, "independent").T
    np.testing.assert_allclose(logp_of(logits, pattern, compatible), expected, rtol=RTOL)


def test_pairwise_reaches_every_saturated_likelihood_of_two_outcomes(rng):
    logits, pattern, compatible = simulate(rng, 20, 2)
    basis = logit_basis(2, "pairwise")
    predictors = np.linalg.solve(basis, logits.T).T
    np.testing.assert_allclose(
        logp_of(predictors @ basis.T, pattern, compatible),
        logp_of(logits, pattern, compatible),
        rtol=1e-10,  # a linear solve in between
    )


def test_a_partial_row_sums_the_cells_it_allows(rng):
    logits, pattern, compatible = simulate(rng, 200, 3, missing=0.4)
    expected = np.log((probabilities(logits) * compatible[pattern]).sum(axis=1))
    np.testing.assert_allclose(
        logp_of(logits, pattern, compatible), expected, rtol=1e-9, atol=1e-14
    )


def test_a_row_without_any_outcome_says_nothing(rng):
    pattern, compatible = response_patterns([[np.nan, np.nan]])
    logits = rng.normal(size=(1, 3))
    np.testing.assert_allclose(logp_of(logits, pattern, compatible), 0.0, atol=1e-15)


def test_collapsed_rows_have_the_likelihood_of_all_rows(rng):
    x = rng.integers(0, 3, size=400)
    outcomes = rng.integers(0, 2, size=(400, 2)).astype(float)
    outcomes[rng.random(outcomes.shape) < 0.2] = np.nan
    pattern, compatible = response_patterns(outcomes)
    rows = collapse_rows(x, pattern)
    coef = rng.normal(size=(2, 3))
    logits = coef[0] + x[:, None] * coef[1]
    collapsed = multivariate_bernoulli_loglik(
        logits[rows.first], pattern[rows.first], compatible, rows.count
    ).eval(mode=PERFORM)
    assert len(rows.count) < 30
    np.testing.assert_allclose(collapsed, logp_of(logits, pattern, compatible).sum(), rtol=RTOL)


def everything(num_rows, num_outcomes, pattern, compatible, weight):
    """Value and gradient, by rows and as weighted sum, of the Op and of its reference."""
    logits = pt.matrix("logits", shape=(num_rows, 2**num_outcomes - 1))
    rows = multivariate_bernoulli_logp(logits, pattern, compatible)
    loglik = multivariate_bernoulli_loglik(logits, pattern, compatible, weight)
    plain = reference_multivariate_bernoulli_logp(logits, pattern, compatible)
    fused = [rows, loglik, pytensor.grad((rows**2).sum(), logits), pytensor.grad(loglik, logits)]
    plain_loglik = (weight * plain).sum()
    reference = [
        plain,
        plain_loglik,
        pytensor.grad((plain**2).sum(), logits),
        pytensor.grad(plain_loglik, logits),
    ]
    return logits, fused, reference


@pytest.mark.parametrize("mode", [PERFORM, "NUMBA"])
def test_op_equals_reference_also_at_extreme_logits(rng, mode):
    values, pattern, compatible = simulate(rng, 30, 2, missing=0.3)
    values[0], values[1], values[2] = 800.0, -800.0, [800.0, -800.0, 0.0]
    logits, fused, reference = everything(30, 2, pattern, compatible, rng.integers(1, 9, size=30))
    got = pytensor.function([logits], fused, mode=mode)(values)
    expected = pytensor.function([logits], reference, mode=PERFORM)(values)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
def test_gradients_agree_with_differences(rng, mode):
    logits, pattern, compatible = simulate(rng, 6, 2, missing=0.3)
    weight = rng.integers(1, 5, size=6).astype(float)
    verify_grad(
        lambda x: multivariate_bernoulli_loglik(x, pattern, compatible, weight),
        [logits],
        rng=rng,
        mode=mode,
    )
    verify_grad(
        lambda x: multivariate_bernoulli_logp(x, pattern, compatible), [logits], rng=rng, mode=mode
    )


def test_value_and_gradient_share_one_node(rng):
    _, pattern, compatible = simulate(rng, 6, 2)
    logits = pt.matrix("logits")
    loglik = multivariate_bernoulli_loglik(logits, pattern, compatible, np.ones(6))
    f = pytensor.function([logits], [loglik, pytensor.grad(loglik, logits)], mode="NUMBA")
    assert len(f.maker.fgraph.apply_nodes) == 1


def test_jax_equals_perform(rng):
    pytest.importorskip("jax")
    register_jax()
    values, pattern, compatible = simulate(rng, 30, 3, missing=0.3)
    logits, fused, _ = everything(30, 3, pattern, compatible, rng.integers(1, 9, size=30))
    got = pytensor.function([logits], fused, mode="JAX")(values)
    expected = pytensor.function([logits], fused, mode=PERFORM)(values)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


def test_probabilities_of_all_cells_sum_to_one(rng):
    logits = np.tile(rng.normal(size=(1, 7)), (8, 1))
    pattern, compatible = response_patterns(cells(3))
    np.testing.assert_allclose(np.exp(logp_of(logits, pattern, compatible)).sum(), 1.0, rtol=RTOL)


def test_second_derivatives_point_to_the_reference(rng):
    _, pattern, compatible = simulate(rng, 4, 2)
    logits = pt.matrix("logits")
    loglik = multivariate_bernoulli_loglik(logits, pattern, compatible, np.ones(4))
    gradient = pytensor.grad(loglik, logits)
    with pytest.raises(NotImplementedError, match="reference_multivariate_bernoulli_logp"):
        pytensor.grad(gradient.sum(), logits)


def test_wrong_ranks_are_refused():
    with pytest.raises(TypeError, match="matrices logits"):
        multivariate_bernoulli_logp(np.zeros(3), [0], np.eye(4))
