r"""R-hat, effective sample size and Monte Carlo error of many parameters at once.

The figures of ArviZ [1]_, to rounding. ArviZ loops over parameters in Python, at two milliseconds
each; here ranks, Fourier transforms and sums over lags are taken of all parameters together.

References
----------
.. [1] Vehtari, A., Gelman, A., Simpson, D., Carpenter, B., Bürkner, P.-C. (2021).
   Rank-normalization, folding, and localization: an improved R-hat for assessing convergence of
   MCMC. Bayesian Analysis 16(2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# The quantiles whose smaller effective size is the tail's. To the last digit those of ArviZ: where
# draws are few, one of them may be the quantile.
TAILS = (1 - 0.89, 0.89)
FEWEST_DRAWS = 4
# Numbers that are worked on at once.
CHUNK_NUMBERS = 500_000


def chain_figures(draws: Any, *names: str) -> dict[str, Array]:
    """Return figures by which draws are judged.

    Parameters
    ----------
    draws : array_like, shape (chain, draw, ...)
        Draws of parameters.
    *names : str
        "r_hat", "ess_bulk", "ess_tail", "ess_mean", "mcse_mean" or "mcse_sd".

    Returns
    -------
    dict of str to ndarray, shape (...)
        By name. NaN where a draw is NaN, where a chain has fewer than four draws, and for R-hat
        where there is one chain.

    Examples
    --------
    >>> draws = np.random.default_rng(1).normal(size=(4, 500, 2))
    >>> found = chain_figures(draws, "r_hat", "ess_bulk")
    >>> found["r_hat"].round(3), found["ess_bulk"].round()
    (array([1.001, 1.   ]), array([1971., 1900.]))
    """
    values = np.asarray(draws, dtype=np.float64)
    shape, (chains, length) = values.shape[2:], values.shape[:2]
    flat = values.reshape(chains, length, -1).transpose(2, 0, 1)  # (parameter, chain, draw)
    if length < FEWEST_DRAWS:
        return {name: np.full(shape, np.nan) for name in names}
    step = max(1, CHUNK_NUMBERS // (chains * length))
    out = {name: np.empty(len(flat)) for name in names}
    for first in range(0, len(flat), step):
        at = slice(first, first + step)
        own = Chains(np.ascontiguousarray(flat[at]))
        with np.errstate(all="ignore"):
            for name in names:
                out[name][at] = np.where(own.is_known, getattr(own, name), np.nan)
    return {name: found.reshape(shape) for name, found in out.items()}


@dataclass(frozen=True, eq=False)
class Chains:
    """Draws of parameters, shape (parameter, chain, draw)."""

    draws: Array

    @cached_property
    def is_known(self) -> Array:
        """Whether no draw is NaN."""
        return ~np.isnan(self.draws).any(axis=(1, 2))

    @cached_property
    def _scores(self) -> Array:
        return normal_scores(halves(self.draws))

    @cached_property
    def r_hat(self) -> Array:
        """Larger of the split R-hats of rank-normalised draws and of their distances."""
        if self.draws.shape[1] < 2:
            return np.full(len(self.draws), np.nan)
        split = halves(self.draws)
        away = np.abs(split - np.median(split, axis=(1, 2), keepdims=True))
        bulk, tail = self._scores, normal_scores(away)
        bulk, tail = between_over_within(bulk), between_over_within(tail)
        return np.where(tail > bulk, tail, bulk)  # the bulk's where distances are all alike

    @cached_property
    def ess_bulk(self) -> Array:
        """Effective size of the rank-normalised draws."""
        return effective_size(self._scores)

    @cached_property
    def ess_tail(self) -> Array:
        """Smaller effective size of the two quantiles that bound the tails."""
        bounds = np.quantile(self.draws, TAILS, axis=(1, 2), keepdims=True)
        low, high = (effective_size(halves((self.draws <= b) * 1.0)) for b in bounds)
        return np.where(high < low, high, low)

    @cached_property
    def ess_mean(self) -> Array:
        """Effective size of the draws as they are."""
        return effective_size(halves(self.draws))

    @cached_property
    def mcse_mean(self) -> Array:
        """Monte Carlo error of the mean."""
        return np.asarray(self.draws.std(axis=(1, 2), ddof=1) / np.sqrt(self.ess_mean))

    @cached_property
    def mcse_sd(self) -> Array:
        """Monte Carlo error of the standard deviation."""
        squares = (self.draws - self.draws.mean(axis=(1, 2), keepdims=True)) ** 2
        variance = squares.mean(axis=(1, 2))
        of_variance = ((squares**2).mean(axis=(1, 2)) - variance**2) / effective_size(
            halves(squares)
        )
        return np.asarray(np.sqrt(of_variance / variance / 4))


def halves(draws: Array) -> Array:
    """Return chains split in two, shape (parameter, 2 * chain, draw // 2)."""
    half = draws.shape[2] // 2
    return np.concatenate([draws[:, :, :half], draws[:, :, -half:]], axis=1)


def normal_scores(draws: Array) -> Array:
    """Return normal quantiles of the ranks within a parameter, shape (parameter, chain, draw)."""
    from scipy.special import ndtri

    flat = draws.reshape(len(draws), -1)
    count = flat.shape[1]
    # Ranks are whole or, of ties, half numbers: one quantile for each.
    twice = np.arange(2 * count + 1)
    quantile = ndtri((twice / 2 - 0.375) / (count + 0.25))
    order = np.argsort(flat, axis=1)
    ordered = np.take_along_axis(flat, order, axis=1)
    scores = np.empty_like(flat)
    np.put_along_axis(scores, order, np.broadcast_to(quantile[2::2], flat.shape), axis=1)
    for tied in np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1)):
        scores[tied] = quantile[_twice_mean_rank(ordered[tied], order[tied])]
    return scores.reshape(draws.shape)


