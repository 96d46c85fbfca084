"""One rule for rows with missing values, in the tables of all models."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import pymc_mlm as mlm
from pymc_mlm.data.frame import absent, open_table
from tests.mocked import PriorDraws

PARTIES = pd.DataFrame(
    {
        "government": np.repeat(np.arange(12), 2),
        "party": [f"p{i % 5}" for i in range(24)],
        "cohesion": np.linspace(-1, 1, 24),
        "rich": np.repeat(np.arange(12) % 3, 2),
        "weeks": np.repeat(np.linspace(1, 5, 12), 2),
    }
)
PUPILS = pd.DataFrame(
    {
        "y": np.linspace(0, 1, 24),
        "x": np.tile([0.0, 1.0, 3.0], 8),
        "school": np.repeat(np.arange(6), 4),
    }
)
TRIAL = pd.DataFrame(
    {
        "y1": np.tile([0.0, 1.0], 12),
        "y2": np.tile([0.0, 1.0, 1.0], 8),
        "arm": np.repeat([0, 1], 12),
        "age": np.linspace(20, 60, 24),
    }
)


def parties(**options):
    term = mlm.mm("party", "government", covariates="cohesion", **options.pop("term", {}))
    return mlm.MultipleMembershipModel("weeks ~ 1 + rich", term, **options)


def pupils(**options):
    return mlm.NestedVaryingEffects("y ~ 1 + x", ["school"], varying="1", **options)


def trial(**options):
    return mlm.MultivariateLogitTrial(["y1", "y2"], "arm", covariates=["age"], **options)


CASES = {
    "member covariate": (parties, PARTIES, "cohesion", 5),
    "group covariate": (parties, PARTIES, "rich", slice(4, 5)),
    "member": (parties, PARTIES, "party", 5),
    "outcome of a group": (parties, PARTIES, "weeks", slice(4, 5)),
    "covariate": (pupils, PUPILS, "x", 5),
    "outcome": (pupils, PUPILS, "y", 5),
    "id": (pupils, PUPILS, "school", 5),
    "covariate of a trial": (trial, TRIAL, "age", 5),
    "arm": (trial, TRIAL, "arm", 5),
}


def without(table, column, rows):
    table = table.copy()
    table[column] = table[column].astype(object)
    table.loc[rows, column] = None
    return table


@pytest.mark.parametrize(("make", "table", "column", "rows"), CASES.values(), ids=CASES)
def test_a_missing_value_is_refused_with_its_column_count_and_remedy(make, table, column, rows):
    text = rf"'{column}' is missing in \d of 24 rows, first in row \d .*missing='drop'"
    with pytest.raises(mlm.DataError, match=text):
        make()._design(without(table, column, rows))


@pytest.mark.parametrize(("make", "table", "column", "rows"), CASES.values(), ids=CASES)
def test_dropped_rows_are_counted_and_the_rest_is_the_table_without_them(make, table, column, rows):
    model = make(missing="drop")
    design = model._design(without(table, column, rows))
    notes = model.specification.notes(design)
    assert any(f"rows left out: '{column}' is missing" in note for note in notes) or any(
        f"1 rows left out: '{column}' is missing" in note for note in notes
    )
    unit = "government" if make is parties else None
    gone = table.loc[rows, unit] if unit else None
    bad = table[unit].isin(np.atleast_1d(gone)) if unit else table.index.isin(np.atleast_1d(rows))
    same = make()._design(table[~bad].reset_index(drop=True))
    if make is trial:
        np.testing.assert_array_equal(design.X, same.X)
        assert design.trial.rows.tolist() == table.index[~bad].tolist()
        return
    np.testing.assert_array_equal(design.population.X, same.population.X)
    assert design.outcome.keys() == same.outcome.keys()
    for role, values in design.outcome.items():
        np.testing.assert_array_equal(values, same.outcome[role])
    if make is pupils:
        assert design.rows.labels.tolist() == table.index[~bad].tolist()


def test_a_group_is_left_out_as_a_whole():
    model = parties(missing="drop")
    design = model._design(without(PARTIES, "cohesion", 5))
    assert 2 not in design.rows.labels.tolist()
    assert design.dropped == {"'cohesion' is missing in their government": 2}


def test_a_row_without_its_group_is_always_refused():
    with pytest.raises(mlm.DataError, match="'government' is missing in 1 of 24"):
        parties(missing="drop")._design(without(PARTIES, "government", 5))


def test_a_row_that_is_no_membership_needs_no_covariates_of_a_member():
    table = without(without(PARTIES, "party", 5), "cohesion", 5)
    design = parties(term={"missing": "skip"})._design(table)
    assert len(design.rows) == 12
    with pytest.raises(mlm.DataError, match="'cohesion' is missing"):
        parties(term={"missing": "skip"})._design(without(PARTIES, "cohesion", 5))


def test_a_person_with_one_outcome_stays_and_one_without_any_does_not():
    partial = without(TRIAL, "y1", [3, 4])
    assert len(trial()._design(partial).X) == 24
    with pytest.raises(mlm.DataError, match="every outcome is missing in 1 of 24 rows"):
        trial()._design(without(partial, "y2", 4))
    assert len(trial(missing="drop")._design(without(partial, "y2", 4)).X) == 23


def test_nothing_left_and_a_word_that_is_none():
    with pytest.raises(mlm.DataError, match=r"No row is left.*'x' is missing"):
        pupils(missing="drop")._design(without(PUPILS, "x", slice(None)))
    for make in (parties, pupils, trial):
        with pytest.raises(mlm.SpecificationError, match="missing='skip' is not known"):
            make(missing="skip")
        assert make(missing="drop").get_params()["missing"] == "drop"
        model = make(missing="drop")
        assert type(model).from_dict(model.to_dict()).missing == "drop"


TABLES = {
    "pandas": lambda t: t,
    "nullable": lambda t: t.convert_dtypes(),
    "polars": lambda t: pl.from_pandas(t),
    "pyarrow": lambda t: pa.Table.from_pandas(t, preserve_index=False),
    "mapping": lambda t: {c: t[c].tolist() for c in t},
    "arrays": lambda t: {c: t[c].to_numpy() for c in t},
}


@pytest.mark.parametrize("kind", TABLES)
def test_every_library_s_missing_values_are_found(kind):
    table = pd.DataFrame(
        {
            "x": [1.0, np.nan, 3.0],
            "k": pd.array([1, None, 3], dtype="Int64"),
            "t": ["a", None, "c"],
            "d": pd.to_datetime(["2020-01-01", None, "2020-01-03"]),
        }
    )
    opened = open_table(TABLES[kind](table), ["x", "k", "t", "d"])
    for name in ("x", "k", "t", "d"):
        assert absent(opened, name).tolist() == [False, True, False], name
        assert not absent(opened.take(np.array([0, 2])), name).any()


def with_nulls(table, column, rows):
    holed = table.copy()
    holed.loc[holed.index[rows], column] = np.nan
    return holed


PREDICTED = {"groups": (parties, PARTIES, "weeks", slice(4, 6)), "rows": (pupils, PUPILS, "y", [5])}


@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::pymc_mlm.DataWarning")
@pytest.mark.parametrize("case", PREDICTED)
def test_rows_without_an_outcome_are_predicted_and_not_fitted(case, tmp_path):
    model, table, outcome, rows = PREDICTED[case]
    holed = with_nulls(table, outcome, rows)
    mod = model(missing="predict").fit(holed, draws=20, chains=2, sampler=PriorDraws(),
                                       path="sampled")  # fmt: skip
    dropped = model(missing="drop").fit(holed, draws=20, chains=2, sampler=PriorDraws(),
                                        path="sampled")  # fmt: skip
    assert mod.idata.posterior.equals(dropped.idata.posterior)
    eta = mod.predict(kind="eta", random_seed=1)
    assert eta.shape[2] == (12 if case == "groups" else 24)
    without = 2 if case == "groups" else 5
    fitted = dropped.predict(kind="eta", random_seed=1)
    np.testing.assert_allclose(eta.drop_isel({eta.dims[2]: without}), fitted)
    given = mod.predict(holed.drop(columns=outcome), kind="eta", random_seed=1)
    np.testing.assert_array_equal(eta, given)
    count = len(holed.iloc[rows])
    assert f"{count} rows predicted, not fitted: {outcome!r} is missing" in str(mod.summary())
    again = mlm.load(mod.save(tmp_path / "fit.nc"))
    assert again.spec.missing == "predict"
    loaded = type(mod).load(tmp_path / "fit.nc")
    np.testing.assert_array_equal(loaded.predict(kind="eta", random_seed=1), eta)
    assert mod.extend(random_seed=1)["log_likelihood"]["outcome"].shape[2] == fitted.shape[2]


@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
def test_a_member_of_rows_without_an_outcome_alone_is_a_new_one():
    holed = with_nulls(PARTIES, "weeks", slice(4, 6))
    holed.loc[[4], "party"] = "elsewhere"
    mod = parties(missing="predict").fit(holed, draws=20, chains=2, sampler=PriorDraws(),
                                         path="sampled")  # fmt: skip
    assert "elsewhere" not in mod.effects().index
    assert np.isfinite(mod.predict(kind="outcome", random_seed=1)).all()
    with pytest.raises(mlm.DataError, match="'elsewhere' was not among"):
        mod.predict(allow_new=False)


def test_what_is_needed_to_predict_is_not_left_out():
    with pytest.raises(mlm.DataError, match="'cohesion' is missing"):
        parties(missing="predict").build(with_nulls(PARTIES, "cohesion", slice(4, 5)))
    with pytest.raises(mlm.DataError, match=r"'weeks' is missing .* not in all rows of their gov"):
        parties(missing="predict").build(with_nulls(PARTIES, "weeks", slice(4, 5)))
    with pytest.raises(mlm.DataError, match="No row is left"):
        parties(missing="predict").build(with_nulls(PARTIES, "weeks", slice(0, 24)))


def test_a_trial_has_a_rule_of_its_own_for_missing_outcomes():
    with pytest.raises(mlm.SpecificationError, match="missing='predict' is not known"):
        trial(missing="predict")
    with pytest.raises(mlm.SpecificationError, match="or 'predict' for rows without an outcome"):
        pupils(missing="guess")
