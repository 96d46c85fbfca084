"""The mode of effects at given parameters, by Newton's method."""

from __future__ import annotations

from typing import Any

import numpy as np

from pymc_mlm.integration.factor import factor
from pymc_mlm.integration.importance import IntegrationError
from pymc_mlm.integration.matrix_free import MatrixFree
from pymc_mlm.integration.rows import Rows

Array = np.ndarray[Any, Any]

# Of the squared Newton decrement, twice the log density that a step could still gain: the last
# step is taken at less, and leaves its square.
TOLERANCE = 1e-8
MOST_STEPS = 100
# Number of effects behind the front up to which a factor costs less than conjugate gradients.
CHEAP_FACTOR = 300


def effect_mode(
    rows: Rows,
    entries: Array,
    offset: Array,
    parameters: Array,
    near: Array | None = None,
    tolerance: float = TOLERANCE,
) -> tuple[Array, Array]:
    """Find the mode of the effects.

    Parameters
    ----------
    rows : Rows
        The table.
    entries : ndarray, shape (entry,)
        Entries of B: weights or covariates times the root of the effects' covariance.
    offset : ndarray, shape (row,)
        Linear predictor without effects.
    parameters : ndarray, shape (parameter,)
        Logs of the family's parameters.
    near : ndarray, shape (effect,), optional
        Where the search starts.
    tolerance : float
        Squared Newton decrement before the last step.

    Returns
    -------
    mode : ndarray, shape (effect,)
        In prior standard deviations.
    eta : ndarray, shape (row,)
        Linear predictor at the mode.

    Raises
    ------
    IntegrationError
        The log density overflows, or has no mode.

    Notes
    -----
    Newton's method with halved steps. Rows without a convex log density, outliers under a
    Student t, count as flat. Where a factor is dear, steps are as precise as the gradient is small.
    """
    a = np.zeros(rows.size) if near is None else near
    eta = offset + rows.times(entries, a)
    value = rows.log_density(eta, parameters) - 0.5 * a @ a
    for _ in range(MOST_STEPS):
        if not np.isfinite(value):
            if not a.any():
                raise IntegrationError("the log density of the outcomes overflows")
            a = np.zeros(rows.size)  # the mode nearby does not do here
            eta, value = offset, rows.log_density(offset, parameters)
            continue
        l1, l2, *_ = rows.derivatives(eta, parameters).by_eta
        gradient = rows.transposed(entries, l1) - a
        step = _step(rows, entries, np.maximum(-l2, 0.0), gradient)
        move = rows.times(entries, step)
        if gradient @ step < tolerance:
            return a + step, eta + move  # to its square, without a search
        a, eta, value = _ascend(rows, parameters, (a, eta, value), step, move)
    raise IntegrationError(f"the mode of the effects is not reached in {MOST_STEPS} steps")


def _step(rows: Rows, entries: Array, W: Array, gradient: Array) -> Array:
    if rows.size - rows.num_front <= CHEAP_FACTOR:
        return factor(rows, entries, W).solve(gradient)
    H = MatrixFree(rows, entries, W)
    size = np.sqrt(gradient**2 @ (1 / H.diagonal))
    return H.solve(gradient, float(np.clip(0.1 * size, 1e-8, 0.05)))


def _ascend(
    rows: Rows, parameters: Array, at: tuple[Array, Array, Any], step: Array, move: Array
) -> tuple[Array, Array, Any]:
    """Take a step, or a fraction of it that improves the log density."""
    a, eta, value = at
    scale = 1.0
    while scale > 1e-6:
        new, ahead = a + scale * step, eta + scale * move
        gained = rows.log_density(ahead, parameters) - 0.5 * new @ new
        if gained >= value - 1e-12 * abs(value):
            return new, ahead, gained
        scale /= 2
    raise IntegrationError("the log density of the effects does not rise along its gradient")
