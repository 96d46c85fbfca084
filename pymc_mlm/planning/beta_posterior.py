"""Posterior probability that one success probability exceeds another, without draws."""

from __future__ import annotations

import numpy as np
from scipy.special import betainc, betainccinv, betaincinv, betaln, expit, log_expit, logit

from pymc_mlm.planning.patterns import Array

# Legendre nodes of each panel, and tail probabilities of both variables between which panels lie.
# Errors stay below 1e-8 for shapes of at least 1, and below 1e-4 for shapes of at least .05.
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)
TAILS, OTHER_TAILS = (1e-15, 1e-2), (1e-9, 1e-3)
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
    """Integrate over the log odds x of t, where densities are smooth for all shapes."""
    ends = _quantiles(rows[:, :2], TAILS)
    steps = _quantiles(rows[:, 2:], OTHER_TAILS)
    if margin:
        steps = logit(np.clip(expit(steps) + margin, 0.0, 1.0))
    panels = np.sort(np.clip(np.hstack([ends, steps]), ends[:, :1], ends[:, -1:]), axis=1)
    half = np.diff(panels, axis=1)[:, :, None] / 2
    x = (panels[:, :-1, None] + half * (1 + NODES)).reshape(len(rows), -1)
    a, b, c, d = (rows[:, [i]] for i in range(4))
    density = np.exp(a * log_expit(x) + b * log_expit(-x) - betaln(a, b))
    density *= (half * WEIGHTS).reshape(x.shape)
    if margin:
        below = betainc(c, d, np.clip(expit(x) - margin, 0.0, 1.0))
    else:  # near one, 1 - t has more digits than t
        near = x < 0
        tail = betainc(np.where(near, c, d), np.where(near, d, c), expit(-np.abs(x)))
        below = np.where(near, tail, 1 - tail)
    # The density's own integral takes out what the nodes miss.
    return np.asarray((density * below).sum(axis=1) / density.sum(axis=1))


def _quantiles(beta: Array, tails: tuple[float, ...]) -> Array:
    """Return log odds below and above which the tails lie, ascending, shape (row, 2 tail)."""
    distinct, place = np.unique(beta, axis=0, return_inverse=True)
    (a, b), q = distinct.T[:, :, None], np.array(tails)
    low, high = betaincinv(a, b, q), betainccinv(a, b, q[::-1])
    failed, passed = betainccinv(b, a, q), betaincinv(b, a, q[::-1])
    t, rest = np.hstack([low, high]), np.hstack([failed, passed])
    return np.asarray(np.log(np.maximum(t, 1e-300)) - np.log(np.maximum(rest, 1e-300)))[place]
