r"""Compiled loops over rows and units: a precision of effects, its factor, parts of its inverse.

The effects of units of which each row has one come first, `width` of each unit, and are eliminated
first. With :math:`H = \begin{pmatrix} D & C \\ C' & E \end{pmatrix}`, D in blocks
:math:`D_g = L_g L_g'`, the factor has the blocks :math:`L_g`, :math:`F_g = L_g^{-1} C_g` and the
factor of :math:`S = E - \sum_g F_g' F_g`. A link is a pair of a unit and another effect that meet
in a row; outside of links C is zero. Of symmetric matrices the lower triangle is written and read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def assemble(
    indptr: Any, columns: Any, unit: Any, link: Any, entries: Any, W: Any, D: Any, C: Any, E: Any
) -> None:
    """Add ``B'WB`` to D (unit, width, width), C (link, width) and E (other, other)."""
    width = D.shape[1]
    front = D.shape[0] * width
    for i in range(len(W)):
        start = indptr[i]
        for a in range(width):
            wa = W[i] * entries[start + a]
            for b in range(a + 1):
                D[unit[i], a, b] += wa * entries[start + b]
        for k in range(start + width, indptr[i + 1]):
            wk, at = W[i] * entries[k], columns[k] - front
            for a in range(width):
                C[link[k], a] += wk * entries[start + a]
            E[at, at] += wk * entries[k]
            for j in range(start + width, k):
                to = columns[j] - front
                if at > to:
                    E[at, to] += wk * entries[j]
                elif to > at:
                    E[to, at] += wk * entries[j]
                else:
                    E[at, at] += 2 * wk * entries[j]


@njit(cache=True, error_model="numpy")
def eliminate(linkptr: Any, link_column: Any, D: Any, C: Any, E: Any) -> bool:
    """Turn D into its factors, C into F and E into S; False if D is not positive definite."""
    units, width, _ = D.shape
    for g in range(units):
        for a in range(width):
            for b in range(a + 1):
                total = D[g, a, b]
                for c in range(b):
                    total -= D[g, a, c] * D[g, b, c]
                if a > b:
                    D[g, a, b] = total / D[g, b, b]
                elif total > 0:
                    D[g, a, a] = np.sqrt(total)
                else:
                    return False
        for k in range(linkptr[g], linkptr[g + 1]):
            for a in range(width):
                for b in range(a):
                    C[k, a] -= D[g, a, b] * C[k, b]
                C[k, a] /= D[g, a, a]
            for j in range(linkptr[g], k + 1):  # columns ascend within a unit
                total = 0.0
                for a in range(width):
                    total += C[k, a] * C[j, a]
                E[link_column[k], link_column[j]] -= total
    return True


@njit(cache=True, error_model="numpy")
def forward(linkptr: Any, link_column: Any, D: Any, F: Any, x: Any) -> None:
    """Solve for the front with the factor, in place, and take it from the others; x (effect, n)."""
    units, width, _ = D.shape
    front = units * width
    for g in range(units):
        for a in range(width):
            for n in range(x.shape[1]):
                for b in range(a):
                    x[g * width + a, n] -= D[g, a, b] * x[g * width + b, n]
                x[g * width + a, n] /= D[g, a, a]
        for k in range(linkptr[g], linkptr[g + 1]):
            for a in range(width):
                for n in range(x.shape[1]):
                    x[front + link_column[k], n] -= F[k, a] * x[g * width + a, n]


@njit(cache=True, error_model="numpy")
def backward(linkptr: Any, link_column: Any, D: Any, F: Any, x: Any) -> None:
    """Solve for the front with the transposed factor, in place, the others being solved."""
    units, width, _ = D.shape
    front = units * width
    for g in range(units):
        for k in range(linkptr[g], linkptr[g + 1]):
            for a in range(width):
                for n in range(x.shape[1]):
                    x[g * width + a, n] -= F[k, a] * x[front + link_column[k], n]
        for a in range(width - 1, -1, -1):
            for n in range(x.shape[1]):
                for b in range(a + 1, width):
                    x[g * width + a, n] -= D[g, b, a] * x[g * width + b, n]
                x[g * width + a, n] /= D[g, a, a]


