"""Laws of the backward recursions, and coordinates in which effects along time are normal."""

import importlib.util

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.gradient import verify_grad

from pymc_mlm.distributions.chain_normal import ChainNormal
from pymc_mlm.distributions.informed_chain import InformedChain, informed_steps
from pymc_mlm.ops import register_jax
from pymc_mlm.ops.chain import chain_back
from pymc_mlm.ops.chain_information import chain_information

needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is missing")
FAST = "FAST_COMPILE"
BACKENDS = ["NUMBA", pytest.param("JAX", marks=needs_jax)]


def inputs_of(rng):
    """Three chains, one of a single place."""
    phi = rng.uniform(0.2, 1.1, 8)
    phi[[0, 3, 4]] = 0.0
    return phi, rng.uniform(0.3, 2.0, 8), rng.uniform(0.0, 3.0, 8), rng.normal(size=8)


def dense(phi, sd, precision):
    """Return the precision of all values given the data, and the map from steps to values."""
    n = len(phi)
    L = np.eye(n) - np.diag(phi[1:], -1)
    return L.T @ np.diag(sd**-2.0) @ L + np.diag(precision), np.linalg.inv(L)


def evaluated(f, inputs, mode):
    variables = [pt.vector() for _ in inputs]
    out = f(*variables)
    gradient = pytensor.grad((out * np.arange(8.0)).sum(), variables)
    return pytensor.function(variables, [out, *gradient], mode=mode)(*inputs)


@pytest.mark.parametrize("f", [chain_information, chain_back])
@pytest.mark.parametrize("mode", BACKENDS)
def test_every_backend_gives_the_definition_and_its_gradient(f, mode, rng):
    if mode == "JAX":
        register_jax()
    phi, sd, precision, shocks = inputs_of(rng)
    own = (phi, sd, precision) if f is chain_information else (phi, shocks)
    verify_grad(f, list(own), rng=rng, mode=FAST)
    for value, wanted in zip(evaluated(f, own, mode), evaluated(f, own, FAST), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-12, atol=1e-14)


def test_without_data_there_is_no_information():
    zeros = np.zeros(3)
    assert chain_information([0, 1, 1], np.ones(3), zeros).eval(mode=FAST).tolist() == [0, 0, 0]


def test_coordinates_are_standard_normal_given_the_data(rng):
    phi, sd, J, score = inputs_of(rng)
    A, _ = dense(phi, sd, J)
    backward = informed_steps.backward
    inputs = [pt.as_tensor(x) for x in (phi, sd, score, J)]
    z = pt.vector()
    u = pytensor.function([z], backward(z, *inputs), mode=FAST)
    np.testing.assert_allclose(u(np.zeros(8)), np.linalg.solve(A, score), rtol=1e-10)
    root = np.column_stack([u(e) - u(np.zeros(8)) for e in np.eye(8)])
    np.testing.assert_allclose(root @ root.T, np.linalg.inv(A), rtol=1e-10, atol=1e-12)
    logdet = informed_steps.log_jac_det(z, *inputs).eval(mode=FAST)
    assert logdet == pytest.approx(np.linalg.slogdet(root)[1])
    some = rng.normal(size=8)
    again = informed_steps.forward(pt.as_tensor(u(some)), *inputs).eval(mode=FAST)
    np.testing.assert_allclose(again, some, rtol=1e-9)


def test_the_density_and_draws_are_those_of_the_chain(rng):
    phi, sd, J, score = inputs_of(rng)
    value = rng.normal(size=8)
    one, other = InformedChain.dist(phi, sd, score, J), ChainNormal.dist(phi, sd)
    assert pm.logp(one, value).eval() == pytest.approx(pm.logp(other, value).eval())
    drawn = pm.draw(one, draws=4000, random_seed=1)
    _, L = dense(phi, sd, J)
    wanted = L @ np.diag(sd**2) @ L.T
    np.testing.assert_allclose(np.cov(drawn.T), wanted, atol=0.12 * wanted.max())


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="phi"):
        chain_information(np.zeros(2), np.zeros(3), np.zeros(3)).eval(mode=FAST)
    with pytest.raises(TypeError, match="needs vectors"):
        chain_back(np.zeros((2, 2)), np.zeros(2))
    with pytest.raises(TypeError, match="needs vectors"):
        chain_information(np.zeros((2, 2)), np.zeros(2), np.zeros(2))
