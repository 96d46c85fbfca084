"""Samplers that take no time, for tests of what happens around sampling."""

from dataclasses import dataclass

import pymc as pm
import xarray as xr

from pymc_mlm.inference import AbstractSampler
from pymc_mlm.ops.base import uncompiled


@dataclass(frozen=True)
class PriorDraws(AbstractSampler):
    """Stands in for NUTS: draws from the prior."""

    def sample(self, model, var_names, run):
        shape = (run.chains, run.draws)
        drawn = pm.draw(
            [model[n] for n in var_names],
            draws=shape[0] * shape[1],
            random_seed=1,
            mode=uncompiled(),
        )
        dims = {n: list(model.named_vars_to_dims.get(n) or ()) for n in var_names}
        coords = {d: list(model.coords[d]) for ds in dims.values() for d in ds if model.coords[d]}
        posterior = xr.Dataset(
            {
                n: (["chain", "draw", *(dims[n] or [f"{n}_{i}" for i in range(x.ndim - 1)])],
                    x.reshape(*shape, *x.shape[1:]))
                for n, x in zip(var_names, drawn, strict=True)
            },
            coords={"chain": range(shape[0]), "draw": range(shape[1]), **coords},
        )  # fmt: skip
        return xr.DataTree.from_dict({"posterior": posterior})
