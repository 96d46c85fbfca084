"""Compiled loops over rows that multiply by a precision of effects without writing it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

FAST = {"contract", "reassoc"}


@njit(cache=True, error_model="numpy", fastmath=FAST)
def multiply(indptr: Any, columns: Any, entries: Any, W: Any, X: Any, out: Any) -> None:
    """Write ``(I + B'WB) X`` for the columns of X, shape (effect, vector)."""
    size, count = X.shape
    eta = np.empty(count)
    for c in range(size):
        for n in range(count):
            out[c, n] = X[c, n]
    for i in range(len(W)):
        for n in range(count):
            eta[n] = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            c, w = columns[k], entries[k]
            for n in range(count):
                eta[n] += w * X[c, n]
        for k in range(indptr[i], indptr[i + 1]):
            c, w = columns[k], entries[k] * W[i]
            for n in range(count):
                out[c, n] += w * eta[n]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def multiply_one(indptr: Any, columns: Any, entries: Any, W: Any, x: Any, out: Any) -> None:
    """Write ``(I + B'WB) x`` for one vector."""
    for c in range(len(x)):
        out[c] = x[c]
    for i in range(len(W)):
        eta = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            eta += entries[k] * x[columns[k]]
        eta *= W[i]
        for k in range(indptr[i], indptr[i + 1]):
            out[columns[k]] += entries[k] * eta


@njit(cache=True, error_model="numpy", fastmath=FAST)
def add_diagonal(indptr: Any, columns: Any, entries: Any, W: Any, out: Any) -> None:
    """Add the diagonal of ``B'WB`` to `out`, shape (effect,), as if no row had an effect twice."""
    for i in range(len(W)):
        for k in range(indptr[i], indptr[i + 1]):
            out[columns[k]] += entries[k] * entries[k] * W[i]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def squares(indptr: Any, entries: Any, out: Any) -> None:
    """Write the sum of squares of each row's entries, shape (row,)."""
    for i in range(len(indptr) - 1):
        total = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            total += entries[k] * entries[k]
        out[i] = total


@njit(cache=True, error_model="numpy", fastmath=FAST)
def times_one(indptr: Any, columns: Any, entries: Any, x: Any, out: Any) -> None:
    """Write ``B x`` for one vector."""
    for i in range(len(indptr) - 1):
        eta = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            eta += entries[k] * x[columns[k]]
        out[i] = eta


@njit(cache=True, error_model="numpy", fastmath=FAST)
def transposed_one(indptr: Any, columns: Any, entries: Any, y: Any, out: Any) -> None:
    """Add ``B' y`` to `out` for one vector."""
    for i in range(len(indptr) - 1):
        for k in range(indptr[i], indptr[i + 1]):
            out[columns[k]] += entries[k] * y[i]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def times(indptr: Any, columns: Any, entries: Any, X: Any, out: Any) -> None:
    """Add ``B X`` to `out`, shape (row, vector)."""
    count = X.shape[1]
    for i in range(len(indptr) - 1):
        for k in range(indptr[i], indptr[i + 1]):
            c, w = columns[k], entries[k]
            for n in range(count):
                out[i, n] += w * X[c, n]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def transposed(indptr: Any, columns: Any, entries: Any, Y: Any, out: Any) -> None:
    """Add ``B' Y`` to `out`, shape (effect, vector)."""
    count = Y.shape[1]
    for i in range(len(indptr) - 1):
        for k in range(indptr[i], indptr[i + 1]):
            c, w = columns[k], entries[k]
            for n in range(count):
                out[c, n] += w * Y[i, n]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def probed(indptr: Any, columns: Any, entries: Any, X: Any, Z: Any, by_entry: Any) -> None:
    """Write each entry's covariance with its row by the first and the second half of the probes.

    The inverse is the mean of ``(x z' + z x') / 2`` over the probes; by_entry is (2, entry).
    """
    count = X.shape[1]
    half = count // 2
    bx, bz = np.empty(count), np.empty(count)
    for i in range(len(indptr) - 1):
        for n in range(count):
            bx[n] = 0.0
            bz[n] = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            c, w = columns[k], entries[k]
            for n in range(count):
                bx[n] += w * X[c, n]
                bz[n] += w * Z[c, n]
        for k in range(indptr[i], indptr[i + 1]):
            c = columns[k]
            first, second = 0.0, 0.0
            for n in range(half):
                first += X[c, n] * bz[n] + Z[c, n] * bx[n]
            for n in range(half, count):
                second += X[c, n] * bz[n] + Z[c, n] * bx[n]
            by_entry[0, k] = 0.5 * first / half
            by_entry[1, k] = 0.5 * second / (count - half)
