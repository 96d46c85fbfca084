"""Pictures of a fit, drawn by arviz-plots; plotting libraries are imported when called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.intervals import CI_PROB, interval
from pymc_mlm.reporting.chain_figures import chain_figures
from pymc_mlm.reporting.summary import MODEL_KINDS

MOST_MEMBERS = 40
# Of a label in the default font.
INCHES_A_LETTER = 0.09


def plot_forest(
    fit: Fit,
    kinds: Sequence[str] = MODEL_KINDS,
    var_names: str | Sequence[str] | None = None,
    **kwargs: Any,
) -> Any:
    """Draw intervals of the model's parameters.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    kinds : sequence of str
        Roles to show. The intercept is left out: its size hides the others.
    var_names : str or sequence of str, optional
        Parameters to show, under their names in the summary or in the posterior.
    **kwargs
        Passed to `arviz_plots.plot_forest`.

    Returns
    -------
    arviz_plots.PlotCollection
    """
    import arviz_plots

    skip = ("Intercept",) if var_names is None else ()
    labelled = labelled_draws(fit, kinds, skip, var_names)
    kwargs.setdefault("combined", True)
    kwargs.setdefault("ci_probs", (0.5, CI_PROB))
    wide = max(2.5, INCHES_A_LETTER * max((len(str(n)) for n in labelled), default=0))
    size = {"figsize": (wide + 5, 1.2 + 0.42 * len(labelled)), "width_ratios": [wide, 5]}
    kwargs.setdefault("figure_kwargs", size)
    collection = arviz_plots.plot_forest({"posterior": labelled}, **kwargs)
    _mark_zero(collection)
    return collection


def plot_trace(
    fit: Fit,
    kinds: Sequence[str] = MODEL_KINDS,
    var_names: str | Sequence[str] | None = None,
    **kwargs: Any,
) -> Any:
    """Draw the densities and traces of the model's parameters, one chain a line, with diagnostics.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    kinds : sequence of str
        Roles to show.
    var_names : str or sequence of str, optional
        Parameters to show, under their names in the summary or in the posterior.
    **kwargs
        Passed to `arviz_plots.plot_trace_dist`.

    Returns
    -------
    arviz_plots.PlotCollection
    """
    import arviz_plots

    labelled = labelled_draws(fit, kinds, var_names=var_names)
    tree = {"posterior": labelled}
    size = (13, 2.1 * len(labelled))
    kwargs.setdefault("figure_kwargs", {"figsize": size, "layout": "constrained"})
    kwargs["visuals"] = {"label": False, **kwargs.get("visuals", {})}
    if "sample_stats" in fit.idata:
        tree["sample_stats"] = fit.idata["sample_stats"].to_dataset()
    collection = arviz_plots.plot_trace_dist(xr.DataTree.from_dict(tree), **kwargs)
    if kwargs["visuals"]["label"] is False and collection.backend == "matplotlib":
        # One title from the left over both panels: as labels of axes, ArviZ's choice, names that
        # are longer than a panel is high overlap.
        for name in labelled:
            axes = collection.get_target(name, {"column": "dist"})
            axes.set_title(name, loc="left", fontsize=10)
            trace = collection.get_target(name, {"column": "trace"})
            trace.set_title(_figures(labelled[name]), loc="right", fontsize=9)
    return collection


def _figures(draws: xr.DataArray) -> str:
    """Return how well the draws of a parameter stand for its posterior, for a heading."""
    values = draws.transpose("chain", "draw", ...).values
    found = chain_figures(values, "r_hat", "ess_bulk", "ess_tail", "mcse_mean")
    rhat = f"R-hat {found['r_hat']:.3f}, " if len(values) > 1 else ""
    sizes = f"ESS {found['ess_bulk']:.0f} bulk, {found['ess_tail']:.0f} tail"
    return f"{rhat}{sizes}, MCSE {found['mcse_mean']:.2g}"


def plot_members(
    effects: xr.DataArray,
    label: str,
    most: int = MOST_MEMBERS,
    what: str = "effects on the scale of the link",
    **kwargs: Any,
) -> Any:
    """Draw the effects of the members that stand out most, sorted.

    Parameters
    ----------
    effects : xarray.DataArray, dims (chain, draw, member)
        Draws of the effects.
    label : str
        Name of the term.
    most : int
        Number of members: half with the highest, half with the lowest posterior means.
    what : str
        What the draws are, for the heading.
    **kwargs
        Passed to `arviz_plots.plot_forest`.

    Returns
    -------
    arviz_plots.PlotCollection
    """
    import arviz_plots

    dim = next(d for d in effects.dims if d not in ("chain", "draw"))
    order = np.argsort(effects.mean(("chain", "draw")).values)
    total = len(order)
    if total > most:
        order = np.concatenate([order[: most // 2], order[-(most - most // 2) :]])
    chosen = effects.isel({dim: order}).assign_coords(
        {dim: [str(effects[dim].values[i]) for i in order]}
    )
    kwargs.setdefault("combined", True)
    kwargs.setdefault("ci_probs", (0.5, CI_PROB))
    kwargs.setdefault("labels", [dim])
    kwargs.setdefault("figure_kwargs", {"figsize": (7, 1 + 0.22 * len(order))})
    collection = arviz_plots.plot_forest({"posterior": chosen.to_dataset(name="effect")}, **kwargs)
    shown = f"{len(order)} of {total}, lowest and highest" if total > len(order) else f"all {total}"
    _mark_zero(collection, f"{label}: {what} ({shown})")
    return collection


def _mark_zero(collection: Any, title: str | None = None) -> None:
    """Draw a line at zero, and a title, where matplotlib draws."""
    if collection.backend != "matplotlib":
        return
    axes = collection.viz["plot"].sel(column="forest").item()
    axes.axvline(0, color="0.7", linewidth=0.8, zorder=0)
    if title is not None:
        axes.set_title(title, fontsize=9)


def plot_weights(
    weights: np.ndarray,
    size: np.ndarray,
    x: np.ndarray,
    x_label: str,
    title: str,
    most: int = 2_000,
    ci_prob: float = CI_PROB,
    **kwargs: Any,
) -> Any:
    """Draw estimated weights against a column, beside the equal weights that others assume.

    Parameters
    ----------
    weights : ndarray, shape (draw, row)
        Weights of the membership rows.
    size : ndarray, shape (row,)
        Number of members of each row's group.
    x : ndarray, shape (row,)
        Column on the horizontal axis.
    x_label : str
        Its name.
    title : str
        Heading: the weight function.
    most : int
        Rows drawn at most, spread over the table.
    ci_prob : float
        Probability inside the vertical intervals.

    Returns
    -------
    arviz_plots.PlotCollection
    """
    import arviz_plots

    rows = np.arange(len(x))
    if len(rows) > most:
        rows = np.linspace(0, len(rows) - 1, most).astype(int)
    low, high = interval(weights[:, rows], ci_prob)
    middle = np.median(weights[:, rows], axis=0)
    data = xr.Dataset({"weight": ("row", middle)})
    kwargs.setdefault("figure_kwargs", {"figsize": (7, 5)})
    collection = arviz_plots.PlotCollection.wrap(data, **kwargs)
    axes = collection.get_target("weight", {})
    equal = {"s": 9, "marker": "_", "color": "0.75", "label": "equal weights, 1/n"}
    axes.scatter(x[rows], 1.0 / size[rows], **equal)
    estimated = weights.shape[0] > 1 and bool((weights[0] != weights[-1]).any())
    label = f"estimated (median, {100 * ci_prob:g}% interval)" if estimated else "weights"
    axes.vlines(x[rows], low, high, color="C0", alpha=0.15, linewidth=1)
    axes.scatter(x[rows], middle, s=9, color="C0", label=label)
    axes.set_xlabel(x_label)
    axes.set_ylabel("weight in its group")
    axes.set_title(title)
    axes.legend(frameon=False)
    return collection


def labelled_draws(
    fit: Fit,
    kinds: Sequence[str],
    skip: Sequence[str] = (),
    var_names: str | Sequence[str] | None = None,
) -> xr.Dataset:
    """Return the chosen draws as one scalar variable per parameter, under its label.

    Raises
    ------
    SpecificationError
        `var_names` holds a name that is none of a parameter of these kinds.
    """
    by_name = {
        name: _scalars(fit.posterior[name], fit.roles[name])
        for kind in kinds
        for name in fit.names(kind)
    }
    every = {label: draws for own in by_name.values() for label, draws in own.items()}
    if var_names is None:
        return xr.Dataset({k: v for k, v in every.items() if k not in skip})
    wanted = (var_names,) if isinstance(var_names, str) else tuple(var_names)
    for name in wanted:
        if name not in every and name not in by_name:
            raise SpecificationError(
                f"var_names: {name!r} is no parameter to plot; use any of {', '.join(every)}."
            )
    chosen = [by_name[n] if n in by_name else {n: every[n]} for n in wanted]
    return xr.Dataset({label: draws for own in chosen for label, draws in own.items()})


def _scalars(values: xr.DataArray, role: Any) -> Mapping[str, xr.DataArray]:
    dims = [d for d in values.dims if d not in ("chain", "draw")]
    if not dims:
        return {role.text(): values.reset_coords(drop=True)}
    dim = dims[0]
    return {
        role.text(label): values.isel({dim: i}).reset_coords(drop=True)
        for i, label in enumerate(values[dim].values)
    }
