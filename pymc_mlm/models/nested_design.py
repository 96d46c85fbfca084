"""From a table to the design of a nested model: every column is read and checked here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from pymc_mlm.data.checks import as_numbers, constant_within
from pymc_mlm.data.event import outcome_numbers
from pymc_mlm.data.factor import Factor, UnknownUnit
from pymc_mlm.data.formula import Formula
from pymc_mlm.data.frame import category_levels, columns, open_table
from pymc_mlm.data.nested_design import NestedDesign, nested_design, varies_within
from pymc_mlm.data.nesting import Nesting, name_missing, nest
from pymc_mlm.data.population import INTERCEPT, PopulationDesign, population_design, response_values
from pymc_mlm.data.values import show
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.families import AbstractFamily, OutcomeScale
from pymc_mlm.models.outcome_scale import outcome_scale
from pymc_mlm.terms import Hierarchical, Population
from pymc_mlm.terms.nested import Nested

OBSERVATION = "obs"


@dataclass(frozen=True, eq=False)
class NestedModelDesign:
    """A table as the model needs it.

    Attributes
    ----------
    rows : Factor
        Observations.
    population : PopulationDesign
        Covariates of the formula, and means of units where asked for.
    nested : NestedDesign
        Units and varying columns.
    terms : tuple
        Crossed terms and their designs.
    outcome : dict of str to ndarray, shape (row,)
        Outcome by role; for new data without the outcome itself.
    scale : OutcomeScale
        Scale of the linear predictor in the fitted data.
    unit_means : mapping of str to ndarray, shape (unit,)
        Means of covariates by unit, for within and between effects.
    """

    rows: Factor
    population: PopulationDesign
    nested: NestedDesign
    terms: tuple[tuple[Hierarchical, Any], ...]
    outcome: dict[str, np.ndarray]
    scale: OutcomeScale
    unit_means: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class NestedReader:
    """What a nested model reads from a table.

    Attributes
    ----------
    formula : Formula
        Outcome and covariates.
    family : AbstractFamily
        Outcome family.
    population : Population
        Population part.
    term : Nested
        Units and varying coefficients.
    varies_by_default : bool
        Whether the coefficients that vary are those whose covariates vary within leaves, in
        place of the term's.
    crossed : tuple of Hierarchical
        Crossed terms.
    within_between : tuple of str
        Covariates whose unit means enter too.
    level_covariates : mapping of str to sequence of str
        Formula columns that are properties of a level's units.
    """

    formula: Formula
    family: AbstractFamily
    population: Population
    term: Nested
    varies_by_default: bool
    crossed: tuple[Hierarchical, ...]
    within_between: tuple[str, ...]
    level_covariates: Mapping[str, Sequence[str]]

    def read(self, data: Any, known: NestedModelDesign | None = None) -> NestedModelDesign:
        """Read a table; new data are read as the `known` design was."""
        outcome_columns = () if known else self.formula.response.columns
        side = self.family.side_columns
        own = [c for t in self.crossed for c in t.columns]
        needed = [*self.term.columns, *self.population.columns, *own, *self.within_between]
        data = open_table(data, [*needed, *side.values(), *outcome_columns])
        count = data.num_rows
        numbers = np.arange(count)
        rows = Factor(OBSERVATION, numbers, numbers, count)
        # Before the rest: while a column is read, it takes the memory of five.
        outcome = self._side(data) if known else self._outcome(data)
        # A row is a unit of its own here, so that there is nothing to reduce or to check.
        covariates = population_design(
            self.formula,
            columns(data, self.population.columns),
            count,
            known.population if known else None,
            category_levels(data, self.population.columns),
        )
        scale = (
            known.scale
            if known
            else outcome_scale(self.family, outcome, self.population, covariates)
        )
        units = self._units(data, covariates, known.nested if known else None)
        covariates, means = self._with_unit_means(data, covariates, units, known)
        self._check(data, covariates, units, known is None)
        crossed = tuple(
            (t, t.resolve(data, known.terms[i][1] if known else None))
            for i, t in enumerate(self.crossed)
        )
        return NestedModelDesign(rows, covariates, units, crossed, outcome, scale, means)

    def _units(
        self, data: Any, covariates: PopulationDesign, known: NestedDesign | None
    ) -> NestedDesign:
        levels, unique = self.term.levels, self.term.unique_ids
        if known:
            ids = name_missing(columns(data, levels), known.nesting, unique)
            if self.within_between:
                self._refuse_means_of_unknown(ids)
            data = columns(data, (*self.term.columns, *self.population.columns)) | ids
        if not self.varies_by_default:
            return self.term.resolve(data, known)
        tree = nest(columns(data, levels), levels, unique, known.nesting if known else None)
        own = dict(zip(covariates.names, covariates.X.T, strict=True))
        names = known.columns if known else _varying_by_default(covariates, tree)
        ones = np.broadcast_to(1.0, len(tree.leaf))
        values = [own.get(n, ones) for n in names]
        return nested_design("", tree, {level: (names, values) for level in levels}, {}, known)

    def _refuse_means_of_unknown(self, ids: Mapping[str, np.ndarray]) -> None:
        for level, values in ids.items():
            unknown = [v.row for v in values if isinstance(v, UnknownUnit)]
            if unknown:
                raise DataError(
                    f"{level!r} is missing in row {unknown[0]} (counted from 0), but "
                    f"within_between needs the unit's mean of {self.within_between[0]!r}. Fill in "
                    "the id, or drop the row."
                )

    def _with_unit_means(
        self,
        data: Any,
        covariates: PopulationDesign,
        units: NestedDesign,
        known: NestedModelDesign | None,
    ) -> tuple[PopulationDesign, dict[str, np.ndarray]]:
        """Append the mean of each covariate in each unit, level by level (Mundlak 1978)."""
        means: dict[str, np.ndarray] = {}
        added = []
        for column in dict.fromkeys(self.within_between):
            if column not in self.population.columns:
                raise SpecificationError(
                    f"within_between names {column!r}, which the formula lacks. Add it to "
                    f"{self.formula.text!r}: its coefficient becomes the effect within units."
                )
            if known is None and category_levels(data, [column]):
                raise DataError(
                    f"within_between names {column!r}, which holds categories: they have no mean. "
                    "Make the column numbers, or leave it out of within_between."
                )
            x = as_numbers(column, columns(data, [column])[column])
            before = len(means)
            for level in units.levels:
                name = f"{column} (mean of {level})"
                codes, size = (
                    units.nesting.codes(level),
                    len(units.nesting.labels[units.levels.index(level)]),
                )
                # Where x is constant within units, their mean is x itself.
                if name in known.unit_means if known else varies_within(x, codes, size):
                    fitted = known.unit_means[name] if known else np.empty(0)
                    means[name] = _means(x, codes, fitted)
                    added.append(means[name][codes])
            if len(means) == before:
                raise DataError(
                    f"within_between names {column!r}, which has one value in every "
                    f"{units.levels[0]!r}: it has no effect within units. Leave it out of "
                    "within_between."
                )
        if not added:
            return covariates, means
        X = np.column_stack([covariates.X, *added])
        return replace(covariates, X=X, names=(*covariates.names, *means)), means

    def _check(
        self, data: Any, covariates: PopulationDesign, units: NestedDesign, first: bool
    ) -> None:
        for level, names in self.level_covariates.items():
            self._check_level_covariates(data, units, level, names)
        if not first:
            return
        for name, x in zip(covariates.names, covariates.X.T, strict=True):
            if np.ptp(x) == 0:
                raise DataError(
                    f"{name!r} has one value in all rows ({x[0]:g}): its coefficient cannot be "
                    "told from the intercept. Drop it from the formula."
                )

    def _check_level_covariates(
        self, data: Any, units: NestedDesign, level: str, names: Sequence[str]
    ) -> None:
        if level not in units.levels:
            raise SpecificationError(
                f"level_covariates names the level {level!r}, which is not one of levels="
                f"{list(units.levels)!r}."
            )
        labels = units.nesting.labels[units.levels.index(level)]
        factor = Factor(level, labels, units.nesting.codes(level), len(labels))
        for column in (names,) if isinstance(names, str) else names:
            if column not in self.population.columns:
                raise SpecificationError(
                    f"level_covariates names {column!r}, which the formula "
                    f"{self.formula.text!r} lacks. Add it there."
                )
            remedy = (
                f"A covariate of level {level!r} has one value per unit: correct the column, or "
                "leave it out of level_covariates."
            )
            constant_within(column, columns(data, [column])[column], factor, remedy)

    def _side(self, data: Any) -> dict[str, np.ndarray]:
        side = self.family.side_columns
        table = columns(data, side.values()) if side else {}
        return {role: as_numbers(name, table[name]) for role, name in side.items()}

    def _outcome(self, data: Any) -> dict[str, np.ndarray]:
        response = self.formula.response
        table = columns(data, response.columns)
        numbers = partial(outcome_numbers, binary=self.family.binary, event=self.family.event)
        values = response_values(response, table, numbers)
        roles = dict(zip(self.family.roles, values, strict=False))
        return self.family.outcome(response.label, roles | self._side(data))


def refuse_new_units(design: NestedModelDesign, allowed: bool | Sequence[str]) -> None:
    """Refuse units that were not fitted, at the levels where they are not allowed.

    Raises
    ------
    DataError
        New data hold such a unit.
    """
    nested = design.nested
    named = (allowed,) if isinstance(allowed, str) else allowed
    strange = [] if isinstance(named, bool) else [n for n in named if n not in nested.levels]
    if strange:
        raise SpecificationError(
            f"allow_new names the level {strange[0]!r}, which is not one of levels="
            f"{list(nested.levels)!r}."
        )
    for level, name in enumerate(nested.levels):
        labels, known = nested.nesting.labels[level], nested.num_known[level]
        ok = named if isinstance(named, bool) else name in named
        new = [label for label in labels[known:] if not isinstance(label, UnknownUnit)]
        if new and not ok:
            raise DataError(
                f"{name!r}={show(new[0])} was not among the {known} fitted units, and new "
                f"units of {name!r} are not allowed here. Pass allow_new=True to draw its effects "
                "from their distribution, or drop its rows."
            )


def _varying_by_default(covariates: PopulationDesign, tree: Nesting) -> tuple[str, ...]:
    leaves = len(tree.labels[-1])
    slopes = [
        name
        for name, x in zip(covariates.names, covariates.X.T, strict=True)
        if varies_within(x, tree.leaf, leaves)
    ]
    return (INTERCEPT, *slopes)


def _means(x: np.ndarray, codes: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Return each unit's mean; those that were fitted keep theirs."""
    size = max(int(codes.max()) + 1, len(fitted))
    count = np.maximum(np.bincount(codes, minlength=size), 1)
    means = np.bincount(codes, x, size) / count
    means[: len(fitted)] = fitted
    return means
