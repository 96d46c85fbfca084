"""Weighted draws of all variables of a model, and how far they can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.integration.gaussian import is_exact
from pymc_mlm.integration.importance import (
    SMALLEST_EFFECTIVE_SIZE,
    ImportanceSample,
    IntegrationError,
    importance_sample,
)
from pymc_mlm.integration.near import MOST_NOISE
from pymc_mlm.integration.pareto import k_hat_limit, pareto_smooth
from pymc_mlm.integration.rows import Rows
from pymc_mlm.integration.trend import trend
from pymc_mlm.paths.approximation import Approximation, is_large
from pymc_mlm.paths.conditional import Conditional
from pymc_mlm.paths.proposals import AbstractProposals, Followed, OwnFactors

Array = np.ndarray[Any, Any]

# With a heavier tail of the hyperparameters' weights, or fewer effective points, not even the
# approximation is drawn from.
WORST_K_HAT, FEWEST_POINTS = 1.0, 50
# At each point of a model of many effects.
FEWEST_DRAWS = 16
# Effective points with which a model of many effects is content.
ENOUGH = 150


@dataclass(frozen=True, eq=False)
class WeightedDraws:
    """Draws of all variables, and how far they can be trusted.

    Attributes
    ----------
    values : dict of str to ndarray, shape (draw, ...)
        By variable name.
    k_hat : float
        The larger tail shape of the weights of hyperparameters and of all draws.
    k_hat_limit : float
        What it may be at most.
    effective_size : float
        The smaller effective number of the two, after the weights of effects.
    is_exact : bool
        Whether the weights certify the draws; if not, the effects' are those of the approximation.
    """

    values: dict[str, Array]
    k_hat: float
    k_hat_limit: float
    effective_size: float
    is_exact: bool


def integrate(
    found: Approximation, count: int, rng: np.random.Generator, enough: float = ENOUGH
) -> WeightedDraws:
    """Draw hyperparameters with effects integrated out, then effects, both weighted.

    Parameters
    ----------
    found : Approximation
        The model and its mode.
    count : int
        Number of draws.
    rng : numpy.random.Generator
        Source of randomness.
    enough : float
        Effective points with which a model of many effects is content.

    Returns
    -------
    WeightedDraws

    Raises
    ------
    IntegrationError
        The approximation does not exist.
    """
    density, mode = found.density, found.mode
    model = density.model
    rounds, last, each = points_of(model.rows, len(model.start), count, enough)
    draws: AbstractProposals
    if is_exact(model.rows):
        draws = OwnFactors(density, None, each, rng)
    else:
        kind = Followed if is_large(model.rows) else OwnFactors
        draws = kind(density, trend(lambda point: density.of_rows(point)[1], mode), each, rng)
    enough = enough if is_large(model.rows) else np.inf
    sample = importance_sample(draws, mode, rng, rounds, enough, last)
    if sample.k_hat > WORST_K_HAT or sample.effective_size < FEWEST_POINTS:
        raise IntegrationError(
            "the approximate posterior of the parameters has tails that no proposal covers (k-hat "
            f"{sample.k_hat:.2f}, {sample.effective_size:.0f} effective points)"
        )
    return _weighted(draws, model, sample, count, rng)


def points_of(
    rows: Rows, hyperparameters: int, count: int, enough: float = ENOUGH
) -> tuple[tuple[int, ...], int, int]:
    """Return the points of each round, of the last one, and the number of effects at each point.

    Where factors are dear, short rounds that end when the points are enough and are all kept, with
    more draws, which are cheap.
    """
    if not is_large(rows):
        # Without modes of effects to search for, a point is cheap.
        more = int(np.ceil((enough / ENOUGH - 1) * 900 / 500)) if is_exact(rows) else 0
        last = 500 * (1 + more)
        return (100, 100), last, -(-count // last) + 1
    one = int(np.clip(10 * hyperparameters, 40, 100))
    most = int(np.clip(80 * hyperparameters, 160, 600) * enough / ENOUGH)
    # Draws that are exact given their point need no weights of their own.
    fewest = 1 if is_exact(rows) else FEWEST_DRAWS
    return (one,) * -(-most // one), 0, max(-(-count // (3 * one)) + 1, fewest)


def memory_of(model: Conditional, count: int, enough: float = ENOUGH) -> float:
    """Return the bytes of so many draws of all effects, and of those at all points."""
    rounds, last, each = points_of(model.rows, len(model.start), count, enough)
    # A last round that is not exact is drawn a second time, after as many points to learn from.
    at_points = each * (2 * sum(rounds) + 3 * last if last else sum(rounds))
    is_followed = is_large(model.rows) and not is_exact(model.rows)
    held = 2 * sum(rounds) + MOST_NOISE if is_followed else at_points
    return 8.0 * model.rows.size * (count + held)


def _weighted(
    draws: AbstractProposals,
    model: Conditional,
    sample: ImportanceSample,
    count: int,
    rng: np.random.Generator,
) -> WeightedDraws:
    """Weigh all effects drawn by the joint density, and resample by weight."""
    used = np.flatnonzero(sample.weights)
    keys = [sample.points[k].tobytes() for k in used]
    log_weights = np.array([draws.log_weights(key) for key in keys])
    log_weights += np.log(sample.weights[used])[:, None]
    weights, k_hat = pareto_smooth(log_weights.ravel())
    of_points = weights.reshape(log_weights.shape).sum(axis=1)
    of_noise = np.bincount(np.concatenate([draws.origin(key) for key in keys]), weights)
    k_hat = max(sample.k_hat, k_hat)
    size = 1 / max(weights @ weights, of_points @ of_points, of_noise @ of_noise)
    limit = k_hat_limit(len(sample.points))  # the stricter one, for there are more draws
    is_exact = k_hat < limit and size >= SMALLEST_EFFECTIVE_SIZE
    if not is_exact:
        weights = np.repeat(sample.weights[used], draws.each)
    kept = ImportanceSample(np.arange(len(weights))[:, None], weights, k_hat).resample(count, rng)
    values: dict[str, Array] = {}
    for place in np.unique(kept // draws.each):
        at = np.flatnonzero(kept // draws.each == place)
        effects = draws.effects(keys[place], kept[at] % draws.each)
        for name, value in model.draw(sample.points[used[place]], effects).items():
            shape = value.shape[1:] if name in model.effects else value.shape
            values.setdefault(name, np.empty((count, *shape)))[at] = value
    return WeightedDraws(values, k_hat, limit, size, is_exact)
