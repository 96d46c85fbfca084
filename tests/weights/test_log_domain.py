"""Logarithms of weights: equal to the weights, finite at parameters of +-50, with gradients."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode

from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.ops.group_softmax import group_softmax
from pymc_mlm.weights import (
    Expression,
    column,
    equal,
    generalized_logistic,
    largest,
    size_power,
    softmax,
)

# A group of one; one with equal x; one with the extremes; ties; a large group.
X = np.array([5.0, 2.0, 2.0, 2.0, -5.0, 5.0, 0.0, 0.0, -5.0, 1.0, 2.0, 3.0, -1.0, 0.5])
SIZES = np.array([1, 3, 2, 3, 5])
GROUP = np.repeat(np.arange(5), SIZES)
INDPTR = np.concatenate([[0], np.cumsum(SIZES)])
COLUMNS = {"x": X, "p": np.abs(X) + 0.5, "flag": (X > 0).astype(float)}

FREE = [
    softmax("x"),
    generalized_logistic("x"),
    size_power("x"),
    *map(
        Expression,
        [
            "ilogit(b0 + b1 * x)",
            "1 - ilogit(b0 + b1 * x)",
            "exp(b * x) / sum(exp(b * x))",
            "exp(b * x) / mean(exp(b * x))",
            "p ** b",
            "p ^ (b0 + b1 * x)",
            "sqrt(exp(b * x))",
            "exp(b0 * x) + exp(b1 * x)",
            "flag * exp(b0 * x) + (1 - flag) * exp(b1 * x)",
            "flag * exp(b * x) + (x > 100)",
            "0.1 + flag * ilogit(b * x)",
            "(n - 1) ** exp(b) + (n == 1)",
            "1 / (1 + n * exp(b * x)) ** 2",
            "abs(x) ** exp(b * x)",
            "exp(-exp(b * x))",
            "exp(-abs(b) * (max(x) - x))",
            "p * exp(b * x) / (1 + exp(b * x))",
            "(b0 + b1 * x) ** 2 + 1",
            "abs(b * x) + 1",
            "sum(flag * exp(b * x)) * p",
            "ilogit(10 * (x - b0)) / n",
            "p ** x * exp(b)",
            "exp(b) ** x",
        ],
    ),
]
AT = [-50.0, 0.0, 50.0]


def evaluate(weight, b, columns=COLUMNS):
    design = weight.resolve(columns, GROUP, INDPTR)
    return weight.evaluate(design.data, b, GROUP, INDPTR)


def normalised_with_gradient(weight, raw_gradient=False):
    """Function of the parameters -> log weights, normalised weights and gradient of a score."""
    b = {name: pt.dscalar(name) for name in weight.parameters}
    log = evaluate(weight, b).log
    w = group_softmax(log, GROUP, INDPTR)
    score = pt.sum(w * np.sin(np.arange(len(X))))
    if raw_gradient:
        score = pt.sum(pt.switch(pt.isinf(log), 0.0, log))
    gradient = pytensor.grad(score, list(b.values()))
    return pytensor.function(list(b.values()), [log, w, *gradient], mode="FAST_COMPILE")


@pytest.mark.parametrize("weight", FREE, ids=lambda w: w.label)
def test_weights_and_gradients_are_finite_at_extreme_parameters(weight):
    f = normalised_with_gradient(weight)
    grid = np.array(np.meshgrid(*[AT] * len(weight.parameters))).reshape(len(weight.parameters), -1)
    for b in grid.T:
        log, w, *gradient = f(*b)
        assert not np.isnan(log).any(), b
        assert (log < np.inf).all(), b
        sums = np.bincount(GROUP, w)
        has_weight = np.bincount(GROUP, np.isfinite(log)) > 0
        np.testing.assert_allclose(sums[has_weight], 1.0, rtol=1e-9)
        if has_weight.all():
            assert np.isfinite(gradient).all(), (b, gradient)


@pytest.mark.parametrize("weight", FREE, ids=lambda w: w.label)
def test_gradients_of_log_weights_are_finite_without_normalisation(weight):
    f = normalised_with_gradient(weight, raw_gradient=True)
    for b in AT:
        _, _, *gradient = f(*[b] * len(weight.parameters))
        assert np.isfinite(gradient).all(), (b, gradient)


@pytest.mark.parametrize("weight", FREE, ids=lambda w: w.label)
def test_the_gradient_is_the_slope(weight):
    f = normalised_with_gradient(weight, raw_gradient=True)
    at = np.linspace(0.3, 0.5, len(weight.parameters))
    _, _, *gradient = f(*at)
    h = 1e-6  # central difference: relative error about 1e-9
    for i, g in enumerate(gradient):
        step = np.eye(len(at))[i] * h
        up, down = f(*(at + step))[0], f(*(at - step))[0]
        finite = np.isfinite(up)
        slope = (up[finite].sum() - down[finite].sum()) / (2 * h)
        np.testing.assert_allclose(g, slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("weight", FREE, ids=lambda w: w.label)
def test_the_logarithm_is_that_of_the_value(weight):
    """The value is computed by forcing the value domain: adding b - b hides every sign."""
    hidden = Expression(f"{weight.text} + (b0 - b0)")
    b = {name: 0.4 for name in {*weight.parameters, "b0"}}
    raw = evaluate(weight, b)
    value = evaluate(hidden, b)
    assert raw.log is not None and raw.value is None
    assert value.log is None and value.value is not None
    np.testing.assert_allclose(
        raw.natural().eval(mode="FAST_COMPILE"),
        value.natural().eval(mode="FAST_COMPILE"),
        rtol=1e-10,
        atol=1e-13,
    )


def test_the_generalised_logistic_is_exactly_one_in_a_group_of_one():
    for b in [-50.0, -3.3, 0.0, 50.0]:
        raw = evaluate(generalized_logistic("x"), {"b0": b, "b1": b})
        assert raw.log.eval(mode="FAST_COMPILE")[0] == 0.0


def test_the_generalised_logistic_has_the_documented_limits():
    """STATISTICS.md 5.5: x = (-1, 0, 2), b1 = 1."""
    weight, x = generalized_logistic("x"), {"x": np.array([-1.0, 0.0, 2.0])}
    group, indptr = np.zeros(3, int), np.array([0, 3])
    design = weight.resolve(x, group, indptr)

    def normalised(b0):
        raw = weight.evaluate(design.data, {"b0": b0, "b1": 1.0}, group, indptr)
        return group_softmax(raw.log, group, indptr).eval(mode="FAST_COMPILE")

    np.testing.assert_allclose(normalised(-8.0), [0.042, 0.114, 0.844], atol=1e-3)
    np.testing.assert_allclose(normalised(4.0), [0.32, 0.33, 0.34], atol=1e-2)


@pytest.mark.parametrize("weight", FREE[:3], ids=lambda w: w.label)
def test_an_overflow_does_not_reach_a_group_of_one(weight):
    """exp(50 * 20) is inf, and inf * log(1) would be NaN; so would its gradient."""
    group, indptr = np.array([0, 1, 1]), np.array([0, 1, 3])
    design = weight.resolve({"x": np.array([20.0, 20.0, -20.0])}, group, indptr)
    b = {name: pt.dscalar(name) for name in weight.parameters}
    w = group_softmax(weight.evaluate(design.data, b, group, indptr).log, group, indptr)
    outputs = [w, *pytensor.grad(pt.sum(w * np.arange(3)), list(b.values()))]
    f = pytensor.function(list(b.values()), outputs, mode="FAST_COMPILE")
    for value in AT:
        w, *gradient = f(*[value] * len(b))
        np.testing.assert_allclose(np.bincount(group, w), 1.0, rtol=1e-12)
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("text", ["abs(b * x)", "(b * x) ** 2", "sum(abs(b) * p)", "sqrt(b ** 2)"])
def test_a_weight_that_vanishes_with_its_parameter_has_a_finite_gradient(text):
    b = pt.dscalar("b")
    log = evaluate(Expression(text), {"b": b}).log
    score = pt.sum(pt.switch(pt.isinf(log), 0.0, log))
    # Without rewrites, some of which would hide 0 / 0.
    plain = Mode(linker="py", optimizer=None)
    f = pytensor.function([b], [log, pytensor.grad(score, b)], mode=plain)
    log, gradient = f(0.0)
    assert np.isneginf(log).all()
    assert np.isfinite(gradient)


def test_a_group_log_sum_survives_differences_beyond_the_range_of_floats():
    x = {"x": np.array([-20.0, 20.0, 3.0])}
    group, indptr = np.array([0, 0, 1]), np.array([0, 2, 3])
    weight = Expression("exp(b * x) / sum(exp(b * x))")
    design = weight.resolve(x, group, indptr)
    raw = weight.evaluate(design.data, {"b": 50.0}, group, indptr)
    np.testing.assert_array_equal(raw.log.eval(mode="FAST_COMPILE"), [-2000.0, 0.0, 0.0])


def test_a_weight_of_zero_has_the_logarithm_minus_infinity():
    raw = evaluate(Expression("flag * exp(b * x)"), {"b": 1.0})
    log = raw.log.eval(mode="FAST_COMPILE")
    np.testing.assert_array_equal(np.isneginf(log), COLUMNS["flag"] == 0)


@pytest.mark.parametrize(
    ("text", "nonnegative"),
    [
        ("exp(b * x)", True),
        ("p * exp(b * x)", True),
        ("x * exp(b * x)", False),
        ("b * p", False),
        ("1 + b * x", False),
        ("b ** 2", True),
        ("b ** 3", False),
        ("(b - 1) ** 4 * p", True),
        ("sqrt(exp(b))", True),
        ("exp(b) - 1", False),
        ("1 - ilogit(b)", True),
        ("2 - ilogit(b)", False),
        ("p - min(p) + exp(b)", True),
        ("-x * abs(x) * exp(b)", False),
        ("-(0 - p) * exp(b)", True),
        ("exp(b) - (0 - p)", True),
        ("(x > 0) * exp(b)", True),
        ("sum(exp(b * x))", True),
        ("sum(b * x)", False),
        ("b1 * x + (1 - b1) * (x == min(x))", False),
    ],
)
def test_signs_are_proven_where_they_can_be(text, nonnegative):
    weight = Expression(text)
    b = {name: 0.3 for name in weight.parameters}
    assert weight.resolve(COLUMNS, GROUP, INDPTR).nonnegative is nonnegative
    assert (evaluate(weight, b).log is not None) is nonnegative


@pytest.mark.parametrize("text", ["log(b)", "x + sqrt(b * x)", "x ** b", "b ** x", "log(x - b)"])
def test_what_may_be_the_logarithm_of_a_negative_number_is_refused(text):
    with pytest.raises(SpecificationError, match=r"may be, depending on.*write abs\("):
        Expression(text).resolve(COLUMNS, GROUP, INDPTR)


@pytest.mark.parametrize(
    "text",
    ["exp(b * x) / flag", "flag ** b", "1 / (flag * exp(b))", "b / flag", "p ** b * flag ** b"],
)
def test_a_zero_that_a_free_weight_divides_by_is_named(text):
    with pytest.raises(DataError, match=r"'flag' is 0"):
        Expression(text).resolve(COLUMNS, GROUP, INDPTR)


@pytest.mark.parametrize("weight", [equal(), column("p"), largest("x")], ids=lambda w: w.label)
def test_fixed_weights_are_folded_whole(weight):
    design = weight.resolve(COLUMNS, GROUP, INDPTR)
    assert design.fixed and design.nonnegative and list(design.data) == ["log_0"]
    log = evaluate(weight, {}).log.eval(mode="FAST_COMPILE")
    np.testing.assert_allclose(np.exp(log), design.value, rtol=1e-14)


def test_signed_fixed_weights_are_given_by_value():
    design = column("x").resolve(COLUMNS, GROUP, INDPTR)
    assert design.fixed and not design.nonnegative
    raw = evaluate(column("x"), {})
    assert raw.log is None
    np.testing.assert_array_equal(raw.value.eval(mode="FAST_COMPILE"), X)


def test_numba_gives_the_values_and_gradients_of_python():
    weight = Expression(
        "(1 / (1 + (n - 1) * exp(-b0 - b1 * x)) + flag * p ** b1) / sum(exp(b1 * x))"
    )
    b = {name: pt.dscalar(name) for name in weight.parameters}
    log = evaluate(weight, b).log
    outputs = [log, *pytensor.grad(pt.sum(log), list(b.values()))]
    python = pytensor.function(list(b.values()), outputs, mode="FAST_COMPILE")
    numba = pytensor.function(list(b.values()), outputs, mode="NUMBA")
    for at in [(0.3, -0.4), (50.0, -50.0)]:
        for expected, found in zip(python(*at), numba(*at), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-10)
