"""Laws of the linear recursion: its definition, its gradient, all backends."""

import importlib.util

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.gradient import verify_grad

from pymc_mlm.distributions.chain_normal import ChainNormal
from pymc_mlm.ops import register_jax
from pymc_mlm.ops.chain import chain, reference_chain

needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is missing")
FAST = "FAST_COMPILE"
BACKENDS = ["NUMBA", pytest.param("JAX", marks=needs_jax)]


def several(rng):
    """Three chains, one of a single place."""
    phi = rng.uniform(0.2, 1.1, 8)
    phi[[0, 3, 4]] = 0.0
    return phi, rng.normal(size=8)


def with_gradient(f, inputs, mode):
    variables = [pt.vector() for _ in inputs]
    out = f(*variables)
    gradient = pytensor.grad((out * np.arange(8.0)).sum(), variables)
    return pytensor.function(variables, [out, *gradient], mode=mode)(*inputs)


def test_it_is_the_product_with_the_inverse_of_a_dense_matrix(rng):
    inputs = several(rng)
    found, plain = (with_gradient(f, inputs, FAST) for f in (chain, reference_chain))
    for a, b in zip(found, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_the_gradient_is_the_derivative(rng):
    verify_grad(chain, list(several(rng)), rng=rng, mode=FAST)


@pytest.mark.parametrize("mode", BACKENDS)
def test_every_backend_gives_the_definition_and_its_gradient(mode, rng):
    if mode == "JAX":
        register_jax()
    inputs = several(rng)
    expected = with_gradient(chain, inputs, FAST)
    for value, definition in zip(with_gradient(chain, inputs, mode), expected, strict=True):
        np.testing.assert_allclose(value, definition, rtol=1e-12, atol=1e-14)


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="phi"):
        chain(np.zeros(2), np.zeros(3)).eval(mode=FAST)
    with pytest.raises(TypeError, match="needs vectors"):
        chain(np.zeros((2, 2)), np.zeros(2))


@pytest.mark.parametrize("mode", [FAST, "NUMBA"])
def test_draws_have_the_covariance_of_the_recursion(mode, rng):
    phi, sd = several(rng)[0], np.linspace(0.5, 2.0, 8)
    drawn = pm.draw(ChainNormal.dist(phi, sd), 20_000, random_seed=1, mode=mode)
    root = np.linalg.inv(np.eye(8) - np.diag(phi[1:], -1)) * sd
    expected = root @ root.T
    error = 5 * np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / 20_000)
    assert (np.abs(np.cov(drawn.T) - expected) < error).all()
