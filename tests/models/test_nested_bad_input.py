"""Tables and arguments that are no nested model are errors with a remedy."""

import numpy as np
import pytest

import pymc_mlm as mlm

LEVELS = ["region", "school"]


def refused(**columns):
    """Change columns of the table, then read it."""

    def read(table, formula="y ~ 1 + x", levels=LEVELS, **kwargs):
        changed = {k: v(table) for k, v in columns.items()}
        mlm.NestedVaryingEffects(formula, levels, **kwargs)._design(table.assign(**changed))

    return read


def test_the_collapsed_path_of_another_family_is_refused(pupils):
    model = mlm.NestedVaryingEffects("yes ~ x", LEVELS, family="bernoulli")
    with pytest.raises(mlm.SpecificationError, match=r"'collapsed' cannot be taken.*'bernoulli'"):
        model.build(pupils, path="collapsed")


BAD = {
    "id with two parents": (
        lambda t: refused(school=lambda t: np.arange(len(t)) % 5)(t),
        "lies in two units of 'region'.*unique_ids=True",
    ),
    "levels in the wrong order": (
        lambda t: refused()(t, levels=["school", "region"]),
        "in the wrong order.*Write levels=\\['region', 'school'\\]",
    ),
    "missing id": (
        lambda t: refused(school=lambda t: t["school"].where(t.index != 3))(t),
        "'school' is missing in 1 of 72 rows, first in row 3",
    ),
    "covariate that does not vary": (
        lambda t: refused(x=lambda t: 1.0)(t, varying="1"),
        "The covariate 'x' has one value only.*Drop it",
    ),
    "slope of a constant covariate": (
        lambda t: refused()(t, formula="y ~ 1 + income", varying="1 + income"),
        "'income' has one value in every 'school'",
    ),
    "level covariate that varies": (
        lambda t: refused()(
            t, "y ~ 1 + x + income", varying="1", level_covariates={"region": ["income"]}
        ),
        "'income' varies inside 'region'='A'.*one value per unit",
    ),
    "level covariate outside the formula": (
        lambda t: refused()(t, level_covariates={"region": "wealth"}),
        "level_covariates names 'wealth', which the formula 'y ~ 1 \\+ x' lacks",
    ),
    "level covariate of no level": (
        lambda t: refused()(t, level_covariates={"town": "x"}),
        "level_covariates names the level 'town'",
    ),
    "single unit": (
        lambda t: refused(region=lambda t: "A")(t),
        "Level 'region' has a single unit, 'A'",
    ),
    "no such column": (
        lambda t: refused()(t, levels=["regin", "school"]),
        "did you mean 'region'",
    ),
    "missing covariate": (
        lambda t: refused(x=lambda t: t["x"].where(t.index != 5))(t),
        "'x' is missing in 1 of 72 rows, first in row 5",
    ),
    "unknown prior": (
        lambda t: refused()(t, priors={"shool_sd": mlm.Prior("HalfNormal", sigma=1.0)}),
        "no parameter 'shool_sd'; it has Intercept, beta, region_sd, school_sd, sigma",
    ),
    "mean of another column": (
        lambda t: refused()(t, within_between=["z"]),
        "within_between names 'z', which the formula lacks",
    ),
    "too many successes": (
        lambda t: refused(wins=lambda t: t["wins"] + 4)(
            t, "wins ~ x", family=mlm.Binomial("games")
        ),
        "successes of 5 trials",
    ),
    "nothing varies": (
        lambda t: refused()(t, varying="0"),
        "Nothing varies between units of 'region'.*leave 'region' out of levels",
    ),
    "nothing varies at a level": (
        lambda t: refused()(t, varying={"region": "1 + x", "school": "0"}),
        "Nothing varies between units of 'school'",
    ),
    "varying as in lme4": (
        lambda t: refused()(t, "y ~ 1 + x + (1 + x | school)"),
        "Write what varies as a plain sum, varying='1 \\+ x'",
    ),
    "varying with an outcome": (
        lambda t: refused()(t, varying="y ~ 1 + x"),
        "'y ~ 1 \\+ x' holds '|' or '~'",
    ),
    "level named as a dimension": (
        lambda t: refused(chain=lambda t: t["school"])(t, levels=["region", "chain"]),
        "Column 'chain' would name a dimension",
    ),
    "level named as the coefficients": (
        lambda t: refused(region_coef=lambda t: t["school"])(t, levels=["region", "region_coef"]),
        "Column 'region_coef' would name a dimension",
    ),
    "crossed units that are a level": (
        lambda t: refused()(t, terms=[mlm.hm("school")]),
        "Column 'school' is a nested level and the unit of another term",
    ),
    "level twice": (
        lambda t: refused()(t, levels=["school", "school"]),
        "names a column twice",
    ),
    "outcome that does not vary": (
        lambda t: refused(y=lambda t: 1.0)(t),
        "The outcome 'y' has one value only",
    ),
    "missing outcome": (
        lambda t: refused(y=lambda t: t["y"].where(t.index != 7))(t),
        "'y' is missing in 1 of 72 rows, first in row 7",
    ),
    "within and between of what is constant within": (
        lambda t: refused()(t, "y ~ 1 + wealth", varying="1", within_between=["wealth"]),
        "'wealth', which has one value in every 'region': it has no effect within",
    ),
    "no count": (lambda t: refused()(t, "y ~ x", family="poisson"), "must be a count"),
    "levels that are no names": (
        lambda t: refused()(t, levels=["region", 5]),
        "levels is \\['region', 5\\]",
    ),
    "no list of terms": (lambda t: refused()(t, terms=mlm.hm("z")), "give a list, such as terms="),
    "level covariates without levels": (
        lambda t: refused()(t, level_covariates=["income"]),
        "level_covariates is \\['income'\\]; give columns by level",
    ),
    "wrong term": (lambda t: refused()(t, terms=["z"]), "'z' is not a term"),
}


@pytest.mark.parametrize(("read", "text"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_an_error_with_a_remedy(read, text, pupils):
    with pytest.raises(mlm.MlmError, match=text):
        read(pupils)


def test_the_residual_sd_of_a_collapsed_model_is_positive(pupils):
    prior = mlm.Prior("Normal", mu=0.0, sigma=1.0)
    with pytest.raises(mlm.SpecificationError, match="sigma"):
        mlm.NestedVaryingEffects("y ~ 1 + x", LEVELS, priors={"sigma": prior}).build(pupils)


def test_confounded_designs_are_named(pupils):
    model = mlm.NestedVaryingEffects("y ~ 1", ["school", "pupil"])
    with pytest.warns(UserWarning, match="Every 'pupil' has one row"):
        model._design(pupils.assign(pupil=np.arange(len(pupils))))


def test_a_covariate_far_from_zero_is_named(pupils):
    model = mlm.NestedVaryingEffects("y ~ 1 + year", LEVELS)
    with pytest.warns(UserWarning, match="Use center\\(year\\) in formula and varying"):
        model._design(pupils.assign(year=2000 + pupils["x"]))
