"""Which of an outcome's two values counts as one: 0 and 1 as they are, any others by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pymc_mlm.data.checks import as_numbers
from pymc_mlm.data.values import show
from pymc_mlm.errors import DataError

MOST_SHOWN = 5


def code_event(name: str, values: np.ndarray, event: Any = None, write: str = "event={}") -> Any:
    """Return a binary outcome as 0, 1 and NaN, or ask which value is the event.

    The order of two words does not tell which is a success, so none is taken as one unasked.

    Parameters
    ----------
    name : str
        Name of the column, for messages.
    values : ndarray, shape (row,)
        Zeros and ones, booleans, or any two values; None or NaN where missing.
    event : object, optional
        The value that counts as one; needed unless the values are 0 and 1.
    write : str
        How `event` is written in the call, for messages.

    Returns
    -------
    ndarray of float64, shape (row,)

    Raises
    ------
    DataError
        The values are not 0 and 1 and no event is named, the event is none of them, or there is
        more than one other value.

    Examples
    --------
    >>> code_event("recovered", np.array(["no", "yes", None], dtype=object), "yes")
    array([ 0.,  1., nan])
    """
    if event is None and values.dtype.kind in "biuf":
        # Millions of zeros and ones need no sorting.
        if ((values == 0) | (values == 1) | (values != values)).all():
            return values.astype(np.float64)
    missing, distinct = _distinct(values)
    if event is None:
        if not all(_is_digit(v) for v in distinct):
            raise _unclear(name, values, distinct, write)
        event = 1
    others = [v for v in distinct if v != event]
    named = len(others) < len(distinct)
    if len(others) > 1 or (others and not named and _is_alike(event, others[0])):
        raise _no_event(name, event, distinct, named)
    return np.where(missing, np.nan, np.asarray(values == event, dtype=np.float64))


def _distinct(values: np.ndarray) -> tuple[np.ndarray, list[Any]]:
    """Return which values are missing, and the others, once each."""
    if values.dtype.kind in "biuf":
        missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
        return missing, np.unique(values[~missing]).tolist()
    missing = np.array([v is None or v != v for v in values], dtype=bool)
    return missing, list(dict.fromkeys(values[~missing].tolist()))


def outcome_numbers(
    name: str, values: np.ndarray, binary: str | None = None, event: Any = None
) -> np.ndarray:
    """Return the column of an outcome as finite numbers, of a binary one as zeros and ones.

    Parameters
    ----------
    name : str
        Name of the column, for messages.
    values : ndarray, shape (row,)
        Its values.
    binary : str, optional
        Name of the family, for messages, if the outcome has two values.
    event : object, optional
        The one that counts as one; needed unless they are 0 and 1.

    Raises
    ------
    DataError
        A value is missing or not a number, or the event is not named.
    """
    if binary is not None:
        values = code_event(name, values, event, f"family={binary}(event={{}})")
    return as_numbers(name, values)


def constant_note(label: str, outcome: Mapping[str, np.ndarray]) -> list[str]:
    """Return a sentence about an outcome that is the same in every row, if it is.

    Parameters
    ----------
    label : str
        Outcome as the formula names it.
    outcome : mapping of str to ndarray, shape (row,)
        By role; durations, which have another, are left to their family.
    """
    values = outcome.get("value", np.arange(2))
    if np.ptp(values) > 0:
        return []
    return [
        f"Outcome {label!r} is {values[0]:g} in every row: the number of rows bounds how "
        "frequent other values are, and beyond that coefficients and standard deviations rest on "
        "their priors."
    ]


def _is_digit(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) and value in (0, 1)


def _is_alike(event: Any, other: Any) -> bool:
    """Tell whether the event is the only value of the column in another spelling or type."""
    return str(event).strip().casefold() == str(other).strip().casefold()


def _unclear(name: str, values: np.ndarray, distinct: list[Any], write: str) -> DataError:
    wrong = next(v for v in distinct if not _is_digit(v))
    row = int(np.flatnonzero(np.asarray(values == wrong, dtype=bool))[0])
    start = f"Outcome {name!r} is {show(wrong)} in row {row} (counted from 0)"
    if len(distinct) > 2:
        return DataError(
            f"{start} and has {len(distinct)} different values; a yes/no outcome must be 0 or 1, "
            "or have two values, one of them named as the event. Recode the column."
        )
    choices = " or ".join(write.format(show(v)) for v in sorted(distinct, key=str))
    what = "its values are" if len(distinct) > 1 else "its only value is"
    return DataError(
        f"{start}: {what} {_listing(distinct)}, and not 0 or 1. Which one is the event, whose "
        f"probability is modelled? Name it: {choices}."
    )


def _no_event(name: str, event: Any, distinct: list[Any], named: bool) -> DataError:
    if named:
        return DataError(
            f"Outcome {name!r} has {len(distinct)} values, {_listing(distinct)}, where the event "
            f"{show(event)} and one other are expected. Recode the column."
        )
    return DataError(
        f"Outcome {name!r} is never {show(event)}, the event that is named; its values are "
        f"{_listing(distinct)}. Name one of them, in its own spelling and type."
    )


def _listing(values: list[Any]) -> str:
    shown = ", ".join(show(v) for v in sorted(values, key=str)[:MOST_SHOWN])
    return shown if len(values) <= MOST_SHOWN else f"{shown}, ..."
