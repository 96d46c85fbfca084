"""Informed coordinates: the model stays, and given the data they are standard normal."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

from pymc_mlm.distributions.informed import InformedNormal, informed

SCORE = np.array([0.0, 2.0, -5.0])
PRECISION = np.array([0.0, 1.5, 40.0])


BASES = {"units": np.zeros((0, 0)), "turned": np.linalg.qr(np.arange(9.0).reshape(3, 3) % 5 + 1)[0]}


def inputs(sd, score=SCORE, precision=PRECISION, basis=BASES["units"]):
    return [pt.constant(x) for x in (sd, score, precision, basis)]


@pytest.mark.parametrize("basis", BASES.values(), ids=BASES.keys())
@pytest.mark.parametrize("sd", [1e-8, 0.3, 4.0, 1e3])
def test_there_and_back_and_the_jacobian(sd, basis):
    z = pt.dvector("z")
    given = inputs(sd, basis=basis)
    u = informed.backward(z, *given)
    back = informed.forward(u, *given)
    slope = pt.abs(pt.linalg.det(pt.jacobian(u, z)))
    log_slope = informed.log_jac_det(z, *given)
    assert log_slope.ndim == 0  # of all effects together
    at = {z: np.array([0.3, -1.2, 2.0])}
    values = [out.eval(at, mode="FAST_COMPILE") for out in (back, pt.log(slope), log_slope)]
    np.testing.assert_allclose(values[0], at[z], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(values[1], values[2], rtol=1e-10)


def test_coordinates_given_normal_data_are_standard_normal_whatever_the_sd():
    """With J = n / sigma^2 and s = sum of y / sigma^2 the posterior of z is exactly N(0, 1)."""
    y = np.array([[0.5, 1.5, 1.0], [-3.0, -2.0, -2.5]])
    sigma = 0.7
    says = y.sum(axis=1) / sigma**2, np.full(2, 3 / sigma**2)
    for sd in (0.1, 1.0, 30.0):
        with pm.Model() as model:
            u = InformedNormal("u", sd, *says, transform=informed)
            pm.Normal("y", u[:, None], sigma, observed=y)
        logp = model.compile_logp(mode="FAST_COMPILE")
        points = [np.zeros(2), np.array([1.0, 0.0]), np.array([0.5, -2.0])]
        values = [float(logp({"u_informed__": z})) for z in points]
        quadratic = [-0.5 * z @ z for z in points]
        np.testing.assert_allclose(np.diff(values), np.diff(quadratic), rtol=1e-8)


def test_coordinates_of_units_that_share_rows_are_standard_normal_in_their_basis(rng):
    """J is no diagonal: in the basis of its eigenvectors the posterior of z is exactly N(0, I)."""
    X, sigma = rng.normal(size=(9, 3)), 0.7
    y = X @ [1.0, -2.0, 0.5] + sigma * rng.normal(size=9)
    values, Q = np.linalg.eigh(X.T @ X / sigma**2)
    for sd in (0.1, 1.0, 30.0):
        with pm.Model() as model:
            u = InformedNormal("u", sd, Q.T @ X.T @ y / sigma**2, values, Q, transform=informed)
            pm.Normal("y", pt.dot(X, u), sigma, observed=y)
        logp = model.compile_logp(mode="FAST_COMPILE")
        points = [np.zeros(3), np.array([1.0, 0.0, 2.0]), np.array([0.5, -2.0, 0.1])]
        at = [float(logp({"u_informed__": z})) for z in points]
        np.testing.assert_allclose(np.diff(at), np.diff([-0.5 * z @ z for z in points]), rtol=1e-7)
        np.testing.assert_allclose(model.initial_point()["u_informed__"], 0.0, atol=1e-9)


def test_without_information_they_are_noncentered():
    u = informed.backward(pt.constant([1.0, -2.0]), *inputs(3.0, np.zeros(2), np.zeros(2)))
    np.testing.assert_allclose(u.eval(mode="FAST_COMPILE"), [3.0, -6.0])


def test_the_prior_is_normal_whatever_the_data_say():
    value = np.array([0.4, -2.0, 7.0])
    ours = pm.logp(InformedNormal.dist(1.7, SCORE, PRECISION), value).eval(mode="FAST_COMPILE")
    theirs = pm.logp(pm.Normal.dist(0.0, 1.7, shape=3), value).eval(mode="FAST_COMPILE")
    np.testing.assert_allclose(ours, theirs.sum(), rtol=1e-12)


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
def test_draws_are_those_of_the_prior(mode):
    variable = InformedNormal.dist(1.7, SCORE, PRECISION, size=4_000)
    draws = pm.draw(variable, random_seed=3, mode=mode)
    assert draws.shape == (4_000, 3)
    np.testing.assert_allclose(draws.mean(axis=0), 0.0, atol=0.1)
    np.testing.assert_allclose(draws.std(axis=0), 1.7, rtol=0.05)
