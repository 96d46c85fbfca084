"""Questions about covariates that the data do not have are answered with a warning."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm
from pymc_mlm.decisions import Range, Sample, TruncatedNormal, Value
from pymc_mlm.decisions.populations import Table
from pymc_mlm.reporting.extrapolation import population_outside, rows_outside, values_outside

RNG = np.random.default_rng(5)
AGE = RNG.normal(50, 10, size=200).round()
AGE[:2] = 20, 80
SAMPLE = {"age": AGE, "sex": RNG.choice(np.array(["f", "m"], dtype=object), 200)}


def table(ages):
    return Table({"age": np.asarray(ages, dtype=float), "sex": np.full(len(ages), "f", object)})


INSIDE = {
    "the sample": Sample(),
    "a value": Value(age=79),
    "a value just outside": Value(age=85),
    "a category": Value(sex="m"),
    "a range": Range("age", 40, 60),
    "an open range": Range("age", 40),
    "a normal": TruncatedNormal("age"),
    "a normal within bounds": TruncatedNormal("age", 20, 80),
    "a table": table([30, 60, 79]),
    "one row of many a little outside": table([*AGE, 90]),
}
OUTSIDE = {
    "a value": (Value(age=500), r"'age' = 500 \(100.0% of the .*range, 20 to 80: .*not on data"),
    "a value below": (Value(age=-5), r"'age' = -5 \(100.0%"),
    "a range": (Range("age", 40, 500), r"40 <= age <= 500 reaches beyond.*persons observed"),
    "a normal": (TruncatedNormal("age", 80, 120), r"'age' from 88.* to 1[01]\d.* lie outside"),
    "a table": (table([100, 120, 50]), r"from 100 to 120 \(66.7% of the population\) lie outside"),
    "one row of many far outside": (table([*AGE, 500]), r"'age' = 500 \(0.5% of the population"),
}  # fmt: skip


@pytest.mark.parametrize("population", INSIDE.values(), ids=INSIDE)
def test_a_population_within_the_data_needs_no_word(population):
    assert population_outside([population], SAMPLE, 200) == []


@pytest.mark.parametrize(("population", "text"), OUTSIDE.values(), ids=OUTSIDE)
def test_a_population_outside_the_data_is_said(population, text):
    (found,) = population_outside([population], SAMPLE, 200)
    assert re.search(text, found)


@pytest.mark.parametrize("kind", [int, float])
def test_listed_values_are_looked_at_one_by_one(kind):
    assert values_outside("age", [20, 80, 86], AGE.astype(kind)) == []
    assert values_outside("sex", ["x"], SAMPLE["sex"]) == []
    assert "= 87 lies outside" in values_outside("age", [50] * 99 + [87], AGE.astype(kind))[0]


@pytest.fixture(scope="module")
def trial():
    """A trial with draws of its prior, as no answer here depends on them."""
    data = pd.DataFrame(SAMPLE | {"arm": np.arange(200) % 2, "y": RNG.integers(0, 2, 200)})
    model = mlm.MultivariateLogitTrial("y", "arm", covariates=["age"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlm.ConvergenceWarning)
        return model.fit(data, draws=20, tune=100, chains=2, random_seed=1, progressbar=False)


ASKED = {
    "effect": lambda t: t.treatment_effect(population=Value(age=500)),
    "a list": lambda t: t.treatment_effect(population=[Value(age=500)]),
    "success_probability": lambda t: t.success_probability(population=Value(age=500)),
    "probability": lambda t: t.probability(mlm.rules.All(), population=Value(age=500)),
    "correlation": lambda t: t.correlation(population=Value(age=500)),
    "effect_curve": lambda t: t.treatment_effect_curve("age", grid=[50, 500]),
    "a dataframe": lambda t: t.treatment_effect(population=pd.DataFrame({"age": [500.0]})),
    "plot": lambda t: t.plot("curve", column="age", grid=[50, 500]),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_every_question_of_a_trial_warns(trial, ask):
    with pytest.warns(mlm.DataWarning, match="'age' = 500"):
        ask(trial)


def test_the_summary_notes_it(trial):
    with pytest.warns(mlm.DataWarning):
        notes = trial.summary(population=Value(age=500)).notes
    assert "'age' = 500 (100.0% of the population) lies outside" in notes[0]
    assert "outside" not in "".join(trial.summary().notes)


def test_words_in_a_numeric_grid_keep_their_own_error(trial):
    with pytest.raises(mlm.SpecificationError, match="is no number"):
        trial.treatment_effect_curve("age", grid=["old"])


@pytest.fixture(scope="module")
def nested():
    data = mlm.datasets.nested_schools(regions=4, schools=12, classes=24, pupils=240)
    model = mlm.NestedVaryingEffects("score ~ 1 + prior", levels=["school"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlm.ConvergenceWarning)
        return model.fit(data, draws=20, tune=100, chains=2, random_seed=1, progressbar=False)


def test_variance_parts_outside_the_data_warn(nested):
    with pytest.warns(mlm.DataWarning, match="'prior' = 500 lies outside"):
        nested.variance_decomposition(at={"prior": 500.0})
    with pytest.warns(mlm.DataWarning, match="'prior' = 500 lies outside"):
        nested.variance_shares("prior", [0.0, 500.0])
    nested.variance_decomposition()
    nested.variance_shares("prior")


@pytest.mark.parametrize("values", [[], [np.nan], [np.inf]])
def test_values_of_variance_shares_are_finite_numbers(nested, values):
    with pytest.raises(mlm.SpecificationError, match="must be finite numbers"):
        nested.variance_shares("prior", values)


def test_predictions_far_outside_the_data_warn(trial, nested):
    with pytest.warns(mlm.DataWarning, match=r"'age' = 500 \(1 of 2 rows\) lies outside"):
        trial.predict(pd.DataFrame({"age": [50.0, 500.0], "arm": [0, 1]}))
    trial.predict(pd.DataFrame({"age": [50.0, 60.0], "arm": [0, 1]}))
    schools = nested.result_.design.nested.nesting.labels[0]
    rows = pd.DataFrame({"prior": [0.0, 500.0], "school": schools[:2]})
    with pytest.warns(mlm.DataWarning, match="'prior' = 500"):
        nested.predict(rows)
    nested.predict(rows.assign(prior=0.0))


def test_a_tail_without_weight_and_many_equal_rows_are_told_apart():
    many = RNG.normal(size=(2, 100_000))
    sample = {"x": many[0], "other": many[1]}
    assert population_outside([TruncatedNormal("x")], sample, 100_000) == []
    typo = np.append(many[0], 1e6)
    (found,) = rows_outside({"x": typo}, {"x": many[0]})
    assert "'x' = 1e+06 (1 of 100001 rows)" in found
