"""Starting values of a model's variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm

from pymc_mlm.errors import SpecificationError
from pymc_mlm.ops.base import uncompiled


def start_at(model: pm.Model, starts: Mapping[str, Any]) -> None:
    """Let a model's variables start at given values, those of them that it has."""
    for name, value in starts.items():
        if name in model.named_vars:
            model.set_initval(model[name], start_of(model, name, value))


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
    start = model.initial_point()
    for name in initvals:
        if not np.isfinite(start[model.rvs_to_values[model[name]].name]).all():
            raise SpecificationError(
                f"initvals: {name!r} cannot start at {initvals[name]!r}, which its prior excludes."
            )
