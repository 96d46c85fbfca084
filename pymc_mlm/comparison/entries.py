"""Matrices of effects at posterior draws: the model's own graph, evaluated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytensor.tensor as pt
import xarray as xr
from pytensor.graph import clone_replace

from pymc_mlm.codegen.interpreted import interpreted
from pymc_mlm.fit import Fit
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.prediction import linear_predictor_draws


def matrices_at(fit: Fit, parts: Sequence[Any]) -> Callable[[int], list[np.ndarray]]:
    """Return a function of the place of a draw, chains one after the other, to matrices.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    parts : sequence of LinearPart
        How effects enter.

    Returns
    -------
    callable
        From int to the entries of all parts, shape (entry,), and the root of each.
    """
    inside = {p.name for p in parts}
    names = [rv.name for rv in fit.model.free_RVs if rv.name not in inside]
    stacked = {n: _stacked(fit.posterior[n]) for n in names}
    inputs = {n: fit.model[n].type(f"{n}_draw") for n in names}
    graphs = [pt.concatenate([p.entries for p in parts]), *(p.root for p in parts)]
    replaced = clone_replace(graphs, {fit.model[n]: x for n, x in inputs.items()})
    run = interpreted(list(inputs.values()), replaced, uncompiled())
    return lambda draw: list(run(*(stacked[n][draw] for n in names)))


def without_effects(fit: Fit, parts: Sequence[Any]) -> xr.DataArray:
    """Return draws of the linear predictor with the effects of the parts at zero."""
    zeros = {p.name: xr.zeros_like(fit.posterior[p.name]) for p in parts}
    tree = xr.DataTree.from_dict({"posterior": fit.posterior.assign(zeros)})
    return linear_predictor_draws(replace(fit, idata=tree), fit.design)


def _stacked(values: xr.DataArray) -> np.ndarray:
    array = values.transpose("chain", "draw", ...).values
    return np.ascontiguousarray(array.reshape(-1, *array.shape[2:]), dtype=np.float64)
