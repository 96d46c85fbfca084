"""Square matrices over members: rows and columns that bear the members' ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.data.values import show
from pymc_mlm.errors import SpecificationError

Array = np.ndarray[Any, Any]
# Relative to the largest entry: what rounding in another program may leave.
ROUNDING = 1e-8


@dataclass(frozen=True, eq=False)
class LabelledMatrix:
    """A symmetric matrix with an id for each row and column.

    Attributes
    ----------
    labels : tuple
        Ids.
    values : ndarray, shape (label, label)
    """

    labels: tuple[Any, ...]
    values: Array

    def __eq__(self, other: object) -> bool:
        """Compare labels and values."""
        if not isinstance(other, LabelledMatrix):
            return NotImplemented
        return self.labels == other.labels and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        """Hash the labels."""
        return hash(self.labels)

    def __repr__(self) -> str:
        """Name the size: a matrix of hundreds of members has no place in a message."""
        return f"<matrix of {len(self.labels)} members>"


def labelled_matrix(what: str, given: Any) -> LabelledMatrix:
    """Read a symmetric matrix with labels.

    Parameters
    ----------
    what : str
        The argument, for messages.
    given : pandas.DataFrame, mapping of mappings, or LabelledMatrix
        Rows and columns bear the same ids, in any order.

    Returns
    -------
    LabelledMatrix

    Raises
    ------
    SpecificationError
        Labels are missing, listed twice or differ between rows and columns; an entry is not a
        finite number; the matrix is not symmetric.

    Examples
    --------
    >>> labelled_matrix("covariance", {"a": {"a": 1, "b": 0.5}, "b": {"b": 1, "a": 0.5}}).values
    array([[1. , 0.5],
           [0.5, 1. ]])
    """
    if isinstance(given, LabelledMatrix):
        return given
    if isinstance(given, Mapping):
        rows, columns, values = _of_mappings(what, given)
    elif all(hasattr(given, name) for name in ("index", "columns", "to_numpy", "loc")):
        rows, columns, values = list(given.index), list(given.columns), given.to_numpy()
    else:
        raise SpecificationError(
            f"{what} is of type {type(given).__name__}, which has no ids for rows and columns. "
            "Give a pandas DataFrame whose index and columns are the members, or a mapping of "
            "mappings {'a': {'a': 1, 'b': 0.5}, ...}."
        )
    rows, columns = ([_native(label) for label in side] for side in (rows, columns))
    for side in (rows, columns):
        twice = [label for i, label in enumerate(side) if label in side[:i]]
        if twice:
            raise SpecificationError(f"{what} has {show(twice[0])} twice. Each member has one row.")
    strange = [label for label in rows if label not in set(columns)]
    strange += [label for label in columns if label not in set(rows)]
    if strange:
        raise SpecificationError(
            f"{what}: {show(strange[0])} is a label of rows or columns only. Both bear the ids of "
            "the same members, in the type that they have in the table."
        )
    place = {label: i for i, label in enumerate(columns)}
    return checked(what, tuple(rows), values[:, [place[label] for label in rows]])


def checked(what: str, labels: tuple[Any, ...], values: Any) -> LabelledMatrix:
    """Refuse what is not a finite, symmetric matrix."""
    try:
        numbers = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise SpecificationError(f"{what} holds something that is not a number.") from None
    if len(labels) < 2:
        raise SpecificationError(f"{what} has {len(labels)} member(s); two are the least.")
    bad = np.argwhere(~np.isfinite(numbers))
    if len(bad):
        i, j = bad[0]
        raise SpecificationError(
            f"{what} has no finite number for {show(labels[i])} and {show(labels[j])}."
        )
    off = np.abs(numbers - numbers.T)
    if off.max() > ROUNDING * np.abs(numbers).max():
        i, j = np.unravel_index(int(np.argmax(off)), off.shape)
        raise SpecificationError(
            f"{what} is not symmetric: it has {numbers[i, j]:g} for {show(labels[i])} and "
            f"{show(labels[j])}, and {numbers[j, i]:g} the other way round."
        )
    return LabelledMatrix(labels, (numbers + numbers.T) / 2)


def _of_mappings(what: str, given: Mapping[Any, Any]) -> tuple[list[Any], list[Any], Array]:
    """Read rows; a row that is no mapping lists neighbours, which then have the entry one."""
    labels = list(given)
    values = np.zeros((len(labels), len(labels)))
    place = {label: i for i, label in enumerate(labels)}
    for label, row in given.items():
        if isinstance(row, str) or not hasattr(row, "__iter__"):
            raise SpecificationError(
                f"{what}: the entry of {show(label)} is {row!r}; give a mapping from ids to "
                "numbers, or a list of neighbours."
            )
        is_list = not isinstance(row, Mapping)
        own = dict.fromkeys(row, 1.0) if is_list else row
        strange = [other for other in own if other not in place]
        if strange:
            raise SpecificationError(
                f"{what}: {show(label)} names {show(strange[0])}, which has no entry of its own."
            )
        lacking = [other for other in labels if other not in own]
        if lacking and not is_list:
            raise SpecificationError(
                f"{what} has no number for {show(label)} and {show(lacking[0])}. Write zeros, too."
            )
        values[place[label], [place[other] for other in own]] = list(own.values())
    return labels, labels, values


def _native(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label
