"""The informed map of independent effects: its plain definition, gradient and backends."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.gradient import verify_grad
from pytensor.graph.replace import vectorize_graph

from pymc_mlm.ops import register_jax
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.ops.informed_normal import (
    InformedNormal,
    informed_coordinates,
    informed_normal,
    reference_informed_normal,
)

SCORE = np.array([0.0, 2.0, -5.0, 1e3])
PRECISION = np.array([0.0, 1.5, 40.0, 1e6])
Z = np.array([0.3, -1.2, 2.0, 0.1])
NONE = np.zeros((0, 0))
BASES = {"units": NONE, "turned": np.linalg.qr(np.arange(16.0).reshape(4, 4) % 7 + np.eye(4))[0]}


@pytest.mark.parametrize("basis", BASES.values(), ids=BASES.keys())
@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
@pytest.mark.parametrize("sd", [1e-6, 0.4, 50.0])
def test_equals_the_plain_graph(sd, mode, basis):
    ours = informed_normal(sd, SCORE, PRECISION, Z, basis)
    plain = reference_informed_normal(sd, SCORE, PRECISION, Z, basis)
    for one, other in zip(ours, plain, strict=True):
        np.testing.assert_allclose(one.eval(mode=mode), other.eval(mode="FAST_COMPILE"), rtol=1e-9)


@pytest.mark.parametrize("basis", BASES.values(), ids=BASES.keys())
@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
@pytest.mark.parametrize("output", [0, 1])
def test_gradient_equals_finite_differences(rng, mode, output, basis):
    precision = PRECISION / np.array([1.0, 1.0, 1.0, 1e4])
    verify_grad(
        lambda sd, s, z: informed_normal(sd, s, precision, z, basis)[output],
        [np.asarray(0.8), SCORE / np.array([1.0, 1.0, 1.0, 1e2]), Z],
        rng=rng,
        mode=mode,
    )


@pytest.mark.parametrize("basis", BASES.values(), ids=BASES.keys())
def test_coordinates_are_those_that_give_the_effects(basis):
    effects, _ = informed_normal(0.4, SCORE, PRECISION, Z, basis)
    back = informed_coordinates(0.4, SCORE, PRECISION, effects, basis)
    np.testing.assert_allclose(back.eval(mode="FAST_COMPILE"), Z, rtol=1e-8)


def of_many_draws(basis, draws=3):
    """A function of several draws of sd, score and z, and those draws."""
    one = [pt.scalar("sd"), pt.vector("score"), pt.vector("z")]
    many = [pt.vector("sd"), pt.matrix("score"), pt.matrix("z")]
    outputs = informed_normal(one[0], one[1], PRECISION, one[2], pytensor.shared(basis))
    graph = vectorize_graph(list(outputs), dict(zip(one, many, strict=True)))
    factors = np.linspace(0.5, 2.0, draws)
    points = [0.4 * factors, np.outer(factors, SCORE), np.outer(factors, Z)]
    return pytensor.function(many, graph, mode=uncompiled()), points


@pytest.mark.parametrize("basis", BASES.values(), ids=BASES.keys())
def test_many_draws_are_computed_in_one_call(basis, monkeypatch):
    function, points = of_many_draws(basis)
    one_by_one = [
        [x.eval(mode="FAST_COMPILE") for x in informed_normal(sd, score, PRECISION, z, basis)]
        for sd, score, z in zip(*points, strict=True)
    ]
    monkeypatch.setattr(InformedNormal, "perform", None)
    for found, expected in zip(function(*points), zip(*one_by_one, strict=True), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_many_draws_of_a_wrong_length_are_refused():
    function, (sd, score, z) = of_many_draws(NONE)
    with pytest.raises(ValueError, match="z has the length 3"):
        function(sd, score, z[:, :3])


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
def test_product_of_many_factors_does_not_overflow(mode):
    n = 5_000
    precision = np.full(n, 1e30)
    value = informed_normal(1.0, np.zeros(n), precision, np.zeros(n))[1].eval(mode=mode)
    assert float(value) == pytest.approx(-0.5 * n * np.log(1e30), rel=1e-12)


@pytest.mark.parametrize("basis", BASES.values(), ids=BASES.keys())
def test_jax_equals_numpy(basis):
    pytest.importorskip("jax")
    register_jax()
    sd, score, z = pt.dscalar(), pt.dvector(), pt.dvector()
    u, log_determinant = informed_normal(sd, score, PRECISION, z, basis)
    total = pt.sum(pt.sin(u)) + log_determinant
    outputs = [total, *pt.grad(total, [sd, score, z])]
    results = [
        pytensor.function([sd, score, z], outputs, mode=mode)(np.asarray(0.4), SCORE, Z)
        for mode in ("JAX", "FAST_COMPILE")
    ]
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
