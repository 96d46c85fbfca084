"""Laws of values: what each type becomes, and the order of categories."""

import datetime
import decimal
import enum
import fractions

import numpy as np
import pandas as pd
import pytest

from pymc_mlm.data.checks import as_numbers, check_spread
from pymc_mlm.data.factor import encode
from pymc_mlm.data.formula import parse_formula
from pymc_mlm.data.frame import category_levels, columns, open_table
from pymc_mlm.data.population import population_design
from pymc_mlm.data.values import read_values
from pymc_mlm.errors import DataError

BIG = 2**63 + 5
D = decimal.Decimal
DAY = datetime.date(2020, 1, 2)

READ = {
    "whole numbers": ([3, np.int8(4)], "i", [3, 4]),
    "whole numbers beyond int64": ([BIG, 1], "u", [BIG, 1]),
    "whole numbers beyond every type": ([2**70, -1], "O", [2**70, -1]),
    "whole numbers with a gap stay exact": ([2**60 + 1, None], "O", [2**60 + 1, None]),
    "numbers with a gap": ([1, 2.5, np.nan], "f", [1.0, 2.5, None]),
    "truth values": ([True, np.False_], "b", [True, False]),
    "truth values with a gap": ([True, None], "O", [True, None]),
    "truth values among numbers": ([True, 2], "i", [1, 2]),
    "decimals": ([D("1.5"), D("NaN"), D(2)], "f", [1.5, None, 2.0]),
    "whole decimals": ([D("12345678901234567890"), D("2.0")], "u", [12345678901234567890, 2]),
    "a decimal that no memory holds": ([D("1E+999999"), D(1)], "f", [np.inf, 1.0]),
    "fractions": ([fractions.Fraction(1, 4), fractions.Fraction(2)], "f", [0.25, 2.0]),
    "long doubles": ([np.longdouble("0.5"), np.longdouble(2)], "f", [0.5, 2.0]),
    "text": (["a", np.str_("b"), None], "O", ["a", "b", None]),
    "text and numbers": (["a", 1], "O", ["a", 1]),
    "dates": ([DAY, pd.NaT], "O", [DAY, None]),
    "NumPy's dates": ([np.datetime64("2020-01-02", "ns"), None], "O",
                      [datetime.datetime(2020, 1, 2), None]),
    "intervals": ([pd.Interval(0, 1), None], "O", ["(0, 1]", None]),
    "periods": ([pd.Period("2020Q1"), None], "O", ["2020Q1", None]),
    "nothing": ([None, pd.NA], "O", [None, None]),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_values_become_one_of_few_arrays(case):
    values, kind, wanted = READ[case]
    got = read_values("x", values)
    assert got.dtype.kind == kind
    assert [None if v is None or v != v else v for v in got.tolist()] == wanted


NO_VALUE = {
    "list": ([None, [1, 2]], r"a collection in row 1 .*\[1, 2\]"),
    "tuple": ([(1, 2), (3, 4)], r"a collection in row 0"),
    "struct": ([{"a": 1}], "a collection"),
    "array": ([np.ones(2)], "a collection"),
    "complex": ([1 + 2j], "a complex number.*real part"),
    "bytes": ([b"a"], "bytes.*Decode"),
}


@pytest.mark.parametrize("case", NO_VALUE)
def test_what_no_cell_can_hold_is_refused_with_its_row(case):
    values, text = NO_VALUE[case]
    with pytest.raises(DataError, match=f"'x' holds {text}"):
        columns({"x": values}, ["x"])


NO_COLUMN = {
    "generator": ({"a": (i for i in range(3))}, "'a' is generator"),
    "number": ({"a": 5}, "'a' is int"),
    "text": ({"a": "abc"}, "'a' is str"),
    "set": ({"a": {1, 2}}, "'a' is set, which has no order"),
    "matrix": ({"a": np.ones((3, 2))}, r"'a' has shape \(3, 2\)"),
    "frame": ({"a": pd.DataFrame({"b": [1]})}, r"'a' has shape \(1, 1\)"),
    "scalar array": ({"a": np.array(1.0)}, r"'a' has shape \(\)"),
    "ragged": ({"a": [1, 2], "b": [1, 2, 3]}, "'a' has 2 values and 'b' has 3"),
    "numbered": ({1: [1, 2]}, "Column name 1 is int, not text"),
    "numbered frame": (pd.DataFrame([[1, 2]]), "Column name 0 is int, not text"),
    "layered names": (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])),
                      "is tuple, not text"),
    "empty": ({"a": []}, "no rows"),
}  # fmt: skip


