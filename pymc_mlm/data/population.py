"""Population-level part of a model: a Wilkinson formula becomes a numeric design.

formulaic does the coding and remembers it, so that new data are coded as the fitted data were.
It is imported when the first formula is read: with pandas it takes a third of a second.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.data.checks import as_numbers
from pymc_mlm.data.formula import Formula, check_call
from pymc_mlm.errors import DataError, SpecificationError

INTERCEPT = "Intercept"
_BAR_HINT = (
    " Varying effects such as (1 | unit) are terms after the formula: hm('unit'), mm('member', "
    "'group')."
)


@dataclass(frozen=True, eq=False)
class PopulationDesign:
    """Columns of the population-level linear predictor.

    Attributes
    ----------
    X : ndarray, shape (unit, covariate)
        Coded covariates without the intercept.
    names : tuple of str
        Label of each column of `X`.
    intercept : bool
        Whether the formula has one.
    offset : ndarray, shape (unit,)
        Sum of the terms with a fixed coefficient.
    spec : formulaic.ModelSpec
        How the columns were coded.
    """

    X: np.ndarray
    names: tuple[str, ...]
    intercept: bool
    offset: np.ndarray
    spec: Any


def right_hand_columns(formula: Formula) -> tuple[str, ...]:
    """Return the table columns that the right-hand side of a formula reads.

    Parameters
    ----------
    formula : Formula
        Parsed formula; its function calls are checked here.

    Returns
    -------
    tuple of str
    """
    names: list[str] = []
    for term in _parse(formula):
        for factor in term.factors:
            names.extend(_factor_columns(factor))
    names.extend(offset.column for offset in formula.offsets)
    return tuple(dict.fromkeys(names))


def population_design(
    formula: Formula,
    columns: Mapping[str, np.ndarray],
    length: int,
    known: PopulationDesign | None = None,
) -> PopulationDesign:
    """Code the right-hand side of a formula.

    Parameters
    ----------
    formula : Formula
        Parsed formula.
    columns : mapping of str to ndarray, shape (unit,)
        One value per unit of observation.
    length : int
        Number of units.
    known : PopulationDesign, optional
        Fitted design, whose coding (categories, centring, knots) is used again.

    Returns
    -------
    PopulationDesign

    Raises
    ------
    DataError
        A covariate is missing, or has a category that the fitted data lacked.
    """
    import formulaic
    import pandas as pd

    frame = pd.DataFrame({name: _checked(name, columns[name]) for name in columns})
    frame.index = pd.RangeIndex(length)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # formulaic codes an unseen category as the reference and warns: a wrong answer.
            warnings.simplefilter("error", formulaic.errors.DataMismatchWarning)
            matrix = (
                formulaic.model_matrix(_parse(formula), frame, context={}, na_action="raise")
                if known is None
                else known.spec.get_model_matrix(frame, context={})
            )
    except formulaic.errors.DataMismatchWarning as unseen:
        found = re.search(r"\{(.*)\}", str(unseen))
        which = f" {found.group(1)}" if found else ""
        raise DataError(
            f"New data have a category{which} that the fitted data lacked. The model has no "
            "coefficient for it: drop those rows or recode the column."
        ) from None
    except (formulaic.errors.FormulaicError, ValueError, TypeError, KeyError) as error:
        raise SpecificationError(
            f"The formula {formula.text!r} cannot be evaluated on this table: {error}"
        ) from error
    return _design(formula, frame, matrix, length, fitting=known is None)


def response_values(expression: str, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the values of a transformed outcome such as ``log(y)``, shape (unit,)."""
    import formulaic
    import pandas as pd

    frame = pd.DataFrame({k: as_numbers(k, v) for k, v in columns.items()})
    with np.errstate(all="ignore"):
        matrix = formulaic.model_matrix(f"{expression} - 1", frame, context={}, na_action="ignore")
    return np.asarray(matrix, dtype=np.float64)[:, 0]


def _design(
    formula: Formula, frame: Any, matrix: Any, length: int, fitting: bool
) -> PopulationDesign:
    names = [str(c) for c in matrix.columns]
    values = np.asarray(matrix, dtype=np.float64).reshape(length, len(names))
    free = [i for i, name in enumerate(names) if name != INTERCEPT]
    offset = np.zeros(length)
    for term in formula.offsets:
        offset += term.value * as_numbers(term.column, frame[term.column].to_numpy())
    X = np.ascontiguousarray(values[:, free])
    if not np.isfinite(X).all():
        column = names[free[int(np.flatnonzero(~np.isfinite(X).all(0))[0])]]
        raise DataError(
            f"The formula term {column!r} is not finite in every row (for example the logarithm "
            "of zero). Transform the column so that every value is finite."
        )
    labels = tuple(names[i] for i in free)
    flat = np.ptp(X, axis=0) == 0 if length > 1 and fitting else np.zeros(len(free), dtype=bool)
    if flat.any() and INTERCEPT in names:
        column = labels[int(np.flatnonzero(flat)[0])]
        raise DataError(
            f"The covariate {column!r} has one value only; its coefficient cannot be told from "
            "the intercept. Drop it from the formula."
        )
    return PopulationDesign(X, labels, INTERCEPT in names, offset, matrix.model_spec)


def _parse(formula: Formula) -> Any:
    import formulaic

    try:
        parsed = formulaic.Formula(formula.terms)
    except (formulaic.errors.FormulaicError, SyntaxError, ValueError, RecursionError) as error:
        raise SpecificationError(
            f"The formula {formula.text!r} cannot be read: {str(error).splitlines()[0]}"
            + (_BAR_HINT if "|" in formula.terms else "")
        ) from None
    if not isinstance(parsed, formulaic.SimpleFormula):
        raise SpecificationError(
            f"The formula {formula.text!r} has several parts; one right-hand side is expected."
            + _BAR_HINT
        )
    return parsed


def _factor_columns(factor: Any) -> list[str]:
    method = factor.eval_method.value
    if method == "literal":
        return []
    if method == "lookup":
        return [factor.expr]
    tree = check_call(factor.expr)
    called = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call)}  # type: ignore[attr-defined]
    names = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id not in called]
    quoted = [part for i, part in enumerate(factor.expr.split("`")) if i % 2]
    return [n for n in names if n != "quoted_name"] + quoted


def _checked(name: str, values: np.ndarray) -> np.ndarray:
    """Numbers must be finite; categories must be present and are passed on as text or bool."""
    if values.dtype.kind in "fiu":
        return as_numbers(name, values)
    if values.dtype == bool:
        return values
    absent = np.fromiter((v is None for v in values), dtype=bool, count=len(values))
    if absent.any():
        row = int(np.flatnonzero(absent)[0])
        raise DataError(
            f"Column {name!r} is missing in {int(absent.sum())} of {len(values)} rows or groups, "
            f"first at position {row}. Missing values are not imputed: drop or fill them first."
        )
    if all(isinstance(v, (int, float)) for v in values):
        return as_numbers(name, values)
    return values
