"""Random formulas: each is read, or refused by name, at once, and nothing in it is run.

The short versions run always; the long ones, with 20,000 formulas, are marked slow.
"""

import ast
import builtins
import random
import re

import formulaic
import formulaic.materializers.base as formulaic_base
import numpy as np
import pytest

from pymc_mlm.data.formula import parse_formula
from pymc_mlm.data.formula_calls import CENTERING, SPLINES
from pymc_mlm.data.formula_code import EVALUATED
from pymc_mlm.data.population import population_design, response_values, right_hand_columns
from pymc_mlm.errors import MlmError
from tests.clock import timed

NUM_ROWS = 24
SECONDS = 1.0
# Would leave a trace if Python evaluated it.
RUN = "__import__('builtins').__dict__.update(EXECUTED=1)"
HOSTILE_NAMES = [
    "odd name", "C", "log", "fix", "class", "lambda", "np", "a:b", "n0", "c1", "x'", 'x"', "{x}",
    "a\nb", "\N{FULLWIDTH LATIN SMALL LETTER X}", "\N{LATIN SMALL LIGATURE FI}x", "__class__", RUN,
    f"', {RUN}, '", f"x) or {RUN} or (x", "truth", "%s", "\\", "1a", "m\N{SUPERSCRIPT TWO}", " ",
    "~", "None", "True", "I", "Surv", "_", "\N{DUCK}", "x.y", ".", "Intercept",
]  # fmt: skip
HOSTILE_LABELS = ["a", "b", f"', {RUN}, '", "n0", "x]:z[T.a", "`", "\n"]


def make_table(seed=0):
    rng = np.random.default_rng(seed)
    names = ["x", "z", "y", "t", *HOSTILE_NAMES]
    table = {name: rng.uniform(0.5, 3.0, NUM_ROWS) for name in names}
    table["k"] = rng.integers(0, 4, NUM_ROWS)
    table["yes"] = rng.random(NUM_ROWS) < 0.5
    for name, labels in [("f", list("abc")), ("h", HOSTILE_LABELS)]:
        table[name] = np.array([labels[i % len(labels)] for i in range(NUM_ROWS)], dtype=object)
    return table


TABLE = make_table()
NAMES = ["x", "z", "k", "yes", "f", "h", "y", "t"]
NASTY = [
    *"`'\"(){}[]~|:*/^+-=,.%&@!\\\n\t;#$0123456789",
    "**", "9**9**9", "__class__", f"'`{RUN}`'", f"`{RUN}`", f"{{{RUN}}}", RUN, "lambda: 0", "1e999",
    "10**7", "fix(", "offset(x)", "Surv(", "np.log(x)", "C(f, 'b')", "C(f, Treatment('c'))",
    "levels=['a','b','c']", "knots=[1,2]", "df=10000000", "poly(x, 10000000)", "[0]*9",
    "\N{FULLWIDTH LATIN CAPITAL LETTER C}(x)", "True", "None", "x.real", "{x}.real", "(1|f)",
    "f == 'a'",
    "x" * 300, "(" * 30 + "x" + ")" * 30, "-" * 200 + "x", "^2" * 100, "*h" * 9, "%in%", "I(x^2)",
]  # fmt: skip


def name(rng):
    if rng.random() < 0.75:
        return rng.choice(NAMES)
    return f"`{rng.choice([*HOSTILE_NAMES, *NAMES])}`"


def number(rng):
    return rng.choice(["0", "1", "2", "3", "0.5", "1e3", ".5", "7", "400"])


def arithmetic(rng, depth=3, columns=("x", "z", "k", "yes")):
    """Return random arithmetic that Python reads as R does."""
    kind = rng.random()
    if depth == 0 or kind < 0.25:
        return rng.choice(columns) if rng.random() < 0.7 else number(rng)
    inner = arithmetic(rng, depth - 1, columns)
    if kind < 0.4:
        return f"{rng.choice(['log', 'exp', 'sqrt', 'abs', 'log1p', 'log10', 'I'])}({inner})"
    if kind < 0.5:
        return f"-{inner}"
    if kind < 0.65:
        return f"({inner})"
    other = arithmetic(rng, depth - 1, columns)
    return f"{inner}{rng.choice([' + ', '-', '*', ' / ', '**', '^'])}{other}"


