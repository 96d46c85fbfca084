"""Posterior probability that one success probability exceeds another, without draws."""

from __future__ import annotations

import numpy as np
from scipy.special import betainc, betaln, xlog1py, xlogy

from pymc_mlm.planning.patterns import Array

# Legendre nodes over 8 posterior sds either side; error below 1e-9 against the exact sums.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(48)
WIDTH = 8.0
CHUNK = 20_000


def probability_above(treated: Array, untreated: Array, margin: float = 0.0) -> Array:
    r"""Return :math:`P(\theta_T - \theta_C > m)` of independent Beta variables.

    .. math:: \int f_T(t)\, F_C(t - m)\, dt

    Parameters
    ----------
    treated, untreated : ndarray, shape (..., 2)
        Beta parameters (successes and failures, prior included).
    margin : float, default 0
        m.

    Returns
    -------
    ndarray, shape (...)

    Examples
    --------
    >>> probability_above(np.array([2.0, 1.0]), np.array([1.0, 2.0])).round(4).item()
    0.8333
    """
    rows = np.concatenate(np.broadcast_arrays(treated, untreated), axis=-1)
    # Many trials have the same counts.
    distinct, place = np.unique(rows.reshape(-1, 4), axis=0, return_inverse=True)
    values = np.concatenate(
        [_integral(distinct[i : i + CHUNK], margin) for i in range(0, len(distinct), CHUNK)]
    )
    return values[place].reshape(rows.shape[:-1])


def _integral(rows: Array, margin: float) -> Array:
    a, b, c, d = (rows[:, [i]] for i in range(4))
    centre, sd = a / (a + b), np.sqrt(a * b / ((a + b) ** 2 * (a + b + 1)))
    low = np.maximum(centre - WIDTH * sd, 0.0)
    high = np.minimum(centre + WIDTH * sd, 1.0)
    t = low + (high - low) * (NODES + 1) / 2
    density = np.exp(xlogy(a - 1, t) + xlog1py(b - 1, -t) - betaln(a, b)) * WEIGHTS
    below = betainc(c, d, np.clip(t - margin, 0.0, 1.0))
    # The density's own integral takes out what the nodes miss.
    return np.asarray((density * below).sum(axis=1) / density.sum(axis=1))
