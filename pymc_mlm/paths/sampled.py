"""Plain sampling: every effect is a variable of the sampler."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pymc as pm
import xarray as xr

from pymc_mlm.errors import SpecificationError
from pymc_mlm.inference import AbstractSampler, Run
from pymc_mlm.paths.base import AbstractPath
from pymc_mlm.paths.near_start import TUNE, NearStart, start_of_many_rows
from pymc_mlm.paths.starts import refuse_outside, start_at

# Attribute of a posterior: warm-up draws of each chain.
WARMUP = "tune"


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
        start = None if run.initvals else start_of_many_rows(spec, design)
        if start is not None and run.is_tune_open:
            run = replace(run, tune=TUNE)
        return sampled_from(start, spec, design, sampler, run)

    def notes(self, spec: Any, design: Any, idata: xr.DataTree) -> tuple[str, ...]:
        """Return in which coordinates effects were sampled."""
        return tuple(spec.coordinates(design))


def sampled_from(
    start: NearStart | None, spec: Any, design: Any, sampler: AbstractSampler, run: Run
) -> xr.DataTree:
    """Sample all free variables from a start, if one is known, and add what follows from them."""
    starts = spec.starts(design)
    if start is not None:
        starts, run = {**starts, **start.values}, replace(run, scales=start.scales)
    return with_observed(sampled(spec.build(design), starts, sampler, run), spec, design)


def with_observed(idata: xr.DataTree, spec: Any, design: Any) -> xr.DataTree:
    """Add the observed outcomes, and what follows from the draws."""
    observed = spec.observed(design)
    if observed is not None:
        idata["observed_data"] = xr.DataTree(observed)
    return completed(idata, spec.derived(idata["posterior"].to_dataset(), design))


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
    idata = sampler.sample(model, [rv.name for rv in model.free_RVs], run)
    idata["posterior"].attrs[WARMUP] = run.tune
    return idata


def completed(idata: xr.DataTree, added: dict[str, xr.DataArray]) -> xr.DataTree:
    """Return draws with further variables."""
    if added:
        posterior = idata["posterior"].to_dataset().assign(added)
        posterior.attrs = idata["posterior"].attrs
        idata["posterior"] = xr.DataTree(posterior)
    return idata
