"""Columns of a formula under generated names, which formulaic reads.

What the user wrote, names of columns and of categories included, comes back as labels afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from pymc_mlm.data.categories import Levels, coded, distinct, in_order, levels_with_rows
from pymc_mlm.data.checks import as_covariate, as_numbers
from pymc_mlm.data.formula_calls import (
    CATEGORIES,
    CENTERING,
    SPLINES,
    options,
    width,
)
from pymc_mlm.data.formula_code import generated
from pymc_mlm.data.formula_terms import Term, term_label
from pymc_mlm.data.formula_tree import (
    Binary,
    Call,
    Column,
    Node,
    Text,
    column_names,
    label,
    walk,
)
from pymc_mlm.data.values import show
from pymc_mlm.errors import SpecificationError

MAX_COLUMNS = 5_000
MAX_CELLS = 1 << 30


@dataclass(frozen=True, eq=False)
class Covariates:
    """How the columns of a formula are handed to formulaic.

    Attributes
    ----------
    names : mapping of Node to str
        Generated name of each column of numbers, comparison with a category, and factor of
        categories.
    levels : mapping of Node to tuple
        Categories of each such factor, the reference first.
    """

    names: Mapping[Node, str]
    levels: Mapping[Node, tuple[Any, ...]]

    def checked(self, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return new columns as the fitted ones were read: as numbers or as categories.

        Parameters
        ----------
        columns : mapping of str to ndarray, shape (unit,)
            Columns of the user's table.

        Raises
        ------
        DataError
            A value is missing.
        """
        compared = [node for node in self.names if isinstance(node, Binary)]
        declared = {column_names(node)[0] for node in (*self.levels, *compared)}
        used = dict.fromkeys(column_names(node)[0] for node in self.names)
        return {
            name: as_covariate(name, columns[name], declared=True)
            if name in declared
            else columns[name]
            for name in used
        }

    def table(self, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Return the columns under their generated names.

        Parameters
        ----------
        columns : mapping of str to ndarray, shape (unit,)
            Checked columns.

        Returns
        -------
        dict of str to ndarray or pandas.Categorical, each of shape (unit,)

        Raises
        ------
        DataError
            A value is no number, or is a category that the fitted data lacked.
        """
        nodes = {name: node for node, name in self.names.items()}
        return {name: self._values(node, columns) for name, node in nodes.items()}

    def _values(self, node: Node, columns: Mapping[str, np.ndarray]) -> Any:
        column = column_names(node)[0]
        if node in self.levels:
            return coded(column, columns[column], self.levels[node])
        if isinstance(node, Binary):
            return _equal(node, columns[column])
        return _numbers(column, columns[column])

    def text(self, factor: Node) -> str:
        """Return a factor as text that formulaic may evaluate."""
        return self.names.get(factor) or generated(factor, self.names)

    def width(self, term: Term) -> int:
        """Return the number of columns of a term, at most."""
        return prod(self._width(factor) for factor in term)

    def _width(self, factor: Node) -> int:
        if factor in self.levels:
            return len(self.levels[factor])
        several = isinstance(factor, Call) and factor.function in (*SPLINES, "poly")
        return width(factor) if several else 1  # type: ignore[arg-type]

    def check_size(self, terms: Iterable[Term], length: int) -> None:
        """Refuse more columns than a model can have, before they are made.

        Raises
        ------
        SpecificationError
            There are more columns, or more numbers in them, than the limit.
        """
        widths = {term: self.width(term) for term in terms}
        total = sum(widths.values())
        if total <= MAX_COLUMNS and total * length <= MAX_CELLS:
            return
        widest = max(widths, key=lambda term: widths[term])
        limit = f"{MAX_COLUMNS} columns"
        if total <= MAX_COLUMNS:
            limit = f"{MAX_CELLS} numbers in all, here {MAX_CELLS // length} columns"
        raise SpecificationError(
            f"The formula makes {total} columns, {widths[widest]} of them by "
            f"{term_label(widest)[:200]!r}; the limit is {limit}. Units with effects of their own, "
            "such as schools, are terms after the formula: hm('unit')."
        )

    def labels(self, term: Term, coded: Iterable[str]) -> list[str]:
        """Return the names of a term's columns as the user would write them.

        Parameters
        ----------
        term : tuple of Node
            Factors of the term.
        coded : iterable of str
            Names that formulaic gave: generated texts, with the category or number in brackets.
        """
        factors = {self.text(factor): factor for factor in term}
        # Some columns of f:g may be those of f alone, which is why factors are found by text.
        return [":".join(self._label(factors, part) for part in name.split(":")) for name in coded]

    def _label(self, factors: Mapping[str, Node], part: str) -> str:
        if part in factors:
            return term_label((factors[part],))
        text, _, field = part.removesuffix("]").rpartition("[")
        factor = factors[text]
        if factor in self.levels:
            prefix = "T." if field.startswith("T.") else ""
            field = f"{prefix}{self.levels[factor][int(field.removeprefix('T.'))]}"
        return f"{term_label((factor,))}[{field}]"


def read_covariates(
    terms: Iterable[Term], columns: Mapping[str, np.ndarray], given: Levels
) -> tuple[Covariates, dict[str, np.ndarray]]:
    """Name what a formula reads from a table.

    Parameters
    ----------
    terms : iterable of tuple of Node
        Factors of each term.
    columns : mapping of str to ndarray, shape (unit,)
        Columns of the fitted table.
    given : mapping of str to tuple
        Categories of some columns in the order that the user chose.

    Returns
    -------
    Covariates
    dict of str to ndarray, shape (unit,)
        The checked columns.

    Raises
    ------
    DataError
        A column is of a type without coefficients.
    SpecificationError
        The formula names a category that a column does not have.
    """
    factors = list(dict.fromkeys(factor for term in terms for factor in term))
    declared = {*given, *(name for factor in factors for name in _declared(factor))}
    used = dict.fromkeys(name for factor in factors for name in column_names(factor))
    table = {name: as_covariate(name, columns[name], name in declared) for name in used}
    names: dict[Node, str] = {}
    levels: dict[Node, tuple[Any, ...]] = {}
    coded_as: dict[tuple[str, tuple[Any, ...]], str] = {}
    for factor in factors:
        if _is_categories(factor, table, given):
            column = column_names(factor)[0]
            levels[factor] = _levels(factor, table[column], given.get(column))
            # f and C(f) are the same columns, and so have the same name.
            names[factor] = coded_as.setdefault((column, levels[factor]), f"c{len(names)}")
            continue
        for node in _inputs(factor):
            if isinstance(node, Binary):
                _match(node, _category_of(node), distinct(table[column_names(node)[0]])[1])
            names.setdefault(node, f"n{len(names)}")
    return Covariates(names, levels), table


def _declared(factor: Node) -> list[str]:
    """Return the columns that a factor takes for categories: C(column), column == 'a'."""
    of_categories = isinstance(factor, Call) and factor.function == CATEGORIES
    parts = [factor] if of_categories else [x for x in walk(factor) if _category_of(x) is not None]
    return [name for part in parts for name in column_names(part)]


def _is_categories(factor: Node, table: Mapping[str, np.ndarray], given: Levels) -> bool:
    if isinstance(factor, Call):
        return factor.function == CATEGORIES
    return isinstance(factor, Column) and (
        factor.name in given or table[factor.name].dtype.kind not in "iufb"
    )


def _inputs(node: Node) -> list[Node]:
    """Return the columns of numbers in an expression, and its comparisons with categories."""
    compared = [x for x in walk(node) if _category_of(x) is not None]
    taken = {id(part) for x in compared for part in walk(x)}
    plain = [x for x in walk(node) if isinstance(x, Column) and id(x) not in taken]
    if isinstance(node, Call) and (node.function in (*SPLINES, "poly", *CENTERING)):
        plain = [x for x in walk(node.args[0]) if isinstance(x, Column) and id(x) not in taken]
    return list(dict.fromkeys([*plain, *compared]))


def _category_of(node: Node) -> str | None:
    """Return the text that a comparison is with; None for anything else."""
    if isinstance(node, Binary):
        for side in (node.left, node.right):
            if isinstance(side, Text):
                return side.value
    return None


def _numbers(column: str, values: np.ndarray) -> np.ndarray:
    # As they are where possible: a copy takes the memory of another column.
    if values.dtype.kind in "iub" or (values.dtype == np.float64 and np.isfinite(values).all()):
        return values
    return as_numbers(column, values)


def _levels(factor: Node, values: np.ndarray, given: Iterable[Any] | None) -> tuple[Any, ...]:
    chosen = options(factor) if isinstance(factor, Call) else {}
    present = distinct(values)[1]
    if "levels" in chosen:
        given = [_match(factor, level, present) for level in chosen["levels"]]
        unlisted = [level for level in present if level not in set(given)]
        if unlisted:
            raise SpecificationError(
                f"{label(factor)[:200]!r} does not list the category {show(unlisted[0])}. List "
                "every category, or drop its rows."
            )
    reference = chosen.get("reference")
    if reference is not None:
        reference = _match(factor, reference, present)
    return levels_with_rows(values, given, reference)


def _match(factor: Node, level: Any, present: Iterable[Any]) -> Any:
    """Return the category of the data that a literal in the formula stands for."""
    present = list(present)
    for found in present:
        if found == level and isinstance(found, str) == isinstance(level, str):
            return found
    those = ", ".join(show(x) for x in in_order(present)[:10])
    raise SpecificationError(
        f"{label(factor)[:200]!r} names the category {show(level)}, which the data do not have. "
        f"They have {those}."
    )


def _equal(comparison: Binary, values: np.ndarray) -> np.ndarray:
    codes, found = distinct(values)
    same = np.array([level == _category_of(comparison) for level in found], dtype=np.float64)
    return same[codes] if comparison.op == "==" else 1.0 - same[codes]
