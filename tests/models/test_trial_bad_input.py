"""Arguments and tables that are no trial are refused by their text."""

import numpy as np
import pytest

import pymc_mlm as mlm
from pymc_mlm.decisions.standardization import CoefficientDraws
from pymc_mlm.trial.draws import TrialDraws, population_cells
from pymc_mlm.trial.target import Target
from tests.models.trial_tables import COVARIATES, trial_table


def fit_with(table=None, **arguments):
    table = trial_table() if table is None else table
    return mlm.MultivariateLogitTrial(
        **({"outcomes": ["y1", "y2"], "arm": "group", "control": "old"} | arguments)
    ).fit(table, draws=50)


BAD = [
    (lambda: fit_with(trial_table().assign(y1=2)), mlm.DataError, "Which one is the event"),
    (lambda: fit_with(trial_table().assign(y1="yes")), mlm.DataError, "'yes' in row 0"),
    (lambda: fit_with(trial_table().assign(group="old")), mlm.DataError, "at least two"),
    (lambda: fit_with(control="olf"), mlm.DataError, "Did you mean 'old'"),
    (lambda: fit_with(control=None), mlm.SpecificationError, "control is not named"),
    (
        lambda: fit_with(
            trial_table().assign(**{f"z{k}": trial_table()["y1"] for k in range(7)}),
            outcomes=[f"z{k}" for k in range(7)],
        ),
        mlm.SpecificationError,
        "Use dependence='pairwise'",
    ),
    (
        lambda: fit_with().probability(mlm.rules.Compensatory((1, 2, 3))),
        mlm.SpecificationError,
        "3 entries for 2 outcomes",
    ),
    (lambda: fit_with().probability(mlm.rules.All(), alpha=5), mlm.SpecificationError, "alpha=5"),
    (
        lambda: fit_with().treatment_effect(population=mlm.populations.Value(age=1)),
        mlm.SpecificationError,
        "no covariate of the model",
    ),
    (
        lambda: fit_with().treatment_effect(estimand="new_cluster"),
        mlm.SpecificationError,
        "has none",
    ),
    (
        lambda: fit_with().treatment_effect(weights="equal"),
        mlm.SpecificationError,
        "bayesian_bootstrap",
    ),
    (lambda: fit_with().treatment_effect(measure="log"), mlm.SpecificationError, "odds_ratio"),
    (lambda: fit_with().plot("pie"), mlm.SpecificationError, "plot has no kind 'pie'"),
    (lambda: fit_with(covariates=["y1"]), mlm.SpecificationError, "both an outcome and a covar"),
    (lambda: fit_with(covariates="0 + age"), mlm.SpecificationError, "remove the intercept"),
    (lambda: fit_with(covariates="fix(age, 1)"), mlm.SpecificationError, "cannot be fixed"),
    (lambda: fit_with(covariates=["agee"]), mlm.DataError, "did you mean 'age'"),
    (
        lambda: fit_with(trial_table().assign(age=1.0), covariates=["age"]),
        mlm.DataError,
        "'age' has one value",
    ),
    (
        lambda: fit_with(cluster="id", random="1 + height"),
        mlm.SpecificationError,
        "'height' is no term",
    ),
    (lambda: fit_with(cluster_prior="wishart"), mlm.SpecificationError, "'inverse_wishart'"),
    (
        lambda: fit_with(
            covariates=["age"],
            priors={"beta": mlm.Prior("Normal"), "slope": mlm.Prior("Normal")},
        ),
        mlm.SpecificationError,
        "one of all coefficients, so that 'slope' has none",
    ),
    (
        lambda: fit_with(covariates=["age"], priors={"slope": mlm.Prior("Laplace", mu=0, b=1)}),
        mlm.SpecificationError,
        r"it is Prior\('Normal', mu=0, sigma=...\)",
    ),
    (
        lambda: fit_with(
            covariates=["age"], priors={"slope": mlm.Prior("Normal", mu=0, sigma=[1, 2])}
        ),
        mlm.SpecificationError,
        "one number above 0",
    ),
    (
        lambda: fit_with(
            covariates=["age"],
            priors={"cell_probability": mlm.Prior("Dirichlet", a=np.ones((3, 4)))},
        ),
        mlm.SpecificationError,
        r"shape \(3, 4\) for 2 arms",
    ),
    (
        lambda: fit_with(priors={"cell_probability": mlm.Prior("Dirichlet", a=[1, 1, 0, 1])}),
        mlm.SpecificationError,
        "which is no distribution: a > 0",
    ),
    (
        lambda: fit_with(priors={"beat": mlm.Prior("Normal")}),
        mlm.SpecificationError,
        "no parameter 'beat'",
    ),
    (
        lambda: fit_with(trial_table().rename(columns={"id": "slope"}), cluster="slope"),
        mlm.SpecificationError,
        "Rename the column",
    ),
]


