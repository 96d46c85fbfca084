"""Every type of column, in every role of every model, from every table library.

A table is read as its plain twin is read, or refused with an error of the package's own.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm
from tests.models.dressed import (
    CATEGORIES,
    DRESSES,
    ID,
    INTEGERS,
    LABELS,
    MODELS,
    NO_CELL,
    ROLES,
    ROWS,
    arrays,
    expected,
    outcome,
    plain,
    plain_design,
    same,
)  # fmt: skip


def check(role, dress):
    model, column, kind = role
    columns = plain()
    columns[column] = DRESSES[dress](columns[column].tolist())
    if column == "arm" and dress not in {*INTEGERS, *CATEGORIES}:
        return
    assert outcome(model, columns) in expected(kind, dress), (role, dress)


@pytest.mark.parametrize("dress", DRESSES)
def test_each_type_is_read_as_its_plain_twin_or_refused_in_some_roles(dress):
    # The slow test takes all roles.
    first = sorted(DRESSES).index(dress)
    for role in ROLES[first % 3 :: 3]:
        check(role, dress)


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES, ids=lambda role: f"{role[0]}-{role[1]}")
def test_each_type_is_read_as_its_plain_twin_or_refused_in_every_role(role):
    for dress in DRESSES:
        check(role, dress)


# New groups are always new, and arms are never unseen.
KNOWN_IDS = [
    r for r in ROLES if r[2] == ID and r[:2] not in {("gaussian", "group"), ("trial", "arm")}
]


@pytest.mark.parametrize("role", KNOWN_IDS, ids=lambda role: f"{role[0]}-{role[1]}")
@pytest.mark.parametrize("dress", ["text of numbers", "date", "uuid", "category of text"])
def test_new_data_with_ids_of_another_type_are_refused_in_every_role(role, dress):
    model, column, _ = role
    columns = plain()
    columns[column] = DRESSES[dress](columns[column].tolist())
    with pytest.raises(mlm.DataError, match=f"'{column}'=.*but the fitted unit .* is a number"):
        MODELS[model]()._design(columns, plain_design(model))


@pytest.mark.parametrize("model", MODELS)
def test_a_lazy_table_is_collected_once_to_fit_and_once_to_predict(model, monkeypatch):
    pl = pytest.importorskip("polars")
    fitted, lazy = plain_design(model), pl.DataFrame(plain()).lazy()
    collect, calls = pl.LazyFrame.collect, []
    monkeypatch.setattr(pl.LazyFrame, "collect", lambda s, **k: calls.append(1) or collect(s, **k))
    assert same(arrays(MODELS[model]()._design(lazy)), arrays(fitted))
    assert len(calls) == 1
    MODELS[model]()._design(lazy, fitted)
    assert len(calls) == 2


FAR = {
    "formula": lambda: mlm.MultipleMembershipModel("y ~ x", mlm.mm("member", "group")),
    "member covariate": lambda: mlm.MultipleMembershipModel(
        "y ~ 1", mlm.mm("member", "group", covariates="x")),
    "unit covariate": lambda: mlm.MultipleMembershipModel(
        "y ~ 1", mlm.mm("member", "group"), mlm.hm("unit", covariates="x")),
    "nested": lambda: mlm.NestedVaryingEffects("y ~ x", levels=["group"], varying="1"),
    "varying slope": lambda: mlm.NestedVaryingEffects(
        "y ~ 1", levels=["region"], varying="1 + x"),
    "trial": lambda: mlm.MultivariateLogitTrial(["y1"], "arm", control=0, covariates="x"),
}  # fmt: skip


@pytest.mark.parametrize("model", FAR)
def test_a_covariate_lost_in_rounding_is_refused_by_every_model(model):
    columns = plain()
    columns["x"] = columns["unit"] / 3.0
    FAR[model]()._design(columns)
    columns["x"] = columns["x"] + 1e12
    with pytest.raises(mlm.DataError, match=r"'x'.*(Subtract|subtract)"):
        FAR[model]()._design(columns)


def test_a_varying_slope_far_from_zero_is_refused_and_centred_is_not():
    columns = plain()
    columns["z"] = columns["z"] + 1e8
    with pytest.raises(mlm.DataError, match=r"slope of 'z' varies.*center\(z\)"):
        mlm.NestedVaryingEffects("y ~ z", levels=["region"])._design(columns)
    mlm.NestedVaryingEffects("y ~ center(z)", levels=["region"])._design(columns)


def test_whole_numbers_with_a_gap_are_numbers_to_the_populations_of_a_trial():
    columns = plain()
    columns["z"] = [None, *columns["z"][1:].tolist()]
    trial = mlm.MultivariateLogitTrial(
        ["y1", "y2"], "arm", control=0, covariates="z", missing="drop"
    )
    assert trial._design(columns).columns["z"].dtype == np.int64


def test_ids_within_their_parent_keep_their_type():
    columns = plain() | {"group": listed_floats()}
    model = mlm.NestedVaryingEffects("y ~ 1", levels=["region", "group"], unique_ids=True)
    design = model._design(columns)
    with pytest.raises(mlm.DataError, match=r"'group'='0.0' is text, but the fitted unit"):
        model._design(columns | {"group": [str(v) for v in columns["group"]]}, design)


def listed_floats():
    return [float(v) for v in plain()["group"]]


def test_categories_have_no_mean_between_units():
    columns = plain() | {"z": pd.Categorical(plain()["z"])}
    with pytest.raises(mlm.DataError, match="within_between names 'z', which holds categories"):
        MODELS["nested paths"]()._design(columns)


# ------------------------------------------------------------------ fuzz


def as_polars(columns):
    return pytest.importorskip("polars").DataFrame(columns)


WRAPPERS = {
    "mapping": lambda columns: columns,
    "pandas": lambda columns: pd.DataFrame({k: pd_column(v) for k, v in columns.items()}),
    "polars": as_polars,
    "polars lazy": lambda columns: as_polars(columns).lazy(),
    "arrow": lambda columns: pytest.importorskip("pyarrow").table(columns),
    "arrow from pandas": lambda columns: pytest.importorskip("pyarrow").Table.from_pandas(
        pd.DataFrame({k: pd_column(v) for k, v in columns.items()})),
}  # fmt: skip


def pd_column(values):
    return pd.Series(values) if isinstance(values, (list, tuple)) else values


def wrapped(wrapper, columns):
    """Return a table of a library, or the mapping where the library cannot hold the columns."""
    try:
        return WRAPPERS[wrapper](columns)
    except Exception:
        return columns


def fuzzed(seed, known):
    """Dress up to three columns of a random model; say which outcomes are right."""
    rng = np.random.default_rng(seed)
    name = rng.choice(list(MODELS))
    roles = [role for role in ROLES if role[0] == name]
    order = rng.permutation(ROWS) if name.startswith(("nested", "trial")) else np.arange(ROWS)
    columns = {k: v[order] for k, v in plain().items()}
    right = [{"same"}]
    for i in rng.permutation(len(roles))[: rng.integers(1, 4)]:
        _, column, kind = roles[i]
        some = [*INTEGERS, *CATEGORIES] if column == "arm" else [*DRESSES]
        if known:  # missing ids are of unknown units, and a group called 'n/a' is a new one
            some = [dress for dress in some if dress not in NO_CELL]
        dress = rng.choice(some)
        values = columns[column].tolist()
        right.append(expected(kind, dress) if not known or dress not in LABELS else {"refused"})
        if rng.random() < 0.2 and dress.startswith(("list", "polars", "masked")) and (
            kind != ID and name != "trial"):  # fmt: skip
            right[-1] = {"refused"}
            columns[column] = with_gap(DRESSES[dress](values))
            continue
        columns[column] = DRESSES[dress](values)
    return name, wrapped(rng.choice(list(WRAPPERS)), columns), columns, order, right


def with_gap(values):
    if isinstance(values, np.ma.MaskedArray):
        return np.ma.array(values.data, mask=np.arange(len(values)) == 3)
    return [None if i == 3 else v for i, v in enumerate(values)]


def fuzz(seed, known):
    name, table, columns, order, right = fuzzed(seed, known)
    twin = MODELS[name]()._design({k: v[order] for k, v in plain().items()})
    try:
        got = MODELS[name]()._design(table, twin if known else None)
    except mlm.MlmError:
        found = "refused"
    else:
        found = "same" if same(predictors(got), predictors(twin)) else "different"
    dressed = {k: type(v).__name__ for k, v in columns.items() if v is not plain()[k]}
    if known:
        # New data of another type are coded as the fitted ones, or refused.
        assert found in ("same", "refused"), (seed, name, dressed)
        assert found == "same" or right != [{"same"}] * len(right), (seed, name)
    elif {"refused"} in right:
        assert found == "refused", (seed, name, dressed)
    elif all(r == {"same"} for r in right):
        assert found == "same", (seed, name, dressed)


def predictors(design):
    """Return what new data have too: everything but the outcome."""
    if hasattr(design, "trial"):
        return arrays(design)[1:]
    return arrays(replace(design, outcome={}))


@pytest.mark.parametrize("known", [False, True])
def test_random_tables_are_read_as_their_plain_twins_or_refused(known):
    for seed in range(12):
        fuzz(seed, known)


@pytest.mark.slow
@pytest.mark.parametrize("known", [False, True])
def test_600_random_tables_are_read_as_their_plain_twins_or_refused(known):
    for seed in range(300):
        fuzz(1000 + seed, known)
