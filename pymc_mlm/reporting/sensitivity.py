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


def _sensitivity(tree: xr.DataTree, group: str) -> xr.Dataset:
    from arviz_stats import psense

    densities = tree[f"log_{group}"].to_dataset().to_array()
    total = densities.sum([d for d in densities.dims if d not in ("chain", "draw")])
    if float(np.ptp(total.values)) < 1e-9:  # a uniform prior to any power is the same prior
        return tree["posterior"].to_dataset().isel(chain=0, draw=0, drop=True) * 0.0
    return psense(tree, group=group)


def _diagnosis(prior: float, likelihood: float) -> str:
    if prior < LIMIT:
        return NONE
    return CONFLICT if likelihood >= LIMIT else STRONG
