"""Laws of `nest`: a tree is read from id columns, checked, and independent of names and order."""

import uuid

import numpy as np
import pytest

from pymc_mlm.data.factor import UnknownUnit
from pymc_mlm.data.nesting import name_missing, nest
from pymc_mlm.errors import DataError, SpecificationError

REGION = np.array(["B", "A", "B", "A", "B"], dtype=object)
SCHOOL = np.array([7, 3, 5, 1, 7])
LEVELS = ["region", "school"]


@pytest.fixture
def table():
    return {"region": REGION, "school": SCHOOL}


def path_of_each_row(nesting):
    codes = [nesting.codes(level) for level in nesting.levels]
    return [
        [nesting.labels[k][c[row]] for k, c in enumerate(codes)] for row in range(len(codes[0]))
    ]


def test_every_row_climbs_back_to_its_own_ids(table):
    nesting = nest(table, LEVELS)
    assert path_of_each_row(nesting) == [list(ids) for ids in zip(REGION, SCHOOL, strict=True)]
    assert list(nesting.labels[1]) == [1, 3, 5, 7]
    np.testing.assert_array_equal(nesting.parents[1], [0, 0, 1, 1])


def test_the_tree_numbers_units_through_all_levels(table):
    nesting = nest(table, LEVELS)
    np.testing.assert_array_equal(nesting.tree, [-1, -1, 0, 0, 1, 1])
    np.testing.assert_array_equal(nesting.sizes, [2, 4])


def test_row_order_does_not_change_the_tree(table, rng):
    order = rng.permutation(len(REGION))
    shuffled = nest({name: values[order] for name, values in table.items()}, LEVELS)
    nesting = nest(table, LEVELS)
    np.testing.assert_array_equal(shuffled.tree, nesting.tree)
    np.testing.assert_array_equal(shuffled.leaf, nesting.leaf[order])


def test_renaming_units_in_the_same_order_does_not_change_the_tree(table):
    renamed = nest({"region": REGION, "school": SCHOOL * 10.5}, LEVELS)
    np.testing.assert_array_equal(renamed.tree, nest(table, LEVELS).tree)


@pytest.mark.parametrize(
    "ids",
    [
        np.array(["a", "b", "c", "a"]),
        np.array([1, 2, 3, 1]),
        np.array([1.5, 2.0, 3.0, 1.5]),
        np.array(["a", 2, 3.5, "a"], dtype=object),
        np.array([uuid.UUID(int=k) for k in (1, 2, 3, 1)], dtype=object),
    ],
    ids=["text", "int", "float", "mixed", "uuid"],
)
def test_ids_may_be_of_any_kind(ids):
    nesting = nest({"unit": ids}, ["unit"])
    assert sorted(nesting.leaf[:3]) == [0, 1, 2]
    assert list(nesting.labels[0][nesting.leaf]) == list(ids)


def test_one_level_has_no_parents():
    np.testing.assert_array_equal(nest({"unit": SCHOOL}, ["unit"]).parents[0], [-1] * 4)


def test_an_id_with_two_parents_is_refused(table):
    table["school"] = np.array([1, 1, 2, 2, 3])
    message = r"'school'=1 lies in two units of 'region': 'B' .* and 'A' in row 1.*unique_ids=True"
    with pytest.raises(DataError, match=message):
        nest(table, LEVELS)


def test_unique_ids_make_a_unit_of_every_parent_and_child(table):
    table["school"] = np.array([1, 1, 2, 2, 3])
    nesting = nest(table, LEVELS, unique_ids=True)
    assert list(nesting.labels[1]) == ["A/1", "A/2", "B/1", "B/2", "B/3"]
    np.testing.assert_array_equal(nesting.parents[1], [0, 0, 1, 1, 1])


def test_unique_ids_show_the_whole_path():
    table = {"a": np.array([1, 1, 2]), "b": np.array([1, 2, 1]), "c": np.array([1, 1, 1])}
    assert list(nest(table, ["a", "b", "c"], unique_ids=True).labels[2]) == [
        "1/1/1",
        "1/2/1",
        "2/1/1",
    ]


def test_unique_ids_that_would_share_a_label_are_refused():
    table = {
        "a": np.array(["x", "x/y"], dtype=object),
        "b": np.array(["y/z", "z"], dtype=object),
    }
    with pytest.raises(DataError, match=r"both be called 'x/y/z'.*Rename"):
        nest(table, ["a", "b"], unique_ids=True)


def test_levels_in_the_wrong_order_are_named_in_the_right_one(table):
    message = r"wrong order: 'region'='B' lies in 'school'=7 .*Write levels=\['region', 'school'\]"
    with pytest.raises(DataError, match=message):
        nest(table, ["school", "region"])


def test_a_missing_id_is_refused(table):
    table["region"] = np.array(["B", None, "B", "A", "B"], dtype=object)
    with pytest.raises(DataError, match=r"'region' is missing in 1 of 5 rows, first in row 1"):
        nest(table, LEVELS)


