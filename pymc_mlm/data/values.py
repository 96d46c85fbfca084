"""What the values of a column become, whatever table they come from: one rule for every role.

`docs/tables.md` shows the rule as a table. Past this file a column is one of four arrays: bool,
whole numbers, float64 with NaN for missing, or objects of text, dates and the like with None for
missing (also booleans and whole numbers, where some are missing).
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import uuid
from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any

import numpy as np

from pymc_mlm.errors import DataError

BOOLEAN, WHOLE, REAL, TEXT = "a truth value", "a whole number", "a number", "text"
DATE, MOMENT, ZONED = "a date", "a time stamp", "a time stamp with a time zone"
DURATION, CLOCK, UUID = "a duration", "a time of day", "a UUID"
NUMBERS = frozenset((BOOLEAN, WHOLE, REAL))

_DECIMAL, _COMPLEX, _BYTES, _NESTED = "a decimal", "a complex number", "bytes", "a collection"
_LABELLED = "an interval or period"
_TYPES = (
    ((bool, np.bool_), BOOLEAN),
    ((int, np.integer), WHOLE),
    ((float, np.floating), REAL),
    ((decimal.Decimal, fractions.Fraction), _DECIMAL),
    ((complex, np.complexfloating), _COMPLEX),
    ((str,), TEXT),
    ((bytes, bytearray, memoryview), _BYTES),
    ((datetime.datetime, np.datetime64), MOMENT),
    ((datetime.date,), DATE),
    ((datetime.timedelta, np.timedelta64), DURATION),
    ((datetime.time,), CLOCK),
    ((uuid.UUID,), UUID),
    ((list, tuple, dict, set, frozenset, np.ndarray, np.void), _NESTED),
)
_REFUSED = {
    _COMPLEX: "Take its real part or its modulus first.",
    _BYTES: "Decode it to text first, for example with .str.decode('utf-8').",
    _NESTED: "A cell holds one value: give every element a row or a column of its own.",
}
# float64 holds every whole number up to here.
_EXACT = 2**53


def show(value: Any) -> str:
    """Return a value as a user wrote it, without NumPy's scalar wrapper."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def kind_of(value: Any) -> str:
    """Return what a value is, as words for a message.

    Examples
    --------
    >>> kind_of(3), kind_of("3"), kind_of(datetime.date(2020, 1, 1))
    ('a whole number', 'text', 'a date')
    """
    kind = _kind_of_type(value.__class__)
    return ZONED if kind == MOMENT and getattr(value, "tzinfo", None) is not None else kind


def kinds_of(values: Collection[Any]) -> dict[str, Any]:
    """Return the kinds among some values, None apart, each with its first value."""
    types: set[Any] = set(map(type, values))
    types.discard(type(None))
    if len(types) == 1 and not issubclass(next(iter(types)), datetime.datetime):
        # Millions of texts: one look at each is enough.
        first = next(value for value in values if value is not None)
        return {kind_of(first): first}
    found: dict[str, Any] = {}
    for value in values:
        if value is not None:
            found.setdefault(kind_of(value), value)
    return found


def read_values(name: str, values: Sequence[Any]) -> np.ndarray:
    """Return values of any types as one array.

    Parameters
    ----------
    name : str
        Name of the column, for messages.
    values : sequence
        One value a row; None, NaN, NaT and ``pandas.NA`` are missing.

    Returns
    -------
    ndarray, shape (row,)
        bool; int64, or uint64 where that is needed; float64 with NaN; or object with None.

    Raises
    ------
    DataError
        A value is complex, bytes or a collection.

    Examples
    --------
    >>> read_values("x", [1, None, 2.5])
    array([1. , nan, 2.5])
    >>> read_values("k", [decimal.Decimal("3.0"), decimal.Decimal("4")])
    array([3, 4])
    """
    cells = [None if is_missing(v) else v for v in values]
    types: set[Any] = {v.__class__ for v in cells if v is not None}
    kinds = {_kind_of_type(t) for t in types}
    for kind in kinds & _REFUSED.keys():
        row = next(i for i, v in enumerate(cells) if v is not None and kind_of(v) == kind)
        raise DataError(
            f"Column {name!r} holds {kind} in row {row} (counted from 0): {show(cells[row])}. "
            f"{_REFUSED[kind]}"
        )
    if kinds and kinds <= NUMBERS | {_DECIMAL}:
        return _numbers(cells, kinds)
    if any(_plain_of_type(t) for t in types):
        cells = [_plain(v) for v in cells]
    return objects(cells)


