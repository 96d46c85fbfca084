"""Draws of nested effects: correlations, variances, and units that were not fitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.data.factor import UnknownUnit
from pymc_mlm.data.nested_design import NestedDesign
from pymc_mlm.data.population import INTERCEPT
from pymc_mlm.errors import SpecificationError
from pymc_mlm.ops.correlation import partials_to_cholesky

Draws = Mapping[str, np.ndarray]


def correlations(posterior: Mapping[str, Any], nested: NestedDesign) -> dict[str, xr.DataArray]:
    """Return each level's correlations, computed from its partial correlations.

    Returns
    -------
    dict of str to DataArray, dims (chain, draw, level_pair)
        By variable name, ``<level>_correlation``.
    """
    return {
        f"{prefix}_correlation": correlation_of(posterior, prefix, nested.pairs(level))
        for level, prefix in enumerate(nested.prefixes)
        if nested.pairs(level)
    }


def correlation_of(
    posterior: Mapping[str, Any], prefix: str, pairs: tuple[str, ...]
) -> xr.DataArray:
    """Return the correlations that partial correlations give, dims (chain, draw, prefix_pair)."""
    partial = posterior[f"{prefix}_partial"]
    p = int((1 + np.sqrt(1 + 8 * len(pairs))) / 2)
    L = partials_to_cholesky(partial.values, p)
    rows, cols = np.tril_indices(p, -1)
    return xr.DataArray(
        (L @ L.mT)[..., rows, cols],
        dims=("chain", "draw", f"{prefix}_pair"),
        coords={f"{prefix}_pair": list(pairs)},
    )


def total_deviations(
    draws: Draws, design: NestedDesign, rng: np.random.Generator | None = None
) -> list[np.ndarray]:
    """Return each unit's total deviation from the population, level by level.

    Parameters
    ----------
    draws : mapping of str to ndarray, shape (chain, draw, ...)
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
        own = draws[f"{prefix}_effect"]
        new = len(design.nesting.labels[level]) - design.num_known[level]
        picks = _picks(design, level, picks, own.shape[:2], rng) if new else {}
        if new:
            added = _new_deviations(draws, design, level, new, rng)
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


def unknown_units(
    design: NestedDesign, samples: int, rng: np.random.Generator
) -> list[dict[int, np.ndarray]]:
    """Draw which fitted unit each unknown one is: (sample,) by its number, for each level."""
    picks: list[dict[int, np.ndarray]] = []
    for level in range(len(design.levels)):
        picks.append(_picks(design, level, picks[-1] if picks else {}, (samples,), rng))
    return picks


def varying_point(
    design: NestedDesign, at: Mapping[str, float], category: int | None = None
) -> np.ndarray:
    """Return the varying columns at a point: means, ones for the intercept, or as given.

    Of an unordered outcome those of one category by its place, and zeros for the others.

    Returns
    -------
    ndarray, shape (column,)

    Raises
    ------
    SpecificationError
        A value is not finite, or belongs to a column whose coefficient does not vary.
    """
    slopes = design.slopes
    for name, value in at.items():
        if name == INTERCEPT:
            raise SpecificationError(
                "The intercept is no covariate; those whose slopes vary: "
                f"{', '.join(slopes) or '(none)'}."
            )
        if name not in slopes:
            raise SpecificationError(
                f"at={dict(at)!r}: no coefficient of {name!r} varies; those that do: "
                f"{', '.join(slopes) or '(none)'}."
            )
        if not np.isfinite(value):
            raise SpecificationError(f"at={dict(at)!r}: {name!r} needs a finite number.")
    own = zip(design.columns, design.means, design.is_intercept, strict=True)
    z = np.array([1.0 if one else at.get(n, m) for n, m, one in own])
    if category is None:
        return z
    owner = np.arange(len(z)) // (len(z) // len(design.by))
    return np.where(owner == category, z, 0.0)


def level_variance(draws: Draws, design: NestedDesign, level: int, z: np.ndarray) -> np.ndarray:
    r"""Return the variance that a level gives to the predictor at a point of the covariates.

    .. math:: V_l(z) = z' D_l R_l D_l\, z

    Parameters
    ----------
    draws : mapping of str to ndarray, shape (draw, coef) and (draw, pair)
        Standard deviations and correlations.
    design : NestedDesign
        Units and varying columns.
    level : int
        Place of the level, 0 the outermost.
    z : ndarray, shape (column,)
        Values of the varying columns, one for the intercept.

    Returns
    -------
    ndarray, shape (draw,)
        Squared scale of the link.
    """
    prefix = design.prefixes[level]
    scaled = z[design.varies[level]] * draws[f"{prefix}_sd"]
    variance = (scaled**2).sum(axis=-1)
    if design.pairs(level):
        rho = draws[f"{prefix}_correlation"]
        rows, cols = np.tril_indices(scaled.shape[-1], -1)
        variance = variance + 2 * (rho * scaled[:, rows] * scaled[:, cols]).sum(axis=-1)
    return np.asarray(variance)


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
    draws: Draws, design: NestedDesign, level: int, count: int, rng: np.random.Generator
) -> np.ndarray:
    prefix = design.prefixes[level]
    sd = draws[f"{prefix}_sd"]
    partial = np.zeros((*sd.shape[:2], 0))
    if design.pairs(level):
        partial = draws[f"{prefix}_partial"]
    factor = sd[..., None] * partials_to_cholesky(partial, sd.shape[-1])
    z = rng.standard_normal((*sd.shape[:2], count, sd.shape[-1]))
    return np.asarray(z @ np.swapaxes(factor, -1, -2))
