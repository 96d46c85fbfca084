"""A trial with the likelihood of all persons in one term: the model of plain sampling, faster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pymc as pm
import xarray as xr

from pymc_mlm.inference import AbstractSampler, Run
from pymc_mlm.paths.base import AbstractPath
from pymc_mlm.paths.sampled import sampled, with_observed


@dataclass(frozen=True)
class Fused(AbstractPath):
    """Sampling of the same variables, where a model has its whole likelihood in one term.

    The specification writes that model with ``build_fused(design)``. Its log density is that of
    plain sampling at every point.
    """

    name: ClassVar[str] = "fused"

    def obstacle(self, spec: Any, design: Any) -> str | None:
        """Return why there is no such model."""
        if not hasattr(spec, "build_fused"):
            return "the likelihood of all rows in one term is that of a trial"
        return None

    def model(self, spec: Any, design: Any) -> pm.Model:
        """Return the model with one term."""
        built: pm.Model = spec.build_fused(design)
        return built

    def draw(self, spec: Any, design: Any, sampler: AbstractSampler, run: Run) -> xr.DataTree:
        """Sample all free variables, and add what follows from them."""
        idata = sampled(self.model(spec, design), spec.starts(design), sampler, run)
        return with_observed(idata, spec, design)

    def notes(self, spec: Any, design: Any, idata: xr.DataTree) -> tuple[str, ...]:
        """Return in which coordinates effects were sampled."""
        return tuple(spec.coordinates(design))
