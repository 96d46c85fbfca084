"""Messages of nested units to their parents, and draws of deviations from them, in numba.

Explicit scalar loops and no array expressions: they compile in seconds where ``@``,
``np.linalg`` and slices take tens of seconds. Blocks of a few lines that stand twice, here and in
`nested_gaussian`, are no functions of their own: called, they made the gradient 5 to 15% slower,
and inlined by numba up to 50% with three coefficients. Bounds are the caller's duty. The derivation
stands in `pymc_mlm.ops.nested_gaussian`; the names here are those used there. Imported only when
one is compiled.
"""

from __future__ import annotations

from math import log, sqrt
from typing import Any

import numpy as np
from numba import njit

Array = np.ndarray[Any, Any]

# A pivot of the information matrix below this share of its diagonal is rounding error: the
# matrix is singular in that direction (one row in a leaf, or a covariate constant in it).
SINGULAR = 1e-14


@njit(error_model="numpy")
def level_covariance(sd: Array, partial: Array, level: int, C: Array, R: Array, S: Array) -> None:
    """Fill row `level` of C (Cholesky of the correlation), R (correlation) and S = D R D."""
    p = sd.shape[1]
    at = 0
    for i in range(p):
        left = 1.0
        for j in range(i):
            z = partial[level, at]
            C[level, i, j] = z * left
            left *= sqrt((1.0 - z) * (1.0 + z))
            at += 1
        C[level, i, i] = left
    for i in range(p):
        for j in range(i):
            t = 0.0
            for k in range(j + 1):
                t += C[level, i, k] * C[level, j, k]
            R[level, i, j] = t
            R[level, j, i] = t
            S[level, i, j] = t * sd[level, i] * sd[level, j]
            S[level, j, i] = S[level, i, j]
        R[level, i, i] = 1.0
        S[level, i, i] = sd[level, i] * sd[level, i]


@njit(error_model="numpy")
def send_message(
    g: int,
    A: Array,
    h: Array,
    S: Array,
    level: int,
    U: Array,
    u: Array,
    F: Array,
    B: Array,
    Y: Array,
    k: Array,
) -> float:
    """Fill U[g] = F W^-1 F' and u[g] = F W^-1 k, where A = F F', h[g] = F k, W = I + F'SF.

    Leaves B (Cholesky factor of W) and Y = B^-1 F'; returns 1/2 h'Su - 1/2 log|W|.
    """
    p = A.shape[0]
    for j in range(p):
        t = A[j, j]
        for m in range(j):
            t -= F[j, m] * F[j, m]
        root = 0.0
        scale = 0.0
        if t > SINGULAR * A[j, j]:
            root = sqrt(t)
            scale = 1.0 / root
        F[j, j] = root
        t = h[g, j]
        for m in range(j):
            t -= F[j, m] * k[m]
        k[j] = t * scale
        for i in range(j + 1, p):
            t = A[i, j]
            for m in range(j):
                t -= F[i, m] * F[j, m]
            F[i, j] = t * scale
    for j in range(p):  # Y = S F
        for i in range(p):
            t = 0.0
            for m in range(j, p):
                t += S[level, i, m] * F[m, j]
            Y[i, j] = t
    det = 1.0
    for j in range(p):  # lower half of W, and its Cholesky factor in the same sweep
        for i in range(j, p):
            t = 0.0
            for m in range(i, p):
                t += F[m, i] * Y[m, j]
            for m in range(j):
                t -= B[i, m] * B[j, m]
            B[i, j] = t
        root = sqrt(1.0 + B[j, j])
        det *= root
        scale = 1.0 / root
        B[j, j] = root
        for i in range(j + 1, p):
            B[i, j] *= scale
    for i in range(p):  # Y = B^-1 F', k = B^-1 k
        scale = 1.0 / B[i, i]
        t = k[i]
        for m in range(i):
            t -= B[i, m] * k[m]
        k[i] = t * scale
        for j in range(p):
            t = 0.0
            if j >= i:
                t = F[j, i]
            for m in range(i):
                t -= B[i, m] * Y[m, j]
            Y[i, j] = t * scale
    for i in range(p):
        t = 0.0
        for m in range(p):
            t += Y[m, i] * k[m]
        u[g, i] = t
        for j in range(i + 1):
            t = 0.0
            for m in range(p):
                t += Y[m, i] * Y[m, j]
            U[g, i, j] = t
            U[g, j, i] = t
    value = 0.0
    for i in range(p):
        t = 0.0
        for j in range(p):
            t += S[level, i, j] * u[g, j]
        value += h[g, i] * t
    return 0.5 * value - log(det)


