"""What an expression computes, against plain NumPy that shares no code with the package."""

import numpy as np
import pytest

from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.weights import Expression
from pymc_mlm.weights.parse import parse

SIZES = np.array([1, 3, 2, 1, 5, 4])
GROUP = np.repeat(np.arange(len(SIZES)), SIZES)
INDPTR = np.concatenate([[0], np.cumsum(SIZES)])
B = {"b0": 0.7, "b1": -0.4}
# Sums over groups are taken in another order, and products regrouped, by at most a few roundings.
RTOL = 1e-10


def natural(weight, columns, b):
    design = weight.resolve(columns, GROUP, INDPTR)
    raw = weight.evaluate(design.data, b, GROUP, INDPTR)
    return raw.natural().eval(mode="FAST_COMPILE")


def by_group(aggregate):
    def aggregated(x):
        x = np.broadcast_to(x, GROUP.shape).astype(float)
        return np.array([aggregate(x[GROUP == g]) for g in GROUP])

    return aggregated


def naive_sd(x):
    return np.sqrt(((x - x.mean()) ** 2).sum() / (len(x) - 1)) if len(x) > 1 else np.nan


NAIVE = {
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "ilogit": lambda z: 1 / (1 + np.exp(-z)),
    "min": by_group(np.min),
    "max": by_group(np.max),
    "mean": by_group(np.mean),
    "sum": by_group(np.sum),
    "sd": by_group(naive_sd),
    "where": np.where,
    "n": np.array([(GROUP == g).sum() for g in GROUP], dtype=float),
}


def naive(text, columns, b):
    """Python's own evaluation of the reference spelling, in NumPy."""
    try:
        with np.errstate(all="ignore"):
            value = eval(text, {"__builtins__": {}}, {**NAIVE, **columns, **b})
    except ArithmeticError:  # of Python's own numbers, as in 0.0 ** -1
        value = np.nan
    return np.broadcast_to(value, GROUP.shape)


class RandomText:
    """Random expressions, each in the weights' spelling and in NumPy's."""

    def __init__(self, rng, free):
        self.rng = rng
        self.free = free

    def pick(self, *options):
        return options[self.rng.integers(len(options))]

    def expression(self, depth, free=None):
        free = self.free if free is None else free
        if depth == 0:
            leaves = ["x", "z", "n", "2", "0.5", "p"] + ["b0", "b1"] * free
            leaf = self.pick(*leaves)
            return leaf, leaf
        kind = self.pick("binary", "binary", "binary", "call", "negate", "power", "group", "step")
        return getattr(self, kind)(depth - 1, free)

    def enclosed(self, pair):
        return f"({pair[0]})", f"({pair[1]})"

    def binary(self, depth, free):
        left, right = self.expression(depth, free), self.expression(depth, free)
        if self.rng.random() < 0.5:
            left = self.enclosed(left)
        if self.rng.random() < 0.5:
            right = self.enclosed(right)
        op = self.pick("+", "-", "*", "/")
        return f"{left[0]} {op} {right[0]}", f"{left[1]} {op} {right[1]}"

    def call(self, depth, free):
        inner = self.expression(depth, free)
        function = self.pick("exp", "exp", "ilogit", "abs", "log", "sqrt")
        if function in ("log", "sqrt"):
            inner = f"abs({inner[0]})", f"abs({inner[1]})"
        return f"{function}({inner[0]})", f"{function}({inner[1]})"

    def negate(self, depth, free):
        inner = self.enclosed(self.expression(depth, free))
        return f"-{inner[0]}", f"(-{inner[1]})"

    def power(self, depth, free):
        base = self.enclosed(self.expression(depth, free))
        exponent = self.pick("2", "3", "-1", "-2")
        return f"-{base[0]}^{exponent}", f"-{base[1]}**{exponent}"

    def group(self, depth, free):
        function = self.pick("min", "max", "sum", "mean", "sum", "mean")
        free = free and function in ("sum", "mean")
        inner = self.expression(depth, free)
        return f"{function}({inner[0]})", f"{function}({inner[1]})"

    def step(self, depth, free):
        left, right = self.expression(depth, False), self.expression(depth, False)
        op, other = self.pick("<", "<=", ">", ">=", "==", "!="), self.pick("<", ">")
        logic = self.pick("&", "|")
        spelled = f"({left[0]} {op} {right[0]} {logic} {left[0]} {other} x)"
        return spelled, (
            f"where((({left[1]}) {op} ({right[1]})) {logic} (({left[1]}) {other} x), 1.0, 0.0)"
        )


