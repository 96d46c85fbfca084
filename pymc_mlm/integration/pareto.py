"""Importance weights whose largest are replaced by quantiles of a generalised Pareto tail."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Fewer weights than this in the tail tell nothing of its shape.
SMALLEST_TAIL = 5


def pareto_smooth(log_weights: Array) -> tuple[Array, float]:
    r"""Normalise importance weights, their largest smoothed.

    Parameters
    ----------
    log_weights : ndarray, shape (point,)
        Log density of the target less that of the proposal, up to a constant; ``-inf`` where the
        target has no density.

    Returns
    -------
    weights : ndarray, shape (point,)
        Positive, of sum one.
    k_hat : float
        Shape of the tail of the weights: their moments of order below ``1 / k_hat`` are finite.
        Estimates are dependable below `k_hat_limit`; infinite where too few points have a weight
        to tell.

    Notes
    -----
    Pareto smoothed importance sampling [1]_, with the tail's shape by the method of [2]_.

    References
    ----------
    .. [1] Vehtari, A., Simpson, D., Gelman, A., Yao, Y., Gabry, J. (2024). Pareto smoothed
       importance sampling. Journal of Machine Learning Research 25(72).
    .. [2] Zhang, J., Stephens, M. A. (2009). A new and efficient estimation method for the
       generalized Pareto distribution. Technometrics 51(3).

    Examples
    --------
    >>> weights, k_hat = pareto_smooth(np.zeros(100))
    >>> float(weights[0]), k_hat
    (0.01, -inf)
    """
    raw = np.exp(log_weights - log_weights.max())
    count = len(raw)
    length = int(np.ceil(min(0.2 * count, 3 * np.sqrt(count))))
    if length < SMALLEST_TAIL:
        return raw / raw.sum(), np.inf
    order = np.argsort(raw)
    tail, cut = order[-length:], raw[order[-length - 1]]
    excess = raw[tail] - cut
    if excess[-1] <= 1e-8:  # all weights are equal but for rounding
        return raw / raw.sum(), -np.inf
    # A single weight dwarfs the tail, or most of it is one value: no Pareto distribution.
    if excess[length // 4] <= 1e-12 * excess[-1]:
        return raw / raw.sum(), np.inf
    shape, scale = pareto_fit(excess)
    rank = (np.arange(length) + 0.5) / length
    raw[tail] = np.minimum(cut + scale * np.expm1(-shape * np.log1p(-rank)) / shape, 1.0)
    return raw / raw.sum(), float(shape)


def k_hat_limit(count: int) -> float:
    r"""Return the tail shape up to which so many weights give dependable means.

    .. math:: \min(0.7, 1 - 1 / \log_{10} S)

    Above it the error of weighted means of S points does not fall as it should (Vehtari et al.
    2024, section 3.2.4). No shape will do for ten points or fewer.

    Examples
    --------
    >>> round(k_hat_limit(200), 2), k_hat_limit(5000)
    (0.57, 0.7)
    """
    return float(min(0.7, 1 - 1 / np.log10(count))) if count > 10 else -np.inf


def pareto_fit(excess: Array) -> tuple[float, float]:
    """Return shape and scale of a generalised Pareto distribution from ascending excesses.

    The shape is drawn towards 1/2 with the weight of ten observations, as in Vehtari et al.
    """
    count = len(excess)
    grid = 30 + int(np.sqrt(count))
    quartile = excess[int(count / 4 + 0.5) - 1]
    rate = 1 - np.sqrt(grid / (np.arange(grid) + 0.5))
    rate = rate / (3 * quartile) + 1 / excess[-1]
    shapes = np.log1p(-rate[:, None] * excess).mean(axis=1)
    profile = count * (np.log(-rate / shapes) - shapes - 1)
    posterior = 1 / np.exp(np.clip(profile - profile[:, None], -700, 700)).sum(axis=1)
    best = (rate * posterior).sum() / posterior.sum()
    shape = np.log1p(-best * excess).mean()
    scale = -shape / best
    return (shape * count + 5) / (count + 10), scale