@njit(error_model="numpy")
def own_information(
    g: int, num_inner: int, J: Array, xx: Array, varying: Array, tau: float, A: Array
) -> None:
    """Fill A with the information of the rows below unit g about its total deviation."""
    p = A.shape[0]
    for i in range(p):
        for j in range(p):
            if g >= num_inner:
                A[i, j] = xx[g - num_inner, varying[i], varying[j]] * tau
            else:
                A[i, j] = J[g, i, j]


@njit(error_model="numpy")
def scale_normals(z: Array, A: Array, T: Array, B: Array, Y: Array) -> None:
    """Replace z by T M'^-1 z, where I + T'AT = M M' and T is lower triangular."""
    p = z.shape[0]
    for j in range(p):  # Y = A T
        for i in range(p):
            t = 0.0
            for m in range(j, p):
                t += A[i, m] * T[m, j]
            Y[i, j] = t
    for j in range(p):  # B = M, column by column
        for i in range(j, p):
            t = 0.0
            for m in range(i, p):
                t += T[m, i] * Y[m, j]
            for m in range(j):
                t -= B[i, m] * B[j, m]
            B[i, j] = t
        B[j, j] = sqrt(1.0 + B[j, j])
        for i in range(j + 1, p):
            B[i, j] /= B[j, j]
    for i in range(p - 1, -1, -1):  # z = M'^-1 z
        t = z[i]
        for m in range(i + 1, p):
            t -= B[m, i] * z[m]
        z[i] = t / B[i, i]
    for i in range(p - 1, -1, -1):  # z = T z
        t = 0.0
        for m in range(i + 1):
            t += T[i, m] * z[m]
        z[i] = t


@njit(error_model="numpy", cache=True)
def draw_deviations(
    beta: Array,
    sd: Array,
    partial: Array,
    sigma: Array,
    xx: Array,
    xy: Array,
    center: Array,
    varying: Array,
    parent: Array,
    sizes: Array,
    normals: Array,
) -> None:
    """Turn standard normals, shape (draw, unit, p), into draws of all deviations, in place.

    Numba's own cache sees a change of this file, so that this kernel has no version.
    """
    num_levels = sd.shape[1]
    p = sd.shape[2]
    q = beta.shape[1]
    num_units = parent.shape[0]
    num_inner = num_units - xx.shape[0]
    C = np.zeros((num_levels, p, p))
    R = np.empty((num_levels, p, p))
    S = np.empty((num_levels, p, p))
    J = np.empty((num_inner, p, p))
    h = np.empty((num_units, p))
    U = np.empty((num_units, p, p))
    u = np.empty((num_units, p))
    total = np.empty((num_units, p))
    A = np.empty((p, p))
    B = np.empty((p, p))
    F = np.empty((p, p))
    T = np.zeros((p, p))
    Y = np.empty((p, p))
    k = np.empty(p)
    for draw in range(beta.shape[0]):
        tau = 1.0 / (sigma[draw] * sigma[draw])
        for level in range(num_levels):
            level_covariance(sd[draw], partial[draw], level, C, R, S)
        for g in range(num_inner):
            for i in range(p):
                h[g, i] = 0.0
                for j in range(p):
                    J[g, i, j] = 0.0
        for g in range(xx.shape[0]):
            for i in range(p):
                t = xy[g, varying[i]]
                for j in range(q):
                    t -= xx[g, varying[i], j] * (beta[draw, j] - center[j])
                h[num_inner + g, i] = t * tau
        stop = num_units
        for level in range(num_levels - 1, -1, -1):
            start = stop - sizes[level]
            for g in range(start, stop):
                own_information(g, num_inner, J, xx, varying, tau, A)
                send_message(g, A, h, S, level, U, u, F, B, Y, k)
                if level > 0:
                    above = parent[g]
                    for i in range(p):
                        h[above, i] += u[g, i]
                        for j in range(p):
                            J[above, i, j] += U[g, i, j]
            stop = start
        start = 0
        for level in range(num_levels):
            for i in range(p):
                for j in range(i + 1):
                    T[i, j] = sd[draw, level, i] * C[level, i, j]
            for g in range(start, start + sizes[level]):
                above = parent[g]
                own_information(g, num_inner, J, xx, varying, tau, A)
                scale_normals(normals[draw, g], A, T, B, Y)
                for i in range(p):
                    t = u[g, i]
                    if level > 0:
                        for j in range(p):
                            t -= U[g, i, j] * total[above, j]
                    k[i] = t
                for i in range(p):
                    t = 0.0
                    for j in range(p):
                        t += S[level, i, j] * k[j]
                    normals[draw, g, i] += t
                    total[g, i] = normals[draw, g, i]
                    if level > 0:
                        total[g, i] += total[above, i]
            start += sizes[level]
