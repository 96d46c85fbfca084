"""Laws of columns in files: every type comes back as it was, and damage is one error."""

import datetime
import json
import uuid

import numpy as np
import pytest

import pymc_mlm as mlm
from pymc_mlm.saving.columns import pack, unpack


def objects(*values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


COLUMNS = {
    "int": np.array([3, -1, 2**62]), "small": np.array([1, 2], dtype=np.int8),
    "uint": np.array([2**64 - 1, 0], dtype=np.uint64), "bool": np.array([True, False]),
    "float": np.array([0.1, np.nan, -np.inf, -0.0]), "half": np.array([0.5], dtype=np.float16),
    "big endian": np.array([1.5, 2.5], dtype=">f8"), "text": np.array(["a", "b\u00e9"]),
    "labels": objects("b", "a", "b", ""), "mixed": objects(1, "1", 1.0, True, None),
    "missing": objects("a", None, float("nan")),
    "uuid": objects(uuid.UUID(int=1), uuid.UUID(int=2)),
    "dates": objects(datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1)),
    "moments": np.array(["2026-01-01", "NaT"], dtype="datetime64[ns]"),
    "spans": np.array([1, 2], dtype="timedelta64[D]"), "matrix": np.arange(6.0).reshape(2, 3),
    "nothing": np.array([], dtype=object), "tuples": objects(("a", 1), ("a", 2)),
    "zero byte": objects("a\x00b", "a"),
}  # fmt: skip


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_comes_back_as_it_was(name):
    arrays, description = pack({name: COLUMNS[name]})
    assert all(a.dtype.kind in "iuf" for a in arrays.values())
    back = unpack(arrays, json.loads(json.dumps(description)))
    assert list(back) == [name]
    assert back[name].dtype == COLUMNS[name].dtype
    assert back[name].shape == COLUMNS[name].shape
    for found, given in zip(back[name].ravel(), COLUMNS[name].ravel(), strict=True):
        assert type(found) is type(given)
        np.testing.assert_equal(found, given)


def test_a_label_is_written_once():
    _, (own,) = pack({"id": objects(*["a", "b"] * 1000)})
    assert own["labels"] == ["a", "b"]


DAMAGE = [
    lambda a, d: a.clear(),
    lambda a, d: d[0].update(type="|V8"),
    lambda a, d: d[0].pop("labels"),
    lambda a, d: d[0].update(labels=["a"]),
    lambda a, d: d[0].update(labels=[{"$os": 1}, "b"]),
    lambda a, d: d[0].pop("name"),
    lambda a, d: d.append(3),
]


@pytest.mark.parametrize("damage", range(len(DAMAGE)))
def test_damage_is_an_error_of_the_package(damage):
    arrays, description = pack({"id": objects("a", "b", "a")})
    DAMAGE[damage](arrays, description)
    with pytest.raises(mlm.DataError):
        unpack(arrays, description)
