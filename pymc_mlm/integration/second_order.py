"""The mode of a log density with a correction that has a value and no gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pymc_mlm.integration.importance import Density, IntegrationError, Mode, root_of

Array = np.ndarray[Any, Any]

# A correction that takes away more of the curvature than this leaves no mode to trust.
LEAST_CURVATURE = 0.2
STEP = 0.5


def corrected_mode(
    density: Density, correction: Callable[[Array], float], mode: Mode, rounds: int = 2
) -> Mode:
    """Move a mode, and its covariance, by a small smooth correction of the log density.

    Parameters
    ----------
    density : callable
        Log density and gradient at a point, shape (parameter,).
    correction : callable
        What is added to the log density, at a point.
    mode : Mode
        Mode and covariance without it.
    rounds : int
        Newton steps. Each takes the slope of the correction, and its curvature along the axes of
        the covariance, by differences over half a standard deviation.

    Returns
    -------
    Mode

    Raises
    ------
    IntegrationError
        The correction is not small: it leaves no mode, or moves it out of reach.

    Examples
    --------
    >>> from pymc_mlm.integration.importance import find_mode
    >>> normal = lambda x: (-0.5 * x @ x, -x)
    >>> mode = find_mode(normal, np.zeros(2))
    >>> corrected_mode(normal, lambda x: 0.3 * x[0], mode).point.round(4)
    array([0.3, 0. ])
    """
    point, covariance, count = mode.point, mode.covariance, mode.evaluations
    root = root_of(covariance)
    for _ in range(rounds):
        gradient, here = density(point)[1], correction(point)
        ends = np.array([[correction(point + s * v) for s in (STEP, -STEP)] for v in root.T])
        count += 1 + ends.size
        slope = root.T @ gradient + (ends[:, 0] - ends[:, 1]) / (2 * STEP)
        curvature = 1 - (ends.sum(axis=1) - 2 * here) / STEP**2
        if not np.isfinite(ends).all() or curvature.min() < LEAST_CURVATURE:
            raise IntegrationError("the second order of the approximation is not small")
        covariance = (root / curvature) @ root.T
        point = point + root @ (slope / curvature)
    return Mode(point, covariance, density(point)[0] + correction(point), count)
