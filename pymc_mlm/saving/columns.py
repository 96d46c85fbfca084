"""Columns of any type as arrays that a file can hold, and back.

Numbers are written as they are. Anything else becomes codes into a list of its distinct values,
which is text (`pymc_mlm.saving.values`), so that labels keep their type: 1 stays 1 and "1" stays
"1".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pymc_mlm.errors import DataError
from pymc_mlm.saving.values import decode, encode

# Number types of NumPy that netCDF has, too.
STORED = {np.dtype(t).name for t in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8")}


def pack(columns: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[Any]]:
    """Turn columns into arrays of numbers and a description.

    Parameters
    ----------
    columns : mapping of str to ndarray
        Columns of any shape; text, dates and mixed labels included.

    Returns
    -------
    arrays : dict of str to ndarray
        Arrays by position, ``"0"``, ``"1"``, ...: names of columns may not be names in a file.
    description : list
        Per column: name, type and labels, as JSON.

    Raises
    ------
    SpecificationError
        A label has no form as text.

    Examples
    --------
    >>> pack({"id": np.array(["b", "a", "b"], dtype=object)})
    ({'0': array([0, 1, 0], dtype=int32)}, [{'name': 'id', 'type': '|O', 'labels': ['b', 'a']}])
    """
    arrays, description = {}, []
    for place, (name, values) in enumerate(columns.items()):
        array = np.asarray(values)
        array, labels = _numbers(array, name)
        arrays[str(place)] = array
        own = {"name": name, "type": np.asarray(values).dtype.str}
        description.append(own if labels is None else own | {"labels": labels})
    return arrays, description


def unpack(arrays: Mapping[str, np.ndarray], description: list[Any]) -> dict[str, np.ndarray]:
    """Return the columns that `pack` took.

    Raises
    ------
    DataError
        Arrays and description do not fit together.

    Examples
    --------
    >>> unpack(*pack({"x": np.array([True, False])}))
    {'x': array([ True, False])}
    """
    columns = {}
    try:
        for place, own in enumerate(description):
            array, kind = np.asarray(arrays[str(place)]), np.dtype(own["type"])
            columns[str(own["name"])] = _values(array, kind, own.get("labels"))
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(f"The file's table is damaged ({error}). Save the fit again.") from error
    return columns


def _numbers(array: np.ndarray, name: str) -> tuple[np.ndarray, list[Any] | None]:
    """Return an array of numbers, and the labels that they count if they are codes."""
    if array.dtype.name in STORED:
        return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")), None
    if array.dtype.kind == "b":
        return array.astype(np.int8), None
    if array.dtype.kind == "f":  # half precision; the longest has no portable form
        return array.astype(np.float64), None
    if array.dtype.kind in "mM":
        return array.astype(np.int64), None
    flat = array.ravel().tolist()
    # 1, 1.0 and True are equal, and different labels.
    place: dict[Any, int] = {}
    codes = [place.setdefault((type(v), repr(v) if v != v else v), len(place)) for v in flat]
    first = {code: i for i, code in reversed(list(enumerate(codes)))}
    labels = [encode(flat[first[code]], f"a value of {name!r}") for code in range(len(place))]
    return np.array(codes, dtype=np.int32).reshape(array.shape), labels


def _values(array: np.ndarray, kind: np.dtype, labels: list[Any] | None) -> np.ndarray:
    if labels is None:
        if kind.kind not in "biufmM":
            raise DataError(f"The file's table has a column of type {kind} without labels.")
        return array.astype(kind)
    if kind.kind not in "OUS":
        raise DataError(f"The file's table has labels for a column of type {kind}.")
    if array.size and not (0 <= array.min() and array.max() < len(labels)):
        raise DataError("The file's table counts labels that it does not have.")
    values = np.empty(len(labels), dtype=object)
    values[:] = [decode(label) for label in labels] if labels else []
    return values[array].astype(kind)
