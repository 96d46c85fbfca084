"""Adds what was observed to what was drawn, so that ArviZ can compare them."""

from __future__ import annotations

import pymc as pm
import xarray as xr
from pymc.backends.arviz import coords_and_dims_for_inferencedata, find_observations


def add_observed(idata: xr.DataTree, model: pm.Model) -> xr.DataTree:
    """Attach the group ``observed_data`` and return the tree.

    Parameters
    ----------
    idata : xarray.DataTree
        Draws.
    model : pm.Model
        The model with its observed variables.

    Returns
    -------
    xarray.DataTree
        The same tree.
    """
    coords, dims = coords_and_dims_for_inferencedata(model)
    variables = {}
    for name, values in find_observations(model).items():
        names = list(dims.get(name, [f"{name}_dim_{i}" for i in range(values.ndim)]))
        labels = {d: list(coords[d]) for d in names if coords.get(d) is not None}
        variables[name] = xr.DataArray(values, dims=names, coords=labels)
    idata["observed_data"] = xr.DataTree(xr.Dataset(variables))
    return idata
