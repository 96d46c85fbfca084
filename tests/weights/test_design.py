"""What a weight reads: bad data are named, priors are scaled, new data keep the graph."""

import re

import numpy as np
import pytensor.tensor as pt
import pytest

from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.weights import (
    AbstractWeight,
    Expression,
    column,
    equal,
    generalized_logistic,
    largest,
    size_power,
    softmax,
)

GROUP = np.array([0, 0, 1, 2, 2, 2])
INDPTR = np.array([0, 2, 3, 6])
X = np.array([1.0, 3.0, -2.0, 0.0, 4.0, 4.0])


def resolve(weight, **columns):
    known = columns.pop("known", None)
    return weight.resolve(columns, GROUP, INDPTR, known)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_missing_or_infinite_value_is_named_with_its_row(bad):
    x = X.copy()
    x[[3, 5]] = bad
    with pytest.raises(
        DataError, match=r"weight column 'x' is (nan|-?inf) in membership row 3 .*2"
    ):
        resolve(softmax("x"), x=x)


def test_a_bad_value_that_the_function_would_hide_is_still_named():
    with pytest.raises(DataError, match="'x' is nan"):
        resolve(Expression("x > 0"), x=np.where(GROUP == 1, np.nan, X))


def test_a_column_that_is_not_read_may_be_missing():
    resolve(softmax("x"), x=X, other=np.full(6, np.nan))


def test_a_column_of_text_is_refused():
    with pytest.raises(DataError, match=r"'x' holds .* values; a weight needs numbers"):
        resolve(softmax("x"), x=np.array(list("abcdef")))


def test_an_absent_column_is_named_with_the_nearest():
    with pytest.raises(SpecificationError, match=r"character 9: 'seats' is neither.*'seat'"):
        resolve(softmax("seats"), seat=X)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("x / sd(x)", r"is nan in membership row 2 .*n is 1, 'x' is -2"),
        ("1 / (n - 1)", r"is inf in membership row 2 .*n is 1"),
        ("exp(b * x) / (n - 1)", r"is inf in membership row 2"),
        ("exp(b * (x - mean(x)) / sd(x))", r"row 2 .*n is 1"),
        ("log(x)", r"'log\(x\)' in the weight 'log\(x\)' is nan in membership row 2"),
        ("exp(b * log(x))", r"'log\(x\)' .* is nan in membership row 2"),
        ("exp(b * log(abs(x)))", r"is -inf in membership row 3"),
    ],
)
def test_a_function_that_is_undefined_for_a_row_is_named_with_row_and_group_size(text, match):
    with pytest.raises(DataError, match=match):
        resolve(Expression(text), x=X)


def test_default_priors_of_text_are_standard_normal():
    assert resolve(Expression("ilogit(b0 + b1 * x)"), x=X).prior_sd == {"b0": 1.0, "b1": 1.0}


@pytest.mark.parametrize("name", ["x", "seat share", "n", "b1", "not"])
def test_default_priors_of_the_built_in_functions_are_scaled_by_the_column(name):
    sd = np.std(X, ddof=1)
    columns = {name: X}
    assert softmax(name).resolve(columns, GROUP, INDPTR).prior_sd == {"b": pytest.approx(1 / sd)}
    assert size_power(name).resolve(columns, GROUP, INDPTR).prior_sd == {"b": pytest.approx(1 / sd)}
    assert generalized_logistic(name).resolve(columns, GROUP, INDPTR).prior_sd == {
        "b0": 1.0,
        "b1": pytest.approx(1 / sd),
    }


def test_a_constant_column_leaves_the_prior_unscaled():
    assert resolve(softmax("x"), x=np.ones(6)).prior_sd == {"b": 1.0}


def test_scaled_priors_make_the_weights_independent_of_the_unit():
    metres = resolve(softmax("x"), x=X).prior_sd["b"]
    kilometres = resolve(softmax("x"), x=X / 1000).prior_sd["b"]
    assert kilometres == pytest.approx(1000 * metres)


def test_what_multiplies_a_parameter_scales_its_prior():
    weight = Expression("exp((x - mean(x)) * b + 2 * b0)", prior_scaled=True)
    mean = np.array([2.0, 2.0, -2.0, 8 / 3, 8 / 3, 8 / 3])
    expected = 1 / np.std(X - mean, ddof=1)
    assert resolve(weight, x=X).prior_sd == {"b": pytest.approx(expected), "b0": 1.0}


BUILT_IN = [
    (equal, (), {}),
    (column, ("x",), {}),
    (largest, ("x",), {}),
    (softmax, ("x",), {"b": 0.3}),
    (generalized_logistic, ("x",), {"b0": -0.2, "b1": 0.3}),
    (size_power, ("x",), {"b": 0.3}),
]
N = np.array([2, 2, 1, 3, 3, 3.0])
FORMULAS = {
    "equal": lambda x: 1 / N,
    "column": lambda x: x,
    "largest": lambda x: np.array([0, 1, 1, 0, 1, 1.0]),
    "softmax": lambda x, b: np.exp(b * x),
    "generalized_logistic": lambda x, b0, b1: 1 / (1 + (N - 1) * np.exp(-(b0 + b1 * x))),
    "size_power": lambda x, b: 1 / N ** np.exp(b * x),
}