@njit(cache=True, error_model="numpy")
def invert(linkptr: Any, link_column: Any, D: Any, F: Any, V: Any, VD: Any, VC: Any) -> None:
    """Fill the inverse's blocks VD (unit, width, width) and VC (link, width) from V, that of S."""
    units, width, _ = D.shape
    G = np.empty_like(F)
    for g in range(units):
        first, last = linkptr[g], linkptr[g + 1]
        for k in range(first, last):
            for a in range(width - 1, -1, -1):
                total = F[k, a]
                for b in range(a + 1, width):
                    total -= D[g, b, a] * G[k, b]
                G[k, a] = total / D[g, a, a]
        for k in range(first, last):
            for a in range(width):
                VC[k, a] = 0.0
            for j in range(first, last):
                v = V[link_column[max(j, k)], link_column[min(j, k)]]
                for a in range(width):
                    VC[k, a] -= G[j, a] * v
        for c in range(width):  # column c of the inverse of D, by two triangular solves
            for a in range(width):
                total = 1.0 if a == c else 0.0
                for b in range(a):
                    total -= D[g, a, b] * VD[g, b, c]
                VD[g, a, c] = total / D[g, a, a]
            for a in range(width - 1, -1, -1):
                for b in range(a + 1, width):
                    VD[g, a, c] -= D[g, b, a] * VD[g, b, c]
                VD[g, a, c] /= D[g, a, a]
        for k in range(first, last):
            for a in range(width):
                for b in range(width):
                    VD[g, a, b] -= G[k, a] * VC[k, b]


@njit(cache=True, error_model="numpy")
def row_covariance(
    i: Any, indptr: Any, columns: Any, unit: Any, link: Any, VD: Any, VC: Any, V: Any, out: Any
) -> None:
    """Write the covariance of the effects of row i, (entry of the row, entry of the row)."""
    units, width, _ = VD.shape
    start, front = indptr[i], units * width
    for k in range(indptr[i + 1] - start):
        for j in range(k + 1):
            if k < width:
                v = VD[unit[i], k, j]
            elif j < width:
                v = VC[link[start + k], j]
            else:
                p, q = columns[start + k] - front, columns[start + j] - front
                v = V[max(p, q), min(p, q)]
            out[k, j] = out[j, k] = v


@njit(cache=True, error_model="numpy")
def covariances(
    indptr: Any, columns: Any, unit: Any, link: Any, entries: Any, VD: Any, VC: Any, V: Any,
    by_entry: Any, variance: Any,
) -> None:  # fmt: skip
    """Write each entry's covariance with its row's predictor, and the predictor's variance."""
    longest = 0
    for i in range(len(variance)):
        longest = max(longest, indptr[i + 1] - indptr[i])
    of_row = np.empty((longest, longest))
    for i in range(len(variance)):
        start, count = indptr[i], indptr[i + 1] - indptr[i]
        row_covariance(i, indptr, columns, unit, link, VD, VC, V, of_row)
        variance[i] = 0.0
        for k in range(count):
            total = 0.0
            for j in range(count):
                total += of_row[k, j] * entries[start + j]
            by_entry[start + k] = total
            variance[i] += entries[start + k] * total


@njit(cache=True, error_model="numpy")
def cubes(
    order: Any, starts: Any, indptr: Any, columns: Any, unit: Any, link: Any, entries: Any,
    VD: Any, VC: Any, V: Any, l3: Any,
) -> float:  # fmt: skip
    """Sum ``l3_i h_ij^3 l3_j`` over pairs of rows with the same effects, pattern by pattern."""
    p = indptr[1] - indptr[0]
    of_row, total = np.empty((p, p)), 0.0
    T, through = np.empty((p, p, p)), np.empty((p, p, p))
    for s in range(len(starts) - 1):
        for k in range(p * p * p):  # assigning to a slice costs seconds of compilation
            T.flat[k] = 0.0
        for n in range(starts[s], starts[s + 1]):
            first = indptr[order[n]]
            for a in range(p):
                for b in range(a + 1):
                    of_two = l3[order[n]] * entries[first + a] * entries[first + b]
                    for c in range(b + 1):
                        T[a, b, c] += of_two * entries[first + c]
        for a in range(p):
            for b in range(a + 1):
                for c in range(b + 1):
                    t = T[a, b, c]
                    T[a, c, b] = T[b, a, c] = T[b, c, a] = T[c, a, b] = T[c, b, a] = t
        row_covariance(order[starts[s]], indptr, columns, unit, link, VD, VC, V, of_row)
        source = T.copy()
        for _ in range(3):  # V times each axis in turn, which ends with the axes in order
            for a in range(p):
                for b in range(p):
                    for c in range(p):
                        x = 0.0
                        for d in range(p):
                            x += of_row[a, d] * source[d, b, c]
                        through[b, c, a] = x
            for k in range(p * p * p):
                source.flat[k] = through.flat[k]
        for a in range(p):
            for b in range(p):
                for c in range(p):
                    total += T[a, b, c] * source[a, b, c]
    return total


@njit(cache=True, error_model="numpy")
def accumulate(place: Any, pair: Any, value: Any, factor: Any, out: Any) -> None:
    """Add each product times the factor of its pair to its place."""
    for k in range(len(place)):
        out[place[k]] += factor[pair[k]] * value[k]


@njit(cache=True, error_model="numpy")
def contract(place: Any, pair: Any, value: Any, of_place: Any, out: Any) -> None:
    """Add each product times the number at its place to its pair."""
    for k in range(len(place)):
        out[pair[k]] += of_place[place[k]] * value[k]
