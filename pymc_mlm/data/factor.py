"""Ids as integer codes: labels of any kind in, ``0 .. n - 1`` out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.errors import DataError

UNKNOWN = -1


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
        Ids: text, integers, booleans, UUIDs, dates; None or NaN is a missing id.
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
        An id is missing or unseen where that is refused.

    Examples
    --------
    >>> encode("party", np.array(["b", "a", "b"], dtype=object)).codes
    array([1, 0, 1])
    """
    distinct, codes = _distinct(values)
    if values.dtype.kind in "iu" and known is None:
        return Factor(name, _objects(distinct), codes, len(distinct))
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
    if known is not None and new and unseen == "error":
        raise DataError(
            f"{name!r} has {len(new)} unseen id(s), first {new[0]!r}; the model was fitted to "
            f"{len(labels)} others, such as {labels[0]!r}. Predict only for fitted units here."
        )
    position |= {label: len(labels) + i for i, label in enumerate(new)}
    # The last place is that of a missing id, whose code is -1.
    place = np.array([*(position[label] for label in distinct), UNKNOWN], dtype=np.int64)
    return Factor(name, _objects(labels + new), place[codes], len(labels) if known else len(new))


def _distinct(values: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Return the ids as hashable Python objects, and the place of each row's among them."""
    if values.dtype.kind in "iufb":
        # Millions of numbers: sorting them is ten times as fast as hashing objects.
        numbers, codes = np.unique(values, return_inverse=True)
        if len(numbers) and numbers[-1] != numbers[-1]:
            codes[codes == len(numbers) - 1] = UNKNOWN
            numbers = numbers[:-1]
        ids = numbers.tolist()
        if numbers.dtype.kind == "f":  # 3.0 and 3 are one id
            ids = [int(v) if v.is_integer() else v for v in ids]
        return ids, codes
    import pandas as pd

    objects = values if values.dtype == object else _objects(values.tolist())
    codes, found = pd.factorize(objects)
    return [v.item() if isinstance(v, np.generic) else v for v in found], codes


def _objects(values: list[Any]) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def _sort_key(label: Any) -> tuple[str, Any]:
    # Numbers by value, all else by its text: ids of mixed kinds still have one order.
    if isinstance(label, (int, float)):
        return ("", label)
    return (type(label).__name__, str(label))
