"""A wide table becomes one row per membership, in its own library, and loses nothing unsaid."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import pymc_mlm as mlm

WIDE = {
    "pupil": ["p", "q", "r"],
    "y": [1.0, 2.0, 3.0],
    "t1": ["a", "b", "c"],
    "t2": ["b", None, "a"],
    "w1": [0.5, 1.0, 0.25],
    "w2": [0.5, None, 0.75],
}
MEMBERS, WEIGHTS = ["t1", "t2"], ["w1", "w2"]
LIBRARIES = {
    "pandas": pd.DataFrame, "Polars": pl.DataFrame, "PyArrow": pa.table,
    "lazy": pl.LazyFrame, "mapping": dict,
}  # fmt: skip
LONG = {
    "pupil": ["p", "p", "q", "r", "r"], "y": [1.0, 1.0, 2.0, 3.0, 3.0],
    "member": ["a", "b", "b", "c", "a"], "weight": [0.5, 0.5, 1.0, 0.25, 0.75],
}  # fmt: skip


def lists(table):
    if isinstance(table, dict):
        return {name: list(values) for name, values in table.items()}
    if isinstance(table, pa.Table):
        return table.to_pydict()
    return {name: list(table[name]) for name in table.columns}


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_library_gets_its_own_long_table(library):
    wide = LIBRARIES[library](WIDE)
    with pytest.warns(mlm.DataWarning, match="1 of 6 memberships are padding, 1 without a member"):
        long = mlm.long_memberships(wide, MEMBERS, WEIGHTS, "pupil")
    assert type(long) is (pl.DataFrame if library == "lazy" else type(wide))
    assert lists(long) == LONG


def test_an_index_of_pandas_is_left_behind():
    wide = pd.DataFrame({"a": [1, 2], "b": [2, 3]}, index=[7, 7])
    long = mlm.long_memberships(wide, ["a", "b"])
    assert long.index.tolist() == [0, 1, 2, 3]
    assert long["member"].tolist() == [1, 2, 2, 3]
    assert long["row"].tolist() == [0, 0, 1, 1]


def test_integers_beside_nulls_stay_integers():
    wide = pd.DataFrame({"a": [1.0, 2.0], "b": [np.nan, 3.0]})
    with pytest.warns(mlm.DataWarning, match="padding"):
        long = mlm.long_memberships(wide, ["a", "b"])
    assert long["member"].dtype.kind == "i"


def test_nan_among_ids_raises_no_warning_of_numpy():
    wide = {"a": np.array([1.0, np.nan]), "b": np.array([2.0, 3.0])}
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        mlm.long_memberships(wide, ["a", "b"])
    assert [w.category for w in found] == [mlm.DataWarning]


def test_zero_weight_and_an_id_for_nobody_are_padding():
    wide = {"a": [1, 2], "b": [0, 3], "w": [1.0, 1.0], "v": [0.0, 0.0]}
    with pytest.warns(mlm.DataWarning, match="2 of 4 .* 1 without a member and 1 of weight zero"):
        long = mlm.long_memberships(wide, ["a", "b"], ["w", "v"], padding=0)
    assert list(long["member"]) == [1, 2]


def test_without_weights_members_are_equal():
    long = mlm.long_memberships({"a": [1], "b": [2]}, ["a", "b"])
    assert set(long) == {"row", "member"}


def test_a_member_may_come_twice():
    assert list(mlm.long_memberships({"a": [1], "b": [1]}, ["a", "b"])["member"]) == [1, 1]


def test_the_long_table_has_the_density_of_the_dense_matrix(rng):
    """Two members with weights, against y ~ N(alpha + W u, sigma) written with the matrix W."""
    n = 30
    wide = {
        "y": rng.normal(size=n), "t1": rng.integers(0, 4, n), "t2": 4 + rng.integers(0, 4, n),
        "w1": rng.random(n),
    }  # fmt: skip
    wide["w2"] = 1 - wide["w1"]
    long = mlm.long_memberships(wide, MEMBERS, WEIGHTS)
    term = mlm.mm("member", "row", weight="weight")
    W = np.zeros((n, 8))
    W[range(n), wide["t1"]], W[range(n), wide["t2"]] = wide["w1"], wide["w2"]
    present = W[:, np.unique([wide["t1"], wide["t2"]])]
    np.testing.assert_allclose(term.resolve(long).incidence.toarray(), present)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"w1": [-0.5, 1.0, 1.0]}, "'w1' is -0.5 in row 0.*not negative"),
        ({"w1": [None, 1.0, 1.0]}, "Column 'w1' is missing in 1 of 3 rows"),
        ({"w2": [0.5, 0.5, 0.5]}, "'w2' is 0.5 in row 1.*'t2' names no member"),
        ({"w1": ["x", "y", "z"]}, "'w1'"),
        ({"t1": ["a", None, "c"], "w1": [0.5, None, 0.25]}, "Row 1 .* has no member"),
        ({"pupil": ["p", "q", "p"]}, "'pupil'='p' is in rows 0 and 2.*one row per group"),
        ({"pupil": ["p", None, "r"]}, "'pupil' is missing in row 1"),
    ],
)
def test_a_wrong_table_is_refused(change, match):
    with pytest.raises(mlm.DataError, match=match):
        mlm.long_memberships(WIDE | change, MEMBERS, WEIGHTS, "pupil")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((MEMBERS, ["w1"]), r"1 columns of weights \(w1\) for 2 of members"),
        ((["t1", "t1"], None), "members names 't1' twice"),
        (([], None), "names no column"),
        ((["t1", "w1"], WEIGHTS), "'w1' is used twice"),
        ((MEMBERS, WEIGHTS, "t1"), "'t1' is used twice"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments, match):
    with pytest.raises(mlm.SpecificationError, match=match):
        mlm.long_memberships(WIDE, *arguments)


def test_names_that_are_taken_are_refused():
    with pytest.raises(mlm.SpecificationError, match="'y', a name that is taken"):
        mlm.long_memberships(WIDE, MEMBERS, member="y")
    with pytest.raises(mlm.DataError, match="no column 't3'"):
        mlm.long_memberships(WIDE, ["t1", "t3"])


def test_weights_that_do_not_sum_to_one_are_said_to_be_scaled():
    wide = {"a": [1, 2], "b": [2, 3], "w": [0.5, 0.5], "v": [0.5, 0.8]}
    with pytest.warns(mlm.DataWarning, match=r"1 of 2 rows, first in row 1 .* sum to 1.3"):
        mlm.long_memberships(wide, ["a", "b"], ["w", "v"])


def test_thirds_rounded_to_four_digits_sum_to_one():
    third = [0.3333]
    wide = {"a": [1], "b": [2], "c": [3], "u": third, "v": third, "w": third}
    assert len(mlm.long_memberships(wide, list("abc"), list("uvw"))["member"]) == 3
