"""Predictions of a nested model: fitted units keep their draws, new ones get theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr

from pymc_mlm.data.factor import UnknownUnit
from pymc_mlm.data.nested_design import NestedDesign
from pymc_mlm.data.population import INTERCEPT, PopulationDesign
from pymc_mlm.families import AbstractFamily
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.ops.correlation import partials_to_cholesky


def population_draws(posterior: xr.Dataset, names: tuple[str, ...]) -> np.ndarray:
    """Return the population coefficients of the named columns, (chain, draw, column).

    A column without a population coefficient has zeros.
    """
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    own = {INTERCEPT: posterior[INTERCEPT].values} if INTERCEPT in posterior else {}
    if "beta" in posterior:
        labels = posterior["beta"].dims[-1]
        values = np.moveaxis(posterior["beta"].values, -1, 0)
        own |= dict(zip(posterior[labels].values, values, strict=True))
    return np.stack([own.get(n, np.zeros(shape)) for n in names], axis=-1)


def unit_totals(
    posterior: xr.Dataset, design: NestedDesign, rng: np.random.Generator | None = None
) -> list[np.ndarray]:
    """Return each unit's total deviation from the population, level by level.

    Parameters
    ----------
    posterior : xarray.Dataset
        Draws, with the fitted units' effects.
    design : NestedDesign
        Units, fitted and new.
    rng : numpy.random.Generator, optional
        For new units: one draw of N(0, D R D) per unit and posterior draw, shared by all rows
        that carry its id. An unknown unit is, in each draw, one of its parent's fitted ones.

    Returns
    -------
    list of ndarray, each of shape (chain, draw, unit, column)
        Outermost level first; columns as in ``design.columns``.
    """
    rng = np.random.default_rng() if rng is None else rng
    totals: list[np.ndarray] = []
    picks: dict[int, np.ndarray] = {}
    for level, prefix in enumerate(design.prefixes):
        own = posterior[f"{prefix}_effect"].values
        new = len(design.nesting.labels[level]) - design.num_known[level]
        picks = _picks(design, level, picks, own.shape[:2], rng) if new else {}
        if new:
            added = _new_deviations(posterior, design, level, new, rng)
            for unit, pick in picks.items():
                at = pick[..., None, None]
                added[:, :, unit - design.num_known[level]] = np.take_along_axis(own, at, 2)[
                    :, :, 0
                ]
            own = np.concatenate([own, added], axis=2)
        total = np.zeros((*own.shape[:3], len(design.columns)))
        if level:
            total = totals[-1][:, :, design.nesting.parents[level]]
        total[..., design.varies[level]] += own
        totals.append(total)
    return totals


def _picks(
    design: NestedDesign,
    level: int,
    above: dict[int, np.ndarray],
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> dict[int, np.ndarray]:
    """Draw which fitted unit each unknown one of a level is, (chain, draw), given its parent's.

    An unknown unit of a new parent is a new unit.
    """
    labels, known = design.nesting.labels[level], design.num_known[level]
    parents = design.nesting.parents[level]
    children = np.argsort(parents[:known], kind="stable")
    counts = np.bincount(parents[:known] + 1)  # the parent of the outermost units is -1
    ends = np.cumsum(counts)
    picks = {}
    for unit in range(known, len(labels)):
        parent = int(parents[unit])
        is_new = level > 0 and parent >= design.num_known[level - 1] and parent not in above
        if isinstance(labels[unit], UnknownUnit) and not is_new:
            place = above.get(parent, np.full(shape, parent)) + 1
            nth = (rng.random(shape) * counts[place]).astype(np.int64)
            picks[unit] = children[ends[place] - counts[place] + nth]
    return picks


def _new_deviations(
    posterior: xr.Dataset,
    design: NestedDesign,
    level: int,
    count: int,
    rng: np.random.Generator,
) -> np.ndarray:
    prefix = design.prefixes[level]
    sd = posterior[f"{prefix}_sd"].values
    partial = np.zeros((*sd.shape[:2], 0))
    if design.pairs(level):
        partial = posterior[f"{prefix}_partial"].values
    factor = sd[..., None] * partials_to_cholesky(partial, sd.shape[-1])
    z = rng.standard_normal((*sd.shape[:2], count, sd.shape[-1]))
    return np.asarray(z @ np.swapaxes(factor, -1, -2))


def linear_predictor_draws(
    posterior: xr.Dataset,
    population: PopulationDesign,
    nested: NestedDesign,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the linear predictor of each row without crossed terms, (chain, draw, row)."""
    beta = population_draws(posterior, population.names) if population.names else None
    eta = np.zeros((posterior.sizes["chain"], posterior.sizes["draw"], len(nested.nesting.leaf)))
    eta += population.offset
    if population.intercept:
        eta += posterior[INTERCEPT].values[..., None]
    if beta is not None:
        eta += beta @ population.X.T
    leaves = unit_totals(posterior, nested, rng)[-1]
    for j, values in enumerate(nested.values):
        eta += leaves[..., j][..., nested.nesting.leaf] * values
    return eta


def crossed_draws(
    terms: tuple[tuple[Any, Any], ...],
    posterior: xr.Dataset,
    count: int,
    spread: float,
    random_seed: int | None,
) -> np.ndarray:
    """Return what crossed terms add to the linear predictor, (chain, draw, row)."""
    with pm.Model(coords={"row": range(count)}) as model:
        eta = sum(term.effect(design, spread) for term, design in terms)
        pm.Deterministic("crossed", eta, dims="row")
        names = [rv.name for rv in model.free_RVs if rv.name in posterior]
        drawn = _forward(posterior[names], ["crossed"], random_seed)
    return np.asarray(drawn["crossed"].values)


def outcome_draws(
    eta: xr.DataArray,
    family: AbstractFamily,
    parameters: Mapping[str, xr.DataArray],
    outcome: Mapping[str, np.ndarray],
    priors: Mapping[str, Any],
    random_seed: int | None,
) -> xr.DataArray:
    """Return new outcomes given draws of the linear predictor, dims (chain, draw, row)."""
    dim = str(eta.dims[-1])
    count = eta.sizes[dim]
    # The likelihood needs the shape of an outcome; its values do not matter.
    values = {role: np.ones(count) for role in family.roles} | dict(outcome)
    with pm.Model(coords={dim: eta[dim].values}):
        flat = pm.Flat("eta", shape=count, dims=dim)
        family.likelihood("outcome", flat, values, priors, dim)
        given = xr.Dataset({"eta": eta, **parameters})
        return _forward(given, ["outcome"], random_seed)["outcome"]


def _forward(given: xr.Dataset, names: list[str], random_seed: int | None) -> Any:
    tree = pm.sample_posterior_predictive(
        xr.DataTree.from_dict({"posterior": given}),
        var_names=names,
        freeze_vars=[str(n) for n in given.data_vars],
        predictions=True,
        random_seed=random_seed,
        progressbar=False,
        compile_kwargs={"mode": uncompiled()},
    )
    return tree["predictions"].to_dataset()