@pytest.mark.parametrize("case", NO_COLUMN)
def test_what_is_no_column_is_refused_by_name(case):
    table, text = NO_COLUMN[case]
    with pytest.raises(DataError, match=text):
        columns(table, list(table))


def test_a_column_in_the_index_is_offered_back():
    table = pd.DataFrame({"id": ["a", "b"], "y": [1, 2]}).set_index("id")
    with pytest.raises(DataError, match=r"no column 'id'.*in the index.*data.reset_index\(\)"):
        open_table(table, ["y", "id"])


MASKED = {
    "float": (np.array([1.5, 2.5]), [1.5, None]),
    "integer": (np.array([1, 2]), [1, None]),
    "text": (np.array(["a", "b"]), ["a", None]),
    "object": (np.array(["a", 2], dtype=object), ["a", None]),
    "date": (np.array(["2020-01-01", "2020-01-02"], dtype="M8[ns]"),
             [pd.Timestamp(2020, 1, 1), None]),
}  # fmt: skip


@pytest.mark.parametrize("case", MASKED)
def test_a_masked_entry_is_missing(case):
    values, wanted = MASKED[case]
    got = columns({"x": np.ma.array(values, mask=[False, True])}, ["x"])["x"]
    assert [None if v != v else v for v in got.tolist()] == wanted


def test_a_list_of_numbers_and_text_stays_what_it_is():
    assert columns({"x": [1, "1"]}, ["x"])["x"].tolist() == [1, "1"]


@pytest.mark.parametrize(
    "values",
    [pd.period_range("2020", periods=2, freq="Y"), pd.cut([1, 2], [0, 1, 2])],
    ids=["period", "interval"],
)
def test_types_of_pandas_in_arrow_are_those_of_pandas(values):
    pa = pytest.importorskip("pyarrow")
    table = pd.DataFrame({"x": values})
    found = columns(pa.Table.from_pandas(table), ["x"])["x"]
    assert found.tolist() == columns(table, ["x"])["x"].tolist()
    assert isinstance(found[0], str)


def test_an_extension_of_polars_is_refused():
    pl = pytest.importorskip("polars")
    table = pl.from_pandas(pd.DataFrame({"x": pd.period_range("2020", periods=2, freq="Y")}))
    with pytest.raises(DataError, match=r"'x' is of the type Extension.*Convert"):
        columns(table, ["x"])


@pytest.mark.parametrize("dtype", [">i8", ">f4", "<u2"])
def test_numbers_with_swapped_bytes_are_read(dtype):
    assert columns({"x": np.array([1, 2], dtype=dtype)}, ["x"])["x"].tolist() == [1, 2]


def test_a_lazy_table_is_collected_once(monkeypatch):
    pl = pytest.importorskip("polars")
    lazy = pl.LazyFrame({"y": [1.0, 2.0], "f": ["a", "b"], "g": [1, 2]})
    collect, calls = pl.LazyFrame.collect, []
    monkeypatch.setattr(pl.LazyFrame, "collect", lambda s, **k: calls.append(1) or collect(s, **k))
    table = open_table(lazy, ["y", "f"])
    columns(table, ["y"])
    columns(table, ["y", "f"])
    category_levels(table, ["f"])
    assert len(calls) == 1


ORDER = ["low", "mid", "high", "unused"]
DOSES = ["mid", "high", "low", "mid"]


def polars_series(dtype):
    pl = pytest.importorskip("polars")
    return pl.DataFrame({"dose": pl.Series(DOSES, dtype=dtype(pl))})


def arrow(ordered):
    pa = pytest.importorskip("pyarrow")
    codes = pa.array([ORDER.index(d) for d in DOSES])
    return pa.table(
        {"dose": pa.DictionaryArray.from_arrays(codes, pa.array(ORDER), ordered=ordered)}
    )


