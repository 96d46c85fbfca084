"""Pictures of a nested model; plotting libraries are imported when called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from pymc_mlm.fit import Fit
from pymc_mlm.intervals import CI_PROB, interval
from pymc_mlm.reporting import plots

MOST_UNITS = 60


def plot_pairs(fit: Fit, **kwargs: Any) -> Any:
    """Draw pairs of standard deviations, correlations and the family's parameters.

    Returns
    -------
    arviz_plots.PlotMatrix
    """
    import arviz_base
    import arviz_plots

    draws = plots.labelled_draws(fit, ("sd", "family"))
    # The level on a line of its own, so that labels fit beside their axes.
    draws = draws.rename({str(name): str(name).replace(" [", "\n[") for name in draws})
    tree = xr.DataTree.from_dict({"posterior": draws})
    kwargs.setdefault(
        "figure_kwargs", {"figsize": (2.4 * len(draws), 2.2 * len(draws)), "layout": "constrained"}
    )
    with arviz_base.rc_context({"plot.max_subplots": len(draws) ** 2 + 1}):
        return arviz_plots.plot_pair(tree, **kwargs)


def plot_effects(
    draws: xr.DataArray, most: int = MOST_UNITS, ci_prob: float = CI_PROB, **kwargs: Any
) -> Any:
    """Draw one coefficient of each unit, sorted, with its interval and the mean of all.

    Parameters
    ----------
    draws : DataArray, dims (chain, draw, unit), with the scalar coordinate ``coef``
        Posterior draws of the units' own coefficients.
    most : int
        Units drawn at most, evenly spaced in the order of their means.
    ci_prob : float
        Probability inside the intervals.
    **kwargs
        Passed to `arviz_plots.PlotCollection.wrap`.

    Returns
    -------
    arviz_plots.PlotCollection
    """
    unit = str(draws.dims[-1])
    flat = draws.values.reshape(-1, draws.sizes[unit])
    order = np.argsort(flat.mean(axis=0))
    if len(order) > most:
        order = order[np.linspace(0, len(order) - 1, most).astype(int)]
    (low, high), middle = interval(flat, ci_prob), np.median(flat, axis=0)
    collection, axes = _axes(kwargs, (7, 1 + 0.22 * len(order)))
    at = np.arange(len(order))
    axes.hlines(at, low[order], high[order], color="C0")
    axes.plot(middle[order], at, "o", color="C0", markersize=4)
    axes.axvline(flat.mean(), color="0.6", linewidth=1)
    axes.set_yticks(at, [str(label) for label in draws[unit].values[order]])
    axes.set_xlabel(f"{draws['coef'].values} of each {unit}, population included")
    axes.margins(y=0.5 / len(order))
    axes.set_ylabel(unit)
    return collection


def plot_lines(
    draws: xr.DataArray,
    column: str,
    at: Sequence[float],
    ends: tuple[float, float],
    rest: float = 0.0,
    most: int = MOST_UNITS,
    **kwargs: Any,
) -> Any:
    """Draw each unit's posterior mean line along a covariate, and the mean of all.

    Parameters
    ----------
    draws : DataArray, dims (chain, draw, unit, coef)
        The units' own intercepts and slopes.
    column : str
        Covariate on the horizontal axis.
    at : sequence of float, one per coef
        Values of the varying columns where the others are held.
    ends : tuple of float
        Range of the covariate.
    rest : float
        What columns that do not vary contribute to the predictor.
    most : int
        Units drawn at most.
    **kwargs
        Passed to `arviz_plots.PlotCollection.wrap`.

    Returns
    -------
    arviz_plots.PlotCollection
    """
    unit = str(draws.dims[-2])
    mean = draws.mean(("chain", "draw")).values
    slope = mean[:, list(draws["coef"].values).index(column)]
    others = rest + mean @ np.where(draws["coef"].values == column, 0.0, np.asarray(at))
    chosen = np.unique(np.linspace(0, len(mean) - 1, min(most, len(mean))).astype(int))
    x = np.asarray(ends)
    collection, axes = _axes(kwargs, (7, 5))
    axes.plot(x, others[chosen] + x[:, None] * slope[chosen], color="C0", alpha=0.5, linewidth=1)
    axes.plot(x, others.mean() + x * slope.mean(), color="k", label=f"mean of all units of {unit}")
    axes.set_xlabel(column)
    axes.set_ylabel("linear predictor, other covariates at their mean")
    axes.legend(frameon=False)
    return collection


def plot_variance(shares: pd.DataFrame, **kwargs: Any) -> Any:
    """Draw each part's share of the variance along a covariate.

    Parameters
    ----------
    shares : pandas.DataFrame
        From `variance_shares`: index (covariate, part).
    **kwargs
        Passed to `arviz_plots.PlotCollection.wrap`.

    Returns
    -------
    arviz_plots.PlotCollection
    """
    collection, axes = _axes(kwargs, (7, 5))
    column = str(shares.index.names[0])
    bounds = [c for c in shares.columns if c.startswith("share_")]
    for i, part in enumerate(shares.index.get_level_values("part").unique()):
        one = shares.xs(part, level="part")
        axes.plot(one.index, one["share"], color=f"C{i}", label=part)
        axes.fill_between(one.index, one[bounds[0]], one[bounds[1]], color=f"C{i}", alpha=0.2)
    axes.set_xlabel(column)
    axes.set_ylabel("share of the variance")
    axes.set_ylim(0, 1)
    axes.legend(frameon=False)
    return collection


def _axes(kwargs: dict[str, Any], figsize: tuple[float, float]) -> tuple[Any, Any]:
    """Return an empty collection and its matplotlib axes."""
    import arviz_plots

    kwargs.setdefault("figure_kwargs", {"figsize": figsize, "layout": "constrained"})
    collection = arviz_plots.PlotCollection.wrap(xr.Dataset({"y": ("x", np.zeros(1))}), **kwargs)
    return collection, collection.get_target("y", {})
