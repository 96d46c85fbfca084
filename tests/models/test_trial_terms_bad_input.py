"""Terms and tables that a trial cannot have, and persons that are counted."""

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm
from tests.models.test_trial_terms import WEIGHT, Trial, fitted, memberships, persons

REFUSED = {
    "a column": (dict(terms=["doctor"]), "is not a term"),
    "no list": (dict(terms=mlm.hm("sex")), "give a list"),
    "fixed": (dict(terms=[mlm.hm("sex", effect="fixed")]), r"covariates='C\(sex\)'"),
    "covariates": (dict(terms=[mlm.mm("doctor", "person", covariates="share")]),
                   "are two terms in a trial"),
    "one name": (dict(terms=[mlm.hm("sex", name="a"), mlm.hm("id", name="a")]), "the name 'a'"),
    "one column": (dict(terms=[mlm.hm("sex"), mlm.hm("sex")]), "cannot be told apart"),
    "cluster": (dict(terms=[mlm.hm("id")], cluster="id"), "of cluster=: .*cannot be told apart"),
    "two groups": (dict(terms=[mlm.mm("doctor", "person"), mlm.mm("nurse", "ward")]),
                   "share one group column"),
    "arm": (dict(terms=[mlm.hm("group")]), "'group' is named by a term"),
    "persons as clusters": (dict(terms=[mlm.mm("doctor", "person")], cluster="person"),
                            "'person' is named by a term"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_terms_that_do_not_fit_are_refused_when_named(case):
    arguments, match = REFUSED[case]
    with pytest.raises(mlm.SpecificationError, match=match):
        Trial(**arguments)


DATA = {
    "another table": (mlm.mm("surgeon", "person"), {}, "surgeon"),
    "rows that are no persons": (mlm.mm("doctor", "id"), {}, "repeat one value in all rows"),
    "two sexes": (mlm.hm("share"), {}, "'share' varies inside 'person'"),
    "no person": (mlm.mm("doctor", "person"), {"person": None}, "person"),
    "no member": (mlm.mm("doctor", "person"), {"doctor": None}, "doctor"),
    "weights below zero": (mlm.mm("doctor", "person", weight="share - 1"), {}, "negative"),
}  # fmt: skip


@pytest.mark.parametrize("case", DATA)
def test_tables_that_do_not_fit_are_refused(case):
    term, changed, match = DATA[case]
    terms = [term] if hasattr(term, "group") else [mlm.mm("doctor", "person"), term]
    with pytest.raises((mlm.DataError, mlm.SpecificationError), match=match):
        Trial(terms=terms).build(memberships().assign(**changed))


def test_priors_and_columns_that_the_model_lacks_are_named():
    with pytest.raises(mlm.SpecificationError, match="no parameter 'nurse_sd'"):
        Trial(terms=[mlm.mm("doctor", "person")], priors={"nurse_sd": mlm.Prior("Flat")})
    with pytest.raises(mlm.SpecificationError, match="no parameter 'doctor_effect'"):
        Trial(
            terms=[mlm.mm("doctor", "person")], priors={"doctor_effect": mlm.Prior("Flat")}
        ).build(memberships())
    with pytest.raises(mlm.SpecificationError, match="'predictor' would name a dimension"):
        Trial(terms=[mlm.hm("predictor")]).build(persons().rename(columns={"id": "predictor"}))
    with pytest.raises(mlm.SpecificationError, match="named 'cluster'"):
        Trial(terms=[mlm.hm("sex", name="cluster")], cluster="id").build(persons())
    # A term whose name begins as a prior of the trial does.
    prior = mlm.Prior("Dirichlet", a=[1.0, 1.0, 1.0, 1.0])
    cell = Trial(terms=[mlm.hm("cell_id")], priors={"cell_probability": prior})
    assert "cell_id_sd" in cell.priors(persons().assign(cell_id=persons()["id"])).frame.index
    with pytest.raises(mlm.SpecificationError, match="typical names 'nurse'"):
        fitted(persons(), draws=2, terms=[mlm.hm("id")]).predict(typical="nurse")


def test_polars_tables_give_the_same_design():
    pl = pytest.importorskip("polars")
    table = memberships()
    term = mlm.mm("doctor", "person", weight=WEIGHT)
    a = Trial(terms=[term])._design(table)
    b = Trial(terms=[term])._design(pl.from_pandas(pd.DataFrame(table)))
    np.testing.assert_array_equal(a.X, b.X)
    np.testing.assert_array_equal(a.terms[0][1].start, b.terms[0][1].start)


@pytest.fixture(scope="module")
def aged():
    return fitted(memberships(), draws=30, terms=[mlm.mm("doctor", "person")])


def a_few(**changed):
    """Memberships of nine persons, several of most; `changed` is by person."""
    table = memberships()
    chosen = sorted(set(table["person"]))[10:19]
    table = table[table["person"].isin(chosen)].reset_index(drop=True)
    for name, value in changed.items():
        table[name] = table[name].astype(float).mask(table["person"] == chosen[4], value)
    return table, int(np.flatnonzero(table["person"] == chosen[4])[0])


@pytest.mark.parametrize("estimand", ["typical_cluster", "observed_clusters"])
def test_a_population_of_memberships_counts_persons(aged, estimand):
    table, _ = a_few()
    one = table.groupby("person", as_index=False).first().drop(columns="person")
    assert len(one) == 9 < len(table)
    np.testing.assert_allclose(
        aged.treatment_effect(population=table, estimand=estimand),
        aged.treatment_effect(population=one, estimand=estimand),
        atol=1e-12,
    )
    assert "Population: table of 9 persons;" in str(aged.summary(population=table))
    assert "Population: table of 9 rows;" in str(aged.summary(population=one))


def test_persons_without_a_covariate_are_counted_and_their_first_row_is_named(aged):
    table, row = a_few(age=np.nan)
    text = rf"'age' is missing for 1 of 9 persons, first in row {row} \(counted from 0\)"
    for ask in (lambda: aged.treatment_effect(population=table), lambda: aged.predict(table)):
        with pytest.raises(mlm.DataError, match=f"Column {text}.*drop those persons"):
            ask()
    term = mlm.mm("doctor", "person")
    with pytest.raises(mlm.DataError, match=f"{text}.*leave those persons out"):
        Trial(terms=[term]).build(table)
    trial = Trial(terms=[term], missing="drop")
    notes = trial.specification.notes(trial._design(table))
    assert "1 persons left out: 'age' is missing." in notes


def test_a_person_has_one_age_in_a_population_and_a_name(aged):
    table, _ = a_few()
    row = int(np.flatnonzero(table["person"].duplicated())[0])
    table.loc[row, "age"] += 1
    with pytest.raises(mlm.DataError, match=r"'age' varies inside 'person'='p01\d'"):
        aged.treatment_effect(population=table)
    with pytest.raises(mlm.DataError, match="'person' is missing"):
        aged.treatment_effect(population=table.assign(person=None))


def test_persons_far_from_the_data_are_counted(aged):
    table, _ = a_few(age=500.0)
    with pytest.warns(mlm.DataWarning, match=r"'age' = 500 \(1 of 9 persons\) lies outside"):
        aged.predict(table)
    with pytest.warns(mlm.DataWarning, match=r"'age' = 500 \(11.1% of the population\)"):
        aged.treatment_effect(population=table)
