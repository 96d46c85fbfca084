"""Plain sampling: every effect is a variable of the sampler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pymc as pm
import xarray as xr

from pymc_mlm.inference import AbstractSampler, Run
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

    def notes(self, spec: Any, design: Any) -> tuple[str, ...]:
        """Return in which coordinates effects were sampled."""
        return tuple(spec.coordinates(design))


def sampled(model: pm.Model, starts: Any, sampler: AbstractSampler, run: Run) -> xr.DataTree:
    """Sample the free variables of a model, from given starting values where there are some."""
    for name, value in starts.items():
        if name in model.named_vars:
            model.set_initval(model[name], np.broadcast_to(value, model[name].shape.eval()))
    return sampler.sample(model, [rv.name for rv in model.free_RVs], run)


def completed(idata: xr.DataTree, added: dict[str, xr.DataArray]) -> xr.DataTree:
    """Return draws with further variables."""
    if added:
        posterior = idata["posterior"].to_dataset().assign(added)
        posterior.attrs = idata["posterior"].attrs
        idata["posterior"] = xr.DataTree(posterior)
    return idata
