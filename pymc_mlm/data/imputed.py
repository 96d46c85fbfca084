"""Covariates with missing values: where they are missing, their fill, and what they depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.data.checks import as_numbers
from pymc_mlm.data.factor import Factor
from pymc_mlm.data.formula import Formula
from pymc_mlm.data.formula_tree import Column, column_names
from pymc_mlm.data.frame import Table, absent, columns
from pymc_mlm.data.population import INTERCEPT, PopulationDesign
from pymc_mlm.errors import DataError, SpecificationError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class ImputedColumn:
    """A covariate with missing values.

    Attributes
    ----------
    name : str
        The column.
    place : int
        Its place in the population's design.
    missing : ndarray of int, shape (missing,)
        Rows without a value.
    values : ndarray, shape (row,)
        The covariate, with `fill` where it is missing.
    fill, sd : float
        Mean and standard deviation of the values of the fitted table.
    predictors : tuple of str
        The intercept, the complete covariates, and the imputed ones before this one.
    num_complete : int
        How many of them come before the imputed ones.
    own : tuple of int
        Places of the predictors but the intercept in the population's design.
    X : ndarray, shape (row, predictor)
        Ones, and these columns less their `means`.
    means, spreads : ndarray, shape (predictor - 1,)
        Of the fitted table.
    mode : ndarray, shape (predictor,)
        About least squares on the rows with a value: where the coefficients start.
    root : ndarray, shape (predictor, predictor), or (1,)
        Root of their covariance there.
    """

    name: str
    place: int
    missing: Array
    values: Array
    fill: float
    sd: float
    predictors: tuple[str, ...]
    num_complete: int
    own: tuple[int, ...]
    X: Array
    means: Array
    spreads: Array
    mode: Array
    root: Array

    @property
    def observed(self) -> Array:
        """Rows with a value, shape (observed,)."""
        return np.setdiff1d(np.arange(len(self.values)), self.missing)

    @property
    def prior_mean(self) -> Array:
        """Mean of the default prior of the coefficients."""
        return np.append(self.fill, np.zeros(len(self.spreads)))

    @property
    def prior_sd(self) -> Array:
        """Its standard deviations: 2.5 spreads of the covariate per spread of a predictor."""
        return 2.5 * self.sd * np.append(1.0, 1.0 / self.spreads)

    def design_matrix(self, X: Array) -> Array:
        """Return ones and the centred predictors of a population's design."""
        return np.column_stack([np.ones(len(X)), X[:, list(self.own)] - self.means])


def imputed_columns(
    names: Sequence[str], population: PopulationDesign, lost: Mapping[str, Array]
) -> tuple[ImputedColumn, ...]:
    """Return imputed covariates, each with those before it among its predictors.

    Parameters
    ----------
    names : sequence of str
        Imputed covariates.
    population : PopulationDesign
        Coded covariates of the fitted table, fills in place of missing values.
    lost : mapping of str to ndarray of bool, shape (row,)
        Rows without a value, by column.

    Raises
    ------
    DataError
        A covariate has fewer than two different values.
    """
    complete = [k for k, n in enumerate(population.names) if n not in names]
    found: list[ImputedColumn] = []
    for name in names:
        place = population.names.index(name)
        own = (*complete, *(c.place for c in found))
        x, missing = population.X[:, place], lost[name]
        seen = x[~missing]
        if len(seen) < 2 or np.ptp(seen) == 0:
            raise DataError(
                f"impute names {name!r}, which has fewer than two different values: nothing tells "
                "how it varies. Leave it out of the formula, or fill it in."
            )
        if len(np.unique(seen)) == 2:
            raise DataError(
                f"impute names {name!r}, which has two values only ({seen.min():g} and "
                f"{seen.max():g}): a missing one is not normal. Fill it in before fitting."
            )
        Z = population.X[:, list(own)]
        means, spreads = Z.mean(axis=0), Z.std(axis=0)
        spreads = np.where(spreads > 0, spreads, 1.0)
        X = np.column_stack([np.ones(len(Z)), Z - means])
        mode, root = _located(X[~missing], seen, spreads)
        predictors = (INTERCEPT, *(population.names[k] for k in own))
        fill, sd = float(seen.mean()), float(seen.std())
        found.append(
            ImputedColumn(
                name, place, np.flatnonzero(missing), x, fill, sd, predictors,
                1 + len(complete), own, X, means, spreads, mode, root,
            )
        )  # fmt: skip
    return tuple(found)