def factor(rng):
    kind = rng.random()
    if kind < 0.5:
        return name(rng)
    column = name(rng)
    return rng.choice([
        f"I({arithmetic(rng)})", f"{{{arithmetic(rng)}}}", f"log({column})", f"C({column})",
        f"C({column}, {rng.choice(['a', 'b', 1, 2, True])!r})", f"C({column}, Treatment('b'))",
        f"center({column})", f"scale({column})", f"standardize({column})", f"I({column} > 1)",
        f"poly({column}, {rng.choice([1, 2, 3, 30, 10**9])})",
        f"bs({column}, df={rng.randint(0, 9)})",
        f"cr({column}, df={rng.randint(0, 9)})", f"cc({column}, df={rng.randint(0, 9)})",
        f"I({column} == 'a')", f"bs({column}, knots=[1, {number(rng)}])", f"np.log({column})",
        f"I(center({column})^2)", f"poly(log({column}), 2, raw=True)",
    ])  # fmt: skip


def terms(rng, depth=2):
    kind = rng.random()
    if depth == 0 or kind < 0.3:
        return factor(rng)
    if kind < 0.4:
        return f"({terms(rng, depth - 1)})^{rng.choice([1, 2, 3, 20])}"
    if kind < 0.5:
        return f"({terms(rng, depth - 1)})"
    operator = rng.choice(["+", "+", "*", ":", "/", "-"])
    return f"{terms(rng, depth - 1)} {operator} {terms(rng, depth - 1)}"


def formula(rng):
    left = rng.choice(["y", name(rng), arithmetic(rng), f"log({name(rng)})", "Surv(t, yes)",
                       f"Surv(t / {number(rng)}, k == 1)", f"scale({name(rng)})"])  # fmt: skip
    right = rng.choice(["", "1 + ", "0 + ", "-1 + "]) + terms(rng, 3)
    if rng.random() < 0.2:
        right += f" + {rng.choice(['fix', 'offset'])}({name(rng)}{rng.choice(['', ', 2', ', -x'])})"
    return f"{left} ~ {right}"


def mutated(rng, text):
    for _ in range(rng.choice([0, 0, 1, 1, 2, 5])):
        at, to = rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)
        text = rng.choice([
            text[:at] + rng.choice(NASTY) + text[at:], text[:at] + text[at + 1 :],
            text[: min(at, to)] + text[max(at, to) :], text[:at] + text[min(at, to) :],
        ])  # fmt: skip
    return text


def read(text, table=TABLE):
    """Return the design of a formula and its outcome."""
    parsed = parse_formula(text)
    own = {k: table[k] for k in right_hand_columns(parsed) if k in table}
    if len(own) < len(right_hand_columns(parsed)) or not {*parsed.response.columns} <= {*table}:
        raise MlmError("no such column")
    outcome = response_values(parsed.response, {k: table[k] for k in parsed.response.columns})
    return population_design(parsed, own, NUM_ROWS), outcome


def read_or_refused(text):
    """Return what `read` returns; None where the formula is refused by name."""
    try:
        return read(text)
    except MlmError:
        return None


CALLED = {*EVALUATED, *CENTERING, *SPLINES, "poly"}
NODES = (
    ast.Expression, ast.Call, ast.Name, ast.Load, ast.Constant, ast.keyword, ast.BinOp, ast.UnaryOp,
    ast.operator, ast.unaryop, ast.List, ast.Compare, ast.cmpop,
)  # fmt: skip
WORDS = {"raise", "clip", "zero", "extend", "center"}


def is_generated(text):
    """Tell whether a text holds generated names, numbers and functions of the list only."""
    nodes = list(ast.walk(ast.parse(text, mode="eval")))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    names = [node for node in nodes if isinstance(node, ast.Name)]
    words = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return (
        all(isinstance(node, NODES) for node in nodes)
        and all(n.id in CALLED for n in names if id(n) in called)
        and all(re.fullmatch(r"[nc]\d+", n.id) for n in names if id(n) not in called)
        and words <= WORDS
    )


