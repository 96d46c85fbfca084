"""Unordered outcomes: terms with effects for each category but the reference, and their tables."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.data.checks import constant_within
from pymc_mlm.data.factor import Factor
from pymc_mlm.data.formula_tree import Column
from pymc_mlm.data.frame import Table, columns
from pymc_mlm.errors import SpecificationError
from pymc_mlm.terms import Hierarchical, MultipleMembership
from pymc_mlm.terms.base import as_names
from pymc_mlm.terms.member_effects import Independent, VaryingCoefficients
from pymc_mlm.terms.nested import Nested

if TYPE_CHECKING:
    from pymc_mlm.model.specification import Specification


def check_categories(spec: Specification) -> None:
    """Refuse what a model of an unordered outcome has no place for.

    Raises
    ------
    SpecificationError
        The part is named, and what to do instead.
    """
    formula, family = spec.parsed, f"family={spec.family.name!r}"
    if formula.response.kind == "survival" or not isinstance(formula.response.parts[0], Column):
        raise SpecificationError(
            f"{formula.response.label} is no column of categories, which {family} has as its "
            "outcome. Make a column of them before fitting."
        )
    if not formula.intercept:
        raise SpecificationError(
            f"{spec.formula!r} leaves the intercept out, and {family} has one for each category "
            "but the reference. Write the formula with 1 or without 0."
        )
    if formula.offsets:
        raise SpecificationError(
            f"{spec.formula!r}: fix() and offset() are parts of one linear predictor, and {family} "
            "has one for each category. Name the column as a covariate."
        )
    if spec.row_weights is not None:
        raise SpecificationError(
            f"row_weights={spec.row_weights!r}: rows of {family} have no weights. Write the table "
            "out, a row for each outcome."
        )
    if spec.impute:
        raise SpecificationError(
            f"impute={list(spec.impute)!r}: the coefficient of an imputed covariate is one number, "
            f"and {family} has one for each category. Fill the column in before fitting."
        )
    for term in spec.terms:
        _check_term(term, family)


def _check_term(term: Any, family: str) -> None:
    if isinstance(term, MultipleMembership):
        if not isinstance(term.effects, (Independent, VaryingCoefficients)):
            raise SpecificationError(
                f"mm({term.member!r}, {term.group!r}): {term.effects!r} is a distribution of one "
                f"effect for each member, and {family} has one for each category, correlated "
                "between them. Leave dynamics= and covariance= out."
            )
    elif isinstance(term, Hierarchical):
        if term.effect_type == "fixed":
            raise SpecificationError(
                f"hm({term.unit!r}, effect='fixed'): in a model with {family} write "
                f"C({term.unit}) in the formula, which gives each category its coefficients."
            )
        if term.prior_weight is not None:
            raise SpecificationError(
                f"hm({term.unit!r}, prior_weight={term.prior_weight!r}): units of {family} have "
                "correlated effects, and no prior weights. Leave it out."
            )
    elif not isinstance(term, Nested):
        raise SpecificationError(
            f"{term!r} has one value a row, and {family} has a linear predictor for each category. "
            "mm(), hm() and nested() have effects for each; write a term of your own in a "
            "pm.Model (docs/limitations.md)."
        )


def for_categories(term: Any, by: tuple[str, ...], rows: Factor) -> Any:
    """Return a term with effects and coefficients for each category.

    Effects of a unit are correlated between categories. A unit of `hm` is a single member of
    weight one.

    Parameters
    ----------
    term : MultipleMembership, Hierarchical or Nested
        Under its final name.
    by : tuple of str
        Categories but the reference.
    rows : Factor
        Units of observation.
    """
    if isinstance(term, Nested):
        return replace(term, by=by)
    if isinstance(term, Hierarchical):
        effects, covariates = VaryingCoefficients("1", by=by), as_names(term.covariates) or None
        return MultipleMembership(
            term.unit, rows.name, covariates, priors=term.priors, name=term.name, effects=effects,
            by=by, call="hm",
        )  # fmt: skip
    if term.effect_type is None:
        return replace(term, by=by)
    varying = term.effects if isinstance(term.effects, VaryingCoefficients) else None
    own = VaryingCoefficients("1") if varying is None else varying
    return replace(term, effects=replace(own, by=by), by=by)


def table_of(term: Any, data: Table, rows: Factor, count: int) -> tuple[Table, Factor]:
    """Return what a term reads: each row as often as there are categories, and their units.

    Parameters
    ----------
    term : AbstractTerm
        For categories.
    data : Table
        The table of the user.
    rows : Factor
        Units of observation and that of each row.
    count : int
        Number of categories but the reference.
    """
    if getattr(term, "call", None) != "hm":
        return data.take(np.repeat(np.arange(len(rows.codes)), count)), rows
    names = [c for c in term.columns if c != rows.name]
    remedy = "Each group belongs to one unit of hm(); use mm() for units that share a group."
    for name, values in columns(data, names).items():
        constant_within(name, values, rows, remedy)
    # One row for each unit of observation: a unit is a single member there.
    first = np.repeat(rows.first_row(), count)
    taken = data.take(first)
    own = tuple(dict.fromkeys([*taken.names, rows.name]))
    whole = Table(own, {**taken.parts, rows.name: first}, len(first))
    return whole, replace(rows, codes=np.arange(len(rows)))


def of_rows(terms: Any, count: int) -> tuple[tuple[Any, Any], ...]:
    """Return terms and designs with the nested units of each row of the user's table.

    Parameters
    ----------
    terms : sequence of (term, design)
        Of rows of categories.
    count : int
        Number of categories but the reference; 0 for another outcome.
    """
    each = max(count, 1)
    found = []
    for term, part in terms:
        if isinstance(term, Nested):
            nesting = replace(part.nesting, leaf=part.nesting.leaf[::each])
            part = replace(part, nesting=nesting)
        found.append((term, part))
    return tuple(found)


def label_texts(labels: Any) -> tuple[str, ...]:
    """Return the categories but the reference, as text."""
    return tuple(str(label) for label in labels[1:])
