"""Sufficient statistics of a Gaussian outcome: millions of rows become one matrix per unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pymc_mlm.errors import DataError

# Rows read at a time: the work arrays of a chunk take some 10 MB, whatever the table's length.
CHUNK_ROWS = 1 << 18
# Rows, spread over the table, from which the centre is estimated; any centre is exact.
CENTER_ROWS = 1 << 16


@dataclass(frozen=True, eq=False)
class LeafMoments:
    r"""Cross products of the rows of each leaf, around a reference fit :math:`Xc`.

    Attributes
    ----------
    xx : ndarray, shape (leaf, column, column)
        :math:`X'X` of the leaf's rows.
    xy : ndarray, shape (leaf, column)
        :math:`X'(y - Xc)` of the leaf's rows.
    yy : float
        :math:`(y - Xc)'(y - Xc)` of all rows.
    n : float
        Number of rows, or the sum of their weights.
    center : ndarray, shape (column,)
        The coefficients :math:`c`.
    counts : ndarray of int64, shape (leaf,)
        Number of rows of each leaf.
    """

    xx: np.ndarray
    xy: np.ndarray
    yy: float
    n: float
    center: np.ndarray
    counts: np.ndarray


def leaf_moments(
    X: np.ndarray | Sequence[np.ndarray],
    y: np.ndarray,
    leaf: np.ndarray,
    num_leaves: int,
    center: np.ndarray | None = None,
    shift: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> LeafMoments:
    r"""Add up the cross products of each leaf's rows in one pass.

    The residual sum of squares at coefficients b is afterwards

    .. math:: \|y - Xb\|^2 = yy - 2 (b-c)'\sum_g xy_g + (b-c)'\Bigl(\sum_g xx_g\Bigr)(b-c) .

    With c = 0 its terms cancel when y has a large mean: year 2010 +- 5 would lose five digits.
    With c near the least squares fit they are as small as the answer. The formula is exact for
    every c, so c is fitted to a sample of the rows.

    Parameters
    ----------
    X : ndarray, shape (row, column), or sequence of ndarray, each of shape (row,)
        Design of the population coefficients, as a matrix or column by column.
    y : ndarray, shape (row,)
        Outcome.
    leaf : ndarray of int, shape (row,)
        Innermost unit of each row, in ``0 .. num_leaves - 1``.
    num_leaves : int
        Number of innermost units, with or without rows.
    center : ndarray, shape (column,), optional
        The coefficients c; by default least squares on at most 65,536 rows.
    shift : ndarray, shape (column,), optional
        What is taken from each column first: the moments of a column far from zero, such as a
        time stamp, lose the digits of its variation.
    weights : ndarray, shape (row,), optional
        How much each row counts; once by default.

    Returns
    -------
    LeafMoments

    Raises
    ------
    DataError
        A value of `X` or `y` is missing or infinite.

    Notes
    -----
    Rows are read in chunks; beside the table and the result, memory for two chunks of a quarter
    of a million numbers, and for one number per leaf.

    Examples
    --------
    >>> X = np.array([[1.0, 0.0], [1.0, 2.0], [1.0, 5.0]])
    >>> moments = leaf_moments(X, np.array([3.0, 4.0, 8.0]), np.array([1, 1, 0]), num_leaves=2)
    >>> moments.xx[1]
    array([[2., 2.],
           [2., 4.]])
    """
    columns = X.T if isinstance(X, np.ndarray) else X
    num_columns = len(columns)
    moved = np.zeros((num_columns, 1)) if shift is None else np.reshape(shift, (-1, 1))
    if center is None:
        center = _least_squares(columns, y, moved)
    xx = np.zeros((num_columns, num_columns, num_leaves))
    xy = np.zeros((num_columns, num_leaves))
    counts = np.zeros(num_leaves, dtype=np.int64)
    yy = 0.0
    # A chunk costs one pass over the leaves too, so it is never shorter than their number.
    step = max(CHUNK_ROWS, num_leaves)
    for first in range(0, len(y), step):
        x = np.array([c[first : first + step] for c in columns], dtype=np.float64) - moved
        with np.errstate(invalid="ignore"):  # an infinite value is refused below
            r = np.asarray(y[first : first + step], dtype=np.float64) - center @ x
        unit = leaf[first : first + step]
        wx, wr = x, r
        if weights is not None:
            w = weights[first : first + step]
            wx, wr = x * w, r * w
        for i in range(num_columns):
            xy[i] += np.bincount(unit, wx[i] * r, num_leaves)
            for j in range(i + 1):
                xx[i, j] += np.bincount(unit, wx[i] * x[j], num_leaves)
        counts += np.bincount(unit, minlength=num_leaves)
        yy += float(wr @ r)
    lower, upper = np.tril_indices(num_columns, -1)
    xx[upper, lower] = xx[lower, upper]
    moments = LeafMoments(
        xx=np.ascontiguousarray(np.moveaxis(xx, 2, 0)),
        xy=np.ascontiguousarray(xy.T),
        yy=yy,
        n=float(len(y) if weights is None else weights.sum()),
        center=center,
        counts=counts,
    )
    _check_finite(moments)
    return moments


def _least_squares(
    columns: np.ndarray | Sequence[np.ndarray], y: np.ndarray, moved: np.ndarray
) -> np.ndarray:
    step = max(1, -(-len(y) // CENTER_ROWS))
    rows = np.column_stack([c[::step] for c in (*columns, y)]).astype(np.float64)
    rows[:, :-1] -= moved[:, 0]
    if not np.isfinite(rows).all():
        return np.zeros(len(columns))  # refused later, by the check of the moments
    fit: np.ndarray = np.linalg.lstsq(rows[:, :-1], rows[:, -1], rcond=None)[0]
    return fit


def _check_finite(moments: LeafMoments) -> None:
    bad = ~np.isfinite(np.einsum("gii->i", moments.xx))
    if bad.any():
        raise DataError(
            f"Column {int(np.flatnonzero(bad)[0])} (counted from 0) of X has a missing or infinite "
            "value. Missing values are not imputed: drop those rows, or fill them in before "
            "fitting."
        )
    if not np.isfinite(moments.yy):
        raise DataError(
            "y has a missing or infinite value. Missing values are not imputed: drop those rows, "
            "or fill them in before fitting."
        )
