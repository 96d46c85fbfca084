"""The language of formulas, construct by construct: what it means, or what is said instead."""

import builtins

import numpy as np
import pandas as pd
import pytest

from pymc_mlm.data.formula import parse_formula, parse_terms
from pymc_mlm.data.formula_syntax import parse
from pymc_mlm.data.formula_tokens import tokenize
from pymc_mlm.data.formula_tree import Column, depth, label
from pymc_mlm.data.frame import category_levels, columns
from pymc_mlm.data.population import population_design, response_values, right_hand_columns
from pymc_mlm.errors import DataError, MlmError, SpecificationError
from tests.clock import timed

NUM_ROWS = 12
RUN = "__import__('builtins').__dict__.update(EXECUTED=1)"


@pytest.fixture
def table(rng):
    return pd.DataFrame(
        {
            "x": rng.uniform(0.5, 3.0, NUM_ROWS),
            "z": rng.uniform(0.5, 3.0, NUM_ROWS),
            "y": np.arange(2.0, 2.0 + NUM_ROWS),
            "k": np.tile([1, 2, 3, 4], 3),
            "yes": np.tile([True, False, False], 4),
            "f": np.tile(list("cab"), 4),
            "g": np.repeat(list("pqr"), 4),
            "odd name": rng.normal(size=NUM_ROWS),
        }
    )


def design(text, table, known=None):
    formula = parse_formula(text)
    needed = right_hand_columns(formula)
    levels = category_levels(table, needed)
    return population_design(formula, columns(table, needed), len(table), known, levels)


def outcome(text, table):
    response = parse_formula(f"{text} ~ 1").response
    return response_values(response, columns(table, response.columns))


COVARIATES = {
    "I(x^2)": lambda t: t.x**2,
    "I(x ** 2)": lambda t: t.x**2,
    "{x^2}": lambda t: t.x**2,
    "I(-x^2)": lambda t: -(t.x**2),
    "I(2 ^ -x)": lambda t: 2.0**-t.x,
    "I(2 ^ 3 ^ (x / x * z))": lambda t: 2.0 ** (3.0**t.z),
    "np.log(x)": lambda t: np.log(t.x),
    "numpy.sqrt(x)": lambda t: np.sqrt(t.x),
    "log(x)": lambda t: np.log(t.x),
    "log2(x)": lambda t: np.log2(t.x),
    "log10(x)": lambda t: np.log10(t.x),
    "log1p(x)": lambda t: np.log1p(t.x),
    "sqrt(x)": lambda t: np.sqrt(t.x),
    "exp(x)": lambda t: np.exp(t.x),
    "abs(`odd name`)": lambda t: t["odd name"].abs(),
    "log(x + z)": lambda t: np.log(t.x + t.z),
    "I((x > 1) + (x > 2))": lambda t: (t.x > 1) * 1.0 + (t.x > 2) * 1.0,
    "I(yes + yes)": lambda t: 2.0 * t.yes,
    "I(-yes)": lambda t: -1.0 * t.yes,
    "I(k / 2)": lambda t: t.k / 2,
    "I(f == 'b')": lambda t: (t.f == "b") * 1.0,
    'I(f != "b")': lambda t: (t.f != "b") * 1.0,
    "center(x)": lambda t: t.x - t.x.mean(),
    "scale(x)": lambda t: (t.x - t.x.mean()) / t.x.std(ddof=1),
    "standardize(x)": lambda t: (t.x - t.x.mean()) / t.x.std(ddof=0),
    "I(center(x)^2)": lambda t: (t.x - t.x.mean()) ** 2,
    "scale(log(x))": lambda t: (np.log(t.x) - np.log(t.x).mean()) / np.log(t.x).std(ddof=1),
    "x:z": lambda t: t.x * t.z,
    "x:log(z)": lambda t: t.x * np.log(t.z),
}


