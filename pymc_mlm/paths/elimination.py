"""Which effects of a model are eliminated first, and its rows in that order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pymc_mlm.integration.rows import Rows
from pymc_mlm.terms.linear import LinearPart

Array = np.ndarray[Any, Any]

# Operations of a dense factor that take as long as one of the loops over links.
LOOP_COST = 50


def arranged(
    family: str, outcome: Mapping[str, Array], parts: Sequence[LinearPart]
) -> tuple[tuple[LinearPart, ...], Array, Rows]:
    """Return the parts in the order of their effects, and the rows of their matrix.

    Of the parts of which each row has all effects of one unit, the one with most effects comes
    first and is eliminated, if that costs less than a dense factor of all effects.

    Parameters
    ----------
    family : str
        Key of `LOG_DENSITIES`.
    outcome : mapping of str to ndarray, shape (row,)
        Outcome by role.
    parts : sequence of LinearPart
        Effects of the terms.

    Returns
    -------
    parts : tuple of LinearPart
    order : ndarray of int, shape (entry,)
        Place among all parts' entries of each entry of the rows.
    rows : Rows
    """
    num_rows = len(next(iter(outcome.values())))
    able = [p for p in parts if _has_one_unit_a_row(p, num_rows)]
    if able:
        first = max(able, key=_size)
        ordered = (first, *(p for p in parts if p is not first))
        order, rows = _sorted(family, outcome, ordered, (first.shape[0], _width(first)))
        pairs = (np.diff(rows.links.starts) ** 2).sum() * _width(first)
        if LOOP_COST * pairs <= rows.size**3 - (rows.size - rows.num_front) ** 3:
            return ordered, order, rows
    return tuple(parts), *_sorted(family, outcome, parts, (0, 0))


def _size(part: LinearPart) -> int:
    return int(np.prod(part.shape))


def _width(part: LinearPart) -> int:
    return _size(part) // part.shape[0]


def _has_one_unit_a_row(part: LinearPart, num_rows: int) -> bool:
    """Return whether each row has all effects of one unit, in order."""
    width = _width(part)
    if len(part.rows) != num_rows * width:
        return False
    rows, columns = part.rows.reshape(-1, width), part.columns.reshape(-1, width)
    first = columns[:, :1] // width * width
    is_whole = columns == first + np.arange(width)
    return bool((rows == np.arange(num_rows)[:, None]).all() and is_whole.all())


def _sorted(
    family: str, outcome: Mapping[str, Array], parts: Sequence[LinearPart], front: tuple[int, int]
) -> tuple[Array, Rows]:
    """Sort the entries of all parts by row."""
    first = np.cumsum([0, *(_size(p) for p in parts)])
    row = np.concatenate([p.rows for p in parts])
    columns = np.concatenate([p.columns + f for p, f in zip(parts, first, strict=False)])
    order, num_rows = np.argsort(row, kind="stable"), len(next(iter(outcome.values())))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=num_rows))])
    columns = columns[order].astype(np.int64)
    return order, Rows(family, outcome, indptr.astype(np.int64), columns, int(first[-1]), front)
