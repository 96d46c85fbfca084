"""Coefficients of covariates, sampled in coordinates that do not depend on their units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from pymc_mlm.approximation.standard import CoefficientInformation
from pymc_mlm.data.column_scale import spread
from pymc_mlm.distributions.located import located
from pymc_mlm.ops.linear_predictor import linear_predictor
from pymc_mlm.priors import create, on_real_line, parts_of
from pymc_mlm.terms.base import add_coords

# Where nothing is known of the data: start within a third of what the default prior allows.
ROUGH = 0.5


def coefficients(
    name: str, prior: Any, dim: str, X: np.ndarray, scale: float, known: Any = None
) -> Any:
    """Add the coefficients of some covariates to the current model.

    Parameters
    ----------
    name : str
        Name of the variable.
    prior : prior
        One of ours is sampled in standardised coordinates unless it is bounded; a foreign one in
        its own.
    dim : str
        Dimension, in the model already.
    X : ndarray, shape (row, covariate)
        The covariates.
    scale : float
        Spread of the linear predictor.
    known : tuple of ndarray, optional
        Mode (coef,) and root (coef, coef) of the covariance of their posterior, as far as known
        (`pymc_mlm.approximation.standard.CoefficientInformation.block`).

    Returns
    -------
    TensorVariable, shape (covariate,)
    """
    if not on_real_line(prior):
        return create(prior, name, dim)
    if known is None:
        known = rough(X, scale)
    centre = pytensor.shared(np.asarray(known[0], dtype=np.float64))
    return located(name, *parts_of(prior, name, dim), centre, known[1], dim)


def covariate_coefficients(term: Any, design: Any, scale: float = 1.0, known: Any = None) -> Any:
    """Add the coefficients of a term's covariates to the current model; None if it has none.

    Parameters
    ----------
    term : AbstractTerm
    design : design
        With `name`, `covariates` and `group_covariates`.
    scale, known
        As in `coefficients`.
    """
    if not design.covariates:
        return None
    name, dim = f"{design.name}_beta", f"{design.name}_covariate"
    add_coords({dim: design.covariates})
    prior = term.priors_used(design, scale)[name]
    return coefficients(name, prior, dim, design.group_covariates, scale, known)


def rough(X: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return where coefficients are as far as columns and spread tell: centre and root, (coef,)."""
    return np.zeros(X.shape[1]), ROUGH * scale / spread(X)


def intercept_centre(
    information: CoefficientInformation, betas: Sequence[Any]
) -> tuple[Any, np.ndarray]:
    """Return where the intercept is, given all coefficients, and its standard deviation there.

    Parameters
    ----------
    information : CoefficientInformation
        Score and information.
    betas : sequence of (TensorVariable, int)
        Coefficients of the covariates, part by part, and how many each part has.
    """
    constant, slopes, sd = information.intercept()
    centre: Any = pytensor.shared(np.float64(constant))
    place = 0
    for beta, count in betas:
        part = slopes[place : place + count]
        centre = centre + pt.sum(beta * pytensor.shared(part.copy()))
        place += count
    return centre, np.asarray(sd)


def level_centre(
    information: CoefficientInformation, betas: Sequence[Any], categories: int
) -> tuple[Any, np.ndarray]:
    """Return the same of the intercepts of categories: a vector, and a root of the covariance.

    Parameters
    ----------
    information : CoefficientInformation
        Of the columns of the intercepts and of the covariates, in this order.
    betas : sequence of (TensorVariable, int)
        As in `intercept_centre`.
    categories : int
        Number of intercepts.
    """
    constant, slopes, root = information.levels(categories)
    centre: Any = pytensor.shared(constant)
    place = 0
    for beta, count in betas:
        part = np.ascontiguousarray(slopes[:, place : place + count])
        centre = centre + linear_predictor(pytensor.shared(part), beta)
        place += count
    return centre, root
