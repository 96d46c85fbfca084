"""Score and information of the linear predictor in each row, before sampling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from pymc_mlm.approximation.unit_information import RowLikelihood
from pymc_mlm.families import AbstractFamily
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.ops.traces import without_traces

# Step of the second derivative by differences, in spreads of the linear predictor.
STEP = 1e-3


@without_traces()
def row_likelihood(
    family: AbstractFamily,
    outcome: Mapping[str, np.ndarray],
    priors: Mapping[str, Any],
    spread: float,
) -> RowLikelihood:
    """Return the derivatives of each row's log likelihood as a function of the linear predictor.

    Parameters
    ----------
    family : AbstractFamily
        Family; its own parameters are set to their mode without effects of units, or to where
        the family has them (`AbstractFamily.near_mode`). At fitted
        effects of units with few rows they would be too sure, and a unit that seems to say more
        than it does has a funnel; one that seems to say less has none.
    outcome : mapping of str to ndarray, shape (row,)
        Outcome by role.
    priors : mapping of str to prior
        Priors of the family's own parameters.
    spread : float
        Scale of the linear predictor.

    Returns
    -------
    callable
        From the linear predictor and its population part (itself by default) to the first
        derivative and to the negative second derivative, zero where the log likelihood is not
        concave; all of shape (row,), or with several predictors a row of shape (row * predictor,).
    """
    from scipy.optimize import minimize

    eta = pt.dvector("eta")
    rows, predictors = len(next(iter(outcome.values()))), family.num_predictors(outcome)
    # Of its own, also when a fit is called inside another model.
    with pm.Model(coords={"row": range(rows)}, model=None) as model:
        family.weighted_likelihood("outcome", eta, outcome, priors, "row")
    at = model.initial_point() | family.near_mode(outcome)
    fixed = [v for v in model.value_vars if v.name in family.near_mode(outcome)]
    own = [v for v in model.value_vars if v not in fixed]
    log_density = model.logp()
    outputs = [log_density, *pt.grad(log_density, [eta, *own])]
    givens = {v: pytensor.shared(at[v.name]) for v in fixed}
    function = pytensor.function([eta, *own], outputs, givens=givens, mode=uncompiled())
    mode_of_own = [np.asarray(at[v.name]) for v in own]

    def negative(point: np.ndarray, eta: np.ndarray) -> tuple[float, np.ndarray]:
        value, _, *gradient = function(eta, *point)
        return -float(value), -np.array(gradient)

    def slope(eta: np.ndarray) -> np.ndarray:
        return function(eta, *mode_of_own)[1]

    def likelihood(
        eta: np.ndarray, population: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        if own:
            without = eta if population is None else population
            mode_of_own[:] = minimize(negative, mode_of_own, args=(without,), jac=True).x
        step, place = STEP * spread, np.arange(len(eta)) % predictors
        information = np.empty(len(eta))
        for k in range(predictors):
            # The predictors of a row one after the other: those of one row depend on each other.
            at = place == k
            change = slope(eta + step * at) - slope(eta - step * at)
            information[at] = np.maximum(-change[at] / (2 * step), 0.0)
        return slope(eta), information

    return likelihood
