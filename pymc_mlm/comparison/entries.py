"""Effects of all terms as matrices at posterior draws: the terms' own graph, evaluated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from pytensor.graph import clone_replace

from pymc_mlm.codegen.interpreted import interpreted
from pymc_mlm.fit import Fit
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.prediction import population_draws


@dataclass(frozen=True, eq=False)
class EffectGraph:
    """The terms of a fitted model, without its likelihood.

    Attributes
    ----------
    fit : Fit
        A fitted model.
    model : pymc.Model
        Holds the variables of the terms.
    parts : tuple of LinearPart
        How their normal effects enter, in terms of these variables.
    total : TensorVariable or float
        What all terms add to the linear predictor, shape (row,).
    """

    fit: Fit
    model: pm.Model
    parts: tuple[Any, ...]
    total: Any

    def matrices(self, parts: Sequence[Any] | None = None) -> Callable[[int], list[np.ndarray]]:
        """Return a function of the place of a draw, chains one after the other, to matrices.

        Parameters
        ----------
        parts : sequence of LinearPart, optional
            How the effects enter that are looked at; all by default.

        Returns
        -------
        callable
            From int to what the terms add with these effects at zero, shape (row,); the entries
            of the parts, shape (entry,); and the root of each.
        """
        parts = self.parts if parts is None else parts
        model, posterior = self.model, self.fit.posterior
        inside = {model[p.name]: pt.zeros(p.count or p.shape) for p in parts}
        free = [rv for rv in model.free_RVs if rv not in inside]
        stacked = [_stacked(posterior[rv.name]) for rv in free]
        inputs = {rv: rv.type(f"{rv.name}_draw") for rv in free}
        total = self.total + pt.zeros(len(self.fit.design.rows))
        graphs = [total, pt.concatenate([p.entries for p in parts]), *(p.root for p in parts)]
        run = interpreted(
            list(inputs.values()), clone_replace(graphs, inputs | inside), uncompiled()
        )
        return lambda draw: list(run(*(v[draw] for v in stacked)))

    def population(self) -> np.ndarray:
        """Return draws of the linear predictor without the terms, shape (draw, row)."""
        found = population_draws(self.fit.posterior, self.fit.design.population)
        return found.reshape(-1, found.shape[-1])


def effect_graph(fit: Fit) -> EffectGraph:
    """Write the terms of a fitted model; what only the sampler needs is left out."""
    rows, spread = fit.design.rows, fit.design.scale.spread
    with pm.Model(coords={rows.name: tuple(rows.labels.tolist())}, model=None) as model:
        total = sum(term.effect(part, spread) for term, part in fit.design.terms)
        parts = tuple(p for term, part in fit.design.terms for p in term.linear(part))
    return EffectGraph(fit, model, parts, total)


def _stacked(values: xr.DataArray) -> np.ndarray:
    array = values.transpose("chain", "draw", ...).values
    return np.ascontiguousarray(array.reshape(-1, *array.shape[2:]), dtype=np.float64)
