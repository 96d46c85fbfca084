"""Answers for each person of a fitted trial: log likelihoods and new outcomes."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pymc_mlm.trial.design import TrialModelDesign
from pymc_mlm.trial.draws import TrialDraws, outcome_draws, row_cells, row_shift, trial_draws
from pymc_mlm.trial.specification import TrialSpecification


def person_log_likelihood(
    spec: TrialSpecification, design: TrialModelDesign, posterior: xr.Dataset
) -> xr.DataArray:
    """Return the log probability of what was seen of each person, dims (chain, draw, row).

    With outcomes missing it is the probability of all response patterns that fit the others.
    Given the effects of clusters and members. The dim of persons bears their column's name where
    the table has one.
    """
    chains = [posterior.isel(chain=[c]) for c in range(posterior.sizes["chain"])]
    found = np.stack([_log_likelihood(spec, design, chain) for chain in chains])
    coords = {n: posterior[n] for n in ("chain", "draw")} | {design.row_dim: design.row_labels}
    return xr.DataArray(found, dims=("chain", "draw", design.row_dim), coords=coords)


def person_outcomes(
    spec: TrialSpecification, design: TrialModelDesign, draws: xr.Dataset, seed: int | None
) -> xr.DataArray:
    """Return new outcomes of the same persons, dims (chain, draw, row, outcome).

    Parameters
    ----------
    spec : TrialSpecification
    design : TrialModelDesign
        The fitted table.
    draws : Dataset
        Posterior or prior draws of the parameters.
    seed : int or None
        Seed.
    """
    rng = np.random.default_rng(seed)
    # A chain at a time: the probabilities of all patterns of all rows take much memory.
    chains = [draws.isel(chain=[c]) for c in range(draws.sizes["chain"])]
    shape = (1, draws.sizes["draw"])
    found = [outcome_draws(_cells(spec, design, c), shape, design, rng) for c in chains]
    joined = xr.concat(found, dim="chain")
    return joined.assign_coords({n: draws[n] for n in ("chain", "draw")})


def _log_likelihood(
    spec: TrialSpecification, design: TrialModelDesign, posterior: xr.Dataset
) -> np.ndarray:
    """Return the values of one chain, shape (draw, row)."""
    seen = design.trial.compatible[design.trial.pattern].astype(bool)
    if spec.is_conjugate:
        return np.asarray(np.log(np.einsum("src,rc->sr", _cells(spec, design, posterior), seen)))
    # In logarithms: a probability near one leaves nothing of the others.
    logits = _logits(_draws(spec, design, posterior), design)
    some = np.logaddexp.reduce(logits, axis=1, where=seen.T[None], initial=-np.inf)
    return np.asarray(some - np.logaddexp.reduce(logits, axis=1))


def _logits(draws: TrialDraws, design: TrialModelDesign) -> np.ndarray:
    """Return the log odds of each pattern against the last, shape (sample, cell, row)."""
    eta = np.matmul(draws.coefficients.beta, design.X.T)
    # Fitted persons have no new units: nothing is drawn.
    shift = row_shift(draws, design, np.random.default_rng(0))
    eta = eta if shift is None else eta + shift
    free = np.matmul(draws.coefficients.basis, eta)
    return np.concatenate([free, np.zeros_like(free[:, :1])], axis=1)


def _cells(spec: TrialSpecification, design: TrialModelDesign, draws: xr.Dataset) -> np.ndarray:
    """Return the probabilities of one chain's response patterns, shape (draw, row, cell)."""
    if spec.is_conjugate:
        phi = draws["cell_probability"].transpose("chain", "draw", "arm", "cell").values[0]
        return np.asarray(phi[:, design.trial.arm.codes])
    return np.asarray(row_cells(_draws(spec, design, draws), design, np.random.default_rng(0)))


def _draws(spec: TrialSpecification, design: TrialModelDesign, draws: xr.Dataset) -> TrialDraws:
    return trial_draws(design, draws, spec.trial_priors.clusters(design.matrix))