BAD += [
    (
        lambda: fit_with(random="1 + arm"),
        mlm.SpecificationError,
        "lets coefficients vary by cluster, and cluster= is not given",
    ),
    (
        lambda: fit_with(priors={"cell_probability": mlm.Prior("Dirichlet", a=[1, 1, 1])}),
        mlm.SpecificationError,
        "has 3 numbers in its last axis for 4 response patterns",
    ),
    (lambda: fit_with().summary(ci_prob=1.2), mlm.SpecificationError, "ci_prob=1.2"),
    (lambda: fit_with().probability("All"), mlm.SpecificationError, "is no rule"),
    (
        lambda: fit_with().treatment_effect(treatment="old"),
        mlm.SpecificationError,
        "is the control itself",
    ),
    (
        lambda: fit_with().treatment_effect(population=trial_table()),
        mlm.SpecificationError,
        "^A DataFrame is no population",
    ),
]


@pytest.mark.parametrize(("ask", "error", "text"), BAD)
def test_bad_input_is_refused_by_its_text(ask, error, text):
    with pytest.raises(error, match=text):
        ask()


def test_an_empty_range_is_refused(covariate):
    with pytest.raises(mlm.DataError, match="Nobody is in the population"):
        covariate.treatment_effect(population=mlm.populations.Range("age", 200, 300))


@pytest.mark.parametrize("draws", [0, -1, 2.5])
def test_direct_draws_are_a_positive_whole_number(draws):
    trial = mlm.MultivariateLogitTrial(["y1", "y2"], "group", control="old")
    with pytest.raises(mlm.SpecificationError, match="draws must be a positive whole number"):
        trial.fit(trial_table(), draws=draws)


def test_a_range_without_an_arm_is_refused_where_arms_have_rows_of_their_own():
    table = trial_table()
    table.loc[table["group"] == "new", "age"] = 10.0
    design = mlm.MultivariateLogitTrial(**COVARIATES)._design(table)
    columns, predictors = len(design.matrix.names), design.trial.basis.shape[1]
    coefficients = CoefficientDraws(np.zeros((2, predictors, columns)), design.trial.basis)
    draws = TrialDraws(design, coefficients, None, None, (1, 2))
    with pytest.raises(mlm.DataError, match="nobody of arm 'old' is in the population"):
        population_cells(draws, Target(mlm.populations.Range("age", 9, 11), covariate_rows="arm"))


def test_an_empty_grid_is_refused(covariate):
    with pytest.raises(mlm.SpecificationError, match="grid is empty"):
        covariate.treatment_effect_curve("age", grid=[])


@pytest.mark.parametrize("covariates", ["0 + age", ["a`b"], [3], "fix(age, 1)", "y ~ age", "age +"])
def test_covariates_that_are_no_terms_are_refused_at_construction(covariates):
    with pytest.raises(mlm.SpecificationError):
        mlm.MultivariateLogitTrial("y", "arm", covariates=covariates)
