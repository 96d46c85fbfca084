"""Laws of the door for tables, and of ids as codes."""

import uuid
from datetime import date

import numpy as np
import pandas as pd
import pytest

from pymc_mlm.data import frame
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


@pytest.mark.parametrize("kind", ["pandas", "pyarrow"])
def test_two_columns_of_one_name_are_refused_by_name(kind):
    make = {
        "pandas": lambda: pd.DataFrame([[1, 2, 3]], columns=["y", "x", "x"]),
        "pyarrow": lambda: pytest.importorskip("pyarrow").table([[1], [2], [3]], ["y", "x", "x"]),
    }
    with pytest.raises(DataError, match=r"2 columns called 'x'.*Rename or drop"):
        columns(make[kind](), ["y"])


def test_a_column_of_floats_is_read_without_a_list(monkeypatch):
    table = pd.DataFrame({"x": [1.5, 2.5]})
    monkeypatch.setattr(frame.nw.Series, "to_list", lambda _: pytest.fail("read as a list"))
    assert columns(table, ["x"])["x"].tolist() == [1.5, 2.5]


TEXTS = [*"cabbac", None, *"abcabc"]
TEXT_COLUMNS = {
    "pandas": lambda: pd.DataFrame({"id": pd.Series(TEXTS, dtype="str")}),
    "pandas-object": lambda: pd.DataFrame({"id": pd.Series(TEXTS, dtype=object)}),
    "pandas-categorical": lambda: pd.DataFrame({"id": pd.Categorical(TEXTS, list("dcba"))}),
    "polars": lambda: polars_column("String"),
    "polars-categorical": lambda: polars_column("Categorical"),
    "polars-enum": lambda: polars_column("Enum", list("dcba")),
    "pyarrow-dictionary": lambda: arrow_chunks(),
}


def polars_column(dtype, *categories):
    pl = pytest.importorskip("polars")
    kind = getattr(pl, dtype)
    return pl.DataFrame({"id": pl.Series(TEXTS, dtype=kind(*categories))})


def arrow_chunks():
    # Each chunk has a dictionary of its own.
    pa = pytest.importorskip("pyarrow")
    chunks = [pa.array(part).dictionary_encode() for part in (TEXTS[:5], TEXTS[5:])]
    return pa.table({"id": pa.chunked_array(chunks)})


@pytest.mark.parametrize("kind", TEXT_COLUMNS)
def test_long_columns_of_text_are_read_through_codes_with_the_same_values(kind, monkeypatch):
    listed = columns(TEXT_COLUMNS[kind](), ["id"])["id"]
    monkeypatch.setattr(frame, "CHUNK_ROWS", 3)
    got = columns(TEXT_COLUMNS[kind](), ["id"])["id"]
    assert got.tolist() == listed.tolist() == TEXTS
    assert len({id(value) for value in got}) == 4  # three texts and None, each of them once
    factor = encode("id", got, missing="unknown")
    assert factor.labels.tolist() == ["a", "b", "c"]
    assert factor.codes.tolist() == [-1 if t is None else "abc".index(t) for t in TEXTS]


@pytest.mark.parametrize("values", [[None] * 9, [*"abcdefgh", None]], ids=["empty", "distinct"])
def test_long_columns_of_text_without_repetition_are_read_as_they_are(values, monkeypatch):
    monkeypatch.setattr(frame, "CHUNK_ROWS", 3)
    table = pd.DataFrame({"id": pd.Categorical(values)})
    assert columns(table, ["id"])["id"].tolist() == values


@pytest.mark.parametrize(
    "values", [[3, 1, None, 3], [True, False, None], [date(2020, 1, 2), None]], ids=str
)
def test_categories_need_not_be_text(values, monkeypatch):
    monkeypatch.setattr(frame, "CHUNK_ROWS", 1)
    got = columns(pd.DataFrame({"id": pd.Categorical(values)}), ["id"])["id"]
    assert got.tolist() == values
    assert [type(v) for v in got] == [type(v) for v in values]


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


def test_equal_ids_of_two_types_are_one_and_order_is_by_number_then_text():
    ids = np.array(["b", 2, 2.0, "a", np.int64(1), None, np.float64(1.0)], dtype=object)
    factor = encode("id", ids, missing="unknown")
    assert factor.labels.tolist() == [1, 2, "a", "b"]
    assert type(factor.labels[0]) is int
    assert factor.codes.tolist() == [3, 1, 1, 2, 0, -1, 0]


def test_float_ids_are_integers_where_they_can_be_and_missing_where_nan():
    factor = encode("id", np.array([2.5, 3.0, np.nan, 3.0, np.nan]), missing="unknown")
    assert [repr(label) for label in factor.labels] == ["2.5", "3"]
    assert factor.codes.tolist() == [0, 1, -1, 1, -1]


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
    with pytest.raises(DataError, match=r"'x' holds text, such as 'low'"):
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