@pytest.mark.parametrize("text", COVARIATES)
def test_a_covariate_is_what_numpy_makes_of_it(text, table):
    found = design(f"y ~ {text}", table)
    np.testing.assert_allclose(found.X[:, 0], COVARIATES[text](table), rtol=1e-12)
    np.testing.assert_allclose(
        design(f"y ~ {text}", table[3:7], known=found).X, found.X[3:7], rtol=1e-12
    )


OUTCOMES = {
    "y ** 2": lambda y: y**2,
    "y ^ 2": lambda y: y**2,
    "y / 2": lambda y: y / 2,
    "y * 2": lambda y: y * 2,
    "2 * y": lambda y: y * 2,
    "y + 1": lambda y: y + 1,
    "y - 3": lambda y: y - 3,
    "-y": lambda y: -y,
    "1 / y": lambda y: 1 / y,
    "(y)": lambda y: y,
    "{y ** 2}": lambda y: y**2,
    "I(y)": lambda y: y,
    "log(y) + 1": lambda y: np.log(y) + 1,
    "log(y) ** 2": lambda y: np.log(y) ** 2,
    "exp(-y) * y": lambda y: np.exp(-y) * y,
    "y == 3": lambda y: (y == 3) * 1.0,
    "y + y": lambda y: 2 * y,
    "y * y": lambda y: y * y,
    "y / k": lambda y: y / np.tile([1, 2, 3, 4], 3),
    "scale(y)": lambda y: (y - y.mean()) / y.std(ddof=1),
}


@pytest.mark.parametrize("text", OUTCOMES)
def test_arithmetic_of_the_outcome_is_arithmetic(text, table):
    y = table.y.to_numpy()
    np.testing.assert_allclose(outcome(text, table)[0], OUTCOMES[text](y), rtol=1e-12)


def test_survival_times_and_events_may_be_arithmetic(table):
    time, event = outcome("Surv(y / 7, k == 2)", table)
    np.testing.assert_allclose(time, table.y / 7)
    np.testing.assert_array_equal(event, (table.k == 2) * 1.0)


def test_a_category_is_an_outcome_by_comparison(table):
    np.testing.assert_array_equal(outcome("f == 'a'", table)[0], (table.f == "a") * 1.0)


@pytest.mark.parametrize("text", ["poly(y, 2)", "bs(y, df=5)", "C(y)", "y:y", "3", "Surv(y):y"])
def test_an_outcome_without_one_value_a_row_is_refused(text, table):
    with pytest.raises(SpecificationError):
        outcome(text, table)


def test_an_outcome_that_is_not_finite_is_named_with_its_row(table):
    with pytest.raises(DataError, match=r"'log\(y - 4\)' is not finite in 3 .* row 0.*y is 2\.0"):
        outcome("log(y - 4)", table)


TERMS = {
    "x": "Intercept x",
    "x - 1": "x",
    "0 + x": "x",
    "x + 0": "x",
    "-1 + x": "x",
    "x + -1": "x",
    "x - 1 + 1": "Intercept x",
    "(x + z)": "Intercept x z",
    "x * z": "Intercept x z x:z",
    "x / z": "Intercept x x:z",
    "(x + z)^2": "Intercept x z x:z",
    "(x + z + k)**2 - x:k": "Intercept x z k x:z z:k",
    "x * z - z": "Intercept x x:z",
    "f": "Intercept f[T.b] f[T.c]",
    "0 + f": "f[a] f[b] f[c]",
    "f:x": "Intercept f[a]:x f[b]:x f[c]:x",
    "C(f)": "Intercept C(f)[T.b] C(f)[T.c]",
    "C(f, 'b')": "Intercept C(f, 'b')[T.a] C(f, 'b')[T.c]",
    "C(f, Treatment('c'))": "Intercept C(f, Treatment('c'))[T.a] C(f, Treatment('c'))[T.b]",
    "C(f, contr.treatment(base='c'))": (
        "Intercept C(f, contr.treatment(base='c'))[T.a] C(f, contr.treatment(base='c'))[T.b]"
    ),
    "C(k)": "Intercept C(k)[T.2] C(k)[T.3] C(k)[T.4]",
    "C(k, 3)": "Intercept C(k, 3)[T.1] C(k, 3)[T.2] C(k, 3)[T.4]",
    "yes": "Intercept yes",
    "`odd name`": "Intercept odd name",
    "log(`odd name` + 9)": "Intercept log(`odd name` + 9)",
    "poly(x, 2)": "Intercept poly(x, 2)[1] poly(x, 2)[2]",
    "bs(x, df=4)": "Intercept " + " ".join(f"bs(x, df=4)[{i}]" for i in range(1, 5)),
    "x + offset(z)": "Intercept x",
    "fix(z, 2)": "Intercept",
}