@pytest.fixture
def evaluated(monkeypatch):
    """Texts that formulaic evaluates as Python."""
    seen = []
    evaluate = formulaic_base.stateful_eval

    def watched(expr, *args, **kwargs):
        seen.append(expr)
        return evaluate(expr, *args, **kwargs)

    monkeypatch.setattr(formulaic_base, "stateful_eval", watched)
    return seen


LENGTHS = [
    pytest.param(500, id="short"),
    pytest.param(20_000, id="long", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("count", LENGTHS)
def test_random_formulas_are_read_or_refused_at_once_and_never_run(count, evaluated):
    rng = random.Random(9)
    accepted = 0
    for _ in range(count):
        text = mutated(rng, formula(rng))
        result, seconds = timed(read_or_refused, text)
        assert seconds < SECONDS, text
        if result is not None:
            design, outcome = result
            accepted += 1
            assert np.isfinite(design.X).all() and all(np.isfinite(y).all() for y in outcome), text
            assert len(set(design.names)) == design.X.shape[1], text
        assert not hasattr(builtins, "EXECUTED"), text
    assert all(map(is_generated, set(evaluated)))
    assert accepted > count / 20


def naive(text):
    """Evaluate arithmetic with Python's own parser; None where that is not finite or no column."""
    scope = {k: np.float64(0) + TABLE[k] for k in ("x", "z", "k", "yes")}
    scope |= {f: getattr(np, f) for f in ("log", "exp", "sqrt", "abs", "log1p", "log10")}
    scope |= {"I": lambda value: value, "float64": np.float64}
    with np.errstate(all="ignore"):
        try:
            # Python's own numbers raise an error where those of NumPy become infinite.
            numbers = re.sub(r"(?<![\w.])(\d*\.?\d+(e\d)?)", r"float64(\1)", text)
            value = eval(numbers.replace("^", "**"), {"__builtins__": {}}, scope)
        except (ArithmeticError, ValueError):
            return None
    value = np.asarray(value, dtype=complex)
    fine = value.shape == (NUM_ROWS,) and np.isfinite(value).all() and not value.imag.any()
    return value.real if fine else None


@pytest.mark.parametrize("count", LENGTHS)
def test_arithmetic_on_both_sides_is_that_of_numpy(count):
    rng = random.Random(3)
    compared = 0
    for _ in range(count):
        text = arithmetic(rng, 4)
        try:
            outcome = read(f"{text} ~ 1")[1][0]
            covariate = read(f"y ~ 0 + I({text})")[0].X
        except MlmError:
            continue
        want = naive(text)
        assert want is not None, text
        compared += 1
        np.testing.assert_allclose(outcome, want, rtol=1e-12, err_msg=text)
        np.testing.assert_allclose(covariate, want[:, None], rtol=1e-12, err_msg=text)
    assert compared > count / 10


def algebra(rng, depth=3):
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(["x", "z", "k", "f", "t"])
    inner = algebra(rng, depth - 1)
    if rng.random() < 0.25:
        return f"({inner})**{rng.choice([1, 2, 3])}"
    return f"({inner} {rng.choice(['+', '+', '*', ':', '/', '-'])} {algebra(rng, depth - 1)})"


@pytest.mark.parametrize(
    "count", [pytest.param(150, id="short"), pytest.param(2_000, id="long", marks=pytest.mark.slow)]
)
def test_terms_are_those_of_formulaic(count):
    import pandas as pd

    rng = random.Random(5)
    frame = pd.DataFrame({k: TABLE[k] for k in "xzkft"}).astype({"k": float})
    compared = 0
    for _ in range(count):
        text = rng.choice(["", "0 + "]) + algebra(rng)
        try:
            design, _ = read(f"y ~ {text}")
        except MlmError:
            continue
        compared += 1
        want = formulaic.model_matrix(text, frame)
        assert list(design.names) == [c for c in want.columns if c != "Intercept"], text
        np.testing.assert_allclose(design.X, want.drop(columns="Intercept", errors="ignore"))
        assert design.intercept == ("Intercept" in want.columns)
    assert compared > count / 4
