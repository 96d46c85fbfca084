"""Reads tables: any dataframe in, NumPy arrays out.

narwhals reads pandas, Polars, PyArrow and lazy frames alike; no other file depends on
which of them the user has. A table is opened once for all columns that a model needs: rows of a
lazy one may come in another order each time that it is collected. `pymc_mlm.data.values` has what
becomes of the values.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np

from pymc_mlm.data.native import column_of, known_type
from pymc_mlm.data.values import is_missing, read_values, show, whole
from pymc_mlm.errors import DataError

Columns = Mapping[str, np.ndarray]

# Text is read so many rows at a time; a shorter column at once, which is faster.
CHUNK_ROWS = 1 << 18


@dataclass(frozen=True, eq=False)
class Table:
    """Some columns of a user's table, all of them from one collection.

    Attributes
    ----------
    names : tuple of str
        All columns of the table, read or not.
    parts : mapping of str to narwhals.Series or ndarray, each of shape (row,)
        The columns that were asked for, not converted yet.
    num_rows : int
        Number of rows.
    """

    names: tuple[str, ...]
    parts: Mapping[str, Any]
    num_rows: int

    def take(self, rows: np.ndarray) -> Table:
        """Return the table of some rows, shape (row,) of their places."""
        parts = {name: part[rows] for name, part in self.parts.items()}
        return Table(self.names, parts, len(rows))


def open_table(data: Any, names: Iterable[str]) -> Table:
    """Collect the columns that a model needs, once.

    Parameters
    ----------
    data : dataframe or mapping of str to array_like
        pandas, Polars or PyArrow table, a lazy frame of those (collected for the named columns
        only), a mapping of columns, or a `Table`.
    names : iterable of str
        Columns to read; repeated names are read once. Without any, the first column is read for
        the number of rows.

    Returns
    -------
    Table
        For `columns` and `category_levels`.

    Raises
    ------
    DataError
        A column is missing, two have one name, columns differ in length, or there are no rows.

    Examples
    --------
    >>> open_table({"y": [1.0, 2.0], "party": ["a", "b"]}, ["y"]).num_rows
    2
    """
    if isinstance(data, Table):
        require(names, data.names)
        return data
    available = column_names(data)
    wanted = list(dict.fromkeys(names)) or available[:1]
    require(wanted, available, _index_names(data))
    if isinstance(data, Mapping):
        parts = {name: _part(name, data[name]) for name in wanted}
    else:
        frame = _native(data)
        if isinstance(frame, nw.LazyFrame):
            frame = _run(lambda lazy: lazy.select(wanted).collect(), frame)
        parts = {name: _known_type(name, frame.get_column(name)) for name in wanted}
    lengths = {name: len(part) for name, part in parts.items()}
    if len(set(lengths.values())) > 1:
        short, long = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        raise DataError(
            f"Column {short!r} has {lengths[short]} values and {long!r} has {lengths[long]}; all "
            "columns of a table have one value a row. Make them equally long."
        )
    num_rows = next(iter(lengths.values()), 0)
    if num_rows == 0:
        raise DataError("The table has no rows; nothing can be fitted or predicted.")
    return Table(tuple(available), parts, num_rows)


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
    if isinstance(data, Table):
        return list(data.names)
    if isinstance(data, Mapping):
        names = list(data)
    else:
        names = _run(lambda frame: frame.collect_schema().names(), _native(data))
    odd = [name for name in names if not isinstance(name, str)]
    if odd:
        raise DataError(
            f"Column name {show(odd[0])} is {type(odd[0]).__name__}, not text. Columns are named "
            "in formulas: rename them, for example data.columns = data.columns.astype(str)."
        )
    return names


def columns(data: Any, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return the named columns of a table as NumPy arrays.

    Parameters
    ----------
    data : dataframe, mapping of str to array_like or Table
        As for `open_table`, which is called for all but a `Table`.
    names : iterable of str
        Columns to read; repeated names are read once.

    Returns
    -------
    dict of str to ndarray, shape (row,)
        bool and whole numbers without nulls keep their type; other numbers are float64 with
        NaN for null; everything else is object with None for null. See `docs/tables.md`.

    Raises
    ------
    DataError
        A column is missing, two have one name, the table has no rows, or a value is none that a
        table can have.

    Examples
    --------
    >>> columns({"y": [1.0, 2.0], "party": ["a", None]}, ["party"])
    {'party': array(['a', None], dtype=object)}
    """
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return {}
    table = open_table(data, wanted)
    return {name: _array(name, table.parts[name]) for name in wanted}


