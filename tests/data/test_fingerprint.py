"""Fingerprints of columns: equal for equal values, whatever holds them."""

import numpy as np
import pandas as pd
import pytest

from pymc_mlm.data.fingerprint import fingerprints
from pymc_mlm.data.frame import open_table

NAMES = ["whole", "number", "text", "flag"]
TABLE = pd.DataFrame(
    {"whole": [1, 2, 3], "number": [0.5, np.nan, -0.0], "text": ["a", None, "ü"],
     "flag": [True, False, True]}
)  # fmt: skip


def of(data, names=NAMES):
    return fingerprints(open_table(data, names), names)


def test_libraries_and_dtypes_agree():
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    found = of(TABLE)
    columns = {n: [None if pd.isna(v) else v for v in TABLE[n].tolist()] for n in NAMES}
    assert of(pl.DataFrame(columns)) == of(pa.table(columns)) == found
    assert of(TABLE.astype({"whole": float, "text": "category"})) == found
    assert of(TABLE.assign(number=[0.5, np.nan, 0.0])) == found


CHANGES = {
    "a number": {"whole": [1, 2, 4]},
    "the order": {"whole": [3, 2, 1]},
    "what is missing": {"number": [0.5, 0.0, 0.0]},
    "text": {"text": ["a", None, "u"]},
    "empty text for none": {"text": ["a", "", "ü"]},
    "a shifted border": {"text": ["aü", None, ""]},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_value_changes_its_column_and_the_whole(change):
    before, after = of(TABLE), of(TABLE.assign(**change))
    assert {n for n in before if before[n] != after[n]} == {*change, ""}


def test_whole_numbers_beyond_doubles_are_told_apart():
    one, other = ({"id": np.array([2**53 + i, 1])} for i in (0, 1))
    assert of(one, ["id"]) != of(other, ["id"])


def test_the_digest_is_that_of_the_stated_bytes():
    import hashlib

    expected = hashlib.sha256(np.array([1.0, 2.0], dtype="<f8").tobytes()).hexdigest()
    assert of({"x": [1, 2]}, ["x"])["x"] == expected
    text = hashlib.sha256("1 a2 ü".encode()).hexdigest()
    assert of({"x": ["a", "ü"]}, ["x"])["x"] == text