@pytest.fixture
def columns(rng):
    rows = len(GROUP)
    return {
        "x": rng.normal(size=rows).round(1),
        "z": rng.normal(size=rows),
        "p": rng.uniform(0.1, 3.0, size=rows),
    }


def moderate(value):
    return np.isfinite(value).all() and (np.abs(value) < 1e80).all()


def test_random_expressions_without_parameters_equal_naive_numpy(rng, columns):
    compared = 0
    texts = RandomText(rng, free=False)
    for _ in range(400):
        text, reference = texts.expression(depth=4)
        expected = naive(reference, columns, {})
        if np.isfinite(expected).all():
            try:
                design = Expression(text).resolve(columns, GROUP, INDPTR)
            except SpecificationError as error:  # a constant such as 1 / (2 - 2), then * 0
                assert "constant is not a finite" in str(error), text
                continue
            np.testing.assert_allclose(design.value, expected, rtol=1e-9, atol=1e-9, err_msg=text)
            compared += 1
        else:
            with pytest.raises((DataError, SpecificationError)):
                Expression(text).resolve(columns, GROUP, INDPTR)
    assert compared > 250


def test_random_expressions_with_parameters_equal_naive_numpy(rng, columns):
    compared = 0
    texts = RandomText(rng, free=True)
    while compared < 60:
        text, reference = texts.expression(depth=3)
        expected = naive(reference, columns, B)
        if not ("b0" in text or "b1" in text) or not moderate(expected):
            continue
        try:
            value = natural(Expression(text), columns, B)
        except (DataError, SpecificationError):
            continue  # a part is refused though the whole is finite: 1 / (1 / x) at x = 0
        np.testing.assert_allclose(value, expected, rtol=1e-8, atol=1e-10, err_msg=text)
        compared += 1


def test_a_number_in_place_of_a_parameter_changes_nothing_but_where_it_is_folded(rng, columns):
    compared = 0
    texts = RandomText(rng, free=True)
    while compared < 40:
        text, reference = texts.expression(depth=3)
        if not ("b0" in text or "b1" in text) or not moderate(naive(reference, columns, B)):
            continue
        fixed = text.replace("b0", "(0.7)").replace("b1", "(-0.4)")
        try:
            in_graph = natural(Expression(text), columns, B)
            folded = Expression(fixed).resolve(columns, GROUP, INDPTR).value
        except (DataError, SpecificationError):
            continue
        np.testing.assert_allclose(in_graph, folded, rtol=1e-8, atol=1e-10, err_msg=text)
        compared += 1


def test_a_printed_expression_parses_to_the_same_function(rng):
    texts = RandomText(rng, free=True)
    for _ in range(300):
        text, _ = texts.expression(depth=4)
        tree = parse(text)
        assert parse(Expression(text).label) == tree, text


SPELLINGS = [
    ("x^2", "x**2"),
    ("-x^2", "-(x**2)"),
    ("-x**2", "-(x**2)"),
    ("2^-1", "0.5"),
    ("2^3^2 * x", "512.0 * x"),
    ("x > 0 & z < 0", "where((x > 0) & (z < 0), 1.0, 0.0)"),
    ("x > 0 | z < 0 & p > 1", "where((x > 0) | ((z < 0) & (p > 1)), 1.0, 0.0)"),
    ("not x > 0", "where(x > 0, 0.0, 1.0)"),
    ("not x > 0 and z > 0", "where((x <= 0) & (z > 0), 1.0, 0.0)"),
    ("-1 < x <= 0.5", "where((-1 < x) & (x <= 0.5), 1.0, 0.0)"),
    ("(x > 0) == TRUE", "where(x > 0, 1.0, 0.0)"),
    ("(x > 0) + False", "where(x > 0, 1.0, 0.0)"),
    ("w ~ 1/n", "1 / n"),
    ("w~x == max(x)", "where(x == max(x), 1.0, 0.0)"),
    ("+x - -z", "x + z"),
    ("1 / n / 2", "1 / n / 2"),
    ("sum(1)", "n"),
    ("mean(x\n  + 1)", "mean(x) + 1"),
    ("(n > 1) * (p - min(p))", "where(n > 1, p - min(p), 0.0)"),
    ("1.5e-1 + .5 + 2.", "2.65"),
    ("x and p", "where((x != 0) & (p != 0), 1.0, 0.0)"),
]