@pytest.mark.parametrize(("make", "args", "b"), BUILT_IN, ids=lambda v: getattr(v, "__name__", ""))
def test_built_in_functions_follow_their_formulas(make, args, b):
    weight = make(*args)
    assert isinstance(weight, AbstractWeight)
    assert weight.parameters == tuple(b)
    assert weight.columns == args
    design = resolve(weight, x=X)
    raw = weight.evaluate(design.data, b, GROUP, INDPTR)
    expected = FORMULAS[make.__name__](X, **b)
    np.testing.assert_allclose(raw.natural().eval(mode="FAST_COMPILE"), expected, rtol=1e-12)


@pytest.mark.parametrize("make", [column, largest, softmax, generalized_logistic, size_power])
@pytest.mark.parametrize(
    "name", ["seat share", "größe", "n", "b1", "1st", "and", "exp", "x.y", "'"]
)
def test_built_in_functions_take_odd_column_names(make, name):
    odd, plain = make(name), make("x")
    assert odd.columns == (name,)
    assert odd.parameters == plain.parameters
    named = odd.resolve({name: X}, GROUP, INDPTR)
    expected = plain.resolve({"x": X}, GROUP, INDPTR)
    assert named.data.keys() == expected.data.keys()
    for k in named.data:
        np.testing.assert_array_equal(named.data[k], expected.data[k])


@pytest.mark.parametrize("name", ["a`b", "", "a\nb", 3])
def test_a_name_that_cannot_be_quoted_is_refused(name):
    with pytest.raises(SpecificationError, match="cannot be named in a weight"):
        softmax(name)


def test_at_zero_the_estimated_functions_are_equal_weights():
    for weight in [generalized_logistic("x"), size_power("x")]:
        design = resolve(weight, x=X)
        raw = weight.evaluate(design.data, dict.fromkeys(weight.parameters, 0.0), GROUP, INDPTR)
        np.testing.assert_allclose(raw.natural().eval(mode="FAST_COMPILE"), 1 / N, rtol=1e-15)


def test_keys_are_identifiers_and_arrays_are_rows_of_floats():
    design = resolve(Expression("p * exp(b * x) + exp(b) * n"), x=X, p=np.abs(X))
    for k, array in design.data.items():
        assert re.fullmatch(r"[a-z]+_\d+", k)
        assert array.dtype == np.float64 and array.shape == X.shape


def test_new_data_resolve_to_the_keys_of_the_fitted():
    weight = Expression("exp(b * x) * p")
    fitted = resolve(weight, x=np.abs(X), p=np.abs(X))
    new = resolve(weight, x=X - 10, p=np.ones(6), known=fitted)
    assert new.data.keys() == fitted.data.keys()
    signed = resolve(weight, x=X, p=X)
    positive = resolve(weight, x=X, p=np.ones(6), known=signed)
    assert positive.data.keys() == signed.data.keys() and not positive.nonnegative


def test_new_data_of_another_sign_are_refused_where_it_matters():
    weight = Expression("exp(b * x) * p")
    fitted = resolve(weight, x=X, p=np.abs(X))
    with pytest.raises(
        DataError, match=r"'p' .* is -2 in membership row 2 .*nonnegative in the fit"
    ):
        resolve(weight, x=X, p=X, known=fitted)
    fixed = resolve(column("x"), x=np.abs(X))
    with pytest.raises(
        DataError, match=r"'x' .* is -2 in membership row 2 .*nonnegative in the fit"
    ):
        resolve(column("x"), x=X, known=fixed)


def test_new_fixed_weights_keep_the_form_of_the_fitted():
    signed = resolve(column("x"), x=X)
    assert list(resolve(column("x"), x=np.abs(X), known=signed).data) == ["value_0"]


def test_one_graph_serves_old_and_new_data():
    weight = Expression("p * exp(b * (x - mean(x)))")
    old = resolve(weight, x=X, p=np.abs(X))
    group, indptr = np.array([0, 0]), np.array([0, 2])
    new = weight.resolve({"x": np.array([1.0, 2.0]), "p": np.array([3.0, 0.0])}, group, indptr, old)
    data = {k: pt.dvector(k) for k in old.data}
    g, ends = pt.lvector("group"), pt.lvector("indptr")
    raw = weight.evaluate(data, {"b": pt.constant(0.5)}, g, ends).natural()
    given = {data[k]: new.data[k] for k in data} | {g: group, ends: indptr}
    inputs = {v: a for v, a in given.items() if v in set(data.values())}
    np.testing.assert_allclose(
        raw.eval(inputs, mode="FAST_COMPILE"), [3 * np.exp(-0.25), 0.0], rtol=1e-14
    )
