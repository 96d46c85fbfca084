"""Laws of the density of correlated normal rows: SciPy's, with its gradient, on all backends."""

import importlib.util

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.gradient import verify_grad
from scipy import stats

from pymc_mlm.ops import register_jax
from pymc_mlm.ops.correlated_normal import (
    correlated_normal_logp,
    density_and_gradient,
    reference_correlated_normal_logp,
)

needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is missing")
FAST = "FAST_COMPILE"


def draw(rng, p, units=4):
    L = np.tril(rng.normal(size=(p, p)), -1) + np.diag(rng.uniform(0.5, 2.0, p))
    return L, rng.normal(size=(units, p))


def with_gradient(f, inputs, mode):
    variables = [pt.matrix() for _ in inputs]
    value = f(*variables)
    outputs = [value, *pytensor.grad(0.7 * value, variables)]
    return pytensor.function(variables, outputs, mode=mode)(*inputs)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_it_is_the_multivariate_normal_density(p, rng):
    L, effects = draw(rng, p)
    expected = stats.multivariate_normal(np.zeros(p), L @ L.T).logpdf(effects).sum()
    assert density_and_gradient(L, effects)[0] == pytest.approx(expected, rel=1e-12)


def test_the_op_is_the_plain_graph_on_lower_triangles(rng):
    inputs = draw(rng, 3)
    value, by_L, by_effects = with_gradient(correlated_normal_logp, inputs, FAST)
    plain = with_gradient(reference_correlated_normal_logp, inputs, FAST)
    assert value == pytest.approx(plain[0], rel=1e-12)
    np.testing.assert_allclose(by_L, np.tril(plain[1]), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(by_effects, plain[2], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("p", [1, 3])
def test_the_gradient_is_the_derivative(p, rng):
    below = np.tril(np.ones((p, p)))
    verify_grad(
        lambda L, effects: correlated_normal_logp(L * below, effects), list(draw(rng, p)),
        rng=rng, mode=FAST,
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["NUMBA", pytest.param("JAX", marks=needs_jax)])
@pytest.mark.parametrize("p", [1, 3])
def test_every_backend_gives_the_definition_and_its_gradient(p, mode, rng):
    if mode == "JAX":
        register_jax()
    inputs = draw(rng, p)
    expected = with_gradient(correlated_normal_logp, inputs, FAST)
    got = with_gradient(correlated_normal_logp, inputs, mode)
    for value, definition in zip(got, expected, strict=True):
        np.testing.assert_allclose(value, definition, rtol=1e-10, atol=1e-12)


def test_second_derivatives_point_to_the_plain_graph(rng):
    L, effects = (pt.matrix() for _ in range(2))
    by_effects = pytensor.grad(correlated_normal_logp(L, effects), effects)
    with pytest.raises(NotImplementedError, match="reference_correlated_normal_logp"):
        pytensor.grad(by_effects.sum(), L)


def test_vectors_are_refused():
    with pytest.raises(TypeError, match="needs matrices"):
        correlated_normal_logp(np.ones((1, 1)), np.ones(1))
