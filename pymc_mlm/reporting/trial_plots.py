"""Pictures of a trial; plotting libraries are imported when called."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.decisions import AbstractRule, All
from pymc_mlm.decisions.effects import summarize
from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.intervals import CI_PROB, interval

MOST_CLUSTERS = 60
GRID = 401


def plot_treatment_effects(
    effect: xr.DataArray, ci_prob: float = CI_PROB, null: float = 0.0, ax: Any = None
) -> Any:
    """Draw the treatment effect on each outcome with its interval.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, outcome)
        Effects.
    ci_prob : float
        Probability inside the thin intervals; half inside the thick ones.
    null : float
        No effect: zero for differences, one for ratios.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.figure.Figure
    """
    names = [str(name) for name in effect["outcome"].values.tolist()]
    figure, ax = _axes(ax, (6.0, 1.2 + 0.5 * len(names)))
    place = np.arange(len(names))[::-1]
    for mass, width in ((ci_prob, 1.5), (0.5, 4.0)):
        found = summarize(effect, mass)
        ax.hlines(place, found["lower"], found["upper"], color="C0", linewidth=width)
    ax.plot(summarize(effect)["median"], place, "o", color="white", markeredgecolor="C0")
    ax.axvline(null, color="0.5", linewidth=0.8)
    ax.set_yticks(place, names)
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.set_xlabel("treatment effect, against control")
    return figure


def plot_joint(
    effect: xr.DataArray,
    rule: AbstractRule | None = None,
    outcomes: tuple[str, str] | None = None,
    draws: int = 2_000,
    ax: Any = None,
) -> Any:
    """Draw the bivariate posterior of two treatment effects, with the region of a rule shaded.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, outcome)
        Effects.
    rule : AbstractRule, optional
        Rule whose region is shaded; `All` by default. Other outcomes are held at their means.
    outcomes : pair of str, optional
        Which two; the first two by default.
    draws : int
        Number of draws shown.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rule = All() if rule is None else rule
    names = [str(name) for name in effect["outcome"].values.tolist()]
    pair = tuple(outcomes or names[:2])
    if len(pair) != 2 or not set(pair) <= set(names):
        raise SpecificationError(
            f"plot('joint') shows two outcomes, and {pair} are not two of {', '.join(names)}."
        )
    at = [names.index(name) for name in pair]
    flat = effect.transpose("chain", "draw", "outcome").values.reshape(-1, len(names))
    figure, ax = _axes(ax, (5.5, 5.0))
    shown = flat[np.linspace(0, len(flat) - 1, min(draws, len(flat))).astype(int)]
    reach = 1.1 * np.abs(np.quantile(flat[:, at], [0.001, 0.999], axis=0)).max()
    line = np.linspace(-reach, reach, GRID)
    grid = np.broadcast_to(flat.mean(axis=0), (GRID, GRID, len(names))).copy()
    grid[..., at[0]], grid[..., at[1]] = np.meshgrid(line, line)
    held = rule.superior(xr.DataArray(
        grid.reshape(-1, len(names)), dims=("sample", "outcome"), coords={"outcome": names}
    )).reshape(GRID, GRID)  # fmt: skip
    ax.contourf(line, line, held.astype(float), levels=[0.5, 1.5], colors=["C2"], alpha=0.18)
    ax.scatter(shown[:, at[0]], shown[:, at[1]], s=4, alpha=0.25, color="C0", linewidths=0)
    _density_lines(ax, flat[:, at], reach)
    ax.axhline(0.0, color="0.5", linewidth=0.8)
    ax.axvline(0.0, color="0.5", linewidth=0.8)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
    ax.set_xlabel(f"effect on {pair[0]}")
    ax.set_ylabel(f"effect on {pair[1]}")
    probability = rule.joint_probability(effect)
    ax.set_title(f"{rule.label} (shaded)\njoint probability {probability:.3f}", fontsize=10)
    return figure


