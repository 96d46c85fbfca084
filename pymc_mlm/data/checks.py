"""Checks of columns at the door: every message names the column, the row and the remedy."""

from __future__ import annotations

from typing import Any

import numpy as np

from pymc_mlm.data.factor import Factor
from pymc_mlm.errors import DataError


def show(value: Any) -> str:
    """Return a value as a user wrote it, without NumPy's scalar wrapper."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def as_numbers(name: str, values: np.ndarray) -> np.ndarray:
    """Return a column as finite float64, or say which row is not.

    Parameters
    ----------
    name : str
        Name of the column, for the message.
    values : ndarray, shape (row,)
        Numbers or booleans.

    Returns
    -------
    ndarray of float64, shape (row,)

    Raises
    ------
    DataError
        A value is missing, infinite or not a number.
    """
    if values.dtype == object:
        present = next((v for v in values if v is not None), None)
        if not isinstance(present, (int, float, np.number, bool, np.bool_)):
            raise DataError(
                f"Column {name!r} holds {type(present).__name__} values such as {show(present)}; "
                "numbers are needed here. Convert the column, or use it as a category in the "
                "formula."
            )
        values = np.array([np.nan if v is None else float(v) for v in values])
    numbers = values.astype(np.float64)
    bad = ~np.isfinite(numbers)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        what = "missing" if np.isnan(numbers[row]) else "infinite"
        raise DataError(
            f"Column {name!r} is {what} in {int(bad.sum())} of {len(numbers)} rows, first in row "
            f"{row} (counted from 0). Missing values are not imputed: drop those rows, or fill "
            "them in before fitting."
        )
    return numbers


def constant_within(name: str, values: np.ndarray, factor: Factor, remedy: str) -> np.ndarray:
    """Return one value per unit of `factor`, after checking that the column has just one.

    Parameters
    ----------
    name : str
        Name of the column.
    values : ndarray, shape (row,)
        Its values.
    factor : Factor
        Units; every row must belong to one.
    remedy : str
        Sentence that ends the error message.

    Returns
    -------
    ndarray, shape (unit,)
        In the order of ``factor.labels``.
    """
    first = factor.first_row()
    reduced = values[first]
    spread = reduced[factor.codes]
    differs = spread != values
    if values.dtype.kind == "f":
        differs &= ~(np.isnan(spread) & np.isnan(values))
    if np.any(differs):
        row = int(np.flatnonzero(differs)[0])
        label = factor.labels[factor.codes[row]]
        raise DataError(
            f"{name!r} varies inside {factor.name!r}={show(label)} (values {show(spread[row])} "
            f"and {show(values[row])}). {remedy}"
        )
    return reduced
