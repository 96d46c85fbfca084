"""Laws of what units and their rows get from totals by level: one definition on all backends."""

import importlib.util

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.gradient import verify_grad

from pymc_mlm.ops import register_jax
from pymc_mlm.ops.unit_predictor import reference_unit_predictor, unit_predictor
from pymc_mlm.ops.unit_score import reference_unit_score, unit_score
from pymc_mlm.ops.unit_totals import reference_unit_totals, unit_totals

needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is missing")
BACKENDS = ["NUMBA", pytest.param("JAX", marks=needs_jax)]
FAST = "FAST_COMPILE"

PARENTS, UNITS, ROWS, COLUMNS, COVARIATES = 3, 5, 8, 4, 2
PLACE = np.array([0, 3])
PARENT = np.array([2, 0, 0, 2, 2])
UNIT = np.array([0, 1, 1, 4, 4, 2, 3, 0])


def cases(rng, parents=PARENTS):
    """Return Op, reference, and a function of what has a gradient, with its values."""
    above = rng.normal(size=(parents, COLUMNS))
    own, beta = rng.normal(size=(UNITS, len(PLACE))), rng.normal(size=COVARIATES)
    score = rng.normal(size=(UNITS, len(PLACE)))
    cross = rng.normal(size=(UNITS, len(PLACE), COVARIATES))
    precision = rng.normal(size=(UNITS, len(PLACE), COLUMNS))
    Z, total = rng.normal(size=(ROWS, COLUMNS)), rng.normal(size=(UNITS, COLUMNS))
    parent = PARENT if parents else np.zeros(0, dtype=np.int64)
    return {
        "totals": (
            unit_totals, reference_unit_totals,
            lambda f: lambda above, own: f(above, own, parent, PLACE), [above, own],
        ),
        "score": (
            unit_score, reference_unit_score,
            lambda f: lambda beta, above: f(score, cross, precision, beta, above, parent),
            [beta, above],
        ),
        "predictor": (
            unit_predictor, reference_unit_predictor,
            lambda f: lambda total: f(Z, total, UNIT), [total],
        ),
    }  # fmt: skip


NAMES = ["totals", "score", "predictor"]


def with_gradient(f, values, mode):
    variables = [pt.TensorType("float64", shape=(None,) * v.ndim)() for v in values]
    out = f(*variables)
    total = pt.sum(pt.sin(out))
    return pytensor.function(variables, [out, *pytensor.grad(total, variables)], mode=mode)(*values)


@pytest.mark.parametrize("name", NAMES)
def test_the_op_is_the_plain_graph(name, rng):
    op, reference, bind, values = cases(rng)[name]
    expected = with_gradient(bind(reference), values, FAST)
    for got, plain in zip(with_gradient(bind(op), values, FAST), expected, strict=True):
        np.testing.assert_allclose(got, plain, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_the_derivative(name, rng):
    op, _, bind, values = cases(rng)[name]
    verify_grad(bind(op), values, rng=rng, mode=FAST)


@pytest.mark.parametrize("mode", BACKENDS)
@pytest.mark.parametrize("parents", [PARENTS, 0])
@pytest.mark.parametrize("name", NAMES)
def test_every_backend_gives_the_definition_and_its_gradient(name, parents, mode, rng):
    if mode == "JAX":
        register_jax()
    op, _, bind, values = cases(rng, parents)[name]
    expected = with_gradient(bind(op), values, FAST)
    for got, definition in zip(with_gradient(bind(op), values, mode), expected, strict=True):
        np.testing.assert_allclose(got, definition, rtol=1e-12, atol=1e-14)


def test_units_without_parents_total_their_own_deviations(rng):
    own = rng.normal(size=(UNITS, 2))
    none = np.zeros((0, 3)), own, np.zeros(0, dtype=np.int64), [0, 2]
    total = unit_totals(*none).eval(mode=FAST)
    np.testing.assert_array_equal(total[:, [0, 2]], own)
    assert not total[:, 1].any()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda v, m: unit_totals(v, m, [0], [0]), "needs matrices above and own"),
        (lambda v, m: unit_score(m, m, m, v, m, [0]), "needs matrices score and above"),
        (lambda v, m: unit_predictor(m, v, [0]), "needs matrices Z and total"),
    ],
)
def test_wrong_ranks_are_refused(make, text):
    with pytest.raises(TypeError, match=text):
        make(np.ones(1), np.ones((1, 1)))
