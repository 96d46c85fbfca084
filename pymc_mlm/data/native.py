"""Single columns as their libraries hold them: lists, arrays with a mask, types inside Arrow."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Set
from typing import Any

import numpy as np

from pymc_mlm.data.values import objects
from pymc_mlm.errors import DataError


def column_of(name: str, value: Any) -> Any:
    """Return a column of a mapping as a series of a table library, or as an array.

    Parameters
    ----------
    name : str
        Name of the column, for messages.
    value : array_like, shape (row,)
        Series, list, array; masked or not.

    Returns
    -------
    series or ndarray, shape (row,)
        Not copied where it need not be; None, NaN or NaT in the place of masked entries.

    Raises
    ------
    DataError
        It has another number of dimensions, no order or no length.

    Examples
    --------
    >>> column_of("x", np.ma.array([1.5, 2.5], mask=[False, True]))
    array([1.5, nan])
    """
    if hasattr(value, "to_pylist") and not hasattr(value, "chunks"):
        # An array of Arrow; whoever has one has imported the library.
        return sys.modules["pyarrow"].chunked_array([value])
    if hasattr(value, "__array__"):
        # A chunked array of Arrow has none; NumPy would copy it to find out.
        shape = value.shape if hasattr(value, "shape") else (len(value),)
        if len(shape) != 1:
            raise DataError(
                f"Column {name!r} has shape {shape}; a column has one value a row. Give every "
                "column of a matrix a name of its own."
            )
        return _of_array(value)
    if isinstance(value, (str, bytes, Mapping, Set)) or not isinstance(value, Collection):
        raise DataError(
            f"Column {name!r} is {type(value).__name__}, which has no order or no length. Give a "
            "list or an array with one value a row."
        )
    return objects(list(value))


def known_type(name: str, native: Any) -> Any:
    """Return a series as it is, or as pandas' own where Arrow holds one of pandas' types.

    Parameters
    ----------
    name : str
        Name of the column, for messages.
    native : series
        Of any library.

    Returns
    -------
    series
        Arrow holds a period as a raw integer and an interval as a struct.

    Raises
    ------
    DataError
        The column has a type of the user's own making.
    """
    kind = str(getattr(native, "type", ""))
    if kind.startswith("extension<pandas"):
        return native.to_pandas()
    if kind.startswith("dictionary<values=extension<pandas"):
        return _categorical(native)
    if str(getattr(native, "dtype", "")).startswith("Extension"):
        raise DataError(
            f"Column {name!r} is of the type {native.dtype}, which is not understood. Convert it "
            "to text or numbers first."
        )
    return native


def _of_array(value: Any) -> Any:
    library = type(value).__module__.partition(".")[0]
    if library in ("polars", "pyarrow", "narwhals"):
        return value
    if library == "pandas":
        return _series(value)
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        return _without_mask(value)
    values = np.asarray(value)
    if values.dtype.kind in "UMm":
        return _series(values)
    # Files of other machines hold numbers with their bytes in another order.
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _without_mask(values: Any) -> Any:
    """Return a masked array with something missing in the place of its masked entries."""
    if values.dtype.kind in "Mm":
        return _series(values.filled(np.array("NaT", dtype=values.dtype)))
    return values.filled(np.nan) if values.dtype.kind == "f" else objects(values.tolist())


def _categorical(native: Any) -> Any:
    """Return a dictionary of intervals in Arrow as pandas' categorical."""
    import pandas as pd

    parts = [
        pd.Series(
            pd.Categorical.from_codes(
                chunk.indices.fill_null(-1).to_numpy(),
                chunk.dictionary.to_pandas(),
                ordered=native.type.ordered,
            )
        )
        for chunk in native.chunks
    ]
    return pd.concat(parts, ignore_index=True)


def _series(values: Any) -> Any:
    import pandas as pd

    return pd.Series(values, copy=False)