@pytest.mark.parametrize("text", TERMS)
def test_terms_have_the_columns_of_wilkinson_and_rogers(text, table):
    found = design(f"y ~ {text}", table)
    names = [*(["Intercept"] if found.intercept else []), *found.names]
    assert " ".join(names) == TERMS[text]


def test_the_reference_of_a_category_is_the_one_that_is_asked_for(table):
    found = design("y ~ C(f, 'b')", table)
    np.testing.assert_array_equal(found.X, np.stack([table.f == "a", table.f == "c"], axis=1))


def test_levels_give_the_order_of_categories(table):
    found = design("y ~ C(f, levels=['c', 'a', 'b'])", table)
    np.testing.assert_array_equal(found.X, np.stack([table.f == "a", table.f == "b"], axis=1))


def test_declared_categories_keep_their_order(table):
    table["f"] = pd.Categorical(table.f, categories=["c", "b", "a"])
    assert design("y ~ f", table).names == ("f[T.b]", "f[T.a]")
    assert design("y ~ C(f, 'a')", table).names == ("C(f, 'a')[T.c]", "C(f, 'a')[T.b]")


def test_offsets_are_expressions_too(table):
    found = design("y ~ x + offset(log(z)) - fix(k, 2)", table)
    np.testing.assert_allclose(found.offset, np.log(table.z) - 2 * table.k)


