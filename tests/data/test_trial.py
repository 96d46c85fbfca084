"""Laws of reading a trial: coding, drops that are counted, and errors that say what to do."""

import numpy as np
import pytest

from pymc_mlm.data.trial import collapse_rows, recode_trial, resolve_trial
from pymc_mlm.errors import DataError, SpecificationError


def objects(*values):
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


@pytest.fixture
def table():
    return {
        "y1": np.array([1, 0, 1, 0, 1, 1]),
        "y2": np.array([1.0, 0.0, np.nan, 1.0, 0.0, 0.0]),
        "group": objects("placebo", "drug", "drug", "placebo", "placebo", "drug"),
        "ward": np.array([7, 8, 8, 7, 9, 9]),
    }


def read(table, outcomes=("y1", "y2"), **options):
    return resolve_trial(table, outcomes, "group", **{"control": "placebo"} | options)


def test_the_control_comes_first(table):
    design = read(table)
    assert design.arm.labels.tolist() == ["placebo", "drug"]
    np.testing.assert_array_equal(design.arm.codes, [0, 1, 1, 0, 0, 1])


@pytest.mark.parametrize(
    "groups", [np.array([0, 1, 1, 0, 0, 1]), np.array([0, 1, 1, 0, 0, 1], dtype=bool)]
)
def test_arms_coded_zero_and_one_need_no_names(table, groups):
    design = resolve_trial(table | {"group": groups}, "y1", "group")
    np.testing.assert_array_equal(design.arm.codes, groups)


def test_the_only_arm_that_is_not_the_treatment_is_the_control(table):
    assert read(table, control=None, treatment="drug").arm.labels.tolist() == ["placebo", "drug"]


def test_more_than_two_arms_keep_their_order(table):
    groups = objects("a", "b", "c", "a", "b", "c")
    design = read(table | {"group": groups}, control="b")
    assert design.arm.labels.tolist() == ["b", "a", "c"]
    design = read(table | {"group": groups}, control="b", treatment=["c", "a"])
    assert design.arm.labels.tolist() == ["b", "c", "a"]


def test_rows_of_other_arms_are_dropped_and_counted(table):
    groups = objects("a", "b", "c", "a", "b", "c")
    design = resolve_trial(
        table | {"group": groups}, "y1", "group", control="a", treatment="b", dependence="pairwise"
    )
    np.testing.assert_array_equal(design.rows, [0, 1, 3, 4])
    assert design.dropped == {"other arms": 2}


def test_a_partly_missing_outcome_is_kept_and_an_empty_one_is_not(table):
    y1 = np.array([1, 0, 1, 0, 1, np.nan])
    y2 = np.array([1, 0, np.nan, 1, 0, np.nan])
    design = read(table | {"y1": y1, "y2": y2}, missing="drop")
    assert design.dropped == {"every outcome is missing": 1}
    assert design.partial.tolist() == [False, False, True, False, False]
    np.testing.assert_array_equal(design.compatible[design.pattern[2]], [1, 1, 0, 0])


def test_rows_without_arm_cluster_or_covariate_are_counted_by_reason(table):
    twice = {name: np.tile(values, 2) for name, values in table.items()}
    twice["group"][0] = None
    twice["ward"] = twice["ward"].astype(float)
    twice["ward"][[1, 6]] = np.nan
    options = {"cluster": "ward", "lacking": {"age": np.arange(12) == 2}}
    design = read(twice, missing="drop", **options)
    assert design.dropped == {
        "'group' is missing": 1,
        "'ward' is missing": 2,
        "'age' is missing": 1,
    }
    with pytest.raises(DataError, match=r"'ward' is missing in 2 of 12 rows.*missing='drop'"):
        read(twice, **options)
    np.testing.assert_array_equal(design.rows, [3, 4, 5, 7, 8, 9, 10, 11])


def test_a_row_is_dropped_for_one_reason_and_its_cluster_with_it(table):
    twice = {name: np.tile(values, 2) for name, values in table.items()}
    twice["ward"] = np.append([1], twice["ward"][1:])
    twice["group"][0] = None
    first = np.arange(12) == 0
    design = read(twice, cluster="ward", lacking={"age": first}, missing="drop")
    assert design.dropped == {"'group' is missing": 1}
    assert design.cluster.factor.labels.tolist() == [7, 8, 9]


def test_booleans_floats_and_objects_with_none_are_outcomes(table):
    numbers = read(table | {"y1": np.array([1.0, 0, 1, 0, 1, 1])}).observed
    booleans = read(table | {"y1": np.array([1, 0, 1, 0, 1, 1], dtype=bool)}).observed
    mixed = read(table | {"y1": objects(True, False, 1, 0.0, None, 1)}).observed
    np.testing.assert_array_equal(numbers, booleans)
    np.testing.assert_array_equal(np.delete(mixed, 4, axis=0), np.delete(numbers, 4, axis=0))


def test_one_outcome_may_be_named_without_a_list(table):
    design = read(table, outcomes="y1")
    assert design.outcomes == ("y1",)
    assert design.cells == ("1", "0")