def plot_curve(curve: xr.DataArray, column: str, ci_prob: float = CI_PROB, ax: Any = None) -> Any:
    """Draw the treatment effect on each outcome along a covariate.

    Parameters
    ----------
    curve : DataArray, dims (chain, draw, column, outcome)
        Effects.
    column : str
        The covariate.
    ci_prob : float
        Probability inside the bands.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, ax = _axes(ax, (6.5, 4.5))
    x = curve[column].values
    place = np.arange(len(x)) if x.dtype.kind not in "iuf" else x
    for k, name in enumerate(curve["outcome"].values.tolist()):
        points = [
            summarize(curve.isel({column: i}), ci_prob).isel(outcome=k) for i in range(len(x))
        ]
        low, mean, high = (
            np.array([float(p[v]) for p in points]) for v in ("lower", "mean", "upper")
        )
        if place is x:
            ax.fill_between(place, low, high, color=f"C{k}", alpha=0.18, linewidth=0)
            ax.plot(place, mean, color=f"C{k}", label=str(name))
        else:
            shifted = place + 0.08 * k
            ax.errorbar(shifted, mean, yerr=[mean - low, high - mean], fmt="o", label=str(name))
    if place is not x:
        ax.set_xticks(place, [str(v) for v in x])
    ax.axhline(0.0, color="0.5", linewidth=0.8)
    ax.set_xlabel(column)
    ax.set_ylabel("difference of success probabilities")
    ax.legend(frameon=False)
    return figure


def plot_effects(effects: xr.DataArray, ci_prob: float = CI_PROB, ax: Any = None) -> Any:
    """Draw the effects of the clusters on each predictor, sorted, first varying column.

    Parameters
    ----------
    effects : DataArray, dims (chain, draw, cluster, slope, predictor)
        Effects, log odds.
    ci_prob : float
        Probability inside the intervals.
    ax : array of matplotlib.axes.Axes, optional
        One per predictor.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt

    dim = effects.dims[2]
    predictors = effects["predictor"].values.tolist()
    if ax is None:
        size = (3.2 * len(predictors), 1.5 + 0.16 * min(effects.sizes[dim], MOST_CLUSTERS))
        _, ax = plt.subplots(
            1, len(predictors), figsize=size, squeeze=False, sharex=True, layout="constrained"
        )
    axes = np.atleast_1d(ax).ravel()
    for m, name in enumerate(predictors):
        own = effects.isel(slope=0, predictor=m)
        order = np.argsort(own.mean(("chain", "draw")).values)
        if len(order) > MOST_CLUSTERS:
            order = order[np.linspace(0, len(order) - 1, MOST_CLUSTERS).astype(int)]
        flat = own.values.reshape(-1, own.sizes[dim])[:, order]
        place = np.arange(len(order))
        axes[m].hlines(place, *interval(flat, ci_prob), color="C0", alpha=0.6)
        axes[m].plot(np.median(flat, axis=0), place, "o", color="C0", markersize=3)
        axes[m].axvline(0.0, color="0.5", linewidth=0.8)
        axes[m].set_yticks(place, [str(own[dim].values[i]) for i in order], fontsize=7)
        axes[m].set_title(f"predictor {name}")
        axes[m].set_xlabel("effect, log odds")
    axes[0].set_ylabel(str(dim))
    return axes[0].figure


def plot_parameters(fit: Fit, **kwargs: Any) -> Any:
    """Draw intervals of the coefficients (without intercepts) and cluster sds.

    Covariates are centred and scaled, so that all coefficients fit one axis.

    Returns
    -------
    arviz_plots.PlotCollection
    """
    import arviz_plots

    draws = _on_one_scale(fit)
    if "covariate" in draws.dims:
        draws = draws.isel(covariate=slice(1, None))
    kwargs.setdefault("combined", True)
    kwargs.setdefault("ci_probs", (0.5, CI_PROB))
    return arviz_plots.plot_forest({"posterior": draws}, **kwargs)


def plot_walks(fit: Fit, **kwargs: Any) -> Any:
    """Draw the densities and traces of the parameters, one chain a line.

    Covariates are centred and scaled, so that all coefficients fit one axis.

    Returns
    -------
    arviz_plots.PlotCollection
    """
    import arviz_plots

    tree = {"posterior": _on_one_scale(fit)}
    if "sample_stats" in fit.idata:
        tree["sample_stats"] = fit.idata["sample_stats"].to_dataset()
    return arviz_plots.plot_trace_dist(xr.DataTree.from_dict(tree), **kwargs)


def drawn_by_arviz(kind: str) -> tuple[Any, ...]:
    """Return the function of arviz-plots that takes a plot's other options, if one does."""
    if kind not in ("forest", "trace"):
        return ()
    import arviz_plots

    return (arviz_plots.plot_forest if kind == "forest" else arviz_plots.plot_trace_dist,)


def _on_one_scale(fit: Fit) -> xr.Dataset:
    """Return coefficients and cluster sds, the former per sd of a centred covariate."""
    draws = fit.posterior[fit.names("coefficient", "sd")]
    if "beta" not in draws:
        return draws
    beta = draws["beta"].transpose("chain", "draw", "predictor", "covariate")
    to_standard = np.linalg.inv(fit.design.matrix.to_original)
    standard = beta.copy(data=beta.values @ to_standard.T)
    return draws.assign(beta=standard).rename(beta="beta per sd")


def _axes(ax: Any, size: tuple[float, float]) -> tuple[Any, Any]:
    if ax is not None:
        return ax.figure, ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")


def _density_lines(ax: Any, pair: np.ndarray, reach: float) -> None:
    """Draw the ellipses of a normal with the same moments, 50% and 95%."""
    mean, covariance = pair.mean(axis=0), np.cov(pair.T)
    root = np.linalg.cholesky(covariance + 1e-12 * reach**2 * np.eye(2))
    angle = np.linspace(0, 2 * np.pi, 100)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    for mass in (0.5, 0.95):
        ring = mean[:, None] + np.sqrt(-2 * np.log(1 - mass)) * root @ circle
        ax.plot(*ring, color="C0", linewidth=1.2)
