"""Predictions: fitted units keep their draws, new ones get theirs, typical ones have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr

from pymc_mlm.data.by_category import CATEGORY
from pymc_mlm.data.factor import UnknownUnit
from pymc_mlm.data.frame import Table as ReadTable
from pymc_mlm.data.frame import column_names, columns
from pymc_mlm.data.missing import PREDICT
from pymc_mlm.data.population import INTERCEPT
from pymc_mlm.errors import DataError, SpecificationError, warn_of_data
from pymc_mlm.fit import Fit
from pymc_mlm.inference import as_seed
from pymc_mlm.reporting.extrapolation import rows_outside
from pymc_mlm.terms.graph_draws import forward_draws, graph_draws

KINDS = ("mean", "outcome", "eta")


def predict(
    fit: Fit,
    data: Any = None,
    kind: str = "mean",
    random_seed: Any = None,
    allow_new: bool | Sequence[str] = True,
    typical: bool | Sequence[str] = False,
) -> xr.DataArray:
    """Predict observations, also of units that were not fitted.

    Parameters
    ----------
    fit : Fit
        A fitted model with one linear predictor.
    data : dataframe, optional
        Without the outcome; the fitted table by default, with ``missing="predict"`` also its rows
        without an outcome. A unit that the fitted data lacked is
        one new draw from its population, shared by all rows that carry its id; a missing id is
        an unknown one of the fitted units.
    kind : {"mean", "outcome", "eta"}
        Expected outcome, new outcomes with their residual variation, or linear predictor.
    random_seed : int, optional
        Seed of new units and outcomes.
    allow_new : bool or sequence of str
        Whether, or in which id columns, units may be new.
    typical : bool or sequence of str
        Whether, or for which terms by name, the effect is that of a typical unit: zero. The id
        columns of those terms may be missing from `data`.

    Returns
    -------
    xarray.DataArray, dims (chain, draw, row)
        Draws per observation, on the scale of the outcome ("mean", "outcome") or of the link
        ("eta"). Complete durations for a censored outcome. Of an unordered outcome "mean" has the
        probability of each category, "eta" the log odds of each but the reference, in a further
        dim ``category``, and "outcome" its labels.

    Raises
    ------
    SpecificationError
        No such kind, or no such term.
    DataError
        The table does not fit the model, or holds a new unit where none is allowed.
    """
    if kind not in KINDS:
        raise SpecificationError(f"kind is 'mean', 'outcome' or 'eta', not {kind!r}.")
    spec, (seed, noise_seed) = fit.spec, _two_seeds(random_seed)
    chosen = _typical_terms(spec, typical)
    design = fit.design
    if data is None and spec.missing == PREDICT and design.dropped:
        data = fitted_table(fit)
    if data is not None:
        design = spec.read(_with_ids(data, spec, chosen), known=fit.design)
        _warn_outside(design.population, fit.design.population)
    refuse_new_units(design, allow_new)
    eta = linear_predictor_draws(fit, design, seed, chosen)
    if kind == "eta":
        return of_categories(eta, design) if design.by else eta
    parameters = {n: fit.posterior[n] for n in spec.family.default_priors(design.scale)}
    if kind == "outcome":
        codes = new_outcomes(fit, design, eta, noise_seed)
        if not design.by:
            return codes
        labels = np.array(design.side["labels"].tolist())
        return codes.copy(data=labels[codes.values.astype(np.int64)])
    along = {n: p.values[..., None] for n, p in parameters.items()}
    mean = spec.family.mean(eta.values, along | dict(design.side))
    if design.by:
        return with_categories(mean, eta, design, design.side["labels"].tolist(), "mean")
    return eta.copy(data=mean).rename("mean")


def of_categories(eta: xr.DataArray, design: Any) -> xr.DataArray:
    """Return linear predictors with a dimension for the categories, (chain, draw, row, category).

    Parameters
    ----------
    eta : DataArray, dims (chain, draw, predictor)
        Those of a row one after the other.
    design : Design
        Of an unordered outcome.
    """
    each = eta.values.reshape(*eta.shape[:2], -1, len(design.by))
    return with_categories(each, eta, design, design.side["labels"][1:].tolist(), "eta")


def with_categories(
    values: np.ndarray, eta: xr.DataArray, design: Any, labels: Sequence[Any], name: str
) -> xr.DataArray:
    """Label values of shape (chain, draw, row, category)."""
    rows = design.rows
    coords = {"chain": eta["chain"], "draw": eta["draw"], rows.name: rows.labels, CATEGORY: labels}
    return xr.DataArray(
        values, dims=("chain", "draw", rows.name, CATEGORY), coords=coords, name=name
    )


def new_outcomes(fit: Fit, design: Any, eta: xr.DataArray, random_seed: int | None) -> xr.DataArray:
    """Return new outcomes of each row, (chain, draw, row); codes of categories.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    design : Design
        Fitted or new rows.
    eta : DataArray, dims (chain, draw, predictor)
        Their linear predictors.
    random_seed : int or None
        Seed.
    """
    family, priors = fit.spec.family, fit.spec.family_priors(fit.design.scale)
    parameters = {n: fit.posterior[n] for n in family.default_priors(design.scale)}
    labels = design.rows.labels if design.by else None
    return outcome_draws(eta, family, parameters, design.side, priors, random_seed, labels)


def linear_predictor_draws(
    fit: Fit, design: Any, random_seed: int | None = None, typical: Sequence[str] = ()
) -> xr.DataArray:
    """Return draws of the linear predictor, dims (chain, draw, row).

    Parameters
    ----------
    fit : Fit
        A fitted model.
    design : Design
        Fitted or new observations.
    random_seed : int, optional
        Seed of new units.
    typical : sequence of str
        Names of terms whose effects are zero.
    """
    posterior, rng = _without_effects(fit, typical), np.random.default_rng(random_seed)
    arrays = {str(n): v.transpose("chain", "draw", ...).values for n, v in posterior.items()}
    eta = population_draws(posterior, design.population)
    by_graph, predictors = [], design.predictors
    for term, part in design.terms:
        own = None
        if term.is_of_effect("contribution"):
            own = term.contribution(part, arrays, rng)
        if own is None:
            by_graph.append((term, part))
        else:
            eta = eta + own
    if by_graph:
        labels = {predictors.name: tuple(predictors.labels.tolist())}
        spread = design.scale.spread
        eta = eta + graph_draws(by_graph, posterior, spread, random_seed, labels)
    name = predictors.name
    coords = {"chain": posterior["chain"], "draw": posterior["draw"], name: predictors.labels}
    return xr.DataArray(eta, dims=("chain", "draw", name), coords=coords, name="eta")


def population_draws(posterior: xr.Dataset, design: Any) -> np.ndarray:
    """Return what intercept, covariates and fixed coefficients contribute, (chain, draw, row)."""
    shape = (posterior.sizes["chain"], posterior.sizes["draw"], len(design.offset))
    eta = np.zeros(shape) + design.offset
    if design.by:
        eta += posterior[INTERCEPT].values @ design.level.T
    elif design.intercept and INTERCEPT in posterior:
        eta += posterior[INTERCEPT].values[..., None]
    if design.names:
        eta += posterior["beta"].values @ design.X.T
    return eta


def outcome_draws(
    eta: xr.DataArray,
    family: Any,
    parameters: Mapping[str, xr.DataArray],
    side: Mapping[str, np.ndarray],
    priors: Mapping[str, Any],
    random_seed: int | None,
    rows: np.ndarray | None = None,
) -> xr.DataArray:
    """Return new outcomes given draws of the linear predictor, dims (chain, draw, row).

    `rows` holds the labels of the rows where they have several predictors each.
    """
    beyond = int((eta > family.largest_eta).any(eta.dims[-1]).sum())
    if beyond:
        warn_of_data(
            f"In {beyond} of {eta.sizes['chain'] * eta.sizes['draw']} draws an expected outcome is "
            f"above {np.exp(family.largest_eta):.1e}, and outcomes are drawn as if it were that. "
            "Look at predict(kind='mean'): covariates or priors may lie far outside the data."
        )
        eta = eta.clip(max=family.largest_eta)
    dim = str(eta.dims[-1])
    count = eta.sizes[dim]
    # The likelihood needs the shape of an outcome; its values do not matter.
    own, number = (dim, count) if rows is None else (dim.removesuffix(f"_{CATEGORY}"), len(rows))
    values = {role: np.ones(number) for role in family.roles} | dict(side)
    coords = {dim: eta[dim].values} | ({} if rows is None else {own: rows})
    with pm.Model(coords=coords, model=None):
        flat = pm.Flat("eta", shape=count, dims=dim)
        family.likelihood("outcome", flat, values, priors, own)
        return forward_draws(xr.Dataset({"eta": eta, **parameters}), "outcome", random_seed)


def fitted_table(fit: Fit) -> ReadTable:
    """Return the columns that were read, or raise that the fit does not hold them."""
    if fit.table is None:
        raise SpecificationError("The fit does not hold its table. Pass data=, or fit again.")
    table: ReadTable = fit.table
    return table


def analysed_table(fit: Fit) -> ReadTable:
    """Return the fitted table without the rows that the fit left out."""
    return analysed_rows(fit.spec, fit.design, fitted_table(fit))


def analysed_rows(spec: Any, design: Any, table: ReadTable) -> ReadTable:
    """Return a table without the rows that its design leaves out."""
    if not design.dropped:
        return table
    rows = design.rows.labels
    if spec.observation is None:
        return table.take(np.asarray(rows, dtype=np.int64))
    ids = columns(table, [spec.observation])[spec.observation].tolist()
    kept = {*rows.tolist()}
    return table.take(np.flatnonzero([i in kept for i in ids]))


def refuse_new_units(design: Any, allowed: bool | Sequence[str]) -> None:
    """Refuse units that were not fitted, in the id columns where they are not allowed.

    Raises
    ------
    DataError
        New data hold such a unit.
    """
    units = [u for term, part in design.terms for u in term.units(part)]
    names = [name for name, _, _ in units]
    named = (allowed,) if isinstance(allowed, str) else allowed
    strange = [] if isinstance(named, bool) else [n for n in named if n not in names]
    if strange:
        raise SpecificationError(
            f"allow_new names {strange[0]!r}, which is none of the id columns: {', '.join(names)}."
        )
    for name, labels, known in units:
        ok = named if isinstance(named, bool) else name in named
        new = [label for label in labels[known:] if not isinstance(label, UnknownUnit)]
        if new and not ok:
            raise DataError(
                f"{name!r}={new[0]!r} was not among the {known} fitted units, and new units of "
                f"{name!r} are not allowed here. Pass allow_new=True to draw its effects from "
                "their distribution, or drop its rows."
            )


def _warn_outside(new: Any, fitted: Any) -> None:
    """Warn of covariates that lie outside the fitted ones."""
    asked = dict(zip(new.names, new.X.T, strict=True))
    for text in rows_outside(asked, dict(zip(fitted.names, fitted.X.T, strict=True))):
        warn_of_data(text)


def _typical_terms(spec: Any, typical: bool | Sequence[str]) -> tuple[str, ...]:
    names = [term.base_name or term.label for term in spec.named]
    if isinstance(typical, bool):
        return tuple(names) if typical else ()
    chosen = (typical,) if isinstance(typical, str) else tuple(typical)
    strange = [n for n in chosen if n not in names]
    if strange:
        raise SpecificationError(
            f"typical names {strange[0]!r}, which is none of the terms: {', '.join(names)}."
        )
    return chosen


def _without_effects(fit: Fit, typical: Sequence[str]) -> xr.Dataset:
    """Return the posterior with the effects of the named terms, and their spreads, at zero."""
    posterior = fit.posterior
    for term, part in fit.design.terms:
        if (term.base_name or term.label) in typical:
            own = [n for n, role in term.roles(part).items() if role.kind in ("effect", "sd")]
            zeros = {n: xr.zeros_like(posterior[n]) for n in own if n in posterior}
            posterior = posterior.assign(zeros)
    return posterior


def _with_ids(data: Any, spec: Any, typical: Sequence[str]) -> Any:
    """Return the table with missing ids where those of typical units are left out."""
    have = column_names(data)
    ids = [
        d for t in spec.named if (t.base_name or t.label) in typical for d in t.id_columns
        if d not in have
    ]  # fmt: skip
    if not ids:
        return data
    wanted = [c for c in spec.predictors if c not in ids]
    table: dict[str, Any] = dict(columns(data, wanted or have[:1]))
    count = len(next(iter(table.values())))
    return table | {name: np.full(count, None, dtype=object) for name in ids}


def _two_seeds(random_seed: Any) -> tuple[int | None, int | None]:
    """Return seeds for new units and for noise: with one, both would be the same normals."""
    seed = as_seed(random_seed)
    if seed is None:
        return None, None
    first, second = np.random.SeedSequence(seed).generate_state(2)
    return int(first), int(second)
