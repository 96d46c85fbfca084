"""Checks of columns when they are read: every message names the column, the row and the remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from pymc_mlm.data.factor import Factor
from pymc_mlm.data.values import (
    BOOLEAN,
    CLOCK,
    DATE,
    DURATION,
    MOMENT,
    NUMBERS,
    TEXT,
    ZONED,
    as_float,
    kind_of,
    kinds_of,
    show,
)
from pymc_mlm.errors import DataError

# Standard deviations that rounding may take from a covariate.
LOST_DIGITS = 1e-5
PART_ROWS = 1 << 13
_AS_DAYS = "Convert it to a number first, such as days since a day: (data[{0!r}] - day).dt.days."
_REMEDIES = {
    TEXT: "Convert it first: truth values by a comparison such as data[{0!r}] == the value that "
    "counts as 1, numbers written as text with pandas.to_numeric.",
    DATE: _AS_DAYS,
    MOMENT: _AS_DAYS,
    ZONED: _AS_DAYS,
    DURATION: "It has no unit: convert it first, such as to days with "
    "data[{0!r}].dt.total_seconds() / 86400.",
    CLOCK: "Convert it to a number first, such as hours since midnight.",
}
_CONVERT = "Convert it to a number or to text first."
# A decimal comma too, which is how most of Europe writes numbers.
_NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*")


def as_numbers(name: str, values: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """Return a column as finite float64, or say which row is not.

    Parameters
    ----------
    name : str
        Name of the column, for the message.
    values : ndarray, shape (row,)
        Numbers or booleans; None or NaN is missing.
    rows : ndarray of int, shape (row,), optional
        Row of the user's table behind each value; its own place by default.

    Returns
    -------
    ndarray of float64, shape (row,)

    Raises
    ------
    DataError
        A value is missing, infinite or not a number.
    """
    if values.dtype.kind not in "biuf":
        values = _real(name, values, rows)
    numbers = values.astype(np.float64, copy=False)
    bad = ~np.isfinite(numbers)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        what = "missing" if np.isnan(numbers[row]) else "infinite"
        raise DataError(
            f"Column {name!r} is {what} in {int(bad.sum())} of {len(numbers)} rows, first in row "
            f"{row if rows is None else rows[row]} (counted from 0). Missing values are not "
            "imputed: drop those rows, or fill them in before fitting."
        )
    return numbers


def as_covariate(name: str, values: np.ndarray, declared: bool) -> np.ndarray:
    """Return a column of a formula as finite numbers, as booleans, or as categories.

    Parameters
    ----------
    name : str
        Name of the column, for the message.
    values : ndarray, shape (unit,)
        From `pymc_mlm.data.frame.columns`.
    declared : bool
        Whether the user declares these categories, by the column's type or by ``C()``.

    Returns
    -------
    ndarray, shape (unit,)
        float64, an integer type or bool for numbers; object for categories.

    Raises
    ------
    DataError
        A value is missing or infinite; text looks like numbers; values are of several kinds, or
        of a kind that has no coefficient, such as a date.
    """
    if values.dtype.kind in "iubf":
        return as_numbers(name, values) if values.dtype.kind == "f" else values
    _refuse_absent(name, values)
    kinds = kinds_of(values)
    if len(kinds) > 1 and not kinds.keys() <= NUMBERS:
        raise _mixture(name, values, kinds)
    kind = next(iter(kinds))
    if declared:
        return values
    if kind == TEXT:
        _refuse_numbers_as_text(name, values)
        return values
    return values.astype(bool) if kind == BOOLEAN else _real(name, values)


def check_spread(name: str, x: np.ndarray) -> None:
    """Refuse a covariate so far from zero that float64 does not hold how it varies.

    Parameters
    ----------
    name : str
        Name of the column, for the message.
    x : ndarray of float64, shape (row,)
        Its values.

    Raises
    ------
    DataError
        The spacing of float64 at the mean is more than 1e-5 standard deviations, or the standard
        deviation is beyond float64.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(x.mean())
        # In parts: x - mean at once would take the memory of another column.
        parts = (x[first : first + PART_ROWS] - mean for first in range(0, len(x), PART_ROWS))
        sd = (sum(float(part @ part) for part in parts) / len(x)) ** 0.5
    if not np.isfinite(sd):
        raise DataError(
            f"Column {name!r} has values up to {np.abs(x).max():.3g}, whose squares are beyond "
            "float64. Divide it by a constant first."
        )
    if 0 < sd < abs(mean) * np.finfo(np.float64).eps / LOST_DIGITS:
        raise DataError(
            f"Column {name!r} has mean {mean:.6g} and standard deviation {sd:.3g}: so far from "
            "zero that its differences are lost in rounding. Subtract a constant first, for "
            f"example data[{name!r}] - {x[0]:.15g}."
        )


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


def _real(name: str, values: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
    """Return objects as float64 with NaN for None, or say what is no number."""
    kinds = kinds_of(values)
    if not kinds.keys() <= NUMBERS:
        raise _not_a_number(name, values, kinds, rows)
    return np.array([np.nan if v is None else as_float(v) for v in values])


def _not_a_number(
    name: str, values: np.ndarray, kinds: Mapping[str, Any], rows: np.ndarray | None
) -> DataError:
    if len(kinds) > 1:
        return _mixture(name, values, kinds, rows)
    kind, example = next(iter(kinds.items()))
    return DataError(
        f"Column {name!r} holds {kind}, such as {show(example)}; numbers are needed here. "
        f"{_REMEDIES.get(kind, _CONVERT).format(name)}"
    )


def _mixture(
    name: str, values: np.ndarray, kinds: Mapping[str, Any], rows: np.ndarray | None = None
) -> DataError:
    """Name the rarest kind among values of several, and the first row that holds it."""
    places = {kind: [i for i, v in enumerate(values) if v is not None and kind_of(v) == kind]
              for kind in kinds}  # fmt: skip
    numbers = sum(len(places[kind]) for kind in kinds.keys() & NUMBERS)
    others = {kind: found for kind, found in places.items() if kind not in NUMBERS}
    odd, found = min(others.items(), key=lambda item: len(item[1]))
    rest = "numbers" if numbers else next(kind for kind in places if kind != odd)
    row = found[0] if rows is None else rows[found[0]]
    return DataError(
        f"Column {name!r} holds {rest} and, in {len(found)} of {len(values)} rows, {odd}: "
        f"{show(values[found[0]])} in row {row} (counted from 0). Correct those values, or make "
        "them missing and drop their rows; make the whole column text if it holds categories."
    )


def _refuse_absent(name: str, values: np.ndarray) -> None:
    absent = np.asarray(values == None, dtype=bool)  # noqa: E711  (of each value)
    if absent.any():
        row = int(np.flatnonzero(absent)[0])
        raise DataError(
            f"Column {name!r} is missing in {int(absent.sum())} of {len(values)} rows or groups, "
            f"first at position {row}. Missing values are not imputed: drop or fill them first."
        )


def _refuse_numbers_as_text(name: str, values: np.ndarray) -> None:
    """Refuse text that is mostly numbers: one 'n/a' would make a category of every number."""
    distinct = dict.fromkeys(values)
    numbers = [v for v in distinct if _NUMBER.fullmatch(v)]
    if 2 * len(numbers) <= len(distinct):
        return
    other = next((v for v in distinct if not _NUMBER.fullmatch(v)), None)
    but = "" if other is None else f" {other!r} is none."
    raise DataError(
        f"Column {name!r} holds numbers as text, such as {numbers[0]!r}.{but} Make it numbers, for "
        f"example with pandas.to_numeric, or write C({name}) in the formula if they are categories."
    )
