"""The one door for tables: any dataframe in, NumPy arrays out.

narwhals reads pandas, Polars, PyArrow and lazy frames alike; nothing past this file knows
which of them the user has.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import narwhals as nw
import numpy as np

from pymc_mlm.errors import DataError

Columns = Mapping[str, np.ndarray]

# Text is read so many rows at a time; a shorter column at once, which is faster.
CHUNK_ROWS = 1 << 18


def column_names(data: Any) -> list[str]:
    """Return the names of a table's columns, in order.

    Parameters
    ----------
    data : dataframe or mapping of str to array_like
        Any table that narwhals understands, or a mapping of columns.

    Returns
    -------
    list of str

    Examples
    --------
    >>> column_names({"y": [1.0, 2.0], "party": ["a", "b"]})
    ['y', 'party']
    """
    if isinstance(data, Mapping):
        return [str(name) for name in data]
    names = _native(data).collect_schema().names()
    odd = [name for name in names if not isinstance(name, str)]
    if odd:
        raise DataError(
            f"Column name {odd[0]!r} is {type(odd[0]).__name__}, not text. Columns are named in "
            "formulas: rename them, for example data.columns = data.columns.astype(str)."
        )
    return list(names)


def columns(data: Any, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return the named columns of a table as NumPy arrays.

    Parameters
    ----------
    data : dataframe or mapping of str to array_like
        pandas, Polars or PyArrow table, a lazy frame of those (collected for the named columns
        only), or a mapping of columns.
    names : iterable of str
        Columns to read; repeated names are read once.

    Returns
    -------
    dict of str to ndarray, shape (row,)
        bool and integer columns without nulls keep their type; other numbers are float64 with
        NaN for null; everything else is object with None for null.

    Raises
    ------
    DataError
        A column is missing, two have one name, or the table has no rows.

    Examples
    --------
    >>> columns({"y": [1.0, 2.0], "party": ["a", None]}, ["party"])
    {'party': array(['a', None], dtype=object)}
    """
    wanted = list(dict.fromkeys(names))
    require(wanted, column_names(data))
    if not wanted:
        return {}
    if isinstance(data, Mapping):
        import pandas as pd

        frame = nw.from_native(pd.DataFrame({name: np.asarray(data[name]) for name in wanted}))
    else:
        frame = _native(data).select(wanted)
        if isinstance(frame, nw.LazyFrame):
            frame = frame.collect()
    if len(frame) == 0:
        raise DataError("The table has no rows; nothing can be fitted or predicted.")
    return {name: _array(frame[name]) for name in wanted}


def require(names: Iterable[str], available: Iterable[str]) -> None:
    """Raise a `DataError` that names the missing columns and the nearest existing ones."""
    available = list(available)
    missing = [name for name in names if name not in available]
    if not missing:
        return
    hints = []
    for name in missing:
        near = difflib.get_close_matches(name, available, n=1, cutoff=0.5)
        hints.append(f"{name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
    raise DataError(
        f"The table has no column {', '.join(hints)}. Its columns are: {_listing(available)}."
    )


def _native(data: Any) -> Any:
    try:
        return nw.from_native(data)
    except TypeError as error:
        raise DataError(
            f"{type(data).__name__} is not a table. Give a pandas, Polars or PyArrow table, or a "
            "mapping of column names to arrays."
        ) from error
    except nw.exceptions.DuplicateError as error:
        # pyarrow's `columns` are arrays.
        names = list(getattr(data, "column_names", data.columns))
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(
            f"The table has {names.count(twice)} columns called {twice!r}, so that the name says "
            "not which. Rename or drop all but one."
        ) from error


def _array(series: Any) -> np.ndarray:
    dtype = series.dtype
    if len(series) > CHUNK_ROWS and isinstance(dtype, (nw.Categorical, nw.Enum, nw.String)):
        return _labels(series)
    has_null = series.null_count() > 0
    if dtype == nw.Boolean and not has_null:
        return np.asarray(series.to_numpy(), dtype=bool)
    if dtype.is_integer() and not has_null:
        return np.asarray(series.to_numpy(), dtype=np.int64)
    if dtype == nw.Boolean or dtype.is_numeric():
        if dtype.is_integer() and has_null:
            # Integers stay integers, also beyond 2**53, where float64 would merge ids.
            return _objects(series.to_list())
        if has_null or dtype.is_decimal():
            return np.array([np.nan if _is_missing(v) else float(v) for v in series.to_list()])
        return np.asarray(series.to_numpy(), dtype=np.float64)
    return _objects(series.to_list())


def _labels(series: Any) -> np.ndarray:
    """Read text through codes: one object per distinct text, where a list has one per row."""
    distinct = series.drop_nulls().unique(maintain_order=True).to_list()
    if not distinct or 2 * len(distinct) > len(series):
        return _objects(series.to_list())
    labels = _objects([*distinct, None])
    out = np.empty(len(series), dtype=object)
    # Each chunk pays for the look-up of all labels, so it is longer than they are many.
    step = max(CHUNK_ROWS, 8 * len(distinct))
    for first in range(0, len(series), step):
        codes = series[first : first + step].replace_strict(
            distinct, range(len(distinct)), default=len(distinct), return_dtype=nw.Int64
        )
        out[first : first + step] = labels[codes.to_numpy()]
    return out


def _objects(values: list[Any]) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    out[:] = [None if _is_missing(v) else v for v in values]
    return out


def _is_missing(value: Any) -> bool:
    # NaN, NaT and pd.NA differ from themselves, or refuse to say.
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return True


def _listing(names: list[str], most: int = 30) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, ... ({len(names)} in all)"
