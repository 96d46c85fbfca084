"""Writes the graph of nested varying coefficients: scales, correlations, effects and totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from pymc_mlm.approximation.unit_information import UnitInformation
from pymc_mlm.data.nested_design import (
    NestedDesign,
)
from pymc_mlm.distributions.partial_correlation import PartialCorrelation
from pymc_mlm.distributions.unit_effects import Coordinates, UnitEffects
from pymc_mlm.ops.correlation import cholesky_from_partials, lkj_partial_alphas
from pymc_mlm.ops.unit_score import unit_score
from pymc_mlm.ops.unit_totals import unit_totals
from pymc_mlm.priors import create
from pymc_mlm.terms.base import add_coords, data
from pymc_mlm.terms.linear import LinearPart

AUTO, CENTERED, NONCENTERED, INFORMED = "auto", "centered", "noncentered", "informed"


def nested_totals(
    term: Any,
    design: NestedDesign,
    scale: float,
    around: Mapping[str, Any] | None,
    information: Sequence[UnitInformation] | None,
    also: Sequence[Any] = (),
) -> list[Any]:
    """Add the units' effects and return a matrix (unit, column) of totals per level."""
    term.check_design(design)
    sds, partials = nested_parameters(term, design, scale)
    population = dict(around or {})
    # The outermost units have no parents.
    above: Any = np.zeros((0, len(design.columns)))
    parent: Any = np.zeros(0, dtype=np.int64)
    totals = []
    for level, prefix in enumerate(design.prefixes):
        at = np.flatnonzero(design.varies[level])
        if level:
            parent = data(f"{prefix}_parent", design.nesting.parents[level])
        how, precision = term.coordinates(level, information), None
        if information is not None and how == INFORMED:
            unit_info = information[level]
            coefs = [pt.stack(list(population.values()))] if population else []
            centre = _score(prefix, unit_info, at, [*coefs, *also], above, parent)
            precision = data(f"{prefix}_precision", _lower_triangle(unit_info.precision, at))
        else:
            centre = _by_unit(f"{prefix}_zeros", np.zeros((design.num_known[level], len(at))))
        if how == CENTERED:
            base = [population.get(design.columns[j], 0.0) for j in at]
            given = above[parent[: centre.shape[0]]][:, at] if level else 0.0
            centre = centre + given + pt.stack(base)
        effects = centre, precision, Coordinates(how)
        own = _deviations(term, design, level, sds[level], partials[level], *effects)
        alone = level == 0 and len(at) == len(design.columns)
        above = own if alone else unit_totals(above, own, parent, at)
        totals.append(above)
    return totals


def _deviations(
    term: Any,
    design: NestedDesign,
    level: int,
    sd: Any,
    partial: Any,
    around: Any,
    precision: Any,
    coordinates: Coordinates,
) -> Any:
    """Add a level's effects: one row per fitted unit, and one per new unit."""
    name, prefix = design.levels[level], design.prefixes[level]
    labels, known = design.nesting.labels[level], design.num_known[level]
    p = len(design.coefs(level))
    add_coords({name: labels[:known]})
    partial = pt.zeros(0) if partial is None else partial
    effects = UnitEffects(
        f"{prefix}_effect", sd, partial, around, precision, dims=(name, f"{prefix}_coef"),
        transform=coordinates,
    )  # fmt: skip
    if known == len(labels):
        return effects
    add_coords({f"{name}_new": labels[known:]})
    new = UnitEffects(
        f"{prefix}_effect_new", sd, partial, pt.zeros((len(labels) - known, p)),
        dims=(f"{name}_new", f"{prefix}_coef"),
    )  # fmt: skip
    return pt.concatenate([effects, new])


def nested_parameters(
    term: Any, design: NestedDesign, scale: float = 1.0
) -> tuple[list[Any], list[Any]]:
    """Add each level's standard deviations and correlations to the current model.

    Returns
    -------
    sds, partials : list of TensorVariable
        One vector per level, (coef,) and (pair,); None where a level has no correlations.
    """
    sds, partials = [], []
    for level, prefix in enumerate(design.prefixes):
        names = design.coefs(level)
        add_coords({f"{prefix}_coef": names})
        prior = term.priors_used(design, scale)[f"{prefix}_sd"]
        sds.append(create(prior, f"{prefix}_sd", f"{prefix}_coef", positive=True))
        partials.append(_partial(term, design, level, prefix))
    return sds, partials


def _partial(term: Any, design: NestedDesign, level: int, prefix: str) -> Any:
    pairs = design.pairs(level)
    if not pairs:
        return None
    add_coords({f"{prefix}_pair": pairs})
    alphas = lkj_partial_alphas(len(design.coefs(level)), term.eta_of(design.levels[level]))
    return PartialCorrelation(f"{prefix}_partial", alphas, shape=len(pairs), dims=f"{prefix}_pair")


def nested_entries(term: Any, design: NestedDesign) -> tuple[LinearPart, ...]:
    """Return an entry per row and coefficient of each level: a row of Z times the root."""
    model, count, parts = pm.modelcontext(None), len(design.nesting.leaf), []
    for level, prefix in enumerate(design.prefixes):
        at = np.flatnonzero(design.varies[level])
        sd, p, units = model[f"{prefix}_sd"], len(at), len(design.nesting.labels[level])
        of_one: Any = np.eye(p)
        if design.pairs(level):
            of_one = cholesky_from_partials(model[f"{prefix}_partial"], p)
        root = sd[:, None] * of_one
        unit = design.nesting.codes(design.levels[level])
        columns = (p * unit[:, None] + np.arange(p)).ravel()
        entries = pt.dot(design.Z[:, at], root).ravel()
        rows = np.repeat(np.arange(count), p)
        parts.append(LinearPart(f"{prefix}_effect", (units, p), rows, columns, entries, root))
    return tuple(parts)


def _score(
    prefix: str,
    unit_info: UnitInformation,
    at: np.ndarray,
    coefs: list[Any],
    above: Any,
    parent: Any,
) -> Any:
    """Return the slope of the units' log likelihood at their parents' coefficients."""
    return unit_score(
        _by_unit(f"{prefix}_score", unit_info.score[:, at]),
        data(f"{prefix}_cross", unit_info.cross[:, at] if coefs else unit_info.cross[:, at, :0]),
        data(f"{prefix}_precision_rows", unit_info.precision[:, at]),
        joined(coefs),
        above,
        parent,
    )


def joined(parts: Sequence[Any]) -> Any:
    """Return vectors as one, without entries if there are none."""
    return pt.zeros(0) if not parts else parts[0] if len(parts) == 1 else pt.concatenate(parts)


def _by_unit(name: str, values: np.ndarray) -> Any:
    """Add data with a row per unit, whose number of columns is static."""
    return pt.specify_shape(data(name, values), (None, values.shape[1]))


def _lower_triangle(precision: np.ndarray, at: np.ndarray) -> np.ndarray:
    rows, columns = np.tril_indices(len(at))
    return precision[:, at[rows], at[columns]]
