"""Covariates and the levels of nested units: unit means, and what is constant within units."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.data.checks import as_numbers, constant_within
from pymc_mlm.data.factor import Factor, UnknownUnit
from pymc_mlm.data.nested_design import NestedDesign, varies_within
from pymc_mlm.data.population import PopulationDesign
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.terms.nested import Nested

if TYPE_CHECKING:
    from pymc_mlm.model.design import Design
    from pymc_mlm.model.specification import Specification


def with_unit_means(
    spec: Specification,
    table: Mapping[str, np.ndarray],
    categories: Collection[str],
    population: PopulationDesign,
    terms: tuple[tuple[Any, Any], ...],
    known: Design | None,
) -> tuple[PopulationDesign, dict[str, np.ndarray]]:
    """Append the mean of each named covariate in each nested unit (Mundlak 1978).

    Parameters
    ----------
    spec : Specification
        Names the covariates in `within_between`.
    table : mapping of str to ndarray, shape (row,)
        Columns of the formula.
    categories : collection of str
        Columns that hold categories.
    population : PopulationDesign
        Covariates without the means.
    terms : tuple
        Terms and designs, a nested one among them.
    known : Design, optional
        Fitted design, whose units keep their means.

    Returns
    -------
    population : PopulationDesign
    means : dict of str to ndarray, shape (unit,)
        By the name of the added covariate.
    """
    if not spec.within_between:
        return population, {}
    units = _units(terms, "within_between")
    _refuse_unknown_units(spec, units)
    means: dict[str, np.ndarray] = {}
    added = []
    for column in dict.fromkeys(spec.within_between):
        if column not in table:
            raise SpecificationError(
                f"within_between names {column!r}, which the formula lacks. Add it to "
                f"{spec.formula!r}: its coefficient becomes the effect within units."
            )
        if known is None and column in categories:
            raise DataError(
                f"within_between names {column!r}, which holds categories: they have no mean. "
                "Make the column numbers, or leave it out of within_between."
            )
        x = as_numbers(column, table[column])
        before = len(means)
        for place, level in enumerate(units.levels):
            name = f"{column} (mean of {level})"
            codes, size = units.nesting.codes(level), len(units.nesting.labels[place])
            # Where x is constant within units, their mean is x itself.
            if name in known.unit_means if known else varies_within(x, codes, size):
                fitted = known.unit_means[name] if known else np.empty(0)
                means[name] = _means(x, codes, fitted, population.counts)
                added.append(means[name][codes])
        if len(means) == before:
            raise DataError(
                f"within_between names {column!r}, which has one value in every "
                f"{units.levels[0]!r}: it has no effect within units. Leave it out of "
                "within_between."
            )
    X = np.column_stack([population.X, *added])
    return replace(population, X=X, names=(*population.names, *means)), means


def check_level_covariates(
    spec: Specification,
    observed: Callable[..., dict[str, np.ndarray]],
    terms: tuple[tuple[Any, Any], ...],
) -> None:
    """Refuse covariates of a level that vary within its units.

    Raises
    ------
    SpecificationError
        `level_covariates` names no level, or no column of the formula.
    DataError
        A column varies within a unit.
    """
    for level, names in spec.level_covariates.items():
        units = _units(terms, "level_covariates")
        if level not in units.levels:
            raise SpecificationError(
                f"level_covariates names the level {level!r}, which is not one of levels="
                f"{list(units.levels)!r}."
            )
        labels = units.nesting.labels[units.levels.index(level)]
        factor = Factor(level, labels, units.nesting.codes(level), len(labels))
        for column in names:
            if column not in spec.population().columns:
                raise SpecificationError(
                    f"level_covariates names {column!r}, which the formula {spec.formula!r} "
                    "lacks. Add it there."
                )
            remedy = (
                f"A covariate of level {level!r} has one value per unit: correct the column, or "
                "leave it out of level_covariates."
            )
            constant_within(column, observed([column], remedy)[column], factor, remedy)


def _units(terms: tuple[tuple[Any, Any], ...], where: str) -> NestedDesign:
    found: NestedDesign | None = next((d for t, d in terms if isinstance(t, Nested)), None)
    if found is None:
        raise SpecificationError(f"{where} needs nested levels: add a nested([...]) term.")
    return found


def _refuse_unknown_units(spec: Specification, units: NestedDesign) -> None:
    for level, labels in zip(units.levels, units.nesting.labels, strict=True):
        unknown = [label.row for label in labels if isinstance(label, UnknownUnit)]
        if unknown:
            raise DataError(
                f"{level!r} is missing in row {unknown[0]} (counted from 0), but "
                f"within_between needs the unit's mean of {spec.within_between[0]!r}. Fill in "
                "the id, or drop the row."
            )


def _means(
    x: np.ndarray, codes: np.ndarray, fitted: np.ndarray, counts: np.ndarray | None
) -> np.ndarray:
    """Return each unit's mean; those that were fitted keep theirs."""
    size = max(int(codes.max()) + 1, len(fitted))
    times = np.ones(len(x)) if counts is None else counts
    count = np.maximum(np.bincount(codes, times, size), 1.0)
    means = np.bincount(codes, times * x, size) / count
    means[: len(fitted)] = fitted
    return means
