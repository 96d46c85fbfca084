"""Coefficients as they would be without effects: where the search for a mode starts.

The effects' standard deviations move coefficients little in comparison with where the model puts
them before it sees the outcome, and their curvature tells how far a step may go.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pymc_mlm.paths.conditional import Conditional, Pieces

Array = np.ndarray[Any, Any]

STEPS = 10
# Newton decrement, squared, at which steps end: a start need not be a maximum.
SETTLED = 0.1
# Fractions of a step that are tried, for a step on a log link may overshoot.
SCALES = 1.0, 0.3, 0.1, 0.01
# Prior precision of a coefficient in its coordinate, of which the prior allows some five.
PRIOR = 0.04


def start_without_effects(model: Conditional) -> tuple[Array, Array]:
    """Return where to start, and a root of the covariance there.

    Parameters
    ----------
    model : Conditional
        The model.

    Returns
    -------
    start : ndarray, shape (hyperparameter,)
        Coefficients at their maximum without effects, all others where the model starts.
    root : ndarray, shape (hyperparameter, hyperparameter)
        Lower triangular; 1 for hyperparameters that move no linear predictor there.
    """
    start, root = model.start, np.eye(len(model.start))
    here = model.pieces(start)
    # Differences are exact: linear predictors are linear in coefficients.
    slopes = np.array([model.pieces(start + one).offset - here.offset for one in root])
    moved = np.flatnonzero(slopes.any(axis=1))
    if not len(moved) or not np.isfinite(slopes).all():
        return start, root
    found = _maximum(model, here, slopes[moved])
    if found is None:
        return start, root
    at, covariance = found
    start = start.copy()
    start[moved] += at
    root[np.ix_(moved, moved)] = np.linalg.cholesky(covariance)
    return start, root


def _maximum(model: Conditional, here: Pieces, slopes: Array) -> tuple[Array, Array] | None:
    """Return the steps to the penalised maximum, and the inverse of the curvature there."""
    x, prior = np.zeros(len(slopes)), PRIOR * np.eye(len(slopes))
    eta = here.offset
    value = model.rows.log_density(eta, here.parameters)
    for _ in range(STEPS):
        l1, l2, *_ = model.rows.derivatives(eta, here.parameters).by_eta
        curvature = (slopes * np.maximum(-l2, 0.0)) @ slopes.T + prior
        gradient = slopes @ l1 - PRIOR * x
        if not (np.isfinite(curvature).all() and np.isfinite(gradient).all()):
            return None
        covariance = np.linalg.inv(curvature)
        step = covariance @ gradient
        if gradient @ step < SETTLED:
            return x + step, covariance
        for scale in SCALES:
            new, ahead = x + scale * step, eta + scale * step @ slopes
            gained = model.rows.log_density(ahead, here.parameters) - 0.5 * PRIOR * new @ new
            if gained >= value:
                break
        else:
            return None
        x, eta, value = new, ahead, gained
    return None