def _twice_mean_rank(ordered: Array, order: Array) -> Array:
    """Return twice the mean rank of equal values, in the order before sorting."""
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ends = np.append(starts[1:], len(ordered))
    ranks = np.empty(len(ordered), dtype=np.int64)
    ranks[order] = np.repeat(starts + 1 + ends, ends - starts)
    return ranks


def between_over_within(draws: Array) -> Array:
    """Return R-hat of chains, shape (parameter,)."""
    count = draws.shape[2]
    between = count * draws.mean(axis=2).var(axis=1, ddof=1)
    within = draws.var(axis=2, ddof=1).mean(axis=1)
    return np.asarray(np.sqrt((between / within + count - 1) / count))


def effective_size(draws: Array) -> Array:
    """Return the effective number of draws for their mean, shape (parameter,).

    Autocorrelations are summed in pairs up to the first pair of negative sum, and pairs must not
    grow (Geyer's initial monotone sequence).
    """
    chains, count = draws.shape[1:]
    covariance = mean_autocovariance(draws)
    within = covariance[:, 0] * count / (count - 1)
    total = covariance[:, 0] + (draws.mean(axis=2).var(axis=1, ddof=1) if chains > 1 else 0.0)
    rho = 1 - (within[:, None] - covariance) / total[:, None]
    rho[:, 0] = 1.0
    tau = _correlation_time(rho)
    size = chains * count / np.maximum(tau, 1 / np.log10(chains * count))
    spread = draws.max(axis=(1, 2)) - draws.min(axis=(1, 2))
    return np.where(spread < np.finfo(float).resolution, float(chains * count), size)


def mean_autocovariance(draws: Array) -> Array:
    """Return autocovariances at each lag, averaged over chains, shape (parameter, lag)."""
    from scipy.fft import next_fast_len

    count = draws.shape[2]
    length = next_fast_len(2 * count, real=True)
    wave = np.fft.rfft(draws - draws.mean(axis=2, keepdims=True), n=length)
    power = (wave.real**2 + wave.imag**2).mean(axis=1)
    return np.fft.irfft(power, n=length)[:, :count] / count


def _correlation_time(rho: Array) -> Array:
    """Return the sum of all autocorrelations that are told from noise, shape (parameter,)."""
    pairs = rho[:, : rho.shape[1] // 2 * 2].reshape(len(rho), -1, 2)
    sums = pairs.sum(axis=2)[:, : max((rho.shape[1] - 3) // 2, 0) + 1]
    ends = ~(sums > 0)
    last = np.where(ends.any(axis=1), ends.argmax(axis=1), sums.shape[1] - 1)
    kept = np.minimum.accumulate(sums[:, : last.max() + 1], axis=1)
    kept[np.arange(kept.shape[1]) >= last[:, None]] = 0.0
    at = np.arange(len(rho)), last
    even = np.where((pairs[*at, 0] > 0) | (sums[at] >= 0), pairs[*at, 0], 0.0)
    return np.where(np.isnan(rho[:, 1]), np.nan, -1 + 2 * kept.sum(axis=1) + even)