def category_levels(data: Any, names: Iterable[str]) -> dict[str, tuple[Any, ...]]:
    """Return the categories of the columns that are declared as categorical, in their order.

    Parameters
    ----------
    data : dataframe, mapping of str to array_like or Table
        As for `columns`.
    names : iterable of str
        Columns to look at.

    Returns
    -------
    dict of str to tuple
        In the order of the categories where the user chose it (pandas, Polars' Enum, an ordered
        dictionary of Arrow), else sorted as text; those without rows too. Plain columns are left
        out.

    Examples
    --------
    >>> import pandas as pd
    >>> dose = pd.Categorical(["low", "high"], categories=["low", "mid", "high"])
    >>> category_levels({"dose": dose}, ["dose"])
    {'dose': ('low', 'mid', 'high')}
    """
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return {}
    table = open_table(data, wanted)
    found = {name: _levels(table.parts[name]) for name in wanted}
    return {
        name: tuple(read_values(name, levels).tolist())
        for name, levels in found.items()
        if levels is not None
    }


def rows_of(
    data: Any, rows: np.ndarray, without: Collection[str], new: Mapping[str, np.ndarray]
) -> Any:
    """Return some rows of a table in its own library, less some columns and with new ones.

    Parameters
    ----------
    data : dataframe or mapping of str to array_like
        As for `open_table`; a lazy frame is collected.
    rows : ndarray of int, shape (new_row,)
        Places of the rows, each as often as it is wanted.
    without : collection of str
        Columns to leave out.
    new : mapping of str to ndarray, shape (new_row,)
        Columns to add at the end.

    Returns
    -------
    dataframe, or dict of series and ndarray
    """
    kept = [name for name in column_names(data) if name not in without]
    if isinstance(data, Mapping):
        taken = {name: _part(name, data[name])[rows] for name in kept}
        own = {n: v.to_native() if isinstance(v, nw.Series) else v for n, v in taken.items()}
        return own | dict(new)
    frame = _native(data)
    if isinstance(frame, nw.LazyFrame):
        frame = _run(lambda lazy: lazy.collect(), frame)
    library = frame.implementation
    added = nw.from_dict({n: v.tolist() for n, v in new.items()}, backend=library)
    if not kept:
        return added.to_native()
    taken = nw.maybe_reset_index(frame.select(kept)[rows])
    return nw.concat([taken, added], how="horizontal").to_native()


def absent(table: Table, name: str) -> np.ndarray:
    """Return which rows of a column have no value, shape (row,).

    Parameters
    ----------
    table : Table
        Opened for the column.
    name : str
        The column.
    """
    part = table.parts[name]
    if isinstance(part, np.ndarray):
        return np.asarray(part != part) if part.dtype.kind in "fmM" else _null(part)
    if part.dtype == nw.Object:
        return _null(np.array(part.to_list(), dtype=object))
    found = part.is_null().to_numpy().astype(bool)
    if part.dtype.is_float():
        found |= part.is_nan().fill_null(True).to_numpy().astype(bool)
    return np.asarray(found)


