"""Log densities of the top-level priors at the draws of a fit."""

from __future__ import annotations

import numpy as np
import xarray as xr
from pymc.stats import compute_log_prior

from pymc_mlm.fit import Fit
from pymc_mlm.ops.base import uncompiled


def log_prior(fit: Fit) -> xr.Dataset:
    """Return log densities of the top-level parameters, by name, dims (chain, draw, ...).

    Without effects of units and imputed values: their distribution is part of the model, not a
    prior to be scaled.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    """
    posterior, free = fit.posterior, fit.model.free_RVs
    top = {n for n, role in fit.roles.items() if role.kind not in ("effect", "missing")}
    sizes = {n: posterior.sizes[n] for n in ("chain", "draw")}
    for rv in free:
        # Effects that were integrated out have no draws, and no top-level prior looks at them.
        if rv.name not in posterior:
            shape = tuple(rv.shape.eval(mode=uncompiled()))
            dims = ("chain", "draw", *(f"{rv.name}_{i}" for i in range(len(shape))))
            posterior = posterior.assign({rv.name: (dims, np.zeros((*sizes.values(), *shape)))})
    return compute_log_prior(
        xr.DataTree.from_dict({"posterior": posterior}),
        var_names=[rv.name for rv in free if rv.name in top],
        model=fit.model,
        extend_inferencedata=False,
        progressbar=False,
        compile_kwargs={"mode": uncompiled()},
    )
