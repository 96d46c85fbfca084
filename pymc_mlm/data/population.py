"""Population-level part of a model: a Wilkinson formula becomes a numeric design.

formulaic does the coding and remembers it, so that new data are coded as the fitted data were.
It is imported when the first formula is read: with pandas it takes a third of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pymc_mlm.data.categories import Levels
from pymc_mlm.data.checks import as_numbers, check_spread
from pymc_mlm.data.covariates import Covariates, read_covariates
from pymc_mlm.data.formula import Formula, Response
from pymc_mlm.data.formula_calls import is_rowwise
from pymc_mlm.data.formula_code import EVALUATED
from pymc_mlm.data.formula_terms import Term, term_label
from pymc_mlm.data.formula_tree import Column, Node, column_names, label
from pymc_mlm.data.values import show
from pymc_mlm.errors import DataError, SpecificationError

INTERCEPT = "Intercept"
# Rows coded at a time: beside the design, formulaic needs the memory of some six columns a term.
CHUNK_ROWS = 1 << 18
# Of the variation in a column, what is left for a polynomial term that rounding made.
SPENT = 1e-10


@dataclass(frozen=True, eq=False)
class Coding:
    """How the columns of a design were made, for new data.

    Attributes
    ----------
    covariates : Covariates
        Names and categories.
    spec : formulaic.ModelSpec
        Means, knots and the columns of each term.
    """

    covariates: Covariates
    spec: Any


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
    spec : Coding
        How the columns were coded.
    terms : tuple of str
        Term that each column of `X` belongs to.
    counts : ndarray, shape (unit,), or None
        How often each unit counts for the scales of default priors; None for once.
    by : tuple of str
        Categories of an unordered outcome but the reference: a unit has a row for each of them, one
        after the other, and each of them has its own coefficients; `intercept` is False, and each
        category has one. Empty for other outcomes.
    """

    X: np.ndarray
    names: tuple[str, ...]
    intercept: bool
    offset: np.ndarray
    spec: Any
    terms: tuple[str, ...] = field(default=())
    counts: np.ndarray | None = None
    by: tuple[str, ...] = ()

    @property
    def level(self) -> np.ndarray:
        """Columns of the intercepts of categories, shape (unit, category); none without them."""
        count = len(self.by)
        return np.tile(np.eye(count), (len(self.X) // max(count, 1), 1)).reshape(len(self.X), count)

    @property
    def X_with_level(self) -> np.ndarray:
        """Columns of the intercepts of categories and of the covariates."""
        return np.column_stack([self.level, self.X]) if self.by else self.X


def right_hand_columns(formula: Formula) -> tuple[str, ...]:
    """Return the table columns that the right-hand side of a formula reads.

    Parameters
    ----------
    formula : Formula
        Parsed formula.

    Returns
    -------
    tuple of str
    """
    factors = [factor for term in formula.products for factor in term]
    factors += [offset.expression for offset in formula.offsets]
    return tuple(dict.fromkeys(name for factor in factors for name in column_names(factor)))


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
        A covariate is missing, is not finite, has a category that the fitted data lacked, is of a
        type without coefficients, does not vary, or varies too little beside its mean.
    SpecificationError
        The formula makes more columns than the limit, or two of one name.
    """
    offset = np.zeros(length)
    for fixed in formula.offsets:
        offset += fixed.value * expression_values(fixed.expression, columns)
    if known is None:
        covariates, own = read_covariates(formula.products, columns, levels or {})
        covariates.check_size(formula.products, length)
        code: Any = _terms(formula, covariates)
    else:
        covariates, code = known.spec.covariates, known.spec.spec
        own = covariates.checked(columns)
    X, spec = _coded(formula, code, covariates.table(own), length, known is None)
    names, terms = _names(formula, covariates, spec)
    _check_finite(names, X)
    if known is None:
        _check_names(formula, names, terms, spec)
        _check_states(formula, spec)
        _check_variation(X, names, formula.intercept and length > 1)
    return PopulationDesign(X, names, formula.intercept, offset, Coding(covariates, spec), terms)


def response_values(
    response: Response,
    columns: Mapping[str, np.ndarray],
    numbers: Callable[[str, np.ndarray], np.ndarray] = as_numbers,
) -> list[np.ndarray]:
    """Return the values of each part of an outcome.

    Parameters
    ----------
    response : Response
        The outcome, or time and event.
    columns : mapping of str to ndarray, shape (unit,)
        The columns that it reads.
    numbers : callable
        Makes numbers of a part that is a column as it is, from its name and values.

    Returns
    -------
    list of ndarray of float64, each of shape (unit,)

    Raises
    ------
    DataError
        A value is missing, is no number, or is not finite after its transformation.

    Examples
    --------
    >>> from pymc_mlm.data.formula import parse_formula
    >>> response_values(parse_formula("log(y) + 1 ~ x").response, {"y": np.array([1.0, np.e])})
    [array([1., 2.])]
    """
    return [
        numbers(part.name, columns[part.name])
        if isinstance(part, Column)
        else expression_values(part, columns)
        for part in response.parts
    ]


def expression_values(expression: Node, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the values of arithmetic of columns, shape (unit,), or say where it is not finite."""
    own = {name: columns[name] for name in column_names(expression)}
    if isinstance(expression, Column):
        return as_numbers(expression.name, own[expression.name])
    import formulaic

    covariates, checked = read_covariates([(expression,)], own, {})
    text = covariates.text(expression)
    factor = formulaic.parser.types.Factor(text, eval_method="python")
    code = formulaic.Formula([formulaic.parser.types.Term([factor])])
    length = len(next(iter(own.values())))
    values = np.empty(length)
    # Formulas of numbers only are the same in parts; a mean is not.
    step = CHUNK_ROWS if is_rowwise(expression) else length
    table = covariates.table(checked)
    for rows in _parts(length, step):
        values[rows] = np.asarray(_materialized(code, table, rows), dtype=np.float64)[:, 0]
    _check_expression(expression, values, own)
    return values


def _check_expression(
    expression: Node, values: np.ndarray, columns: Mapping[str, np.ndarray]
) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        there = ", ".join(f"{name} is {show(x[bad[0]])}" for name, x in columns.items())
        raise DataError(
            f"{label(expression)!r} is not finite in {len(bad)} of {len(values)} rows or groups, "
            f"first in row {bad[0]} (counted from 0), where {there}. Transform the column so that "
            "every value is finite, or drop those rows."
        )


def _terms(formula: Formula, covariates: Covariates) -> Any:
    """Return formulaic's formula: generated texts, and names to look up."""
    import formulaic

    types = formulaic.parser.types
    terms = [types.Term([types.Factor("1", eval_method="literal")])] if formula.intercept else []
    seen: dict[frozenset[str], Term] = {}
    for term in formula.products:
        texts = [covariates.text(factor) for factor in term]
        if (twin := seen.setdefault(frozenset(texts), term)) is not term:
            raise SpecificationError(
                f"The formula {formula.text!r} has {term_label(twin)!r} and {term_label(term)!r}, "
                "which are the same columns. Leave one out."
            )
        terms.append(types.Term([_factor(types, text) for text in texts]))
    return formulaic.Formula(terms, _ordering="none")


def _factor(types: Any, text: str) -> Any:
    return types.Factor(text, eval_method="lookup" if text.isidentifier() else "python")


def _coded(
    formula: Formula, code: Any, table: Mapping[str, Any], length: int, fitting: bool
) -> tuple[np.ndarray, Any]:
    """Return the columns but for the intercept, and their coding."""
    import formulaic

    rowwise = all(is_rowwise(factor) for term in formula.products for factor in term)
    step = CHUNK_ROWS if rowwise or not fitting else length
    X = np.empty((length, 0))
    try:
        for rows in _parts(length, step):
            matrix = _materialized(code, table, rows)
            code = matrix.model_spec
            free = [column for name, column in matrix.items() if name != INTERCEPT]
            if rows.start == 0:
                X = np.empty((length, len(free)))
            for i, column in enumerate(free):
                X[rows, i] = column
    except (formulaic.errors.FormulaicError, ValueError, TypeError, ArithmeticError) as error:
        raise SpecificationError(
            f"The formula {formula.text!r} cannot be evaluated on this table: {_reason(error)}"
        ) from error
    return X, code


def _reason(error: BaseException) -> str:
    cause = error.__cause__ or error
    return str(cause) or type(cause).__name__


def _parts(length: int, step: int) -> Iterable[slice]:
    return (slice(i, min(i + step, length)) for i in range(0, length, step))


def _materialized(code: Any, table: Mapping[str, Any], rows: slice) -> Any:
    """Let formulaic code some rows: by a formula, or by how it coded others."""
    import formulaic
    import pandas as pd

    parts = {name: _numbers(column[rows]) for name, column in table.items()}
    frame = pd.DataFrame(parts, index=pd.RangeIndex(rows.stop - rows.start), copy=False)
    materializer = formulaic.materializers.PandasMaterializer(frame, context=dict(EVALUATED))
    try:
        with np.errstate(all="ignore"):
            return materializer.get_model_matrix(code, na_action="ignore")
    finally:
        # Both are parts of reference cycles: what they hold would stay until the next collection.
        vars(materializer).clear()
        for name in parts:
            del frame[name]


def _numbers(values: Any) -> Any:
    # A sum of booleans would be a boolean, and a difference is none.
    whole = isinstance(values, np.ndarray) and values.dtype.kind in "iub"
    return values.astype(np.float64) if whole else values


def _names(
    formula: Formula, covariates: Covariates, spec: Any
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the label of each column, and that of its term."""
    coded = spec.structure[int(formula.intercept) :]
    names: list[str] = []
    terms: list[str] = []
    for term, structure in zip(formula.products, coded, strict=True):
        own = covariates.labels(term, structure.columns)
        names += own
        terms += [term_label(term)] * len(own)
    return tuple(names), tuple(terms)


def _check_names(
    formula: Formula, names: tuple[str, ...], terms: tuple[str, ...], spec: Any
) -> None:
    """Refuse terms without columns, and columns that cannot be told apart by name."""
    for term in formula.products:
        if term_label(term) not in terms:
            raise DataError(
                f"The covariate {term_label(term)!r} has one value only, or is made of other terms "
                "of the formula: it has no coefficient of its own. Drop it from the formula."
            )
    twice = [name for name in names if names.count(name) > 1] if len({*names}) < len(names) else []
    if twice or INTERCEPT in names:
        raise SpecificationError(
            f"Two coefficients of the formula {formula.text!r} would be called "
            f"{(twice or [INTERCEPT])[0]!r}. Rename a column or a category."
        )


def _check_states(formula: Formula, spec: Any) -> None:
    """Refuse knots outside the data, and polynomials of a degree that the values do not have."""
    for state in spec.transform_state.values():
        knots = state.get("knots", [])
        if list(knots) != sorted(knots):
            raise SpecificationError(
                f"The formula {formula.text!r} has knots {knots} that do not lie inside the data "
                "or the bounds. Choose knots between the smallest and the largest value."
            )
        norms = [state["norms2"][k] for k in sorted(state.get("norms2", {}))]
        if len(norms) > 1 and norms[-1] <= SPENT * norms[-2] * norms[1] / norms[0]:
            raise SpecificationError(
                f"The formula {formula.text!r} has a polynomial of degree {len(norms) - 1}, for "
                "which its column has too few distinct values. Lower the degree."
            )


def _check_finite(names: tuple[str, ...], X: np.ndarray) -> None:
    # Column by column: along rows of a few numbers NumPy is five times as slow.
    for name, x in zip(names, X.T, strict=True):
        if not np.isfinite(x).all():
            row = int(np.argmin(np.isfinite(x)))
            raise DataError(
                f"The formula term {name!r} is not finite in every row (for example the logarithm "
                f"of zero), first in row {row} (counted from 0). Transform the column so that "
                "every value is finite."
            )


def _check_variation(X: np.ndarray, names: tuple[str, ...], flat_is_wrong: bool) -> None:
    for name, x in zip(names, X.T, strict=True):
        if flat_is_wrong and (x == x[0]).all():
            raise DataError(
                f"The covariate {name!r} has one value only; its coefficient cannot be told from "
                "the intercept. Drop it from the formula."
            )
    for name, x in zip(names, X.T, strict=True):
        check_spread(name, x)
