"""Pointwise log likelihoods and log densities of the top-level priors, as ArviZ wants them."""

from __future__ import annotations

import numpy as np
import pymc as pm
import xarray as xr
from pymc.stats import compute_log_likelihood, compute_log_prior

from pymc_mlm.fit import Fit
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.prediction import linear_predictor_draws
from pymc_mlm.trial.draws import row_cells, trial_draws

# A trial without covariates has 100,000 draws; a row of each for every person is too much.
MOST_DRAWS = 4_000


def linear_log_likelihood(fit: Fit) -> xr.DataArray:
    """Return each row's log density given all effects, dims (chain, draw, row).

    Draws of the linear predictor are there on every path; the density is the family's own graph.
    """
    design = fit.design
    eta = linear_predictor_draws(fit, design)
    dim = str(eta.dims[-1])
    with pm.Model(coords={dim: tuple(eta[dim].values.tolist())}, model=None) as model:
        flat = pm.Flat("eta", shape=eta.sizes[dim], dims=dim)
        priors = fit.spec.family_priors(design.scale)
        fit.spec.family.likelihood("outcome", flat, design.outcome, priors, dim)
    own = {rv.name: fit.posterior[rv.name] for rv in model.free_RVs if rv.name != "eta"}
    found = compute_log_likelihood(
        xr.DataTree.from_dict({"posterior": xr.Dataset({"eta": eta, **own})}),
        model=model,
        extend_inferencedata=False,
        progressbar=False,
        compile_kwargs={"mode": uncompiled()},
    )
    return found["outcome"]


def trial_log_likelihood(fit: Fit) -> xr.DataArray:
    """Return the log probability of what was seen of each person, dims (chain, draw, row).

    With outcomes missing it is the probability of all response patterns that fit the others.
    Of more than `MOST_DRAWS` draws per chain, evenly spaced ones are used.
    """
    design, posterior = fit.design, fit.posterior
    count = posterior.sizes["draw"]
    if count > MOST_DRAWS:
        posterior = posterior.isel(draw=np.linspace(0, count - 1, MOST_DRAWS).astype(int))
    fits = design.trial.compatible[design.trial.pattern].astype(float)
    found = []
    for chain in range(posterior.sizes["chain"]):
        cells = _cells(fit, posterior.isel(chain=[chain]))
        found.append(np.log(np.einsum("src,rc->sr", cells, fits)))
    coords = {n: posterior[n] for n in ("chain", "draw")} | {"row": design.trial.rows}
    return xr.DataArray(np.stack(found), dims=("chain", "draw", "row"), coords=coords)


def _cells(fit: Fit, posterior: xr.Dataset) -> np.ndarray:
    design = fit.design
    if "beta" not in posterior:
        phi = posterior["cell_probability"].transpose("chain", "draw", "arm", "cell").values
        return np.asarray(phi[0][:, design.trial.arm.codes])
    prior = fit.spec.trial_priors.clusters(design.matrix)
    draws = trial_draws(design, posterior, prior)
    return np.asarray(row_cells(draws, design, np.random.default_rng(0)))


def log_prior(fit: Fit) -> xr.Dataset:
    """Return log densities of the top-level parameters, by name, dims (chain, draw, ...).

    Without effects of units: their distribution is part of the model, not a prior to be scaled.
    """
    posterior, free = fit.posterior, fit.model.free_RVs
    top = {n for n, role in fit.roles.items() if role.kind != "effect"}
    sizes = {n: posterior.sizes[n] for n in ("chain", "draw")}
    for rv in free:
        # Effects that were integrated out have no draws, and no top-level prior looks at them.
        if rv.name not in posterior:
            shape = tuple(rv.shape.eval())
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
