"""Ids as integer codes: labels of any kind in, ``0 .. n - 1`` out.

The one place that decides which ids are the same unit. Equal values are: 1, 1.0 and
``Decimal(1)``. Ids of another type, 1 and "1", are never told apart or joined in silence.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from pymc_mlm.data.values import NUMBERS, TEXT, kinds_of, objects, show
from pymc_mlm.errors import DataError, warn_of_data

UNKNOWN = -1


@dataclass(frozen=True)
class UnknownUnit:
    """Id of a unit whose id is missing in new data: one of the fitted units, not known which.

    Attributes
    ----------
    row : int
        Its row; two rows with missing ids have two unknown units.
    """

    row: int


@dataclass(frozen=True, eq=False)
class Factor:
    """Units of one kind and the unit of each row.

    Attributes
    ----------
    name : str
        Column that holds the ids.
    labels : ndarray of object, shape (unit,)
        Ids as the user wrote them, sorted; after `encode` with `known`, the known ones first
        and then the unseen ones.
    codes : ndarray of int64, shape (row,)
        Unit of each row; ``-1`` where the id is missing.
    num_known : int
        Number of units that were known before; the rest is new.
    """

    name: str
    labels: np.ndarray
    codes: np.ndarray
    num_known: int

    def __len__(self) -> int:
        """Return the number of units."""
        return len(self.labels)

    @property
    def new_labels(self) -> np.ndarray:
        """Ids that were not among the known ones, shape (new_unit,)."""
        return self.labels[self.num_known :]

    def first_row(self) -> np.ndarray:
        """Return the first row of each unit, shape (unit,)."""
        first = np.zeros(len(self.labels), dtype=np.int64)
        rows = np.flatnonzero(self.codes != UNKNOWN)[::-1]
        first[self.codes[rows]] = rows
        return first


def encode(
    name: str,
    values: np.ndarray,
    known: Factor | None = None,
    unseen: str = "error",
    missing: str = "error",
) -> Factor:
    """Number the distinct ids of a column.

    Parameters
    ----------
    name : str
        Name of the column.
    values : ndarray, shape (row,)
        Ids: text, numbers, booleans, UUIDs, dates; None or NaN is a missing id.
    known : Factor, optional
        Fitted units; their codes are kept.
    unseen : {"error", "new"}
        Whether an id that `known` lacks is refused, or becomes a new unit.
    missing : {"error", "unknown"}
        Whether a missing id is refused, or gets the code ``-1``.

    Returns
    -------
    Factor

    Raises
    ------
    DataError
        An id is missing or unseen where that is refused; ids differ in type from the known ones,
        or would be equal if they were of one type.

    Warns
    -----
    DataWarning
        Two ids differ only in blanks or in how letters are coded.

    Examples
    --------
    >>> encode("party", np.array(["b", "a", "b"], dtype=object)).codes
    array([1, 0, 1])
    """
    distinct, codes = _distinct(name, values)
    if values.dtype.kind in "iu" and known is None:
        return Factor(name, objects(distinct), codes, len(distinct))
    absent = codes == UNKNOWN
    if missing == "error" and absent.any():
        row = int(np.flatnonzero(absent)[0])
        raise DataError(
            f"Id column {name!r} is missing in {int(absent.sum())} of {len(values)} rows, first in "
            f"row {row} (counted from 0). Drop those rows or fill in the id."
        )
    labels: list[Any] = [] if known is None else list(known.labels)
    position = {label: i for i, label in enumerate(labels)}
    new = sorted((label for label in distinct if label not in position), key=_sort_key)
    check_types(name, new, labels)
    if known is not None and new and unseen == "error":
        raise DataError(
            f"{name!r} has {len(new)} unseen id(s), first {show(new[0])}; the model was fitted to "
            f"{len(labels)} others, such as {show(labels[0])}. Predict only for fitted units here."
        )
    position |= {label: len(labels) + i for i, label in enumerate(new)}
    # The last place is that of a missing id, whose code is -1.
    place = np.array([*(position[label] for label in distinct), UNKNOWN], dtype=np.int64)
    return Factor(name, objects(labels + new), place[codes], len(labels) if known else len(new))


def check_types(name: str, new: Iterable[Any], known: Iterable[Any] = ()) -> None:
    """Refuse ids of a type that the known ids do not have, or that equal others but for it.

    Parameters
    ----------
    name : str
        Column of the ids, for messages.
    new, known : sequence
        Distinct ids that were not known, and those that were.

    Raises
    ------
    DataError
        Such an id exists.

    Warns
    -----
    DataWarning
        A new id differs from another only in blanks or in how letters are coded.
    """
    known, new = list(known), [label for label in new if not isinstance(label, UnknownUnit)]
    if not new:
        return
    found, fitted = _types(new), _types(known)
    strange = [kind for kind in found if fitted and kind not in fitted]
    if strange:
        label = found[strange[0]]
        other = next((each for each in known if str(each) == str(label)), known[0])
        raise DataError(
            f"{name!r}={show(label)} is {strange[0]}, but the fitted unit {show(other)} is "
            f"{next(iter(_types([other])))}: they would be two units. Give the ids of new data the "
            "type of the fitted ones."
        )
    if len(found | fitted) > 1:
        _refuse_equal_texts(name, [*known, *new])
    if TEXT in found:
        _warn_of_look_alikes(name, new, known)


def one_of_each_type(labels: Iterable[Any]) -> tuple[Any, ...]:
    """Return one id of each type, for `check_types`."""
    return tuple(_types(labels).values())


def _types(labels: Iterable[Any]) -> dict[str, Any]:
    """Return the types of ids with an example; all numbers are of one."""
    kinds = kinds_of(list(labels))
    found: dict[str, Any] = {}
    for kind, label in kinds.items():
        found.setdefault("a number" if kind in NUMBERS else kind, label)
    return found


def _refuse_equal_texts(name: str, labels: Sequence[Any]) -> None:
    seen: dict[str, Any] = {}
    for label in labels:
        text = _as_number_is_written(str(label))
        if text in seen and seen[text] != label:
            first, second = (f"{show(v)} ({next(iter(_types([v])))})" for v in (seen[text], label))
            raise DataError(
                f"{name!r} holds both {first} and {second}: they would be two units. Give all ids "
                f"of the column one type, for example with data[{name!r}].astype(str)."
            )
        seen[text] = label


def _as_number_is_written(text: str) -> str:
    """Return 1 for 1.0 and 01, and other text as it is."""
    try:
        return format(float(text), ".17g")
    except ValueError:
        return text.strip()


def _warn_of_look_alikes(name: str, new: Sequence[Any], known: Sequence[Any]) -> None:
    seen: dict[str, str] = {}
    for label in (*known, *new):
        if not isinstance(label, str):
            continue
        other = seen.setdefault(_reading(label), label)
        if other != label:
            warn_of_data(
                f"Ids {other!r} and {label!r} of {name!r} differ only in blanks or in how their "
                "letters are coded, and are two units. If they are one, clean the column first, "
                f"for example with data[{name!r}].str.strip().str.normalize('NFC')."
            )
            return


def _reading(label: str) -> str:
    text = label if label.isascii() else unicodedata.normalize("NFC", label)
    return " ".join(text.split())


def _distinct(name: str, values: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Return the ids as hashable Python objects, and the place of each row's among them."""
    if values.dtype.kind in "iufb":
        # Millions of numbers: sorting them is ten times as fast as hashing objects.
        numbers, codes = np.unique(values, return_inverse=True)
        if len(numbers) and numbers[-1] != numbers[-1]:
            codes[codes == len(numbers) - 1] = UNKNOWN
            numbers = numbers[:-1]
        return [_plain(v) for v in numbers.tolist()], codes
    import pandas as pd

    ids = values if values.dtype == object else objects(values.tolist())
    for example in kinds_of(ids).values():
        if not _is_comparable(example):
            raise DataError(
                f"Id column {name!r} holds values such as {show(example)}, which cannot be told "
                "apart in another table. Use text, numbers or dates as ids."
            )
    codes, found = pd.factorize(ids)
    return [_plain(v) for v in found], codes


def _is_comparable(value: Any) -> bool:
    """Tell whether a value made anew would be the same id."""
    own = value.__class__.__eq__ is not object.__eq__ or isinstance(value, Enum)
    return own and isinstance(value, Hashable)


def _plain(label: Any) -> Any:
    """Return an id without NumPy's wrapper, and a whole number as int: 3.0 and 3 are one id."""
    label = label.item() if isinstance(label, np.generic) else label
    return int(label) if isinstance(label, float) and label.is_integer() else label


def _sort_key(label: Any) -> tuple[str, Any]:
    # Numbers by value, all else by its text: ids of mixed kinds still have one order.
    if isinstance(label, (int, float)):
        return ("", label)
    return (type(label).__name__, str(label))
