"""Laws of the fused multinomial logit likelihood and of the small matrix product."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode
from pytensor.gradient import verify_grad
from scipy import stats

from pymc_mlm.data.cells import logit_basis, response_patterns
from pymc_mlm.ops import register_jax
from pymc_mlm.ops.linear_predictors import linear_predictors, reference_linear_predictors
from pymc_mlm.ops.multinomial_logit import (
    multinomial_logit_loglik,
    reference_multinomial_logit_loglik,
)

PERFORM = Mode(linker="py", optimizer=None)


def simulate(rng, num_outcomes=2, dependence="saturated", slopes=2, rows=40, missing=0.2):
    """Parameters and data of a small trial with clusters."""
    basis = logit_basis(num_outcomes, dependence)
    outcomes = rng.integers(0, 2, size=(rows, num_outcomes)).astype(float)
    outcomes[rng.random(outcomes.shape) < missing] = np.nan
    pattern, compatible = response_patterns(outcomes)
    predictors = basis.shape[1]
    beta = rng.normal(size=(predictors, 3))
    effect = rng.normal(size=(5, slopes * predictors))
    X, Z = rng.normal(size=(rows, 3)), rng.normal(size=(rows, slopes))
    cluster = rng.integers(0, 5, size=rows)
    weight = rng.integers(1, 5, size=rows).astype(float)
    return (beta, effect), (X, Z, cluster, basis, pattern, compatible, weight)


def value_and_gradients(function, parameters, data, mode):
    beta, effect = pt.matrix("beta"), pt.matrix("effect")
    value = function(beta, effect, *data)
    outputs = [value, *pytensor.grad(value, [beta, effect], disconnected_inputs="ignore")]
    return pytensor.function([beta, effect], outputs, mode=mode)(*parameters)


@pytest.mark.parametrize("mode", [PERFORM, "NUMBA"])
@pytest.mark.parametrize(
    ("num_outcomes", "dependence"),
    [(1, "saturated"), (2, "saturated"), (3, "pairwise"), (4, "independent")],
)
def test_op_equals_reference(rng, mode, num_outcomes, dependence):
    parameters, data = simulate(rng, num_outcomes, dependence)
    got = value_and_gradients(multinomial_logit_loglik, parameters, data, mode)
    expected = value_and_gradients(reference_multinomial_logit_loglik, parameters, data, PERFORM)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("num_cells", [8, 5])
def test_any_basis_maps_predictors_to_cells(rng, num_cells):
    """Also one that is no sum over outcomes and pairs, and of cells that are no power of two."""
    parameters, data = simulate(rng, 3, "pairwise", missing=0.0)
    X, Z, cluster, _, _, _, weight = data
    basis = rng.normal(size=(num_cells - 1, parameters[0].shape[0]))
    pattern = rng.integers(0, num_cells, size=len(X))
    data = (X, Z, cluster, basis, pattern, np.eye(num_cells, dtype=bool), weight)
    got = value_and_gradients(multinomial_logit_loglik, parameters, data, "NUMBA")
    expected = value_and_gradients(reference_multinomial_logit_loglik, parameters, data, PERFORM)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)


def test_one_outcome_is_logistic_regression(rng):
    (beta, _), (X, _, cluster, basis, pattern, compatible, weight) = simulate(
        rng, 1, slopes=0, missing=0.0
    )
    none = np.zeros((1, 0))
    got = multinomial_logit_loglik(
        beta, none, X, np.zeros((len(X), 0)), 0 * cluster, basis, pattern, compatible, weight
    ).eval(mode=PERFORM)
    success = 1 / (1 + np.exp(-X @ beta[0]))
    expected = (weight * stats.bernoulli.logpmf(1 - pattern, success)).sum()
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_gradients_agree_with_differences(rng):
    parameters, data = simulate(rng, 2, rows=6)
    verify_grad(
        lambda b, u: multinomial_logit_loglik(b, u, *data), list(parameters), rng=rng, mode="NUMBA"
    )


def test_extreme_logits_stay_finite(rng):
    (beta, effect), data = simulate(rng)
    got = value_and_gradients(multinomial_logit_loglik, (900 * beta, effect), data, "NUMBA")
    expected = value_and_gradients(
        reference_multinomial_logit_loglik, (900 * beta, effect), data, PERFORM
    )
    for a, b in zip(got, expected, strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_value_and_gradients_share_one_node(rng):
    _, data = simulate(rng)
    beta, effect = pt.matrix("beta"), pt.matrix("effect")
    value = multinomial_logit_loglik(beta, effect, *data)
    f = pytensor.function(
        [beta, effect], [value, *pytensor.grad(value, [beta, effect])], mode="NUMBA"
    )
    assert len(f.maker.fgraph.apply_nodes) == 1


def test_jax_equals_perform(rng):
    pytest.importorskip("jax")
    register_jax()
    parameters, data = simulate(rng, 3)
    got = value_and_gradients(multinomial_logit_loglik, parameters, data, "JAX")
    expected = value_and_gradients(multinomial_logit_loglik, parameters, data, PERFORM)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("mode", [PERFORM, "NUMBA"])
def test_product_of_rows_and_coefficients_equals_dot(rng, mode):
    X, B = rng.normal(size=(7, 3)), rng.normal(size=(4, 3))
    weight = rng.normal(size=(7, 4))
    x, b = pt.matrix("x"), pt.matrix("b")

    def outputs(function):
        value = function(x, b)
        return [value, *pytensor.grad((weight * value).sum(), [x, b])]

    got = pytensor.function([x, b], outputs(linear_predictors), mode=mode)(X, B)
    expected = pytensor.function([x, b], outputs(reference_linear_predictors), mode=PERFORM)(X, B)
    for a, c in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, c, rtol=1e-12, atol=1e-13)
