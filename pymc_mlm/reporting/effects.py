"""Effects of units, and the units' own coefficients, as tables and draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.intervals import CI_PROB
from pymc_mlm.reporting.summary import posterior_table

if TYPE_CHECKING:
    import pandas as pd


def unit_table(draws: xr.DataArray, ci_prob: float = CI_PROB) -> pd.DataFrame:
    """Tabulate effects or coefficients of units.

    Parameters
    ----------
    draws : DataArray, dims (chain, draw, unit, ...)
        Posterior draws.
    ci_prob : float
        Probability inside the equal-tailed intervals.

    Returns
    -------
    pandas.DataFrame
        A row per unit, sorted by posterior mean; or per unit and coefficient, in the order of
        the units: mean, sd, interval.
    """
    import pandas as pd

    dims = [str(d) for d in draws.dims if d not in ("chain", "draw")]
    labels = [draws[d].values for d in dims]
    values = draws.transpose("chain", "draw", *dims).values
    flat = values.reshape(values.shape[0] * values.shape[1], -1)
    if len(dims) == 1:
        table = posterior_table(flat, pd.Index(labels[0], name=dims[0]), ci_prob)
        return table.sort_values("mean", ascending=False)
    return posterior_table(flat, pd.MultiIndex.from_product(labels, names=dims), ci_prob)


def effect_draws(fit: Fit, term: str | None = None) -> xr.DataArray:
    """Return draws of the effects of the units of a term, or of a nested level.

    Raises
    ------
    SpecificationError
        No such term, or it has no effects.
    """
    draws = unit_effects(fit, effect_name(fit, term))
    return draws if draws.ndim == 3 else draws.rename({draws.dims[-1]: "coef"})


def effect_name(fit: Fit, term: str | None = None) -> str:
    """Return the variable that holds the effects of a term or level.

    Raises
    ------
    SpecificationError
        No such term, or it has no effects.
    """
    names = fit.names("effect")
    wanted = [n for n in names if n == f"{term}_effect"]
    if term is None and names:
        first = next(t for t, d in fit.design.terms if any(n in names for n in t.roles(d)))
        own = [f"{p}_effect" for p in first.prefixes]
        wanted = [n for n in reversed(own) if n in names]
    if not wanted:
        have = ", ".join(n.removesuffix("_effect") for n in names) or "none"
        raise SpecificationError(f"No term {term!r} with effects; the model has: {have}.")
    return wanted[0]


def unit_effects(fit: Fit, name: str) -> xr.DataArray:
    """Return draws of the effects of all units, also of the reference of fixed effects."""
    term, design = next(pair for pair in fit.design.terms if name in pair[0].roles(pair[1]))
    return term.unit_effects(design, fit.posterior[name])


def coefficient_draws(fit: Fit, level: str | None = None) -> xr.DataArray:
    """Return draws of the units' own intercepts and slopes: population and all deviations.

    Arguments and result are those of `AbstractLinearEstimator.coefficient_draws`.
    """
    nested, place = nested_of(fit), level_place(fit, level)
    total = fit.spec.nested.totals(nested, fit.arrays("effect"))[place]
    total = total + population_coefficients(fit, nested.columns)[:, :, None]
    name = nested.levels[place]
    coords = {name: list(nested.nesting.labels[place]), "coef": list(nested.columns)}
    return xr.DataArray(total, dims=("chain", "draw", name, "coef"), coords=coords)


def population_coefficients(fit: Fit, names: tuple[str, ...]) -> np.ndarray:
    """Return the population coefficients of the named columns, (chain, draw, column).

    A column without a population coefficient has zeros.
    """
    posterior = fit.posterior
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    own = {}
    if "Intercept" in posterior:
        values = posterior["Intercept"].values
        own = {category: values[..., i] for i, category in enumerate(fit.design.by)}
        own = own or {"Intercept": values}
    if "beta" in posterior:
        values = np.moveaxis(posterior["beta"].values, -1, 0)
        own |= dict(zip(fit.design.population.names, values, strict=True))
    return np.stack([own.get(n, np.zeros(shape)) for n in names], axis=-1)


def refuse_categories(fit: Fit, what: str, instead: str) -> None:
    """Refuse what belongs to a model with one linear predictor a row.

    Raises
    ------
    SpecificationError
        The outcome is unordered: there is a predictor for each category.
    """
    if fit.design.by:
        raise SpecificationError(
            f"{what} is of one linear predictor a row, and an outcome in unordered categories has "
            f"one for each category but the reference. Use {instead}."
        )


def nested_of(fit: Fit) -> Any:
    """Return the design of the nested levels.

    Raises
    ------
    SpecificationError
        The model has none.
    """
    if fit.design.nested is None:
        raise SpecificationError("The model has no nested levels.")
    return fit.design.nested


def level_place(fit: Fit, level: str | None) -> int:
    """Return the place of a level, 0 the outermost; the innermost by default."""
    levels = nested_of(fit).levels
    if level is None:
        return len(levels) - 1
    if level not in levels:
        raise SpecificationError(f"No level {level!r}; the levels are: {', '.join(levels)}.")
    return int(levels.index(level))


def varying_slope(fit: Fit, column: str | None) -> str:
    """Return a column whose slope varies; the first one by default.

    Raises
    ------
    SpecificationError
        No slope varies, or that of `column` does not.
    """
    columns = nested_of(fit).columns
    slopes = [n for n in columns if n != "Intercept"]
    if column is None and not slopes:
        raise SpecificationError(
            f"No slope varies in this model, so nothing changes along a covariate. Use "
            f"varying='1 + x', with a covariate of {fit.spec.label!r}."
        )
    if column == "Intercept":
        raise SpecificationError(
            f"The intercept is no covariate; those whose slopes vary: {', '.join(slopes)}."
        )
    return slopes[0] if column is None else varying_column(fit, column)


def varying_column(fit: Fit, name: str) -> str:
    """Return a column whose coefficient varies, or refuse its name."""
    return one_of(nested_of(fit).columns, name)


def one_of(columns: Sequence[str], name: str | None) -> str:
    """Return a column whose coefficient varies, the first by default, or refuse its name."""
    if name is None:
        return str(columns[0])
    if name not in columns:
        raise SpecificationError(
            f"No coefficient of {name!r} varies; those that do: {', '.join(columns)}."
        )
    return name
