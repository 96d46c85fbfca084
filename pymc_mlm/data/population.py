"""Population-level part of a model: a Wilkinson formula becomes a numeric design.

formulaic does the coding and remembers it, so that new data are coded as the fitted data were.
It is imported when the first formula is read: with pandas it takes a third of a second.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pymc_mlm.data.categories import Levels, coded_categories, levels_with_rows
from pymc_mlm.data.checks import as_covariate, as_numbers, check_spread
from pymc_mlm.data.formula import Formula, check_call, unreadable
from pymc_mlm.errors import DataError, SpecificationError

INTERCEPT = "Intercept"
# Rows coded at a time: beside the design, formulaic needs the memory of some six columns a term.
CHUNK_ROWS = 1 << 18
# Functions whose value in a row needs no other row, such as a mean or the knots of a spline.
ROWWISE = frozenset(("exp", "log", "log10", "log2"))
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
    levels : mapping of str to tuple
        Categories of each column that has some, the reference first.
    """

    X: np.ndarray
    names: tuple[str, ...]
    intercept: bool
    offset: np.ndarray
    spec: Any
    levels: Levels = field(default_factory=dict)


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
    levels: Levels | None = None,
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
    levels : mapping of str to tuple, optional
        Categories in the order of the user's column (`pymc_mlm.data.frame.category_levels`); those
        of other columns are sorted. Categories without rows are left out.

    Returns
    -------
    PopulationDesign

    Raises
    ------
    DataError
        A covariate is missing, has a category that the fitted data lacked, is of a type without
        coefficients, or varies too little beside its mean.
    """
    import formulaic

    fitting = known is None
    offset = np.zeros(length)
    for fixed in formula.offsets:
        offset += fixed.value * as_numbers(fixed.column, columns[fixed.column])
    parsed = _parse(formula)
    code = parsed if known is None else known.spec
    table, of_columns = _covariates(parsed, columns, known, levels or {})
    rowwise = not fitting or all(_is_rowwise(f, table) for term in code for f in term.factors)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # formulaic codes an unseen category as the reference and warns: a wrong answer.
            warnings.simplefilter("error", formulaic.errors.DataMismatchWarning)
            X, spec = _coded(code, table, length, CHUNK_ROWS if rowwise else length)
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
    names = tuple(name for name in spec.column_names if name != INTERCEPT)
    intercept = INTERCEPT in spec.column_names
    _check_finite(X, names)
    if fitting:
        _check_variation(X, names, of_columns, intercept and length > 1)
    return PopulationDesign(X, names, intercept, offset, spec, of_columns)


def response_values(expression: str, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the values of a transformed outcome such as ``log(y)``, shape (unit,)."""
    table = {k: as_numbers(k, v) for k, v in columns.items()}
    rows = slice(0, len(next(iter(table.values()))))
    with np.errstate(all="ignore"):
        matrix = _materialized(f"{expression} - 1", table, rows, na_action="ignore")
    return np.asarray(matrix, dtype=np.float64)[:, 0]


def _covariates(
    parsed: Any,
    columns: Mapping[str, np.ndarray],
    known: PopulationDesign | None,
    given: Levels,
) -> tuple[dict[str, Any], Levels]:
    """Return the columns of a formula as numbers and categories, and the categories' order."""
    factors = [factor for term in parsed for factor in term.factors]
    free = {name: columns[name] for factor in factors for name in _factor_columns(factor)}
    declared = {name for factor in factors for name in _declared(factor)}
    if known is None:
        table = {k: as_covariate(k, v, k in declared or k in given) for k, v in free.items()}
        levels: Levels = levels_with_rows(table, given)
    else:
        levels = known.levels
        table = {
            k: as_covariate(k, v, True) if k in levels or k in declared else as_numbers(k, v)
            for k, v in free.items()
        }
    return coded_categories(table, levels), levels


def _coded(
    code: Any, table: Mapping[str, np.ndarray], length: int, step: int
) -> tuple[np.ndarray, Any]:
    """Return the columns but for the intercept, coded `step` rows at a time, and their coding."""
    X = np.empty((length, 0))
    for first in range(0, length, step):
        rows = slice(first, min(first + step, length))
        matrix = _materialized(code, table, rows)
        code = matrix.model_spec
        free = [column for name, column in matrix.items() if name != INTERCEPT]
        if first == 0:
            X = np.empty((length, len(free)))
        for i, column in enumerate(free):
            X[rows, i] = column
    return X, code


def _materialized(
    code: Any, table: Mapping[str, np.ndarray], rows: slice, na_action: str = "raise"
) -> Any:
    """Let formulaic code some rows: by a formula, or by how it coded others."""
    import formulaic
    import pandas as pd

    parts = {name: column[rows] for name, column in table.items()}
    # Integers as numbers: C(k) labels its categories 1.0, 2.0, ...
    parts = {k: v.astype(np.float64) if v.dtype.kind in "iu" else v for k, v in parts.items()}
    frame = pd.DataFrame(parts, index=pd.RangeIndex(rows.stop - rows.start), copy=False)
    materializer = formulaic.materializers.PandasMaterializer(frame, context={})
    try:
        return materializer.get_model_matrix(code, na_action=na_action)
    finally:
        # Both are parts of reference cycles: what they hold would stay until the next collection.
        vars(materializer).clear()
        for name in parts:
            del frame[name]


def _is_rowwise(factor: Any, table: Mapping[str, np.ndarray]) -> bool:
    """Tell whether a factor's value in a row depends on that row alone, as categories do not."""
    if any(table[name].dtype.kind not in "iufb" for name in _factor_columns(factor)):
        return False
    if factor.eval_method.value != "python":
        return True
    nodes = list(ast.walk(check_call(factor.expr)))
    called = {n.func.id for n in nodes if isinstance(n, ast.Call)}  # type: ignore[attr-defined]
    return called <= ROWWISE and not any(isinstance(n, (ast.List, ast.Tuple)) for n in nodes)


def _check_finite(X: np.ndarray, names: tuple[str, ...]) -> None:
    # Column by column: along rows of a few numbers NumPy is five times as slow.
    for name, x in zip(names, X.T, strict=True):
        if not np.isfinite(x).all():
            raise DataError(
                f"The formula term {name!r} is not finite in every row (for example the logarithm "
                "of zero). Transform the column so that every value is finite."
            )


def _check_variation(
    X: np.ndarray,
    names: tuple[str, ...],
    levels: Levels,
    flat_is_wrong: bool,
) -> None:
    flat = [name for name, found in levels.items() if len(found) == 1]
    flat += [name for name, x in zip(names, X.T, strict=True) if (x == x[0]).all()]
    if flat and flat_is_wrong:
        raise DataError(
            f"The covariate {flat[0]!r} has one value only; its coefficient cannot be told from "
            "the intercept. Drop it from the formula."
        )
    for name, x in zip(names, X.T, strict=True):
        check_spread(name, x)


def _parse(formula: Formula) -> Any:
    import formulaic

    try:
        parsed = formulaic.Formula(formula.terms)
    except (formulaic.errors.FormulaicError, SyntaxError, ValueError, RecursionError) as error:
        refusal = unreadable(formula.text, error)
        raise SpecificationError(f"{refusal}{_BAR_HINT if '|' in formula.terms else ''}") from None
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


def _declared(factor: Any) -> list[str]:
    """Return the column that a factor declares to be categories: C(column)."""
    call = re.match(r"\s*C\(\s*(?:`([^`]+)`|(\w+))\s*[,)]", factor.expr)
    return [call[1] or call[2]] if call else []
