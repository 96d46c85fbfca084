"""Columns of a collapsed model taken from their means, and where their coefficients are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pymc_mlm.data.column_scale import level_weights
from pymc_mlm.data.nested_design import NestedDesign
from pymc_mlm.data.population import INTERCEPT, PopulationDesign
from pymc_mlm.ops.nested_gaussian import NestedStatistics


class Centring(NamedTuple):
    """What is taken from columns, and the coefficients with which columns sum to one."""

    carrier: np.ndarray  # (column,)
    shift: np.ndarray  # (column,)


def centring(population: PopulationDesign, nested: NestedDesign) -> Centring:
    """Return which columns are taken from their means, and what then carries the means.

    Columns that vary stay as they are: an effect acts on them from zero. So do all columns where
    nothing has the level, as in a regression through the origin.

    Parameters
    ----------
    population, nested : designs
        The table.

    Returns
    -------
    Centring
    """
    names = all_columns(population, nested)
    carrier, shift = np.zeros(len(names)), np.zeros(len(names))
    own = [names.index(name) for name in population.names]
    if population.intercept:
        carrier[names.index(INTERCEPT)] = 1.0
    else:
        weights = level_weights(population.X)
        if weights is None:
            return Centring(carrier, shift)
        carrier[own] = weights
    shift[own] = population.X.mean(axis=0)
    stays = carrier != 0.0
    stays[[names.index(name) for name in nested.columns]] = True
    shift[stays] = 0.0
    return Centring(carrier, shift)


def least_squares(
    population: PopulationDesign,
    nested: NestedDesign,
    statistics: NestedStatistics,
    spread: float,
    prior_sd: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return where coefficients are without regard to units: centre and root of the covariance.

    For the sampler's coordinates alone. A year and the cells of ``0 + f``, or a product ``f:x``
    and its parts, are correlated almost perfectly, and columns have scales of their own.

    Parameters
    ----------
    population, nested : designs
        The table.
    statistics : NestedStatistics
        From `nested_statistics`.
    spread : float
        Spread of the outcome.
    prior_sd : ndarray, shape (covariate,)
        Of the default prior: columns that are sums of others have no other scale.

    Returns
    -------
    centre : ndarray, shape (covariate,)
    root : ndarray, shape (covariate, covariate)
        Of one covariate a vector.
    """
    names = all_columns(population, nested)
    own = [names.index(name) for name in population.names]
    carrier, shift = centring(population, nested)
    products = statistics.xx.sum(axis=0)
    precision = products[np.ix_(own, own)]
    if population.intercept:
        at = names.index(INTERCEPT)
        precision = precision - np.outer(products[at, own], products[at, own]) / products[at, at]
    precision = precision / spread**2 + np.diag(prior_sd**-2.0)
    back = np.eye(len(own)) - np.outer(carrier[own], shift[own])
    root = back @ np.linalg.inv(np.linalg.cholesky(precision)).T
    return back @ statistics.center[own], root[0] if len(own) == 1 else root


def all_columns(population: PopulationDesign, nested: NestedDesign) -> list[str]:
    """Return intercept, population columns, and varying columns that are not among them."""
    names = ([INTERCEPT] if population.intercept else []) + list(population.names)
    return names + [c for c in nested.columns if c not in names]