def test_clusters_know_their_arm_and_whether_they_are_nested(table):
    design = read(table, cluster="ward")
    assert design.cluster.factor.labels.tolist() == [7, 8, 9]
    np.testing.assert_array_equal(design.cluster.arm, [0, 1, -1])
    assert not design.cluster.nested
    assert "2 of 3 clusters ('ward') lie in one arm only" in design.notes[-1]


def test_single_rows_per_cluster_are_reported(table):
    design = read(table | {"ward": np.arange(6)}, cluster="ward")
    assert design.cluster.nested
    assert "6 of 6 clusters ('ward') have one row" in design.notes[-1]


def test_separation_in_an_arm_is_reported_and_no_error(table):
    design = read(table | {"y1": np.array([1, 0, 0, 1, 1, 1])}, outcomes="y1")
    assert design.notes == (
        "Outcome 'y1' is 1 in every row of arm 'placebo': its log odds there rest on the prior.",
    )


def test_pattern_counts_add_up(table):
    design = read(table)
    counts = design.pattern_counts()
    assert counts.shape == (2, len(design.compatible))
    np.testing.assert_array_equal(counts, [[1, 1, 1, 0, 0], [0, 1, 0, 1, 1]])


def test_collapsed_rows_rebuild_the_rows(rng):
    codes, covariates = rng.integers(0, 3, 500), rng.integers(0, 2, (500, 3)) / 2
    collapsed = collapse_rows(codes, covariates)
    rows = np.column_stack([codes, covariates])
    np.testing.assert_array_equal(rows[collapsed.first][collapsed.kind], rows)
    assert len(collapsed.first) == len(np.unique(rows, axis=0))
    assert collapsed.count.sum() == 500


def test_rows_collapse_within_arm_cluster_and_pattern(table):
    alike = {name: np.repeat(values, 3) for name, values in table.items()}
    design = read(alike, cluster="ward")
    np.testing.assert_array_equal(design.collapse().count, np.full(6, 3.0))
    assert len(design.collapse(np.arange(18.0)[:, None]).count) == 18


def test_new_rows_take_the_fitted_codes(table):
    known = read(table, cluster="ward")
    new = {"group": objects("drug", "placebo"), "ward": np.array([10, 9])}
    design = recode_trial(new, known)
    np.testing.assert_array_equal(design.arm.codes, [1, 0])
    np.testing.assert_array_equal(design.cluster.factor.codes, [3, 2])
    assert np.isnan(design.observed).all()
    with pytest.raises(DataError, match=r"'group' has 1 unseen id.*'surgery'"):
        recode_trial(new | {"group": objects("drug", "surgery")}, known)


BAD = {
    "text outcome": (
        {"y1": objects("yes", "no", "no", "no", "no", "yes")},
        {},
        "'y1' is 'yes' in row 0.*Which one is the event.*'no'} or event={'y1': 'yes'}",
    ),
    "digits as text": ({"y1": np.array(list("101011"))}, {}, "'y1' is '1' in row 0.*Which one"),
    "coded 1 and 2": ({"y2": np.array([1, 2, 1, 2, 1, 1])}, {}, "'y2' is 2 in row 1.*'y2': 2}"),
    "empty outcome": ({"y2": np.full(6, np.nan)}, {}, "'y2' is missing in every row"),
    "one arm": ({"group": objects(*["placebo"] * 6)}, {}, "has 1 arm.*at least two"),
    "absent control": ({}, {"control": "placebos"}, "control='placebos'.*mean 'placebo'"),
    "absent treatment": ({}, {"treatment": "Drug"}, "treatment='Drug'.*mean 'drug'"),
    "number written as text": (
        {"group": np.array([1, 2, 2, 1, 1, 2])},
        {"control": "1"},
        "control='1' is no arm.*mean 1[?]",
    ),
    "arm without rows": (
        {},
        {"lacking": {"age": np.array([0, 1, 1, 0, 0, 1], dtype=bool)}, "missing": "drop"},
        "Arm 'drug'.*no row left.*'age' is missing",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "options", "message"), BAD.values(), ids=BAD)
def test_bad_data_are_named(table, columns, options, message):
    with pytest.raises(DataError, match=message):
        read(table | columns, **options)


def test_bad_specifications_are_named(table):
    with pytest.raises(DataError, match=r"no column 'y3' \(did you mean"):
        read(table, outcomes=("y1", "y3"))
    with pytest.raises(SpecificationError, match=r"control is not named.*control='drug'"):
        read(table, control=None)
    with pytest.raises(SpecificationError, match="'drug' is both control and treatment"):
        read(table, control="drug", treatment="drug")
    with pytest.raises(SpecificationError, match="'y1' is named 2 times"):
        read(table, outcomes=("y1", "y1"))
    with pytest.raises(SpecificationError, match="outcomes is empty"):
        read(table, outcomes=())


def test_too_many_outcomes_point_to_pairwise(table):
    names = [f"o{k}" for k in range(7)]
    many = table | {name: table["y1"] for name in names}
    with pytest.raises(SpecificationError, match="dependence='pairwise'"):
        read(many, outcomes=names)
    assert read(many, outcomes=names, dependence="pairwise").basis.shape == (127, 28)