CATEGORIES = {
    "pandas ordered": (lambda: {"dose": pd.Categorical(DOSES, ORDER, ordered=True)}, ORDER[:3]),
    "pandas by hand": (lambda: pd.DataFrame({"dose": pd.Categorical(DOSES, ORDER)}), ORDER[:3]),
    "polars enum": (lambda: polars_series(lambda pl: pl.Enum(ORDER)), ORDER[:3]),
    "polars categorical": (lambda: polars_series(lambda pl: pl.Categorical), sorted(DOSES[1:])),
    "polars lazy": (lambda: polars_series(lambda pl: pl.Enum(ORDER)).lazy(), ORDER[:3]),
    "arrow ordered": (lambda: arrow(ordered=True), ORDER[:3]),
    "arrow unordered": (lambda: arrow(ordered=False), sorted(DOSES[1:])),
    "text": (lambda: {"dose": DOSES}, sorted(DOSES[1:])),
    "numbers": (lambda: {"dose": pd.Categorical([7, 5, 9, 7], [9, 7, 5])}, [9, 7, 5]),
    "intervals": (lambda: {"dose": pd.cut([1, 30, -1, 2], [-5, 0, 10, 50])},
                  ["(-5, 0]", "(0, 10]", "(10, 50]"]),
}  # fmt: skip


def coded(table, formula="y ~ dose", known=None):
    table = open_table(table, ["dose"])
    names = ["dose"]
    return population_design(parse_formula(formula), columns(table, names), table.num_rows, known,
                             category_levels(table, names))  # fmt: skip


@pytest.mark.parametrize("case", CATEGORIES)
def test_the_first_category_with_rows_is_the_reference(case):
    make, order = CATEGORIES[case]
    design = coded(make())
    assert design.names == tuple(f"dose[T.{level}]" for level in order[1:])
    assert design.X.sum() == 4 - sum(v == order[0] for v in columns(make(), ["dose"])["dose"])


def test_new_data_are_coded_as_the_fitted_whatever_the_order_of_their_categories():
    fitted = coded({"dose": pd.Categorical(DOSES, ORDER)})
    new = coded({"dose": pd.Categorical(["high", "mid"], ["high", "mid"])}, known=fitted)
    assert new.X.tolist() == [[0.0, 1.0], [1.0, 0.0]]
    with pytest.raises(DataError, match="a category 'unused' that the fitted data lacked"):
        coded({"dose": ["unused"]}, known=fitted)


NO_COVARIATE = {
    "one n/a": (["1.5", "2.5", "3", "n/a"], r"numbers as text, such as '1.5'. 'n/a' is none"),
    "codes": (["1", "2", "3", "1"], r"numbers as text.*C\(dose\)"),
    "decimal comma": (["1,5", "2,5", "3,0", "1"], "numbers as text"),
    "n/a among numbers": ([1.5, 2.5, "n/a", 3.0],
                          r"numbers and, in 1 of 4 rows, text: 'n/a' in row 2"),
    "number among texts": (["a", "b", 3, "c"], "and, in"),
    "date": ([DAY, DAY, None, DAY], "missing in 1 of 4"),
    "dates": (pd.date_range("2020", periods=4), r"a time stamp.*days since a day"),
    "durations": (pd.to_timedelta([1, 2, 3, 4], "D"), r"a duration.*total_seconds"),
    "one category": (["a"] * 4, "one value only"),
    "one truth value": ([True] * 4, "one value only"),
    "gap": ([True, None, False, True], "missing in 1 of 4"),
}  # fmt: skip


@pytest.mark.parametrize("case", NO_COVARIATE)
def test_what_has_no_coefficient_is_refused(case):
    values, text = NO_COVARIATE[case]
    with pytest.raises(DataError, match=f"'dose'.*{text}"):
        coded({"dose": values})


@pytest.mark.parametrize("values", [["1", "2", "3", "1"], [DAY, DAY, None, DAY]], ids=str)
def test_c_declares_categories(values):
    present = {"dose": [v for v in values if v is not None] + [datetime.date(2021, 1, 1)]}
    if isinstance(values[0], str):
        present = {"dose": values}
    assert coded(present, "y ~ C(dose)").names[0].startswith("C(dose)[T.")


