"""Draws from the priors alone."""

from __future__ import annotations

import warnings
from typing import Any

import pymc as pm
import xarray as xr

from pymc_mlm.ops.base import uncompiled, without_pymc_log


def sample_prior_predictive(
    spec: Any, design: Any, draws: int = 500, random_seed: int | None = None
) -> xr.DataTree:
    """Draw parameters, effects and outcomes of a model from its priors.

    Parameters
    ----------
    spec : AbstractSpecification
        The model.
    design : object
        Its design.
    draws : int
        Number of draws.
    random_seed : int, optional
        Seed.

    Returns
    -------
    xarray.DataTree
        Groups ``prior`` and ``prior_predictive``.
    """
    with warnings.catch_warnings(), without_pymc_log():
        # The one Potential is what weights of rows add to a likelihood.
        warnings.filterwarnings("ignore", "The effect of Potentials", UserWarning)
        tree = pm.sample_prior_predictive(
            draws,
            model=spec.build(design),
            random_seed=random_seed,
            compile_kwargs={"mode": uncompiled()},
        )
    observed = spec.observed(design)
    if observed is not None:
        tree["observed_data"] = xr.DataTree(observed)
    return tree