@pytest.mark.parametrize(("text", "reference"), SPELLINGS)
def test_spelling_is_read_as_documented(columns, text, reference):
    design = Expression(text).resolve(columns, GROUP, INDPTR)
    np.testing.assert_allclose(design.value, naive(reference, columns, {}), rtol=RTOL)


def test_a_negative_number_is_squared_not_its_digits():
    """bml 0.9.0 substitutes text: -1.1^2 is -1.21 there (STATISTICS.md 0.4)."""
    columns = {"x": np.full(len(GROUP), -1.1)}
    np.testing.assert_allclose(
        Expression("x^2").resolve(columns, GROUP, INDPTR).value, 1.21, rtol=RTOL
    )
    np.testing.assert_allclose(natural(Expression("b * x^2"), columns, {"b": 1.0}), 1.21, rtol=RTOL)


def test_ilogit_without_a_parameter_is_folded(columns):
    """bml 0.9.0: could not find function "ilogit" (STATISTICS.md 0.4)."""
    design = Expression("ilogit(x)").resolve(columns, GROUP, INDPTR)
    np.testing.assert_allclose(design.value, 1 / (1 + np.exp(-columns["x"])), rtol=RTOL)


def test_sd_is_the_sample_sd_of_each_group(columns):
    design = Expression("(n > 2) * 1").resolve(columns, GROUP, INDPTR)
    large = design.value.astype(bool)
    sub = GROUP[large]
    codes = np.unique(sub, return_inverse=True)[1]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(codes))])
    sd = Expression("sd(z)").resolve({"z": columns["z"][large]}, codes, indptr).value
    expected = [np.std(columns["z"][g == GROUP], ddof=1) for g in sub]
    np.testing.assert_allclose(sd, expected, rtol=RTOL)


def test_groups_without_rows_change_nothing(columns):
    text = "x == max(x) + sum(p) - mean(p) * n"
    full = Expression(text).resolve(columns, GROUP, INDPTR)
    spread = GROUP * 2 + 1
    indptr = np.concatenate([[0], np.repeat(INDPTR[:-1], 2)[1:], [INDPTR[-1]] * 2])
    indptr = np.searchsorted(spread, np.arange(2 * len(SIZES) + 1))
    sparse = Expression(text).resolve(columns, spread, indptr)
    np.testing.assert_array_equal(full.value, sparse.value)


def test_a_boolean_column_counts_as_zero_and_one(columns):
    flag = columns["x"] > 0
    as_number = Expression("1 + b * flag").resolve({"flag": flag.astype(float)}, GROUP, INDPTR)
    as_bool = Expression("1 + b * flag").resolve({"flag": flag}, GROUP, INDPTR)
    assert as_number.data.keys() == as_bool.data.keys()
    np.testing.assert_array_equal(as_number.data["value_0"], as_bool.data["value_0"])


def test_backquotes_make_a_column_of_any_name():
    rows = len(GROUP)
    columns = {"seat share": np.full(rows, 2.0), "n": np.full(rows, 5.0), "b1": np.full(rows, 7.0)}
    weight = Expression("`seat share` * `n` * `b1` + n * b1")
    assert weight.columns == ("seat share", "n", "b1")
    assert weight.parameters == ("b1",)
    expected = 70.0 + NAIVE["n"] * 0.5
    np.testing.assert_allclose(natural(weight, columns, {"b1": 0.5}), expected, rtol=RTOL)


def test_python_keywords_are_ordinary_column_names():
    rows = len(GROUP)
    columns = {"class": np.full(rows, 2.0), "lambda": np.full(rows, 3.0)}
    weight = Expression("class ** lambda")
    np.testing.assert_allclose(weight.resolve(columns, GROUP, INDPTR).value, 8.0, rtol=RTOL)


def test_a_weight_of_parameters_alone_has_one_value_a_row():
    assert natural(Expression("exp(b)"), {}, {"b": 0.0}).shape == GROUP.shape
    assert natural(Expression("b"), {}, {"b": 2.0}).shape == GROUP.shape
    assert Expression("1").resolve({}, GROUP, INDPTR).value.shape == GROUP.shape


def test_few_arrays_enter_the_graph(columns):
    weight = Expression("p * n / sum(p) * exp(b0 * (x - mean(x)) / max(p) + b1 * (x > 0) * z)")
    design = weight.resolve(columns, GROUP, INDPTR)
    assert sorted(design.data) == ["log_0", "value_1", "value_2"]
