"""Scales of coefficients from the columns of a design: which carry the level, and units.

Default priors of coefficients are stated with these numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# A constant is a sum of columns if it is one up to rounding.
ROUNDING = 1e-8
# A column varies by rounding alone if its standard deviation is less than this share of its size.
CONSTANT = 1e-14
# A column with less weight takes no part in that sum.
NO_PART = 1e-6
# Of a column's variance, what related columns must leave for it to be one of its own.
SPENT = 1e-12


def level_weights(X: np.ndarray) -> np.ndarray | None:
    """Return the coefficients with which the columns sum to one in every row, if there are any.

    Parameters
    ----------
    X : ndarray, shape (row, column)
        Columns of a design without intercept.

    Returns
    -------
    ndarray, shape (column,), or None
        The smallest such coefficients. None where the columns do not span the constant: the
        predictor has no level then, as in a regression through the origin.

    Examples
    --------
    >>> level_weights(np.array([[1.0, 0.0, 4.0], [0.0, 1.0, 5.0], [0.0, 1.0, 7.0]])).round(9) + 0.0
    array([1., 1., 0.])
    >>> level_weights(np.array([[1.0], [2.0]])) is None
    True
    """
    size = np.abs(X).max(axis=0, initial=0.0)
    unit = X / np.where(size > 0, size, 1.0)
    # By the triangle of columns and constant, whose condition is that of the columns themselves.
    triangle = np.linalg.qr(np.column_stack([unit, np.ones(len(X))]), mode="r")
    num = X.shape[1]
    weights = np.linalg.lstsq(triangle[:num, :num], triangle[:num, num])[0]
    if not num or np.abs(unit @ weights - 1.0).max() > ROUNDING:
        return None
    # A column that takes no part has rounding's weight, which a mean far from zero would enlarge.
    weights[np.abs(weights) < NO_PART] = 0.0
    return weights / np.where(size > 0, size, 1.0)


def mean(X: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Return the mean of each column, shape (column,), of rows that count so often, (row,).

    Examples
    --------
    >>> mean(np.array([[1.0], [4.0]]), counts=np.array([2.0, 1.0]))
    array([2.])
    """
    return np.asarray(X.mean(axis=0) if counts is None else counts @ X / counts.sum())


def spread(X: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Return the standard deviation of each column, one where it is constant, shape (column,).

    A column that was summed over members may differ from a constant by rounding.

    Examples
    --------
    >>> spread(np.array([[1 / 3, 2.0], [1 / 3 + 6e-17, 4.0]]))
    array([1., 1.])
    """
    sd = X.std(axis=0) if counts is None else np.sqrt(mean((X - mean(X, counts)) ** 2, counts))
    return np.where(sd > CONSTANT * np.abs(X).max(axis=0, initial=0.0), sd, 1.0)


def own_spread(
    X: np.ndarray, related: Sequence[Sequence[int]], counts: np.ndarray | None = None
) -> np.ndarray:
    """Return the standard deviation that related columns leave of each column.

    A product ``f:x`` or a power ``x ** 2`` of a year varies by thousands because the year is far
    from zero; what its coefficient acts on is what ``f`` and ``x`` leave of it.

    Parameters
    ----------
    X : ndarray, shape (row, column)
        Columns of a design.
    related : sequence of sequence of int
        For each column, the others that it shares a variable with.
    counts : ndarray, shape (row,), optional
        How often each row counts.

    Returns
    -------
    ndarray, shape (column,)

    Examples
    --------
    >>> x = np.array([2001.0, 2002.0, 2003.0])
    >>> own_spread(np.column_stack([x, x**2]), [(), (0,)]).round(3)  # (x - 2002)^2 - 2/3
    array([0.816, 0.471])
    """
    sd = spread(X, counts)
    for j, others in enumerate(related):
        if others:
            columns = X[:, [j, *others]]
            # Twice: the mean of large numbers is exact to rounding only.
            columns = columns - mean(columns, counts)
            columns -= mean(columns, counts)
            Z = columns / np.where(columns.std(axis=0) > 0, sd[[j, *others]], 1.0)
            sd[j] *= _share_left(Z if counts is None else Z * np.sqrt(counts)[:, None])
    return sd


def _share_left(Z: np.ndarray) -> float:
    """Return the share of the first column's standard deviation that the others leave."""
    basis, size, _ = np.linalg.svd(Z[:, 1:], full_matrices=False)
    basis = basis[:, size > ROUNDING * size[0]] if size[0] > 0 else basis[:, :0]
    rest = Z[:, 0] - basis @ (basis.T @ Z[:, 0])
    left = float((rest @ rest) / max(Z[:, 0] @ Z[:, 0], np.finfo(np.float64).tiny))
    return left**0.5 if left > SPENT else 1.0
