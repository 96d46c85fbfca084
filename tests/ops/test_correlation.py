"""Laws of the partial correlation parameterisation: a correlation matrix, and exactly LKJ."""

import importlib.util

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.gradient import verify_grad
from scipy import stats

from pymc_mlm.errors import SpecificationError
from pymc_mlm.ops import register_jax
from pymc_mlm.ops.correlation import (
    cholesky_from_partials,
    lkj_partial_alphas,
    partials_to_cholesky,
    pull_cholesky,
)

DIMENSIONS = [1, 2, 3, 4]
needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is missing")


def draw_partials(rng, n, size=()):
    return rng.uniform(-0.9, 0.9, (*size, n * (n - 1) // 2))


def evaluate_with_gradient(partial, n, weight, mode):
    z = pt.vector("z")
    L = cholesky_from_partials(z, n)
    gradient = pytensor.grad((weight * L).sum(), z)
    return pytensor.function([z], [L, gradient], mode=mode)(partial)


@pytest.mark.parametrize("n", DIMENSIONS)
def test_the_factor_is_that_of_a_correlation_matrix(n, rng):
    L = partials_to_cholesky(draw_partials(rng, n, (20,)), n)
    R = L @ L.mT
    np.testing.assert_allclose(np.diagonal(R, axis1=1, axis2=2), 1.0, rtol=1e-14)
    np.testing.assert_allclose(np.linalg.cholesky(R), L, rtol=1e-10, atol=1e-12)


def test_a_partial_correlation_is_a_correlation_given_the_earlier_variables(rng):
    L = partials_to_cholesky(draw_partials(rng, 3), 3)
    R = L @ L.T
    given = (R[2, 1] - R[2, 0] * R[1, 0]) / np.sqrt((1 - R[2, 0] ** 2) * (1 - R[1, 0] ** 2))
    partial = draw_partials(np.random.default_rng(20260401), 3)
    np.testing.assert_allclose(given, partial[2], rtol=1e-12)


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
def test_every_backend_gives_the_definition_and_its_gradient(mode, rng):
    partial, weight = draw_partials(rng, 3), rng.normal(size=(3, 3))
    L, gradient = evaluate_with_gradient(partial, 3, weight, mode)
    np.testing.assert_allclose(L, partials_to_cholesky(partial, 3), rtol=1e-14)
    np.testing.assert_allclose(gradient, pull_cholesky(partial, 3, weight), rtol=1e-13)


@needs_jax
def test_jax_gives_the_definition_and_its_gradient(rng):
    register_jax()
    partial, weight = draw_partials(rng, 3), rng.normal(size=(3, 3))
    L, gradient = evaluate_with_gradient(partial, 3, weight, "JAX")
    np.testing.assert_allclose(L, partials_to_cholesky(partial, 3), rtol=1e-12)
    np.testing.assert_allclose(gradient, pull_cholesky(partial, 3, weight), rtol=1e-12)


@pytest.mark.parametrize("n", [2, 4])
@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
def test_the_gradient_is_that_of_finite_differences(n, mode, rng):
    verify_grad(lambda z: cholesky_from_partials(z, n), [draw_partials(rng, n)], rng=rng, mode=mode)


def test_the_plain_graph_is_the_same_function(rng):
    partial = draw_partials(rng, 4)
    graph = partials_to_cholesky(pt.as_tensor(partial), 4, pt)
    np.testing.assert_allclose(
        graph.eval(mode="FAST_COMPILE"), partials_to_cholesky(partial, 4), rtol=1e-14
    )


def test_a_correlation_of_one_is_finite():
    np.testing.assert_array_equal(partials_to_cholesky(np.array([1.0]), 2), [[1, 0], [1, 0]])
    no_weight_on_the_determinant = np.array([[0.0, 0.0], [2.0, 0.0]])
    np.testing.assert_array_equal(
        pull_cholesky(np.array([1.0]), 2, no_weight_on_the_determinant), [2.0]
    )


@pytest.mark.parametrize("eta", [1.0, 2.5])
@pytest.mark.parametrize("n", [2, 3, 4])
def test_every_correlation_has_the_margin_of_lkj(n, eta, rng):
    a = lkj_partial_alphas(n, eta)
    L = partials_to_cholesky(2 * rng.beta(a, a, (4000, len(a))) - 1, n)
    R = L @ L.mT
    margin = stats.beta(eta - 1 + n / 2, eta - 1 + n / 2, loc=-1, scale=2)
    # Seeded, so the threshold only has to lie below the smallest p-value by chance alone.
    p_values = [stats.kstest(R[:, i, j], margin.cdf).pvalue for i in range(n) for j in range(i)]
    assert min(p_values) > 0.005


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_density_is_that_of_lkj(n, rng):
    eta, partial = 1.7, draw_partials(rng, n, (5,))
    a = lkj_partial_alphas(n, eta)
    ours = stats.beta(a, a, loc=-1, scale=2).logpdf(partial).sum(-1)
    L = partials_to_cholesky(partial, n)
    theirs = pm.logp(pm.LKJCorr.dist(n=n, eta=eta), L).eval(mode="FAST_COMPILE")
    # LKJCorr is a density of the entries below the diagonal of L, and L_ij = z_ij * left_ij.
    rows, columns = np.tril_indices(n, -1)
    log_jacobian = np.log(L[:, rows, columns] / partial).sum(-1)
    np.testing.assert_allclose(ours, theirs + log_jacobian, rtol=1e-10)


def test_a_vector_of_the_wrong_length_is_refused():
    with pytest.raises(SpecificationError, match=r"3 variables has 3 partial correlations"):
        cholesky_from_partials(np.zeros(2), 3)


@pytest.mark.parametrize(("n", "eta", "named"), [(0, 1.0, "n=0"), (2, 0.0, "eta=0.0")])
def test_an_impossible_prior_is_refused(n, eta, named):
    with pytest.raises(SpecificationError, match=named):
        lkj_partial_alphas(n, eta)
