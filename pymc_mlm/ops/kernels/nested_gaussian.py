"""The numba kernel of `NestedGaussianLoglik`; imported only when that Op is compiled.

Written as its neighbour `nested_deviations`, whose messages it sends. The derivation stands in
`pymc_mlm.ops.nested_gaussian`; the names here are those used there.
"""

from __future__ import annotations

from math import log, pi, sqrt

import numpy as np
from numba import njit

from pymc_mlm.ops.kernels.nested_deviations import (
    Array,
    level_covariance,
    own_information,
    send_message,
)


@njit(error_model="numpy")
def pull_covariance(
    dS: Array,
    sd: Array,
    partial: Array,
    level: int,
    C: Array,
    R: Array,
    dsd: Array,
    dpartial: Array,
    ct: Array,
    left: Array,
) -> None:
    """Pull the symmetric gradient dS of one level back to its sds and partial correlations."""
    p = sd.shape[1]
    first = 0
    for i in range(p):
        t = 0.0
        for j in range(p):
            t += dS[i, j] * R[level, i, j] * sd[level, j]
        dsd[level, i] = 2.0 * t
        # Row i of C has unit length, so R_ii = 1 whatever the partials: only m != i counts.
        for j in range(i + 1):
            t = 0.0
            for m in range(j, p):
                if m != i:
                    t += dS[i, m] * sd[level, m] * C[level, m, j]
            ct[j] = 2.0 * sd[level, i] * t
        # C_ij = z_j left_j, left_{j+1} = left_j sqrt(1 - z_j^2), C_ii = left_i; then backwards.
        left[0] = 1.0
        for j in range(i - 1):
            z = partial[level, first + j]
            left[j + 1] = left[j] * sqrt((1.0 - z) * (1.0 + z))
        dleft = ct[i]
        for j in range(i - 1, -1, -1):
            z = partial[level, first + j]
            root = sqrt((1.0 - z) * (1.0 + z))
            t = dleft * left[j] * z
            dpartial[level, first + j] = ct[j] * left[j]
            if t != 0.0:
                dpartial[level, first + j] -= t / root
            dleft = ct[j] * z + dleft * root
        first += i


@njit(error_model="numpy")
def store_gain(g: int, B: Array, Y: Array, FW: Array) -> None:
    """Fill FW[g] = F W^-1 = (B'^-1 Y)'."""
    p = B.shape[0]
    for j in range(p):
        for i in range(p - 1, -1, -1):
            t = Y[i, j]
            for m in range(i + 1, p):
                t -= B[m, i] * FW[g, j, m]
            FW[g, j, i] = t / B[i, i]


@njit(error_model="numpy")
def unit_variance(
    g: int, S: Array, level: int, U: Array, FW: Array, V: Array, K: Array, Q: Array, M: Array
) -> None:
    """Fill V[g] = K (S + Q) K' + (S FW)(S FW)' with K = I - S U, Q the parent's variance."""
    p = K.shape[0]
    for i in range(p):
        for j in range(p):
            t = 0.0
            w = 0.0
            for m in range(p):
                t -= S[level, i, m] * U[g, m, j]
                w += S[level, i, m] * FW[g, m, j]
            K[i, j] = t
            V[g, i, j] = w
        K[i, i] += 1.0
    for i in range(p):
        for j in range(i + 1):
            t = 0.0
            for m in range(p):
                t += V[g, i, m] * V[g, j, m]
            M[i, j] = t
    for i in range(p):
        for j in range(p):
            t = 0.0
            for m in range(p):
                t += K[i, m] * (S[level, m, j] + Q[m, j])
            V[g, i, j] = t
    for i in range(p):
        for j in range(i + 1):
            for m in range(p):
                M[i, j] += V[g, i, m] * K[j, m]
    for i in range(p):
        for j in range(i + 1):
            V[g, i, j] = M[i, j]
            V[g, j, i] = M[i, j]


