"""Starting values of a model's variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor
from pymc.initial_point import make_initial_point_expression
from pytensor.compile.mode import Mode

from pymc_mlm.errors import SpecificationError
from pymc_mlm.ops.base import uncompiled


def start_at(model: pm.Model, starts: Mapping[str, Any]) -> None:
    """Let a model's variables start at given values, those of them that it has."""
    for name, value in starts.items():
        if name in model.named_vars:
            model.set_initval(model[name], start_of(model, name, value))


def initial_values(model: pm.Model) -> dict[str, np.ndarray]:
    """Return where the free variables start, by name, in the sampler's coordinates.

    That is ``model.initial_point()``, which rewrites the graph of its one evaluation for half a
    second.
    """
    graphs = make_initial_point_expression(
        free_rvs=model.free_RVs,
        rvs_to_transforms=model.rvs_to_transforms,
        initval_strategies=model.rvs_to_initial_values,
        return_transformed=True,
    )
    found = pytensor.function([], graphs, mode=Mode(linker="py", optimizer=None))()
    names = [model.rvs_to_values[rv].name for rv in model.free_RVs]
    return dict(zip(names, found, strict=True))


def start_of(model: pm.Model, name: str, value: Any) -> np.ndarray:
    """Return a starting value in the shape of its variable."""
    shape = tuple(int(n) for n in model[name].shape.eval(mode=uncompiled()))
    try:
        return np.broadcast_to(np.asarray(value, dtype=np.float64), shape)
    except (TypeError, ValueError) as error:
        raise SpecificationError(
            f"initvals: {name!r} has the shape {shape}; {value!r} does not fit. Give a number, or "
            "one for each element."
        ) from error


def refuse_outside(model: pm.Model, initvals: Mapping[str, Any]) -> None:
    """Refuse starting values where a prior has no density, such as a negative sd."""
    start = initial_values(model)
    for name in initvals:
        if not np.isfinite(start[model.rvs_to_values[model[name]].name]).all():
            raise SpecificationError(
                f"initvals: {name!r} cannot start at {initvals[name]!r}, which its prior excludes."
            )
