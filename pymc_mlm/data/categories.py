"""Columns of categories: which there are, in which order, and columns coded by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pymc_mlm.data.values import show
from pymc_mlm.errors import DataError

Levels = Mapping[str, tuple[Any, ...]]


def levels_with_rows(table: Mapping[str, np.ndarray], given: Levels) -> dict[str, tuple[Any, ...]]:
    """Return the categories of each column that has some.

    Parameters
    ----------
    table : mapping of str to ndarray, shape (row,)
        Booleans and objects are categories, numbers only where `given` has the column.
    given : mapping of str to tuple
        Categories in the order that the user chose.

    Returns
    -------
    dict of str to tuple
        Categories with rows, the reference first: in the given order, or sorted.

    Examples
    --------
    >>> levels_with_rows({"f": np.array(["b", "c"], dtype=object)}, {"f": ("c", "b", "a")})
    {'f': ('c', 'b')}
    """
    found: dict[str, tuple[Any, ...]] = {}
    for name, values in table.items():
        if name in given or values.dtype.kind not in "iuf":
            present = set(values if values.dtype == object else np.unique(values).tolist())
            order = given[name] if name in given else sorted(present, key=_sort_key)
            found[name] = tuple(level for level in order if level in present)
    return found


def coded_categories(table: Mapping[str, np.ndarray], levels: Levels) -> dict[str, Any]:
    """Put pandas' categorical in the place of categories; booleans and numbers stay as they are.

    Parameters
    ----------
    table : mapping of str to ndarray, shape (row,)
        Columns of a formula.
    levels : mapping of str to tuple
        Fitted categories of the columns that have some.

    Returns
    -------
    dict of str to ndarray or pandas.Categorical, each of shape (row,)

    Raises
    ------
    DataError
        A column has a category that the fitted data lacked.
    """
    return {k: _coded(k, v, levels[k]) if k in levels else v for k, v in table.items()}


def _coded(name: str, values: np.ndarray, levels: tuple[Any, ...]) -> Any:
    import pandas as pd

    fitted = set(levels)
    distinct = dict.fromkeys(values if values.dtype == object else np.unique(values).tolist())
    strange = [v for v in distinct if v not in fitted]
    if strange:
        those = ", ".join(show(level) for level in levels[:10])
        raise DataError(
            f"New data have a category {show(strange[0])} that the fitted data lacked: {name!r} "
            f"had {those}. The model has no coefficient for it: drop those rows or recode "
            "the column."
        )
    if list(levels) == sorted(levels, key=_sort_key) and {type(level) for level in levels} == {
        bool
    }:
        return values.astype(bool)
    return pd.Categorical(values.astype(object), categories=list(levels))


def _sort_key(level: Any) -> tuple[str, Any]:
    return (
        ("", level) if isinstance(level, (bool, int, float)) else (type(level).__name__, str(level))
    )
