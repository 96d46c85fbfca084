"""Rows that stand for several: what outcome, coding and default priors take from the whole table.

The scales of default priors, knots, means and cut points are those of the table written out, with
each row as often as it counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from pymc_mlm.data.column_scale import mean
from pymc_mlm.data.formula import Formula
from pymc_mlm.data.formula_calls import is_rowwise
from pymc_mlm.data.nested_design import NestedDesign
from pymc_mlm.data.population import INTERCEPT, PopulationDesign, population_design
from pymc_mlm.data.row_weights import repeats
from pymc_mlm.families import AbstractFamily
from pymc_mlm.terms.member_effects.varying import VaryingDesign

Array = np.ndarray[Any, Any]


def repeated_outcome(
    family: AbstractFamily, label: str, values: Mapping[str, Array], counts: Array
) -> dict[str, Array]:
    """Return the outcome of each row, checked, and what the whole table sets once.

    Parameters
    ----------
    family : AbstractFamily
        Family.
    label : str
        Outcome as the formula names it.
    values : mapping of str to ndarray, shape (row,)
        Numbers by role.
    counts : ndarray, shape (row,)
        How often each row counts, at least once.

    Returns
    -------
    dict of str to ndarray
    """
    times = repeats(counts)
    whole = family.outcome(label, {k: np.repeat(v, times) for k, v in values.items()})
    first = np.cumsum(times) - times
    return {k: v if k in family.constants else v[first] for k, v in whole.items()}


def repeated_coding(
    formula: Formula, columns: Mapping[str, Array], counts: Array | None, levels: Any
) -> PopulationDesign | None:
    """Return a design by which rows are coded as in the whole table; None where it has no part.

    Means of ``center(x)``, knots and polynomials are of the whole table; other formulas are coded
    row by row.
    """
    factors = [factor for term in formula.products for factor in term]
    if counts is None or all(is_rowwise(factor) for factor in factors):
        return None
    times = repeats(counts)
    whole = {name: np.repeat(values, times) for name, values in columns.items()}
    return population_design(formula, whole, int(times.sum()), None, levels)


def counted(design: Any, counts: Array | None) -> Any:
    """Return the design of a term, its means and standard deviations those of the whole table.

    Parameters
    ----------
    design : design
        Of a term, or of the population.
    counts : ndarray, shape (row,), or None
        How often each row counts.
    """
    if counts is None:
        return design
    if isinstance(design, NestedDesign):
        return _with_moments(design, design.Z, counts)
    own = {f.name for f in fields(design)} if hasattr(design, "__dataclass_fields__") else set()
    if "counts" not in own:
        return design
    design = replace(design, counts=counts)
    effects = getattr(design, "effects", None)
    if isinstance(effects, VaryingDesign):
        of_rows = counts[design.membership.group]
        return replace(design, effects=_with_moments(effects, effects.X, of_rows))
    return design


def _with_moments(design: Any, columns: Array, counts: Array) -> Any:
    """Return the design with means and standard deviations of its columns, rows counted."""
    is_fixed = np.array([name == INTERCEPT for name in design.columns])
    means = mean(columns, counts)
    spreads = np.sqrt(mean((columns - means) ** 2, counts))
    return replace(
        design, means=np.where(is_fixed, 0.0, means), spreads=np.where(is_fixed, 1.0, spreads)
    )
