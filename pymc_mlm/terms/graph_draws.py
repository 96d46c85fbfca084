"""Draws of what follows from the draws of a model: its own graph, evaluated at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr

from pymc_mlm.ops.base import uncompiled, without_pymc_log


def graph_draws(
    terms: Sequence[tuple[Any, Any]],
    posterior: xr.Dataset,
    scale: float,
    random_seed: int | None,
    coords: Mapping[str, Any] | None = None,
) -> np.ndarray:
    """Evaluate the very graph of terms at posterior draws, (chain, draw, row, ...).

    Parameters
    ----------
    terms : sequence of pairs
        Terms and designs.
    posterior : Dataset
        Draws of their variables; those of new units are drawn here.
    scale : float
        Spread of the linear predictor.
    random_seed : int or None
        Seed of new units.
    coords : mapping of str to sequence, optional
        Labels that the terms may use, such as those of the rows.
    """
    with pm.Model(coords=coords, model=None) as model:
        pm.Deterministic("contribution", sum(term.effect(part, scale) for term, part in terms))
        names = [rv.name for rv in model.free_RVs if rv.name in posterior]
        return np.asarray(forward_draws(posterior[names], "contribution", random_seed).values)


def forward_draws(given: xr.Dataset, name: str, random_seed: int | None) -> xr.DataArray:
    """Draw a variable of the current model, given draws of others."""
    with without_pymc_log():
        tree = pm.sample_posterior_predictive(
            xr.DataTree.from_dict({"posterior": given}),
            var_names=[name],
            # Fitted parameters stay as drawn, although the new table's data differ.
            freeze_vars=[str(n) for n in given.data_vars],
            predictions=True,
            random_seed=random_seed,
            progressbar=False,
            compile_kwargs={"mode": uncompiled()},
        )
    return tree["predictions"][name]
