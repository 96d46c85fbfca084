"""What an expression refuses, quickly and with the character; names, equality and printing."""

from dataclasses import FrozenInstanceError, replace

import pytest

from pymc_mlm.errors import SpecificationError
from pymc_mlm.weights import Expression, as_weight, softmax
from tests.clock import timed

HOSTILE = [
    ("__import__('os')", r"character 12: \"'\""),
    ("__import__(os)", r"character 1: unknown function '__import__'"),
    ("().__class__", r"character 3: '\.'"),
    ("x.__class__", r"character 2: '\.'.*backquotes"),
    ("os.system", r"character 3"),
    ("x[0]", r"character 2: '\['"),
    ("{x}", r"character 1"),
    ("lambda x: x", r"character 8: an operator|character 9: ':'"),
    ("[x for x in y]", r"character 1: '\['"),
    ("(x for x in y)", r"character 4: an operator is missing before 'for'"),
    ("x if y else z", r"character 3: an operator is missing before 'if'"),
    ("'text'", r"character 1"),
    ('"text"', r"character 1"),
    ("f'{x}'", r"character 2"),
    ("(x := 1)", r"character 4: ':'"),
    ("exp(*x)", r"character 5: a value is missing before '\*'"),
    ("exp(**x)", r"character 5: a value is missing before '\*\*'"),
    ("exp(x=1)", r"character 6: '='.*=="),
    ("x = 1", r"character 3: '='"),
    ("x; y", r"character 2: ';'"),
    ("x\\\ny", r"character 2"),
    ("x # y", r"character 3: '#'"),
    ("x @ y", r"character 3: '@'"),
    ("x % y", r"character 3: '%'"),
    ("x // y", r"character 4: a value is missing before '/'"),
    ("x\0", r"character 2: '\\x00'"),
    ("`x\0`", r"character 1: .*unprintable"),
    ("\u0435xp(x)", r"character 1: '\u0435'"),
    ("x\u00b2", r"character 2: '\u00b2'"),
    ("x\u00a0+ 1", r"character 2"),
    ("\uff58", r"character 1"),
    ("9**9**9", r"character 1: the constant is not a finite number"),
    ("x + 9^9^9^9", r"character 7: the constant is not a finite number"),
    ("x + 1e999", r"character 5: 1e999 is too large"),
    ("b ^ 1e31", r"character 5: 1e31 is too large"),
    ("b * (1e20 * 1e20)", r"the constant is not a finite number up to 1e\+30"),
    ("1 / (2 - 2)", r"character 1: the constant"),
    ("log(-1)", r"character 1: the constant"),
    ("1_000", r"character 2: an operator is missing before '_000'"),
    ("0x10", r"character 2"),
    ("1j", r"character 2"),
    ("(" * 100_000, r"character 2001: the text has 100000 characters"),
    ("(" * 51 + "x" + ")" * 51, r"character 51: more than 50 open"),
    ("-" * 1900 + "x", r"more than 100 operators"),
    ("not " * 400 + "x", r"more than 100 operators"),
    ("2**-" * 400 + "2", r"more than 100 operators"),
    ("+".join(["x"] * 900), r"more than 100 operators"),
    ("exp(" * 50 + "-" * 60 + "x" + ")" * 50, r"more than 100 operators"),
    ("x" * 2001, r"character 2001"),
]


