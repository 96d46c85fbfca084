"""Laws of formulas: what they mean, and what they refuse."""

import numpy as np
import pandas as pd
import pytest

from pymc_mlm.data.formula import Offset, parse_formula
from pymc_mlm.data.formula_tree import Column
from pymc_mlm.data.frame import columns
from pymc_mlm.data.population import population_design, response_values, right_hand_columns
from pymc_mlm.errors import DataError, SpecificationError

TABLE = pd.DataFrame(
    {"x": [1.0, 2.0, 3.0, 4.0], "c": ["a", "b", "a", "d"], "odd name": [1.0, 2.0, 3.0, 4.0]}
)


def design(text, table=TABLE, known=None):
    formula = parse_formula(text)
    return population_design(
        formula, columns(table, right_hand_columns(formula)), len(table), known
    )


def test_survival_outcome_has_time_and_event():
    response = parse_formula("Surv(weeks, `was ended`) ~ 1").response
    assert response.kind == "survival"
    assert response.columns == ("weeks", "was ended")


def test_fixed_coefficient_becomes_an_offset():
    formula = parse_formula("y ~ x + fix(`odd name`, -2)")
    assert formula.offsets == (Offset(Column("odd name"), -2.0),)
    np.testing.assert_array_equal(design("y ~ x + fix(`odd name`, -2)").offset, [-2, -4, -6, -8])


def test_subtracted_fixed_term_changes_sign():
    assert parse_formula("y ~ x - fix(z, 2)").offsets == (Offset(Column("z"), -2.0),)


def test_formula_with_fixed_terms_only_keeps_its_intercept():
    assert design("y ~ fix(x, 1)").intercept


def test_intercept_can_be_removed():
    assert not design("y ~ 0 + x").intercept


def test_categories_are_coded_against_a_reference_and_again_for_new_data():
    fitted = design("y ~ c")
    assert fitted.names == ("c[T.b]", "c[T.d]")
    again = design("y ~ c", TABLE.iloc[[3]], known=fitted)
    np.testing.assert_array_equal(again.X, [[0.0, 1.0]])


def test_centring_remembers_the_fitted_mean():
    fitted = design("y ~ center(x)")
    np.testing.assert_allclose(design("y ~ center(x)", TABLE.iloc[:1], known=fitted).X, [[-1.5]])


def test_unseen_category_is_refused():
    with pytest.raises(DataError, match="a category 'zz' that the fitted data lacked"):
        design("y ~ c", TABLE.assign(c="zz"), known=design("y ~ c"))


def test_missing_covariate_is_refused_with_its_row():
    with pytest.raises(DataError, match="'x' is missing in 1 of 4 rows"):
        design("y ~ x", TABLE.assign(x=[1.0, np.nan, 2.0, 3.0]))


def test_transformed_outcome_is_evaluated():
    response = parse_formula("log(y) ~ 1").response
    np.testing.assert_allclose(response_values(response, {"y": np.array([1.0, np.e])}), [[0, 1]])


HOSTILE = [
    "y ~ __import__('os').system('true')",
    "y ~ x.__class__",
    "y ~ x.sum()",
    "y ~ eval('1')",
    "y ~ {x.shape()}",
    "y ~ {[i for i in x]}",
    "y ~ {(lambda: 1)()}",
    "y ~ [i for i in x]",
    "y ~ log(x)(3)",
    "y ~ C(x, contr.treatment)",
    "y ~ " + "(" * 50_000 + "x" + ")" * 50_000,
    "y ~ " + "(" * 60 + "x" + ")" * 60,
    "eval(y) ~ 1",
    "Surv(s, t, e, u) ~ 1",
    "Surv(1, e) ~ 1",
    "Surv(poly(t, 2), e) ~ 1",
    "y ~ fix(x)",
    "y ~ fix(x, nan)",
    "y ~ z:fix(x, 1)",
    "y ~ a | b",
    "y ~ x ~ z",
    "~ x",
    "y",
    "y ~ x)",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_or_broken_formula_is_refused(text):
    with pytest.raises(SpecificationError):
        right_hand_columns(parse_formula(text))


def test_unknown_function_lists_the_known_ones():
    with pytest.raises(SpecificationError, match=r"'foo' in the formula term 'foo.x.'.*log"):
        right_hand_columns(parse_formula("y ~ foo(x)"))


@pytest.mark.parametrize(
    "text",
    ["y ~ 1 + score of pupil", "score of pupil ~ 1 + x", "y ~ log(score of pupil)"],
)
def test_a_name_with_spaces_is_offered_backquotes(text):
    with pytest.raises(SpecificationError) as caught:
        right_hand_columns(parse_formula(text))
    message = str(caught.value)
    assert f"The formula {text!r} cannot be read" in message
    assert message.endswith("written in backquotes: `score of pupil`.")
    assert "<unknown>" not in message and "comma" not in message


def test_backquotes_are_offered_for_the_name_that_lacks_them():
    with pytest.raises(SpecificationError, match=r"backquotes: `c d`\.$"):
        right_hand_columns(parse_formula("y ~ `a b` + c d"))


def test_other_errors_offer_no_backquotes():
    with pytest.raises(SpecificationError, match=r"incorrectly used.*Varying effects") as caught:
        right_hand_columns(parse_formula("y ~ (1 | school)"))
    assert "backquotes" not in str(caught.value)
