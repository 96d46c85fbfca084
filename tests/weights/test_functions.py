"""Functions of the weight language beyond the first: values against NumPy and SciPy, and state."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import pymc_mlm as mlm
from pymc_mlm.weights import Expression

SIZES = np.array([1, 3, 2, 4])
GROUP = np.repeat(np.arange(4), SIZES)
INDPTR = np.concatenate([[0], np.cumsum(SIZES)])
X = np.array([2.0, 1.0, 4.0, 2.5, -1.0, 3.0, 0.5, 0.5, 2.0, 7.0])
P = np.array([0.2, 0.1, 0.9, 0.5, 0.3, 0.6, 0.7, 0.4, 0.25, 0.99])
T = np.array([5.0, 2.0, 1.0, 3.0, 9.0, 8.0, 4.0, 3.0, 2.0, 1.0])
COLUMNS = {"x": X, "p": P, "t": T}


def value(text, columns=COLUMNS, **kwargs):
    return Expression(text).resolve(columns, GROUP, INDPTR, **kwargs).value


def by_group(function, x=X):
    return np.concatenate([np.full(n, function(x[GROUP == g])) for g, n in enumerate(SIZES)])


@pytest.mark.parametrize(("text", "expected"), [
    ("log10(p)", np.log10(P)), ("pow(p, 1.5)", P**1.5), ("tanh(x)", np.tanh(X)),
    ("logit(p)", stats.logistic.ppf(P)), ("probit(p)", stats.norm.ppf(P)),
    ("cloglog(p)", stats.gumbel_l.ppf(P)), ("iprobit(x)", stats.norm.cdf(X)),
    ("icloglog(x)", stats.gumbel_l.cdf(X)), ("round(x)", np.round(X)), ("floor(x)", np.floor(X)),
    ("ceiling(x)", np.ceil(X)), ("trunc(x)", np.trunc(X)),
    ("median(x)", by_group(np.median)), ("range(x)", by_group(np.ptp)),
    ("quantile(x, 0.25)", by_group(lambda x: np.quantile(x, 0.25))),
    ("quantile(x, 1)", by_group(np.max)), ("x / quantile(x, 0.75)", X / by_group(
        lambda x: np.quantile(x, 0.75))),
    ("first(x, t)", np.repeat([2.0, 4.0, 3.0, 7.0], SIZES)),
    ("last(x, t)", np.repeat([2.0, 2.5, -1.0, 0.5], SIZES)),
    ("scale(x)", (X - X.mean()) / X.std(ddof=1)), ("pow(2, 3) + log10(100)", np.full(10, 10.0)),
])  # fmt: skip
def test_a_function_has_the_value_of_numpy(text, expected):
    np.testing.assert_allclose(value(text), expected, rtol=1e-12, atol=1e-15)
    again = Expression(text).label
    np.testing.assert_allclose(value(again), value(text), rtol=1e-14, atol=1e-15)


def test_a_variance_has_divisor_n_less_one():
    inside = {"x": X[1:]}
    found = Expression("var(x)").resolve(inside, GROUP[1:] - 1, INDPTR[1:] - 1).value
    expected = by_group(lambda x: x.var(ddof=1) if len(x) > 1 else np.nan)[1:]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(("text", "numpy"), [
    ("1 + tanh(b * x)", lambda b: 1 + np.tanh(b * X)), ("pow(p, b)", lambda b: P**b),
    ("log10(1 + exp(b * x))", lambda b: np.log10(1 + np.exp(b * X))),
    ("exp(b * scale(x))", lambda b: np.exp(b * (X - X.mean()) / X.std(ddof=1))),
    ("exp(b * (x - median(x)))", lambda b: np.exp(b * (X - by_group(np.median)))),
])  # fmt: skip
def test_free_parameters_enter_where_a_gradient_is(text, numpy):
    weight = Expression(text)
    design = weight.resolve(COLUMNS, GROUP, INDPTR)
    raw = weight.evaluate(design.data, {"b": 0.7}, GROUP, INDPTR)
    np.testing.assert_allclose(raw.natural().eval(mode="FAST_COMPILE"), numpy(0.7), rtol=1e-10)


def test_new_data_are_scaled_by_the_fitted_mean_and_sd():
    for text in ("scale(x)", "exp(b * scale(x))"):
        weight = Expression(text)
        fitted = weight.resolve(COLUMNS, GROUP, INDPTR)
        new = weight.resolve({"x": X[:3] + 5}, np.zeros(3, int), np.array([0, 3]), fitted)
        scaled = (X[:3] + 5 - X.mean()) / X.std(ddof=1)
        found = new.value if text == "scale(x)" else next(iter(new.data.values()))
        np.testing.assert_allclose(found, scaled)


def test_a_model_predicts_with_the_fitted_scale():
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "g": np.repeat(range(20), 2),
            "m": rng.integers(0, 8, 40),
            "s": rng.normal(50, 10, 40),
            "y": np.repeat(rng.normal(size=20), 2),
        }
    )
    scaled = table.assign(s=(table["s"] - table["s"].mean()) / table["s"].std())
    one, two = (
        mlm.mm("m", "g", weight=f"exp(b * {x})").resolve(t)
        for x, t in (("scale(s)", table), ("s", scaled))
    )
    (first,), (second,) = one.weight.data.values(), two.weight.data.values()
    np.testing.assert_allclose(first, second)


@pytest.mark.parametrize(("text", "message"), [
    ("first(x)", r"character 8: first\(\) takes two arguments; .*by a column that orders them"),
    ("quantile(x)", r"quantile\(\) takes two arguments; write quantile\(x, 0.75\)"),
    ("quantile(x, 1.5)", "takes a probability from 0 to 1"),
    ("quantile(x, t)", "takes a probability from 0 to 1"),
    ("exp(x, t)", r"character 6: exp\(\) takes one argument"),
    ("pow(x, 2, 3)", r"character 9: pow\(\) takes two arguments"),
    ("x, t", "character 2: ',' has no place outside of a function"),
    ("(x, t)", "character 3: ',' has no place outside of a function"),
    ("pow(x,)", "a value is missing before"),
    ("median(b * x)", "'median' of a free parameter has no useful gradient.*columns only"),
    ("scale(b * x)", "'scale' of a free parameter"),
    ("round(b * x)", "'round' of a free parameter"),
    ("iprobit(b * x)", r"'iprobit' of a free parameter.*ilogit\(1.7 \* z\)"),
    ("wat(x)", "unknown function 'wat'"),
])  # fmt: skip
def test_what_a_function_does_not_take_is_refused(text, message):
    with pytest.raises(mlm.SpecificationError, match=message):
        Expression(text)


@pytest.mark.parametrize(("text", "message"), [
    ("scale(x - x)", "a weight must be a finite number"), ("logit(x)", "is nan in"),
    ("last(log(x), t)", "is nan in membership row 4"),
    ("first(x, log(x))", "is nan in membership row 4"),
])  # fmt: skip
def test_what_is_undefined_is_named_with_its_row(text, message):
    with pytest.raises(mlm.DataError, match=message):
        value(text)


@pytest.mark.parametrize("text", ["{}", "x / {}", "exp(b * (x - {}))", "{} == x"])
@pytest.mark.parametrize(("part", "message"), [
    ("first(x, t - t)", r"'t - t' is 0, the smallest of the group of membership row 1 .*'x' differs"
     r", from 1 to 4 \(3 such groups\).*none is the first.*sum\(x \* \(t - t == min\(t - t\)\)\)"),
    ("last(x, round(t / 4))", r"is 2, the largest of the group of membership row 4 .*-1 to 3"),
])  # fmt: skip
def test_a_tie_of_the_order_is_named(text, part, message):
    with pytest.raises(mlm.DataError, match=message):
        value(text.format(part))


def test_ties_of_equal_values_are_none():
    np.testing.assert_array_equal(value("last(t > 2.5, round(t / 4))"), by_group(
        lambda t: float(t.max() > 2.5), T))  # fmt: skip


@pytest.mark.parametrize(("weight", "message"), [
    ("first(s, year)", r"in 'team'='b' with 'm'=4 \(row 3 of the table, counted from 0\): 'first"),
    ("log(s - 1)", r"in 'team'='a' with 'm'=7 \(row 0 of the table, counted from 0\): 'log"),
    (mlm.weights.persistence("s", 3), r"in 'team'='b' with 'm'=4 \(row 3 of the"),
    (mlm.weights.candidates("half"), r"in 'team'='b' with 'm'=4 \(row 3 of the"),
    (mlm.weights.contest("one"), r"in 'team'='a' with 'm'=5 \(row 2 of the table"),
])  # fmt: skip
def test_a_row_that_a_weight_is_undefined_in_is_named_by_its_ids(weight, message):
    table = {
        "m": [7, 6, 5, 4], "team": ["a", "b", "a", "b"], "s": [1.0, 2.0, 3.0, 4.0],
        "year": [1, 2, 2, 2], "half": [0.5, 0.4, 0.5, 0.5], "one": [1, 1, 1, -1],
    }  # fmt: skip
    with pytest.raises(mlm.DataError, match=message):
        mlm.mm("m", "team", weight=weight, normalize=False).resolve(table)


def test_a_column_may_be_called_like_a_function():
    weight = Expression("scale + first * `median`")
    assert weight.columns == ("scale", "first", "median")
