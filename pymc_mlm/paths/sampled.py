"""Plain sampling: every effect is a variable of the sampler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pymc as pm
import xarray as xr

from pymc_mlm.errors import SpecificationError
from pymc_mlm.inference import AbstractSampler, Run
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.paths.base import AbstractPath


@dataclass(frozen=True)
class Sampled(AbstractPath):
    """The model as it is written, sampled by the sampler."""

    name: ClassVar[str] = "sampled"

    def obstacle(self, spec: Any, design: Any) -> str | None:
        """Return None: any model can be sampled."""
        return None

    def model(self, spec: Any, design: Any) -> pm.Model:
        """Return the model as it is written."""
        return spec.build(design)

    def draw(self, spec: Any, design: Any, sampler: AbstractSampler, run: Run) -> xr.DataTree:
        """Sample all free variables, and add what follows from them."""
        idata = sampled(self.model(spec, design), spec.starts(design), sampler, run)
        observed = spec.observed(design)
        if observed is not None:
            idata["observed_data"] = xr.DataTree(observed)
        return completed(idata, spec.derived(idata["posterior"].to_dataset(), design))

    def notes(self, spec: Any, design: Any, idata: xr.DataTree) -> tuple[str, ...]:
        """Return in which coordinates effects were sampled."""
        return tuple(spec.coordinates(design))


def sampled(model: pm.Model, starts: Any, sampler: AbstractSampler, run: Run) -> xr.DataTree:
    """Sample the free variables of a model, from given starting values where there are some.

    Raises
    ------
    SpecificationError
        The user's starting values name no parameter, have another shape or lie outside.
    """
    names = [rv.name for rv in model.free_RVs]
    for name in run.initvals:
        if name not in names:
            raise SpecificationError(
                f"initvals: {name!r} is not sampled in this model; it samples {', '.join(names)}."
            )
    start_at(model, {**starts, **run.initvals})
    if run.initvals:
        refuse_outside(model, run.initvals)
    return sampler.sample(model, [rv.name for rv in model.free_RVs], run)


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


def completed(idata: xr.DataTree, added: dict[str, xr.DataArray]) -> xr.DataTree:
    """Return draws with further variables."""
    if added:
        posterior = idata["posterior"].to_dataset().assign(added)
        posterior.attrs = idata["posterior"].attrs
        idata["posterior"] = xr.DataTree(posterior)
    return idata