@pytest.mark.parametrize(("text", "match"), HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_refused_at_its_character_within_a_second(text, match):
    def refused():
        with pytest.raises(SpecificationError, match=match):
            Expression(text)

    assert timed(refused)[1] < 1.0


MISTAKES = [
    ("", r"character 1: the text ends where a value is expected"),
    ("   ", r"the text ends"),
    ("w ~", r"character 4: the text ends"),
    ("v ~ x", r"character 3: '~' has no place"),
    ("x +", r"character 4: the text ends"),
    ("* x", r"character 1: a value is missing before '\*'"),
    ("x y", r"character 3: an operator is missing before 'y'"),
    ("2x", r"character 2: an operator is missing before 'x'"),
    ("2 (x)", r"character 3: an operator is missing before '\('"),
    ("(x", r"character 1: '\(' is never closed"),
    ("exp(x))", r"character 7: '\)' closes nothing"),
    ("exp()", r"character 5: a value is missing before '\)'"),
    ("exp(x, y)", r"character 6: exp\(\) takes one argument"),
    ("1 + not x", r"character 5: not an expression"),
    ("`x", r"character 1: '`'.*second backquote"),
    ("!x", r"character 1: '!'.*`not`"),
    ("x && y", r"character 4: a value is missing before '&'"),
    ("seat.share", r"character 5: '\.'.*backquotes"),
    ("1 + epx(x)", r"character 5: unknown function 'epx'; did you mean 'exp'"),
    ("1 + foo(x)", r"character 5: unknown function 'foo'; .*known functions are exp, log, sqrt"),
    ("n(x)", r"character 1: unknown function 'n'"),
    ("b(x)", r"character 1: unknown function 'b'"),
]


@pytest.mark.parametrize(("text", "match"), MISTAKES)
def test_a_mistake_is_named_with_its_character(text, match):
    with pytest.raises(SpecificationError, match=match):
        Expression(text)


NO_GRADIENT = [
    ("x > b0", r"'>' of a free parameter.*ilogit\(10 \* \(x - b0\)\)"),
    ("1 + (exp(b * x) == 1)", r"character 6: '=='|character 5: '=='"),
    ("x & b", r"'and' of a free parameter.*ilogit"),
    ("not b", r"'not' of a free parameter"),
    ("max(b * x)", r"'max' of a free parameter has no useful gradient.*log\(sum\(exp"),
    ("min(b * x)", r"'min' of a free parameter.*-log\(sum\(exp"),
    ("x / sd(x + b)", r"character 5: 'sd' of a free parameter.*sqrt\(mean"),
]


@pytest.mark.parametrize(("text", "match"), NO_GRADIENT)
def test_a_step_in_a_free_parameter_is_refused_with_a_smooth_one(text, match):
    with pytest.raises(SpecificationError, match=match):
        Expression(text)


def test_a_hundred_columns_can_be_added():
    assert len(Expression(" + ".join(f"x{i}" for i in range(100))).columns) == 100


def test_fifty_parentheses_are_read():
    assert Expression("(" * 50 + "x" + ")" * 50).label == "x"


def test_names_are_sorted_into_columns_and_parameters_in_order_of_appearance():
    weight = Expression("theta * z + b1 * x + b12 * z + b13 + b01 + beta + b0", ["theta"])
    assert weight.parameters == ("theta", "b1", "b12", "b0")
    assert weight.columns == ("z", "x", "b13", "b01", "beta")


def test_an_unknown_name_is_answered_with_the_nearest_column():
    weight = Expression("ilogit(b0 + b1 * psaet)")
    with pytest.raises(SpecificationError, match=r"character 18: 'psaet' is neither.*'pseat'"):
        weight.check(["majority", "pseat", "pid"])
    with pytest.raises(SpecificationError, match=r"did you mean 'PSEAT'"):
        Expression("pseat").check(["majority", "PSEAT"])
    with pytest.raises(SpecificationError, match=r"'theta' is neither.*parameters="):
        Expression("exp(theta * x)").check(["x"])
    weight.check(["psaet"])


def test_n_needs_no_column():
    Expression("1 / n").check([])
    assert Expression("1 / n").columns == ()
    with pytest.raises(SpecificationError, match="character 5: 'n' is neither"):
        Expression("1 / `n`").check(["x"])


@pytest.mark.parametrize("name", ["n", "exp", "and", "TRUE", "a b", "1b", "", 3])
def test_a_parameter_must_be_a_free_name(name):
    with pytest.raises(SpecificationError, match="cannot be a free parameter"):
        Expression("x", (name,))


def test_a_declared_parameter_must_be_used():
    with pytest.raises(SpecificationError, match="does not use 'theta'"):
        Expression("exp(teta * x)", ["theta"])
    with pytest.raises(SpecificationError, match="not a str"):
        Expression("exp(theta * x)", "theta")


def test_equality_and_hash_are_those_of_text_and_free_parameters():
    assert Expression("exp(b * x)") == Expression("exp(b * x)", ["b"])
    assert hash(Expression("exp(b * x)")) == hash(Expression("exp(b * x)", ("b",)))
    assert Expression("exp(t * x)", ["t"]) != Expression("exp(t * x)")
    assert Expression("exp(b * x)") != softmax("x"), "the default priors differ"


def test_an_expression_is_frozen_and_edited_with_replace():
    weight = Expression("exp(b * x)")
    with pytest.raises(FrozenInstanceError):
        weight.text = "1 / n"
    assert replace(weight, text="1 / n") == Expression("1 / n")
    assert replace(weight, text="exp(b0 * z)").parameters == ("b0",)


def test_repr_builds_the_same_expression():
    weight = Expression("exp(theta * x)", ["theta"], prior_scaled=True)
    assert eval(repr(weight)) == weight


def test_a_label_shows_what_was_understood():
    assert Expression("w ~ 1/n^exp(b*x)").label == "1 / n ** exp(b * x)"
    assert Expression("x>1&z<2").label == "x > 1 and z < 2"
    assert Expression("-(x)^2").label == "-x ** 2"
    assert Expression("(-x)^2").label == "(-x) ** 2"
    assert Expression("x - (z - 1)").label == "x - (z - 1)"
    assert (
        Expression("`seat share` / sum(`seat share`)").label == "`seat share` / sum(`seat share`)"
    )


def test_as_weight_takes_text_and_weights_and_nothing_else():
    assert as_weight("1 / n") == Expression("1 / n")
    assert as_weight("exp(t * x)", ["t"]).parameters == ("t",)
    assert as_weight(softmax("x")) is not None
    assert as_weight(softmax("x"), ["b"]) == softmax("x")
    with pytest.raises(SpecificationError, match=r"weight=3 is a int.*'1 / n'"):
        as_weight(3)
    with pytest.raises(SpecificationError, match=r"names 't', but the weight 'exp\(b \* x\)'"):
        as_weight(softmax("x"), ["t"])
    with pytest.raises(SpecificationError, match="not a str"):
        as_weight("exp(theta * x)", "theta")
    with pytest.raises(SpecificationError, match="a weight's text must be a str"):
        Expression(3)