def nested_gaussian(
    beta: Array,
    sd: Array,
    partial: Array,
    sigma: Array,
    xx: Array,
    xy: Array,
    yy: Array,
    n: Array,
    center: Array,
    varying: Array,
    parent: Array,
    sizes: Array,
) -> tuple[Array, Array, Array, Array, Array]:
    """Return the log likelihood and its gradients in beta, sd, partial and sigma."""
    tau = 1.0 / (sigma.item() * sigma.item())
    num_levels = sd.shape[0]
    p = sd.shape[1]
    q = beta.shape[0]
    num_units = parent.shape[0]
    num_inner = num_units - xx.shape[0]
    C = np.zeros((num_levels, p, p))
    R = np.empty((num_levels, p, p))
    S = np.empty((num_levels, p, p))
    for level in range(num_levels):
        level_covariance(sd, partial, level, C, R, S)

    J = np.zeros((num_inner, p, p))
    h = np.zeros((num_units, p))
    U = np.empty((num_units, p, p))
    u = np.empty((num_units, p))
    FW = np.empty((num_inner, p, p))
    V = np.empty((num_inner, p, p))
    E = np.empty((num_units, p))
    residual = np.empty((xx.shape[0], q))
    A = np.empty((p, p))
    B = np.empty((p, p))
    F = np.empty((p, p))
    Y = np.empty((p, p))
    k = np.empty(p)

    squares = yy.item()
    for g in range(xx.shape[0]):
        for i in range(q):
            t = xy[g, i]
            for j in range(q):
                t -= xx[g, i, j] * (beta[j] - center[j])
            residual[g, i] = t
            squares -= (beta[i] - center[i]) * (xy[g, i] + t)
        for i in range(p):
            h[num_inner + g, i] = residual[g, varying[i]] * tau

    value = -0.5 * (n.item() * log(2.0 * pi / tau) + squares * tau)
    stop = num_units
    for level in range(num_levels - 1, -1, -1):
        start = stop - sizes[level]
        for g in range(start, stop):
            own_information(g, num_inner, J, xx, varying, tau, A)
            value += send_message(g, A, h, S, level, U, u, F, B, Y, k)
            if g < num_inner:
                store_gain(g, B, Y, FW)
            if level > 0:
                above = parent[g]
                for i in range(p):
                    h[above, i] += u[g, i]
                    for j in range(p):
                        J[above, i, j] += U[g, i, j]
        stop = start

    dbeta = np.zeros(q)
    dsd = np.empty((num_levels, p))
    dpartial = np.empty(partial.shape)
    fitted = squares * tau  # becomes the posterior mean of the residual sum of squares / sigma^2
    dS = np.empty((p, p))
    Q = np.zeros((p, p))
    s = np.empty(p)
    start = 0
    for level in range(num_levels):
        for i in range(p):
            for j in range(p):
                dS[i, j] = 0.0
        for g in range(start, start + sizes[level]):
            above = parent[g]
            if level > 0:
                for i in range(p):
                    for j in range(p):
                        Q[i, j] = V[above, i, j]
            for i in range(p):
                t = u[g, i]
                if level > 0:
                    for j in range(p):
                        t -= U[g, i, j] * E[above, j]
                s[i] = t
            for i in range(p):
                t = 0.0
                if level > 0:
                    t = E[above, i]
                for j in range(p):
                    t += S[level, i, j] * s[j]
                E[g, i] = t
                for j in range(p):
                    t = 0.0
                    for m in range(p):
                        t += U[g, i, m] * Q[m, j]
                    Y[i, j] = t
            for i in range(p):
                for j in range(i + 1):
                    t = 0.0
                    for m in range(p):
                        t += Y[i, m] * U[g, j, m]
                    B[i, j] = t
                    B[j, i] = t
                    dS[i, j] += 0.5 * (s[i] * s[j] + t - U[g, i, j])
            if g < num_inner:
                unit_variance(g, S, level, U, FW, V, F, Q, A)
            else:
                for i in range(p):
                    fitted += Y[i, i] - E[g, i] * (s[i] + h[g, i])
                    for j in range(p):
                        fitted += S[level, i, j] * (U[g, i, j] - B[i, j])
                for i in range(q):
                    t = residual[g - num_inner, i]
                    for j in range(p):
                        t -= xx[g - num_inner, i, varying[j]] * E[g, j]
                    dbeta[i] += tau * t
        for i in range(p):
            for j in range(i):
                dS[j, i] = dS[i, j]
        pull_covariance(dS, sd, partial, level, C, R, dsd, dpartial, s, k)
        start += sizes[level]
    dsigma = (fitted - n.item()) / sigma.item()
    return np.asarray(value), dbeta, dsd, dpartial, np.asarray(dsigma)
