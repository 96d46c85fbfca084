"""Sensitivity of results to the prior and the likelihood, by power-scaling."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.reporting.coordinates import labelled

LIMIT = 0.05  # of Kallioinen et al. (2024), for the cumulative Jensen-Shannon distance
NONE = "none"
STRONG, CONFLICT = "strong prior or weak likelihood", "prior and data may be in conflict"


def power_scaling(results: xr.Dataset, tree: xr.DataTree) -> list[dict[str, Any]]:
    """Return how much results change where the prior or the likelihood is raised to a power.

    Parameters
    ----------
    results : Dataset, dims (chain, draw, ...)
        Draws of results.
    tree : DataTree
        With the groups ``log_prior`` and ``log_likelihood`` of the same draws.

    Returns
    -------
    list of dict
        Per quantity: sensitivity to the prior and to the likelihood (a cumulative Jensen-Shannon
        distance per doubling), and what it may mean above .05.

    References
    ----------
    .. [1] Kallioinen, N. et al. (2024). Detecting and diagnosing prior and likelihood sensitivity
       with power-scaling. Statistics and Computing 34.
    """
    groups = {n: tree[n].to_dataset() for n in ("log_prior", "log_likelihood")}
    joined = xr.DataTree.from_dict({"posterior": results, **groups})
    prior, likelihood = (_sensitivity(joined, group) for group in ("prior", "likelihood"))
    rows = []
    for name in results.data_vars:
        for label, place in labelled(prior[name]):
            by_prior, by_likelihood = (float(x[name][place]) for x in (prior, likelihood))
            rows.append(
                {
                    "quantity": f"{name}{label}",
                    "prior": by_prior,
                    "likelihood": by_likelihood,
                    "diagnosis": _diagnosis(by_prior, by_likelihood),
                }
            )
    return rows


def power_weights(densities: xr.Dataset, power: float) -> tuple[np.ndarray, float]:
    """Resample draws as if a part of the model were raised to a power.

    Parameters
    ----------
    densities : Dataset, dims (chain, draw, ...)
        Log densities of the part.
    power : float

    Returns
    -------
    places : ndarray of int, shape (sample,)
        Draws, chains stacked, each as often as its weight asks for.
    k_hat : float
        Tail shape of the weights; minus infinity where they are equal.
    """
    import arviz_stats  # noqa: F401  (the accessor azstats)

    total = _total(densities)
    count = total.size
    if float(np.ptp(total.values)) < 1e-9:
        return np.arange(count), -np.inf
    # ArviZ takes a log likelihood to be left out, and so the negative of log weights.
    log_w, k_hat = ((1 - power) * total).azstats.psislw(dim=["chain", "draw"])
    w = np.exp(log_w.transpose("chain", "draw").values.ravel())
    ends = np.cumsum(w / w.sum())
    places = np.searchsorted(ends, (np.arange(count) + 0.5) / count)
    return np.minimum(places, count - 1), float(k_hat)


def scaled_table(rows: list[dict[str, Any]]) -> Any:
    """Return rows as a table."""
    import pandas as pd

    return pd.DataFrame(rows)


def _total(densities: xr.Dataset) -> xr.DataArray:
    """Return the sum of log densities of each draw, dims (chain, draw)."""
    joined = densities.to_array()
    return joined.sum([d for d in joined.dims if d not in ("chain", "draw")])


def _sensitivity(tree: xr.DataTree, group: str) -> xr.Dataset:
    from arviz_stats import psense

    total = _total(tree[f"log_{group}"].to_dataset())
    if float(np.ptp(total.values)) < 1e-9:  # a uniform prior to any power is the same prior
        return tree["posterior"].to_dataset().isel(chain=0, draw=0, drop=True) * 0.0
    return psense(tree, group=group)


def _diagnosis(prior: float, likelihood: float) -> str:
    if prior < LIMIT:
        return NONE
    return CONFLICT if likelihood >= LIMIT else STRONG