@pytest.mark.parametrize("value", [object(), lambda: 1], ids=["object", "lambda"])
def test_what_is_equal_only_to_itself_is_no_id(value):
    with pytest.raises(DataError, match=r"'g' holds values such as .* another table. Use text"):
        encode("g", read_values("g", [value, value]))


def test_members_of_an_enumeration_are_ids():
    kind = enum.Enum("Kind", "first second")
    ids = read_values("g", [kind.second, kind.first, kind.second])
    assert encode("g", ids).codes.tolist() == [1, 0, 1]


@pytest.mark.parametrize("values", [[10**400, 1], [-(10**400), 0.5]], ids=["whole", "mixed"])
def test_a_number_that_no_float_holds_is_infinite(values):
    with pytest.raises(DataError, match="'x' is infinite in 1 of 2 rows"):
        as_numbers("x", read_values("x", values))


def test_a_query_that_fails_is_an_error_of_the_table():
    pl = pytest.importorskip("polars")
    with pytest.raises(DataError, match=r"cannot be collected: .*nope.* Correct the query"):
        columns(pl.LazyFrame({"a": [1]}).select("nope"), ["a"])


TYPES = {
    "number, text": ([1, 2], ["1"], "'g'='1' is text, but the fitted unit 1 is a number"),
    "text, number": (["1", "2"], [1], "'g'=1 is a number, but the fitted unit '1' is text"),
    "text, new number": (["a", "b"], [7], "'g'=7 is a number, but the fitted unit 'a' is text"),
    "date, time stamp": ([DAY], [datetime.datetime(2020, 1, 2)], "is a time stamp, but .* a date"),
    "date, text": ([DAY], ["2020-01-02"], "is text, but the fitted unit .* is a date"),
    "zone": ([datetime.datetime(2020, 1, 1)],
             [datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)], "with a time zone"),
}  # fmt: skip


@pytest.mark.parametrize("unseen", ["new", "error"])
@pytest.mark.parametrize("case", TYPES)
def test_an_id_of_another_type_than_the_fitted_is_refused(case, unseen):
    fitted, new, text = TYPES[case]
    known = encode("g", read_values("g", fitted))
    with pytest.raises(DataError, match=text):
        encode("g", read_values("g", new), known, unseen=unseen, missing="unknown")


@pytest.mark.parametrize(
    "one", [1, 1.0, np.int8(1), np.float32(1), D(1), D("1.00"), True], ids=repr
)
def test_equal_numbers_are_one_unit(one):
    known = encode("g", np.array([0, 1, 2]))
    assert encode("g", read_values("g", [one, None]), known, missing="unknown").codes.tolist() == [
        1,
        -1,
    ]


@pytest.mark.parametrize("ids", [[1, "1"], ["1.0", 1], [1, 2, "01"], [DAY, "2020-01-02"]], ids=str)
def test_one_id_written_in_two_types_is_refused(ids):
    with pytest.raises(DataError, match=r"'g' holds both .* they would be two units"):
        encode("g", read_values("g", ids))


@pytest.mark.parametrize("other", ["a ", " a", "a\u00a0"])
def test_ids_that_look_alike_are_named(other):
    with pytest.warns(UserWarning, match=r"differ only in blanks.*two units"):
        encode("g", read_values("g", ["a", other]))
    with pytest.warns(UserWarning, match="two units"):
        encode("g", read_values("g", ["Zoe\u0308", "Zo\u00eb"]))


def test_a_date_is_no_number():
    with pytest.raises(DataError, match=r"'x' holds a date.*days since a day"):
        as_numbers("x", read_values("x", [DAY, DAY]))


@pytest.mark.parametrize(("shift", "refused"), [(0, False), (1e9, False), (1e12, True)])
def test_a_covariate_that_rounding_swallows_is_refused(rng, shift, refused):
    x = rng.normal(size=50) + shift
    if refused:
        with pytest.raises(DataError, match=r"'x' has mean 1e\+12.*lost in rounding. Subtract"):
            check_spread("x", x)
    else:
        check_spread("x", x)