def filled(
    table: Table,
    names: Sequence[str],
    group: Factor | None,
    fills: Mapping[str, float] | None = None,
) -> tuple[Table, dict[str, Array]]:
    """Put a value where a covariate is missing.

    Parameters
    ----------
    table : Table
        Opened for the covariates.
    names : sequence of str
        Imputed covariates.
    group : Factor or None
        Units of observation, where they are not the rows.
    fills : mapping of str to float, optional
        Fills of a fitted table; means of the units' values by default.

    Returns
    -------
    table : Table
    lost : dict of str to ndarray of bool, shape (unit,)
        Units of observation without a value, by covariate.

    Raises
    ------
    DataError
        A covariate holds no numbers, or is missing in some rows of a unit only.
    """
    parts, lost = dict(table.parts), {}
    for name in names:
        gone = absent(table, name)
        values = np.zeros(len(gone))
        values[~gone] = as_numbers(name, columns(table, [name])[name][~gone], np.flatnonzero(~gone))
        of_units, first = gone, np.arange(len(gone))
        if group is not None:
            first = group.first_row()
            of_units = gone[first]
            partly = np.flatnonzero(gone != of_units[group.codes])
            if len(partly):
                raise DataError(
                    f"Column {name!r} is missing in some rows of {group.name!r}="
                    f"{group.labels[group.codes[partly[0]]]!r} only. It has one value there: "
                    "repeat it in all of its rows, or leave it out of all."
                )
        seen = values[first][~of_units]
        fill = fills[name] if fills is not None else float(seen.mean()) if len(seen) else 0.0
        parts[name], lost[name] = np.where(gone, fill, values), of_units
    return Table(table.names, parts, table.num_rows), lost


def check_imputed(names: Sequence[Any], formula: Formula, elsewhere: Mapping[str, str]) -> None:
    """Refuse columns that cannot be imputed.

    Parameters
    ----------
    names : sequence of str
        What ``impute=`` names.
    formula : Formula
        The formula.
    elsewhere : mapping of str to str
        Columns that something else reads, and what.

    Raises
    ------
    SpecificationError
        A column is no plain covariate of the formula, is named twice, or is read elsewhere.
    """
    plain = [t[0].name for t in formula.products if len(t) == 1 and isinstance(t[0], Column)]
    for k, name in enumerate(names):
        if not isinstance(name, str) or name in names[:k]:
            raise SpecificationError(
                f"impute={list(names)!r} must name columns of the formula, each once."
            )
        used = [t for t in formula.products if any(name in column_names(f) for f in t)]
        fixed = [o for o in formula.offsets if name in column_names(o.expression)]
        if name not in plain or len(used) > 1 or fixed:
            raise SpecificationError(
                f"impute names {name!r}, which the formula {formula.text!r} does not have as a "
                "covariate on its own: functions and products of a missing value are not normal. "
                "Write it as a plain term, or fill it in before fitting (multiple imputation)."
            )
        if name in elsewhere:
            raise SpecificationError(
                f"impute names {name!r}, which {elsewhere[name]} reads, too. A missing value is "
                "imputed in the formula alone: fill the column in before fitting."
            )


def _located(X: Array, y: Array, spreads: Array) -> tuple[Array, Array]:
    """Return mode and covariance root of the coefficients, under a weak prior."""
    sd = y.std()
    prior = 2.5 * sd * np.append(1.0, 1.0 / spreads)
    # In units of the prior: columns may have any scale.
    Z = X * prior / sd
    H = Z.T @ Z + np.eye(len(prior))
    place = np.append(y.mean(), np.zeros(len(spreads)))
    mode = place + prior * np.linalg.solve(H, Z.T @ (y - y.mean()) / sd)
    root = np.linalg.inv(np.linalg.cholesky(H)).T * prior[:, None]
    return mode, root[0] if len(mode) == 1 else root
