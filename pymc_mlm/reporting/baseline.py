"""The baseline hazard of a proportional-hazards model: a table and a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.intervals import CI_PROB, interval, interval_names
from pymc_mlm.reporting.summary import moments

if TYPE_CHECKING:
    import pandas as pd

# Of a survival curve.
POINTS = 200


def baseline_hazard(fit: Fit, ci_prob: float = CI_PROB) -> pd.DataFrame:
    """Tabulate hazard and survival by interval, at the mean of the covariates.

    Parameters
    ----------
    fit : Fit
        A fitted model with a baseline hazard.
    ci_prob : float
        Probability inside the equal-tailed intervals.

    Returns
    -------
    pandas.DataFrame
        A row per interval: where it begins and ends (the last at the longest time), hazard per unit
        of time, and the probability of no event up to its end, each with sd and interval. They are
        those of a row whose covariates are at their means, those of members at equal or starting
        weights, and whose units' effects are zero.

    Raises
    ------
    SpecificationError
        The family has no baseline hazard.
    """
    import pandas as pd

    begin, end, hazard, survival = _curves(fit)
    columns: dict[str, Any] = {"begin": begin, "end": end}
    for name, draws in {"hazard": hazard, "survival": survival}.items():
        own = ("", "_sd", *(f"_{bound}" for bound in interval_names(ci_prob)))
        columns |= {name + o: m for o, m in zip(own, moments(draws, ci_prob), strict=True)}
    labels = fit.posterior[fit.spec.family.baseline]["interval"].values
    return pd.DataFrame(columns, index=pd.Index(labels, name="interval"))


def plot_baseline(fit: Fit, ci_prob: float = CI_PROB, **kwargs: Any) -> Any:
    """Draw hazard and survival over time, at the mean of the covariates.

    Parameters
    ----------
    fit : Fit
        A fitted model with a baseline hazard.
    ci_prob : float
        Probability inside the bands.
    **kwargs
        Passed to `arviz_plots.PlotCollection.wrap`.

    Returns
    -------
    arviz_plots.PlotCollection
    """
    import arviz_plots

    begin, end, hazard, _ = _curves(fit)
    panels = {"hazard": xr.DataArray(0.0), "survival": xr.DataArray(0.0)}
    kwargs.setdefault("figure_kwargs", {"figsize": (10, 4), "layout": "constrained"})
    kwargs.setdefault("cols", ["__variable__"])
    collection = arviz_plots.PlotCollection.wrap(xr.Dataset(panels), **kwargs)
    edges = np.append(begin, end[-1])
    left, right = (collection.get_target(name, {}) for name in panels)
    low, high = interval(hazard, ci_prob)
    left.stairs(high, edges, baseline=low, fill=True, color="C0", alpha=0.25)
    left.stairs(np.median(hazard, axis=0), edges, color="C0", baseline=None)
    left.set_ylabel("hazard per unit of time")
    left.set_ylim(bottom=0.0)
    time, curve = _survival_curve(edges, hazard)
    low, high = interval(curve, ci_prob)
    right.fill_between(time, low, high, color="C0", alpha=0.25, linewidth=0)
    right.plot(time, np.median(curve, axis=0), color="C0")
    right.set(ylabel="probability of no event yet", ylim=(0, 1))
    for axes in (left, right):
        axes.set(xlabel="time", xlim=(0, edges[-1]))
        axes.set_title(f"at the mean of the covariates, {100 * ci_prob:g}% band", fontsize=9)
    return collection


def _curves(fit: Fit) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return where intervals begin and end, and draws (draw, interval) of hazard and survival."""
    family = getattr(fit.spec, "family", None)
    if "interval" not in getattr(family, "own_dims", ()):
        raise SpecificationError("The model has no baseline hazard; family='cox' has one.")
    log_hazard = fit.arrays("family")[fit.spec.family.baseline]
    begin = fit.design.outcome["cuts"]
    end = np.append(begin[1:], fit.design.outcome["time"].max())
    hazard = np.exp(log_hazard + _at_mean(fit)[..., None]).reshape(-1, len(begin))
    return begin, end, hazard, np.exp(-np.cumsum(hazard * (end - begin), axis=1))


def _at_mean(fit: Fit) -> np.ndarray:
    """Return what all covariates contribute at their mean, shape (chain, draw)."""
    posterior, population = fit.posterior, fit.design.population
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    total = np.full(shape, fit.design.offset.mean())
    parts = [("beta", population.X)]
    for _, part in fit.design.terms:
        if hasattr(part, "group_covariates"):
            parts.append((f"{part.name}_beta", part.group_covariates))
    for name, X in parts:
        if X.shape[1]:
            total = total + posterior[name].values @ X.mean(axis=0)
    return total


def _survival_curve(edges: np.ndarray, hazard: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return evenly spaced times, and draws of survival there."""
    time = np.linspace(0.0, edges[-1], POINTS)
    reached = np.cumsum(np.insert(hazard * np.diff(edges), 0, 0.0, axis=1), axis=1)
    k = np.clip(np.searchsorted(edges, time, side="right") - 1, 0, hazard.shape[1] - 1)
    return time, np.exp(-(reached[:, k] + hazard[:, k] * (time - edges[k])))