def test_a_single_unit_at_a_level_is_refused(table):
    table["region"] = np.repeat(3, 5)
    with pytest.raises(DataError, match=r"'region' has a single unit, 3: .*Leave 'region' out"):
        nest(table, LEVELS)


@pytest.mark.parametrize(
    ("levels", "error", "message"),
    [
        ("school", SpecificationError, r"levels='school' must list"),
        ([], SpecificationError, r"levels=\[\] must list"),
        (["school", "school"], SpecificationError, "names a column twice"),
        (["region", "class"], DataError, "'class' is not a column of the data"),
    ],
)
def test_levels_are_checked(table, levels, error, message):
    with pytest.raises(error, match=message):
        nest(table, levels)


def test_an_empty_table_is_refused():
    with pytest.raises(DataError, match="has no rows"):
        nest({"unit": np.array([])}, ["unit"])


def test_new_units_follow_the_known_ones(table):
    known = nest(table, LEVELS)
    new = {
        "region": np.array(["A", "0", "B"], dtype=object),  # "0" would sort before "A"
        "school": np.array([2, 9, 7]),
    }
    nesting = nest(new, LEVELS, known=known)
    assert list(nesting.labels[0]) == ["A", "B", "0"]
    assert list(nesting.labels[1]) == [1, 3, 5, 7, 2, 9]
    np.testing.assert_array_equal(nesting.parents[1], [0, 0, 1, 1, 0, 2])
    np.testing.assert_array_equal(nesting.leaf, [4, 5, 3])


def test_the_same_data_are_known_to_themselves(table):
    known = nest(table, LEVELS)
    again = nest(table, LEVELS, known=known)
    np.testing.assert_array_equal(again.tree, known.tree)
    np.testing.assert_array_equal(again.leaf, known.leaf)


def test_unique_ids_know_units_by_their_path(table):
    known = nest(table, LEVELS, unique_ids=True)
    new = {"region": np.array(["A", "A"], dtype=object), "school": np.array([7, 3])}
    nesting = nest(new, LEVELS, unique_ids=True, known=known)
    assert [nesting.labels[1][k] for k in nesting.leaf] == ["A/7", "A/3"]
    np.testing.assert_array_equal(nesting.leaf, [4, 1])


def test_a_known_unit_under_another_parent_is_refused(table):
    known = nest(table, LEVELS)
    new = {"region": np.array(["A"], dtype=object), "school": np.array([7])}
    with pytest.raises(DataError, match=r"'school'=7 .*'B' when the model was fitted and 'A'"):
        nest(new, LEVELS, known=known)


def test_other_levels_than_the_known_ones_are_refused(table):
    known = nest(table, LEVELS)
    with pytest.raises(SpecificationError, match="differ from those fitted"):
        nest(table, ["school"], known=known)


def test_sparse_and_close_numbers_are_numbered_alike():
    close = np.array([7, -2, 3, 7, 3, -2, 0])
    one = nest({"a": close}, ["a"])
    other = nest({"a": close * 10**12}, ["a"])
    np.testing.assert_array_equal(one.leaf, other.leaf)
    assert [v * 10**12 for v in one.labels[0]] == list(other.labels[0])
    assert list(one.labels[0]) == [-2, 0, 3, 7]


@pytest.fixture
def fitted():
    return nest({"region": np.array(["A", "A", "B"]), "school": np.array([1, 2, 3])}, LEVELS)


def test_a_fitted_unit_tells_its_missing_parent(fitted):
    new = {"region": np.array([None, "B"], dtype=object), "school": np.array([2, 3])}
    assert list(name_missing(new, fitted)["region"]) == ["A", "B"]


def test_other_missing_ids_are_unknown_units_of_their_rows(fitted):
    new = {"region": np.array(["A", None], dtype=object), "school": np.array([np.nan, np.nan])}
    filled = name_missing(new, fitted)
    assert list(filled["region"]) == ["A", UnknownUnit(1)]
    assert list(filled["school"]) == [UnknownUnit(0), UnknownUnit(1)]
    tree = nest(filled, LEVELS, known=fitted)
    assert tree.parents[1][tree.leaf].tolist() == [0, 2]


def test_ids_within_parents_do_not_tell_them():
    table = {"region": np.array(["A", "B"]), "school": np.array([1, 1])}
    fitted = nest(table, LEVELS, unique_ids=True)
    new = {"region": np.array([None], dtype=object), "school": np.array([1])}
    with pytest.raises(DataError, match="'region' is missing in row 0"):
        name_missing(new, fitted, unique_ids=True)
    known_parent = {"region": np.array(["A"]), "school": np.array([None], dtype=object)}
    filled = name_missing(known_parent, fitted, unique_ids=True)
    tree = nest(filled, LEVELS, unique_ids=True, known=fitted)
    assert list(tree.labels[1]) == ["A/1", "B/1", UnknownUnit(0)]