def _null(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "O":
        return np.zeros(len(values), dtype=bool)
    return np.fromiter((is_missing(v) for v in values), dtype=bool, count=len(values))


def require(
    names: Iterable[str], available: Iterable[str], index_names: Collection[str] = ()
) -> None:
    """Raise a `DataError` that names the missing columns and the nearest existing ones."""
    available = list(available)
    missing = [name for name in names if name not in available]
    if not missing:
        return
    hints = []
    for name in missing:
        near = difflib.get_close_matches(str(name), available, n=1, cutoff=0.5)
        hints.append(f"{name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
    indexed = [name for name in missing if name in index_names]
    remedy = (
        f" {indexed[0]!r} is in the index of the table: pass data.reset_index()." if indexed else ""
    )
    raise DataError(
        f"The table has no column {', '.join(hints)}. Its columns are: {_listing(available)}."
        f"{remedy}"
    )


def _index_names(data: Any) -> list[str]:
    return list(getattr(getattr(data, "index", None), "names", None) or ())


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
            f"The table has {names.count(twice)} columns called {twice!r}, so that the name is "
            "ambiguous. Rename or drop all but one."
        ) from error


def _run(query: Callable[[Any], Any], frame: Any) -> Any:
    """Run a query of the user's, whose engine may raise anything."""
    try:
        return query(frame)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"The table cannot be collected: {reason} Correct the query that makes it."
        ) from error


def _part(name: str, value: Any) -> Any:
    """Return a column of a mapping as a series of narwhals or an array."""
    value = column_of(name, value)
    found = nw.from_native(value, series_only=True, pass_through=True)
    return _known_type(name, found) if isinstance(found, nw.Series) else value


def _known_type(name: str, series: Any) -> Any:
    native = series.to_native()
    known = known_type(name, native)
    return series if known is native else nw.from_native(known, series_only=True)


def _array(name: str, part: Any) -> np.ndarray:
    """Read a column; long text through codes, numbers without a list."""
    if isinstance(part, np.ndarray):
        return _read_array(name, part)
    dtype = part.dtype
    if len(part) > CHUNK_ROWS and isinstance(dtype, (nw.Categorical, nw.Enum, nw.String)):
        return _labels(name, part)
    plain = dtype == nw.Boolean or dtype.is_integer() or dtype.is_float()
    if plain and dtype not in (nw.Int128, nw.UInt128) and part.null_count() == 0:
        return _read_array(name, np.asarray(part.to_numpy()))
    return read_values(name, part.to_list())


def _read_array(name: str, values: np.ndarray) -> np.ndarray:
    kind = values.dtype.kind
    if kind in "iu":
        return whole(values)
    if kind == "f":
        return values.astype(np.float64, copy=False)
    return values.astype(bool, copy=False) if kind == "b" else read_values(name, values.tolist())


def _labels(name: str, series: Any) -> np.ndarray:
    """Read text through codes: one object per distinct text, where a list has one per row."""
    distinct = series.drop_nulls().unique(maintain_order=True).to_list()
    if not distinct or 2 * len(distinct) > len(series) or not isinstance(distinct[0], str):
        return read_values(name, series.to_list())
    labels = read_values(name, [*distinct, None])
    out = np.empty(len(series), dtype=object)
    # Each chunk pays for the look-up of all labels, so it is longer than they are many.
    step = max(CHUNK_ROWS, 8 * len(distinct))
    for first in range(0, len(series), step):
        codes = series[first : first + step].replace_strict(
            distinct, range(len(distinct)), default=len(distinct), return_dtype=nw.Int64
        )
        out[first : first + step] = labels[codes.to_numpy()]
    return out


def _levels(part: Any) -> list[Any] | None:
    """Return the categories of a column, or None for a plain one."""
    if isinstance(part, np.ndarray):
        return None
    native, dtype = part.to_native(), part.dtype
    if isinstance(dtype, nw.Enum):
        return list(dtype.categories)
    if isinstance(dtype, nw.Categorical):
        if part.implementation.is_pandas_like() and hasattr(native.dtype, "categories"):
            return list(native.dtype.categories)
        if getattr(getattr(native, "type", None), "ordered", False):  # a dictionary of Arrow
            return list(native.unify_dictionaries().chunk(0).dictionary.to_pylist())
        # Any other order is that of the rows.
        return sorted(part.drop_nulls().unique().to_list(), key=str)
    if str(getattr(native, "dtype", "")).startswith("interval"):
        return sorted(part.drop_nulls().unique().to_list())
    return None


def _listing(names: list[str], most: int = 30) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, ... ({len(names)} in all)"