def narrow(name: str, values: np.ndarray) -> np.ndarray:
    """Return an array as it would have been read without the rows that are no longer there."""
    return read_values(name, values.tolist()) if values.dtype == object else values


def objects(values: Sequence[Any]) -> np.ndarray:
    """Return values as an array of objects, also where they are sequences themselves."""
    return np.fromiter(values, dtype=object, count=len(values))


def is_missing(value: Any) -> bool:
    """Tell whether a value stands for no value."""
    # NaN, NaT and pd.NA differ from themselves, or refuse to answer.
    if value is None:
        return True
    try:
        return bool(value != value)
    except ArithmeticError:
        return True
    except (TypeError, ValueError):
        return type(value).__name__ == "NAType"


def as_float(value: Any) -> float:
    """Return a number as a float; one that no float holds is infinite."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def whole(values: np.ndarray) -> np.ndarray:
    """Return integers as int64; as uint64 where one is larger than int64 holds."""
    if values.dtype == np.uint64 and len(values) and values.max() > np.iinfo(np.int64).max:
        return values
    return values.astype(np.int64, copy=False)


def _numbers(cells: list[Any], kinds: set[str]) -> np.ndarray:
    missing = None in cells
    if kinds == {BOOLEAN}:
        return objects([None if v is None else bool(v) for v in cells]) if missing else np.array(
            cells, dtype=bool)  # fmt: skip
    if REAL not in kinds and all(v is None or _is_whole(v) for v in cells):
        return _whole_numbers([None if v is None else int(v) for v in cells], missing)
    if any(isinstance(v, (int, np.integer)) and abs(int(v)) > _EXACT for v in cells):
        return objects([v if v is None or _kind_of_type(v.__class__) == WHOLE else as_float(v)
                        for v in cells])  # fmt: skip
    return np.array([np.nan if v is None else as_float(v) for v in cells])


def _whole_numbers(cells: list[Any], missing: bool) -> np.ndarray:
    # Objects are exact, where float64 with NaN would merge ids beyond 2**53.
    if missing:
        return objects(cells)
    low, high = min(cells), max(cells)
    if np.iinfo(np.int64).min <= low and high <= np.iinfo(np.int64).max:
        return np.array(cells, dtype=np.int64)
    return np.array(cells, dtype=np.uint64) if 0 <= low and high < 2**64 else objects(cells)


def _is_whole(value: Any) -> bool:
    if isinstance(value, decimal.Decimal):
        # The second bound: 1E+999999999 is a whole number that no memory holds.
        return value.is_finite() and value.adjusted() < 40 and value == value.to_integral_value()
    return not isinstance(value, fractions.Fraction) or value.denominator == 1


@cache
def _kind_of_type(kind: Any) -> str:
    for types, words in _TYPES:
        if issubclass(kind, types):
            return words
    if kind.__module__.partition(".")[0] == "pandas" and kind.__name__ in ("Interval", "Period"):
        return _LABELLED
    sized = any("__len__" in vars(base) for base in kind.__mro__)
    return _NESTED if sized else f"a value of type {kind.__name__}"


def _plain(value: Any) -> Any:
    convert = _plain_of_type(value.__class__)
    return value if convert is None else convert(value)


@cache
def _plain_of_type(kind: type) -> Callable[[Any], Any] | None:
    """Return what makes a plain value of an unusual type, such as text of an interval."""
    if _kind_of_type(kind) == _LABELLED:
        return str
    if issubclass(kind, str) and kind is not str:
        return str.__str__
    if issubclass(kind, (np.datetime64, np.timedelta64)):
        return lambda value: value.astype(value.dtype.str[:2] + "8[us]").item()
    return None
