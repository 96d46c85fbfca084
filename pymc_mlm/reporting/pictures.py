"""Pictures of a fit by kind: what each one shows, and of which models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.reporting import nested_plots, plots
from pymc_mlm.reporting.baseline import plot_baseline
from pymc_mlm.reporting.effects import (
    coefficient_draws,
    effect_draws,
    effect_name,
    nested_of,
    one_of,
    population_coefficients,
    refuse_categories,
    unit_effects,
    varying_column,
    varying_slope,
)
from pymc_mlm.reporting.variance import variance_shares
from pymc_mlm.reporting.weights import of_one_category, weight_draws

Picture = Callable[..., Any]


def plot(fit: Fit, kind: str = "forest", **options: Any) -> Any:
    """Draw a picture of a fit.

    Parameters
    ----------
    fit : Fit
        A fitted model with one linear predictor.
    kind : str
        A key of `PICTURES`.
    **options
        ``term=`` for "weights", "effects" and "lines", ``column=`` for "effects", "lines" and
        "variance"; anything else is passed to arviz-plots.

    Returns
    -------
    arviz_plots.PlotCollection or arviz_plots.PlotMatrix
        A matrix for "pairs".

    Raises
    ------
    SpecificationError
        No such kind, or the model has not what it shows.
    """
    if kind not in PICTURES:
        have = ", ".join(repr(name) for name in PICTURES)
        raise SpecificationError(f"Unknown plot {kind!r}; use one of {have}.")
    return PICTURES[kind](fit, **options)


def _forest(fit: Fit, **options: Any) -> Any:
    return plots.plot_forest(fit, **options)


def _trace(fit: Fit, **options: Any) -> Any:
    return plots.plot_trace(fit, **options)


def _pairs(fit: Fit, **options: Any) -> Any:
    return nested_plots.plot_pairs(fit, **options)


def _effects(fit: Fit, term: str | None = None, column: str | None = None, **options: Any) -> Any:
    name = effect_name(fit, term)
    if fit.posterior[name].ndim == 3:
        return plots.plot_members(unit_effects(fit, name), fit.roles[name].term, **options)
    nested = fit.design.nested
    if nested is None or name.removesuffix("_effect") not in nested.prefixes:
        draws = effect_draws(fit, term)
        chosen = one_of(draws["coef"].values.tolist(), column)
        return nested_plots.plot_effects(draws.sel(coef=chosen), **options)
    draws = coefficient_draws(fit, term)
    chosen = varying_column(fit, column or str(draws["coef"].values[0]))
    return nested_plots.plot_effects(draws.sel(coef=chosen), **options)


def _weights(fit: Fit, term: str | None = None, **options: Any) -> Any:
    block, design, w = weight_draws(fit, term)
    own = of_one_category(block, design)
    size = design.membership.size[design.membership.group]
    label, x = next(iter(design.weight_columns.items()), ("n", size))
    w, size, x = w[:, own], size[own], x[own]
    title = f"Weights of {block.member} in {block.group}: {block.weight_function.label}"
    return plots.plot_weights(w, size, x, label, title, **options)


def _lines(fit: Fit, term: str | None = None, column: str | None = None, **options: Any) -> Any:
    refuse_categories(fit, "plot('lines')", "coefficients(), or predict() along a column")
    slope, nested = varying_slope(fit, column), nested_of(fit)
    values = nested.values[nested.columns.index(slope)]
    ends = float(values.min()), float(values.max())
    draws = coefficient_draws(fit, term)
    point = [
        1.0 if n == "Intercept" else m for n, m in zip(nested.columns, nested.means, strict=True)
    ]
    return nested_plots.plot_lines(draws, slope, point, ends, _fixed_part(fit), **options)


def _variance(fit: Fit, column: str | None = None, **options: Any) -> Any:
    return nested_plots.plot_variance(variance_shares(fit, column), **options)


def _fixed_part(fit: Fit) -> float:
    """Return what the columns that do not vary contribute at their mean, on average."""
    population, varying = fit.design.population, fit.design.nested.columns
    names = tuple(n for n in ("Intercept", *population.names) if n not in varying)
    if not names:
        return float(population.offset.mean())
    mean = dict(zip(population.names, population.X.mean(axis=0), strict=True))
    beta = population_coefficients(fit, names).mean(axis=(0, 1))
    return float(population.offset.mean() + beta @ [mean.get(n, 1.0) for n in names])


# Intervals of the parameters; densities and chains; pairs of standard deviations and
# correlations; effects of the units that stand out; estimated weights against the column that
# they depend on; the units' regression lines; variance partition along a covariate; the baseline
# hazard.
PICTURES: Mapping[str, Picture] = {
    "forest": _forest, "trace": _trace, "pairs": _pairs, "effects": _effects,
    "weights": _weights, "lines": _lines, "variance": _variance,
    "baseline": plot_baseline,
}  # fmt: skip
