"""Covariates of a term: columns by name, and terms of the formula language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from pymc_mlm.data.categories import Levels
from pymc_mlm.data.checks import as_numbers, check_spread
from pymc_mlm.data.formula import Formula, parse_terms
from pymc_mlm.data.formula_tree import Column
from pymc_mlm.data.population import PopulationDesign, population_design, right_hand_columns
from pymc_mlm.errors import SpecificationError

# Kinds of arrays that are numbers as they are.
NUMBERS = "biuf"


@dataclass(frozen=True, eq=False)
class TermCovariates:
    """Coded covariates of a term.

    Attributes
    ----------
    names : tuple of str
        Label of each column of `X`.
    X : ndarray, shape (row, covariate)
    fixed : ndarray, shape (row,), or None
        Sum of the parts with a fixed coefficient, ``fix(column, value)``.
    coding : PopulationDesign or None
        How a formula was coded, for new data; None where all covariates are columns of numbers.
    """

    names: tuple[str, ...]
    X: np.ndarray
    fixed: np.ndarray | None = None
    coding: PopulationDesign | None = None

    def take(self, rows: np.ndarray) -> TermCovariates:
        """Return some rows, shape (row,) of their places."""
        fixed = None if self.fixed is None else self.fixed[rows]
        return TermCovariates(self.names, self.X[rows], fixed, self.coding)


def covariate_columns(items: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that covariates of a term read.

    Parameters
    ----------
    items : sequence of str
        Names of columns, and parts of formulas such as ``"a * b"`` or ``"fix(a, 1)"``.

    Raises
    ------
    SpecificationError
        A formula leaves out an intercept, which covariates of a term do not have.

    Examples
    --------
    >>> covariate_columns(["age", "age:sex", "share (%)", "fix(seats, 0.5)"])
    ('age', 'share (%)', 'sex', 'seats')
    """
    return right_hand_columns(_formula(tuple(items)))


def read_term_covariates(
    items: Sequence[str],
    columns: Mapping[str, np.ndarray],
    length: int,
    levels: Levels | None = None,
    known: PopulationDesign | None = None,
    fitting: bool = True,
    rows: np.ndarray | None = None,
) -> TermCovariates:
    """Code the covariates of a term.

    Parameters
    ----------
    items : sequence of str
        As for `covariate_columns`.
    columns : mapping of str to ndarray, shape (row,)
        The columns.
    length : int
        Number of rows.
    levels : mapping of str to tuple, optional
        Categories in the order of the user's columns.
    known : PopulationDesign, optional
        The fitted coding.
    fitting : bool
        Whether the table is the fitted one, whose columns must vary enough beside their mean.
    rows : ndarray of int, shape (row,), optional
        Row of the user's table behind each value, for messages.

    Returns
    -------
    TermCovariates

    Raises
    ------
    DataError
        A covariate is missing, is of a type without coefficients, or varies too little.
    """
    formula = _formula(tuple(items))
    # A category of numbers is a category, as it is in a formula.
    numbers_of = {n: v for n, v in columns.items() if n not in (levels or {})}
    plain = not formula.offsets and all(_is_number(p, numbers_of) for p in formula.products)
    if known is None and (plain or not fitting):
        names = right_hand_columns(formula)
        numbers = [as_numbers(name, columns[name], rows) for name in names]
        for name, x in zip(names, numbers, strict=True):
            if fitting:
                check_spread(name, x)
        X = np.column_stack(numbers) if numbers else np.empty((length, 0))
        return TermCovariates(names, np.ascontiguousarray(X))
    # As among plain columns, truth values are numbers.
    own = {n: v.astype(np.float64) if v.dtype.kind == "b" else v for n, v in columns.items()}
    coded = population_design(formula, own, length, known, levels)
    fixed = coded.offset if formula.offsets else None
    return TermCovariates(coded.names, np.ascontiguousarray(coded.X), fixed, coded)


def _is_number(product: tuple[Any, ...], columns: Mapping[str, np.ndarray]) -> bool:
    """Tell whether a term is one column, of numbers or of what is refused as such."""
    if len(product) != 1 or not isinstance(product[0], Column):
        return False
    values = columns.get(product[0].name)
    if values is None:
        return False
    return values.dtype.kind in NUMBERS or not _is_text(values)


def _is_text(values: np.ndarray) -> bool:
    return any(isinstance(v, str) for v in values.tolist())


@lru_cache(maxsize=256)
def _formula(items: tuple[str, ...]) -> Formula:
    """Read the items as one formula; what is none is the name of a column."""
    formula = parse_terms(" + ".join(["1", *(_part(item) for item in items)]))
    if not formula.intercept:
        raise SpecificationError(
            f"covariates={list(items)!r}: covariates of a term have no intercept of their own, and "
            "none to leave out. Drop the 0."
        )
    return formula


def _part(item: str) -> str:
    try:
        parse_terms(item)
    except SpecificationError:
        # A formula for sure; else the text may be a name with brackets or a percent sign.
        if item.lstrip().startswith(("fix(", "offset(", "I(", "C(")):
            raise
        return f"`{item}`" if "`" not in item else item
    return item
