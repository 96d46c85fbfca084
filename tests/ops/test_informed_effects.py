"""Laws of informed coordinates: the normal posterior, one definition on all backends."""

import importlib.util

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.gradient import verify_grad

from pymc_mlm.ops import register_jax
from pymc_mlm.ops.informed_effects import (
    effects_given_data,
    informed_coordinates,
    informed_effects,
    symmetric,
)

needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is missing")


def draw(rng, p, units=4):
    root = rng.normal(size=(units, p, p))
    rows, columns = np.tril_indices(p)
    precision = (root @ root.mT)[:, rows, columns]
    L = np.tril(rng.normal(size=(p, p))) * (1 - np.eye(p)) + np.diag(rng.uniform(0.5, 2, p))
    return L, rng.normal(size=(units, p)), precision, rng.normal(size=(units, p))


@pytest.mark.parametrize("p", [1, 2, 3])
def test_standard_normals_become_the_posterior_of_a_normal_unit(p, rng):
    L, score, precision, z = draw(rng, p)
    J = symmetric(precision, p)
    covariance = np.linalg.inv(np.linalg.inv(L @ L.T) + J)
    at_zero = effects_given_data(L, score, precision, np.zeros_like(z))[0]
    np.testing.assert_allclose(at_zero, np.einsum("gij,gj->gi", covariance, score), rtol=1e-9)
    basis = [effects_given_data(L, score, precision, np.ones_like(z) * e)[0] for e in np.eye(p)]
    M = np.stack([b - at_zero for b in basis], axis=2)
    np.testing.assert_allclose(M @ M.mT, covariance, rtol=1e-9, atol=1e-12)
    log_determinant = effects_given_data(L, score, precision, z)[1]
    assert log_determinant == pytest.approx(np.linalg.slogdet(M)[1].sum())


def test_without_data_they_are_noncentered(rng):
    L, score, precision, z = draw(rng, 3)
    effects = effects_given_data(L, 0 * score, 0 * precision, z)[0]
    np.testing.assert_allclose(effects, z @ L.T, rtol=1e-14)


def with_gradient(inputs, weight, mode):
    variables = [pt.matrix() for _ in inputs]
    effects, log_determinant = informed_effects(*variables)
    total = (weight * effects).sum() + 0.7 * log_determinant
    wrt = [variables[0], variables[1], variables[3]]
    outputs = [effects, log_determinant, *pytensor.grad(total, wrt)]
    return pytensor.function(variables, outputs, mode=mode)(*inputs)


@pytest.mark.parametrize("mode", ["NUMBA", pytest.param("JAX", marks=needs_jax)])
@pytest.mark.parametrize("p", [1, 3])
def test_every_backend_gives_the_definition_and_its_gradient(p, mode, rng):
    if mode == "JAX":
        register_jax()
    inputs = draw(rng, p)
    weight = rng.normal(size=inputs[3].shape)
    expected = with_gradient(inputs, weight, "FAST_COMPILE")
    for value, definition in zip(with_gradient(inputs, weight, mode), expected, strict=True):
        np.testing.assert_allclose(value, definition, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("p", [1, 3])
def test_the_gradient_is_the_derivative(p, rng):
    L, score, precision, z = draw(rng, p)
    below = np.tril(np.ones((p, p)))

    def both(L, score, z):
        effects, log_determinant = informed_effects(L * below, score, precision, z)
        return pt.concatenate([effects.ravel(), log_determinant[None]])

    verify_grad(both, [L, score, z], rng=rng, mode="FAST_COMPILE")


def test_coordinates_are_the_inverse(rng):
    L, score, precision, z = draw(rng, 3)
    effects, _ = informed_effects(L, score, precision, z)
    back = informed_coordinates(L, score, precision, effects)
    np.testing.assert_allclose(back.eval(mode="FAST_COMPILE"), z, rtol=1e-9)
