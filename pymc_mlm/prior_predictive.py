"""Draws from the priors alone."""

from __future__ import annotations

import pymc as pm
import xarray as xr

from pymc_mlm.ops.base import uncompiled


def sample_prior_predictive(
    model: pm.Model, draws: int = 500, random_seed: int | None = None
) -> xr.DataTree:
    """Draw parameters, effects and outcomes of a model from its priors.

    Parameters
    ----------
    model : pymc.Model
        The model.
    draws : int
        Number of draws.
    random_seed : int, optional
        Seed.

    Returns
    -------
    xarray.DataTree
        Groups ``prior`` and ``prior_predictive``.
    """
    with model:
        return pm.sample_prior_predictive(
            draws, random_seed=random_seed, compile_kwargs={"mode": uncompiled()}
        )