MISTAKES = {
    "x^2": r"x \*\* 2 is 'x' crossed with itself.*I\(x\^2\)",
    "x*x": r"crossed with itself",
    "2*x": r"cannot stand inside a product.*I\(2 \* x\)",
    "x/7": r"cannot stand inside a product.*I\(",
    "x + 3": r"\+ 3 is no term.*I\(x \+ 2\)",
    "x - z": r"removes 'z', which is no term before it",
    "-x": r"removes 'x'.*I\(-x\)",
    "x > 2": r"no term.*I\(\.\.\.\)",
    "'x'": r"text is no term",
    ".": r"name the columns",
    "x %in% z": r"a:b",
    "(1 | g)": r"Varying effects such as \(1 \| unit\) are terms after the formula: hm",
    "x || g": r"Varying effects",
    "s(x)": r"'s' in the formula term 's\(x\)' is not a known function",
    "x.sum()": r"'x.sum' .* is not a known function",
    "log(x, 2)": r"log\(\) in 'log\(x, 2\)' takes one argument",
    "log(f)": r"'f' holds text.*numbers are needed",
    "I(f + 1)": r"'f' holds text",
    "I(f == 'zz')": r"category 'zz', which the data do not have. They have 'a', 'b', 'c'",
    "C(f, 'zz')": r"category 'zz', which the data do not have",
    "C(f, 1)": r"category 1\.0, which the data do not have",
    "C(f, Sum)": r"reference is Sum, but must be a category",
    "C(f, levels=['a', 'b'])": r"does not list the category 'c'",
    "C(log(x))": r"makes categories of a column",
    "log(poly(x, 2))": r"poly\(\) .* has several columns",
    "poly(x, 1.5)": r"degree is 1.5, but must be a whole number from 1 to 20",
    "poly(x, degree=2, degree=3)": r"twice the argument 'degree'",
    "poly(x, power=2)": r"unknown argument 'power'.*poly\(column, degree=, raw=\)",
    "poly(k, 4)": r"too few distinct values",
    "bs(x, df=2)": r"df must be at least 3",
    "bs(x, df=4, knots=[1])": r"df or knots",
    "bs(x, knots=[0.1])": r"knots .* do not lie inside the data",
    "bs(x, df='many')": r"df is 'many', but must be",
    "fix(x)": r"write fix\(column, value\)",
    "fix(x, z)": r"write fix\(column, value\)",
    "offset(x, 1)": r"offset\(column\)",
    "offset(center(x))": r"row by row",
    "z:offset(x)": r"a term of its own",
    "f + C(f)": r"'f' and 'C\(f\)', which are the same columns",
    "x + y": r"The outcome 'y' .* is among its own covariates",
    "x + I(x)": r"'x' and 'I\(x\)', which are the same columns",
    "I(1 + 1)": r"names no column",
    "log(x - 1e300) ": r"not finite",
    "x:log(0 * z)": r"not finite",
    "I(x ** 9999 ** 9)": r"not finite",
    "1a": r"begins with a digit needs backquotes: `1a`",
    "x z": r"cannot be read.*backquotes: `x z`",
    "x +": r"a value is missing at the end",
    "x + * z": r"a value is missing before '\*'",
    "log(x": r"unbalanced brackets",
    "`x": r"second backquote",
    "x = 2": r"'=' has no place",
    "x & z": r"products of covariates are written a:b",
    "C(f, 'a\\'b')": r"has no backslash",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_answered_with_what_to_write(text, table):
    with pytest.raises(MlmError, match=MISTAKES[text]):
        design(f"y ~ {text}", table)


EXPLOSIONS = {
    "9**9**9": "cannot stand inside a product",
    "I(x + 9**9**9)": "not a finite number",
    "I(x ** 9**9**9**9)": "not a finite number",
    "*".join("abcdefghijklmnopqrstuvwx"): "limit is",
    "(" + "+".join(f"v{i}" for i in range(30)) + ")^6": "limit is 500",
    "(" + "+".join(f"v{i}" for i in range(30)) + ")^20": "whole number from 1 to 6",
    ":".join("abcdefghijkl"): "more than 6 factors",
    "bs(x, df=10000000)": "from 1 to 100",
    "bs(x, degree=10000000)": "from 0 to 20",
    "poly(x, 10000000)": "from 1 to 20",
    "bs(x, knots=[" + ",".join(map(str, range(1000))) + "])": "1 to 100 numbers",
    "bs(x, knots=[1, 2] * 100000000)": "a list of 1 to 100 numbers",
    "I([x] * 100000000)": "arithmetic does not have",
    "x" * 5_000: "limit is 4000",
    "(" * 60 + "x" + ")" * 60: "nests deeper than 40",
    "I(" + "-" * 3_000 + "x)": "inside one another",
    "I(" + "x**" * 1_200 + "x)": "inside one another",
    "I(" + "x+" * 1_500 + "x)": "inside one another",
    "many:k": "1000000 of them.*limit is",
    "+".join(["many*x"] * 2) + "+many:z:k": "limit is 5000 columns",
}


@pytest.mark.parametrize("text", EXPLOSIONS, ids=range(len(EXPLOSIONS)))
def test_what_would_hang_or_fill_the_memory_is_refused_at_once(text):
    count = 100_000
    names = ["x", "z", "k", *"abcdefghijklmnopqrstuvw", *(f"v{i}" for i in range(30))]
    table = {name: np.arange(float(count)) % 10 for name in names}
    table["k"] = np.array(list("abcdefghij") * (count // 10), dtype=object)
    table["many"] = np.char.add("m", np.arange(count).astype(str)).astype(object)

    def refused():
        with pytest.raises(MlmError, match=EXPLOSIONS[text]):
            parsed = parse_formula(f"y ~ {text}")
            population_design(parsed, {k: table[k] for k in right_hand_columns(parsed)}, count)

    assert timed(refused)[1] < 1.0


def test_the_outcome_may_be_in_a_covariate_and_a_covariate_in_the_outcome(table):
    assert design("y - x ~ x", table).names == ("x",)


def test_terms_without_an_outcome_are_read():
    assert parse_terms("~ 1 + x").products == parse_terms("x").products == ((Column("x"),),)
    for text in ("", "~", "y ~ x", "x +", 3):
        with pytest.raises(SpecificationError):
            parse_terms(text)


def test_a_long_sum_of_columns_is_read():
    text = " + ".join(f"v{i}" for i in range(490))
    assert len(parse_formula(f"y ~ {text}").products) == 490


NAMES = [
    "odd name", "C", "log", "fix", "offset", "Surv", "I", "class", "lambda", "None", "True", "np",
    "a:b", "n0", "c0", "x'", 'x"', "{x}", "a\nb", "\N{FULLWIDTH LATIN SMALL LETTER X}", "__class__",
    "\N{LATIN SMALL LIGATURE FI}x", RUN, f"', {RUN}, '", f"x) or {RUN} or (x", "truth", "%s", "\\",
    "1a", " ", "~", "|", "(", "]", "[0]", "=", ",", "x.y", ".", "-", "+1", "0", "1",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_a_column_and_nothing_else(name, table):
    table["x"] = -table["x"]
    table = table.drop(columns=name, errors="ignore")
    table[name] = np.arange(1.0, NUM_ROWS + 1)
    found = design(f"y ~ `{name}` + log(`{name}`) + z:`{name}` + fix(`{name}`, 2)", table)
    assert found.names == (name, f"log({quoted(name)})", f"z:{name}")
    np.testing.assert_allclose(found.X[:, 1], np.log(table[name]))
    np.testing.assert_allclose(found.X[:, 2], table.z * table[name])
    np.testing.assert_allclose(found.offset, 2 * table[name])
    np.testing.assert_array_equal(outcome(f"`{name}`", table)[0], table[name])
    assert not hasattr(builtins, "EXECUTED")


def quoted(name):
    plain = name.replace(".", "_").isidentifier() and name != "."
    return name if plain else f"`{name}`"


@pytest.mark.parametrize("level", ["b", RUN, f"', {RUN}, '", "n0", "x]:z[T.a", "`", "\n", "T.b"])
def test_any_text_is_a_category_and_nothing_else(level, table):
    table["f"] = table.f.replace("b", level)
    found = design("y ~ 0 + f:z", table)
    at = found.names.index(f"f[{level}]:z")
    np.testing.assert_allclose(found.X[:, at], table.z * (table.f == level))


def test_two_columns_of_one_label_are_refused(table):
    table["x:z"] = table.z**3
    with pytest.raises(SpecificationError, match=r"two coefficients .* 'x:z'|'x:z'"):
        design("y ~ x:z + `x:z`", table)
    table["Intercept"] = table.z**2
    with pytest.raises(SpecificationError, match="'Intercept'"):
        design("y ~ Intercept", table)


TEXTS = ["(a + b) * c", "a - (b - c)", "-a ** 2", "(-a) ** 2", "(a ** b) ** c", "a ** b ** c",
         "a / (b * c)", "(a > b) + c", "log(a, b=[1, 'x'])", "(a + b):c", "`a b` - -2"]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_tree_as_text_is_read_as_the_same_tree(text):
    tree = parse(text, tokenize(text))
    assert label(tree) == text
    assert parse(label(tree), tokenize(label(tree))) == tree
    assert depth(tree) > 1
