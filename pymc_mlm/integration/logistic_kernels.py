r"""Compiled sums and derivatives of log densities that are logistic in the linear predictor.

.. math:: \sum_i k_i \eta_i - n_i \log(1 + e^{\eta_i})

A logarithm costs as much as everything else. Where every :math:`n_i` is 1, the factors
:math:`1 + e^{-|\eta_i|}` are between 1 and 2, so that one logarithm serves the product of some
hundred.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pymc_mlm.codegen.exponential import exp

FAST = {"contract", "reassoc"}
# Factors of at most 2: their product is below 2^512.
AT_ONCE = 512


@njit(cache=True, error_model="numpy", fastmath=FAST)
def events(event: Any, eta: Any, total: Any) -> None:
    """Add the log density of 0/1 outcomes to `total`, shape (vector,), for eta (row, vector)."""
    rows, count = eta.shape
    small, product = np.empty(count), np.ones(count)
    for i in range(rows):
        for n in range(count):
            small[n] = exp(-abs(eta[i, n]))
        for n in range(count):
            total[n] += event[i] * eta[i, n] - max(eta[i, n], 0.0)
            product[n] *= 1.0 + small[n]
        if i % AT_ONCE == AT_ONCE - 1:
            for n in range(count):
                total[n] -= np.log(product[n])
                product[n] = 1.0
    for n in range(count):
        total[n] -= np.log(product[n])


@njit(cache=True, error_model="numpy", fastmath=FAST)
def events_of_one(event: Any, eta: Any) -> float:
    """Return the log density of 0/1 outcomes for one linear predictor, shape (row,)."""
    small, total = np.empty(AT_ONCE), 0.0
    for first in range(0, len(eta), AT_ONCE):
        count = min(AT_ONCE, len(eta) - first)
        for i in range(count):
            small[i] = exp(-abs(eta[first + i]))
        product = 1.0
        for i in range(count):
            x = eta[first + i]
            total += event[first + i] * x - max(x, 0.0)
            product *= 1.0 + small[i]
        total -= np.log(product)
    return total


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def derivatives(event: Any, eta: Any, out: Any) -> None:
    """Write the first four derivatives of every row's log density, shape (4, row)."""
    for i in range(len(eta)):
        out[1, i] = exp(-abs(eta[i]))
    for i in range(len(eta)):
        small = out[1, i]
        larger = 1.0 / (1.0 + small)
        p = larger if eta[i] >= 0.0 else small * larger
        v = small * larger * larger
        out[0, i] = event[i] - p
        out[1, i] = -v
        out[2, i] = -v * (1.0 - 2.0 * p)
        out[3, i] = -v * (1.0 - 6.0 * v)
