r"""Normal effects of a Gaussian outcome integrated out, which is exact.

With :math:`y \sim N(o + B u, \sigma^2)`, :math:`u \sim N(0, I)`,
:math:`H = I + B'B / \sigma^2`, :math:`m = H^{-1} B'(y - o) / \sigma^2` and
:math:`r = y - o - B m`,

.. math:: -2 \log p(y) = n \log(2 \pi \sigma^2) + \log|H| + r'r / \sigma^2 + m'm ,

and the effects given the rest are :math:`N(m, H^{-1})`. Rows of weight w have :math:`w / \sigma^2`
in place of :math:`1 / \sigma^2`, and w of them count. Laplace's method is exact here: its mode is
one solve away, and what follows from it, the gradient and draws, is the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pymc_mlm.integration.laplace import Laplace, precision
from pymc_mlm.integration.log_densities import ROW_WEIGHT
from pymc_mlm.integration.rows import Rows

Array = np.ndarray[Any, Any]

# Number of effects behind the front up to which the integral is by a dense factor, and exact. A
# point needs one factor only, where Laplace's method needs some for the mode of the effects.
MOST_EXACT = 1500


def is_exact(rows: Rows) -> bool:
    """Return whether the log marginal density is neither approximate nor an estimate."""
    return rows.family == "gaussian" and rows.size - rows.num_front <= MOST_EXACT


def collapsed(rows: Rows, entries: Array, offset: Array, parameters: Array) -> Laplace:
    """Integrate the effects of a Gaussian outcome out.

    Parameters
    ----------
    rows : Rows
        The table, of family "gaussian".
    entries : ndarray, shape (entry,)
        Entries of B: weights or covariates times the root of the effects' covariance.
    offset : ndarray, shape (row,)
        Linear predictor without effects.
    parameters : ndarray, shape (1,)
        Log of the standard deviation of the outcome.

    Returns
    -------
    Laplace
        Its value is the log marginal density, its second order zero, its draws those of the
        posterior. Above `MOST_EXACT` effects value and gradient are estimates.

    Raises
    ------
    IntegrationError
        The precision of the effects is not finite.

    Examples
    --------
    >>> rows = Rows("gaussian", {"value": np.array([1.0, 2.0])}, np.arange(3), np.zeros(2, int), 1)
    >>> collapsed(rows, np.ones(2), np.zeros(2), np.zeros(1)).mode
    array([1.])
    """
    W = np.exp(-2 * parameters[0]) * rows.outcome.get(ROW_WEIGHT, np.ones(len(offset)))
    root = precision(rows, entries, W, is_exact(rows))
    toward = W * (rows.outcome["value"] - offset)
    mode = root.solve(rows.transposed(entries, toward))
    eta = offset + rows.times(entries, mode)
    joint = rows.log_density(eta, parameters) - 0.5 * mode @ mode
    marginal = float(joint - root.log_determinant)
    return Laplace(rows, entries, offset, parameters, mode, eta, root, marginal)
