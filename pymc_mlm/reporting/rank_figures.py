"""R-hat and bulk effective size of rank-normalised draws, of many elements at once.

ArviZ computes them for one element after another, ranks each twice and sorts for each rank the
normal quantiles anew. Draws of one length have the same quantiles, and R-hat and effective size
the same ranks. The definitions are those of Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021,
Bayesian Analysis 16(2)), with Geyer's initial monotone sequence as in ArviZ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.fft import next_fast_len
from scipy.special import ndtri

Array = np.ndarray[Any, Any]

# Elements at a time: their draws stay in the cache of the processor.
BLOCK = 32
FEWEST_DRAWS = 4
# Offset of ranks (Blom, 1958).
OFFSET = 3.0 / 8.0


def rank_figures(draws: Array) -> tuple[Array, Array]:
    """Return R-hat and bulk effective sample size.

    Parameters
    ----------
    draws : ndarray, shape (chain, draw, ...)
        Finite draws.

    Returns
    -------
    r_hat, ess_bulk : ndarray, shape (...)
        NaN for chains of fewer than four draws; R-hat also for one chain.

    Examples
    --------
    >>> draws = np.random.default_rng(1).normal(size=(4, 500, 2))
    >>> [x.round(3) for x in rank_figures(draws)]
    [array([1.002, 1.005]), array([1911.104, 2063.118])]
    """
    chains, length = draws.shape[:2]
    half = length // 2
    figures = np.full((2, int(np.prod(draws.shape[2:]))), np.nan)
    if length >= FEWEST_DRAWS:
        halves = np.concatenate([draws[:, :half], draws[:, -half:]])
        elements = halves.reshape(2 * chains, half, figures.shape[1])
        for start in range(0, figures.shape[1], BLOCK):
            block = slice(start, start + BLOCK)
            figures[:, block] = _of_block(np.moveaxis(elements[..., block], -1, 0))
    if chains == 1:
        figures[0] = np.nan
    r_hat, ess_bulk = figures.reshape(2, *draws.shape[2:])
    return r_hat, ess_bulk


def _of_block(halves: Array) -> tuple[Array, Array]:
    """Return both figures of each element, from its half chains."""
    flat = np.ascontiguousarray(halves).reshape(len(halves), -1)
    z = _normal_scores(flat).reshape(halves.shape)
    folded = np.abs(flat - np.median(flat, axis=1, keepdims=True))
    bulk, tail = _r_hat(z), _r_hat(_normal_scores(folded).reshape(halves.shape))
    # Where draws have two values, the folded ones are constant and have no R-hat.
    return np.where(tail > bulk, tail, bulk), _effective_sizes(z)


def _normal_scores(values: Array) -> Array:
    """Return the normal quantiles of the ranks in each row; ties have their mean rank."""
    count = values.shape[1]
    order = np.argsort(values, axis=1)
    twice = np.broadcast_to(2 * np.arange(count), values.shape)
    ordered = np.take_along_axis(values, order, axis=1)
    is_new = np.concatenate(
        [np.ones((len(values), 1), dtype=bool), ordered[:, 1:] != ordered[:, :-1]], axis=1
    )
    if not is_new.all():
        is_last = np.concatenate([is_new[:, 1:], is_new[:, :1]], axis=1)
        at = np.arange(count)
        first = np.maximum.accumulate(np.where(is_new, at, 0), axis=1)
        reverse = np.where(is_last, at, count)[:, ::-1]
        twice = first + np.minimum.accumulate(reverse, axis=1)[:, ::-1]
    ranks = 1.0 + 0.5 * np.arange(2 * count - 1)
    scores = ndtri((ranks - OFFSET) / (count - 2.0 * OFFSET + 1.0))
    found = np.empty(values.shape)
    np.put_along_axis(found, order, scores[twice], axis=1)
    return found


def _r_hat(chains: Array) -> Array:
    draws = chains.shape[-1]
    between = draws * chains.mean(axis=-1).var(axis=-1, ddof=1)
    within = chains.var(axis=-1, ddof=1).mean(axis=-1)
    return np.sqrt((between / within + draws - 1.0) / draws)


def _effective_sizes(chains: Array) -> Array:
    """Return the effective sample size of each element, from its chains."""
    _, several, draws = chains.shape
    means = chains.mean(axis=-1)
    length = next_fast_len(2 * draws, real=True)
    spectrum = np.fft.rfft(chains - means[..., None], n=length, axis=-1)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=1)
    autocovariance = np.fft.irfft(power, n=length, axis=-1)[:, :draws] / draws
    within = autocovariance[:, 0] * draws / (draws - 1.0)
    total = autocovariance[:, 0] + means.var(axis=-1, ddof=1)
    correlation = 1.0 - (within[:, None] - autocovariance) / total[:, None]
    is_constant = np.ptp(chains, axis=(1, 2)) < np.finfo(float).resolution
    count = several * draws
    return np.array([
        count if constant else count / max(_time(row), 1.0 / np.log10(count))
        for row, constant in zip(correlation, is_constant, strict=True)
    ], dtype=np.float64)  # fmt: skip


def _time(correlation: Array) -> float:
    """Return the autocorrelation time by Geyer's initial monotone sequence of pairs of lags."""
    if not np.isfinite(correlation).all():
        return np.nan
    stop = len(correlation) - 3
    rho = [1.0, float(correlation[1])]
    even, odd = rho
    t = 1
    while t < stop and even + odd > 0.0:
        even, odd = float(correlation[t + 1]), float(correlation[t + 2])
        rho += [even, odd] if even + odd >= 0.0 else [0.0, 0.0]
        t += 2
    last = t - 2
    rho += [0.0, 0.0]
    if even > 0.0:
        rho[last + 1] = even
    for k in range(1, last - 1, 2):
        if rho[k + 1] + rho[k + 2] > rho[k - 1] + rho[k]:
            rho[k + 1] = rho[k + 2] = (rho[k - 1] + rho[k]) / 2.0
    return -1.0 + 2.0 * sum(rho[: last + 1]) + sum(rho[last + 1 : last + 2])
