"""Laws of the door for tables, and of ids as codes."""

import uuid

import numpy as np
import pandas as pd
import pytest

from pymc_mlm.data.checks import as_numbers, constant_within
from pymc_mlm.data.factor import encode
from pymc_mlm.data.frame import columns
from pymc_mlm.data.membership import sort_by_group
from pymc_mlm.errors import DataError

TABLE = {"id": ["b", "a", "b"], "x": [1.5, 2.5, 3.5], "k": [1, 2, 3], "yes": [True, False, True]}


FRAMES = {
    "pandas": pd.DataFrame,
    "polars": lambda t: pytest.importorskip("polars").DataFrame(t),
    "polars-lazy": lambda t: pytest.importorskip("polars").LazyFrame(t),
    "pyarrow": lambda t: pytest.importorskip("pyarrow").table(t),
    "dict": dict,
}


@pytest.mark.parametrize("kind", FRAMES)
def test_every_kind_of_table_gives_the_same_arrays(kind):
    got = columns(FRAMES[kind](TABLE), ["id", "x", "k", "yes"])
    assert got["id"].tolist() == ["b", "a", "b"]
    assert got["x"].dtype == np.float64 and got["x"].tolist() == [1.5, 2.5, 3.5]
    assert got["k"].dtype == np.int64
    assert got["yes"].dtype == bool


@pytest.mark.parametrize("dtype", ["boolean", "Float64", "Int64"])
def test_nullable_numbers_of_pandas_are_missing_where_they_are_null(dtype):
    values = pd.array([1, None, 0], dtype=dtype)
    got = columns(pd.DataFrame({"x": values}), ["x"])["x"]
    with pytest.raises(DataError, match=r"'x' is missing in 1 of 3 rows.*row 1"):
        as_numbers("x", got)


def test_missing_column_suggests_the_nearest():
    with pytest.raises(DataError, match=r"no column 'partty' .did you mean 'party'"):
        columns(pd.DataFrame({"party": [1]}), ["partty"])


def test_table_without_rows_is_refused():
    with pytest.raises(DataError, match=r"no rows"):
        columns(pd.DataFrame({"a": []}), ["a"])


def test_what_is_no_table_is_refused():
    with pytest.raises(DataError, match=r"not a table"):
        columns([1, 2, 3], ["a"])


NULLABLE = pd.array([1, None, 3], dtype="Int64")
CATEGORICAL = pd.Categorical(["u", None, "v"])


@pytest.mark.parametrize("values", [NULLABLE, CATEGORICAL, ["a", None, "b"], [1.0, np.nan, 3.0]])
def test_missing_id_is_refused_with_its_row(values):
    ids = columns(pd.DataFrame({"id": values}), ["id"])["id"]
    with pytest.raises(DataError, match=r"'id' is missing in 1 of 3 rows, first in row 1"):
        encode("id", ids)


@pytest.mark.parametrize(
    "values",
    [
        ["x", "y", "x"],
        [7, 9, 7],
        pd.array([7, 9, 7], dtype="Int64"),
        [7.0, 9.0, 7.0],
        pd.Categorical(["x", "y", "x"]),
        [True, False, True],
        [uuid.UUID(int=1), uuid.UUID(int=2), uuid.UUID(int=1)],
        pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-01"]),
    ],
    ids=["str", "int", "Int64", "float", "categorical", "bool", "uuid", "date"],
)
def test_ids_of_every_kind_are_coded(values):
    ids = columns(pd.DataFrame({"id": values}), ["id"])["id"]
    factor = encode("id", ids)
    assert len(factor) == 2
    assert factor.codes[0] == factor.codes[2] != factor.codes[1]


def test_integer_ids_beyond_float_precision_stay_distinct():
    ids = pd.array([2**60, 2**60 + 1, None], dtype="Int64")
    got = columns(pd.DataFrame({"id": ids}), ["id"])["id"]
    assert len(encode("id", got, missing="unknown")) == 2


def test_known_ids_keep_their_codes_and_new_ones_follow():
    known = encode("id", np.array(["b", "c"], dtype=object))
    new = encode("id", np.array(["a", "c", "b"], dtype=object), known, unseen="new")
    assert new.codes.tolist() == [2, 1, 0]
    assert new.new_labels.tolist() == ["a"]


def test_unseen_id_is_refused_by_default():
    known = encode("id", np.array(["b", "c"], dtype=object))
    with pytest.raises(DataError, match=r"1 unseen id.*'z'"):
        encode("id", np.array(["z"], dtype=object), known)


def test_numbers_must_be_finite_and_say_where():
    with pytest.raises(DataError, match=r"'x' is missing in 1 of 2 rows.*row 1"):
        as_numbers("x", np.array([1.0, np.nan]))
    with pytest.raises(DataError, match=r"'x' is infinite"):
        as_numbers("x", np.array([np.inf, 1.0]))
    with pytest.raises(DataError, match=r"'x' holds str values such as 'low'"):
        as_numbers("x", np.array(["low", "high"], dtype=object))


def test_column_that_varies_within_a_group_names_group_and_values():
    group = encode("gid", np.array([1, 3, 3]))
    with pytest.raises(
        DataError, match=r"'x' varies inside 'gid'=3 \(values 2.0 and 5.0\). Do so."
    ):
        constant_within("x", np.array([1.0, 2.0, 5.0]), group, "Do so.")


def test_row_order_changes_no_membership(rng):
    member = np.array(["a", "b", "c", "a", "c", "b"], dtype=object)
    group = np.array([2, 1, 2, 1, 1, 3])
    order = rng.permutation(6)
    one = sort_by_group(encode("m", member), encode("g", group))
    two = sort_by_group(encode("m", member[order]), encode("g", group[order]))
    assert one.member.codes.tolist() == two.member.codes.tolist()
    assert one.group.tolist() == two.group.tolist()


def test_repeated_member_is_refused_when_asked():
    member = encode("m", np.array(["a", "a"], dtype=object))
    group = encode("g", np.array([5, 5]))
    with pytest.raises(DataError, match=r"'m'='a' is listed more than once in 'g'=5"):
        sort_by_group(member, group, repeated="refuse")
