"""Reads the units of nested levels, and the columns whose coefficients vary between them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pymc_mlm.data.by_category import of_one_category
from pymc_mlm.data.checks import constant_within
from pymc_mlm.data.factor import Factor
from pymc_mlm.data.formula import parse_terms
from pymc_mlm.data.frame import category_levels, columns, open_table
from pymc_mlm.data.nested_design import (
    NestedDesign,
    nested_design,
    varies_within,
)
from pymc_mlm.data.nesting import Nesting, name_missing, nest
from pymc_mlm.data.population import (
    INTERCEPT,
    PopulationDesign,
    population_design,
    right_hand_columns,
)
from pymc_mlm.errors import SpecificationError
from pymc_mlm.terms.unit_block import UnitBlock, one_unit_each


def read_nested(
    term: Any,
    data: Any,
    known: NestedDesign | None = None,
    group: Factor | None = None,
    population: PopulationDesign | None = None,
) -> NestedDesign:
    """Read the units of each row and the columns whose coefficients vary.

    Parameters
    ----------
    term : Nested
    data : dataframe or mapping of str to array_like
        One row per observation.
    known : NestedDesign, optional
        Fitted design: its units keep their place, others are new.
    group : Factor, optional
        Units of observation, each in one unit of every level; each row by default.
    population : PopulationDesign, optional
        Covariates of the formula; needed for ``varying=None``, which lets every one vary that
        varies within the innermost units.

    Returns
    -------
    NestedDesign

    Raises
    ------
    DataError
        An id is missing or has two parents, the levels are in the wrong order, a level has a
        single unit, or a slope is to vary where its covariate does not.
    """
    data = open_table(data, term.columns)
    table, levels = columns(data, term.columns), category_levels(data, term.columns)
    if group is not None:
        remedy = f"Each {group.name!r} belongs to one unit of every level."
        table = {k: constant_within(k, v, group, remedy) for k, v in table.items()}
    if known is not None:
        # Rows of the categories of one outcome follow each other: they have one unknown unit.
        each = max(len(term.by), 1)
        ids = {level: table[level][::each] for level in term.levels}
        named = name_missing(ids, known.nesting, term.unique_ids)
        table = table | {name: np.repeat(found, each) for name, found in named.items()}
    nesting = nest(table, term.levels, term.unique_ids, known.nesting if known else None)
    if term.varying is None:
        return _of_categories(term, _by_default(term, nesting, population, known))
    coded, at_level = {}, {}
    for level in term.levels:
        text = term.formula_of(level)
        if text not in coded:
            formula = parse_terms(text)
            own = {n: table[n] for n in right_hand_columns(formula)}
            before = known.coded[text] if known else None
            own_levels = {n: levels[n] for n in own if n in levels}
            coded[text] = population_design(formula, own, len(nesting.leaf), before, own_levels)
        at_level[level] = varying_columns(coded[text])
    return _of_categories(term, nested_design(term.name or "", nesting, at_level, coded, known))


def _of_categories(term: Any, design: NestedDesign) -> NestedDesign:
    return design.by_category(term.by) if term.by else design


def _by_default(
    term: Any, nesting: Nesting, population: PopulationDesign | None, known: NestedDesign | None
) -> NestedDesign:
    """Let the intercept vary, and each covariate that varies within the innermost units."""
    if population is None:
        raise SpecificationError(
            "nested(varying=None) lets the covariates of a formula vary, and there is none "
            "here. Write what varies, such as varying='1 + x'."
        )
    one = of_one_category(population)
    X = np.repeat(one.X, max(len(term.by), 1), axis=0)
    own = dict(zip(one.names, X.T, strict=True))
    leaf, leaves = nesting.leaf, len(nesting.labels[-1])
    slopes = [name for name, x in own.items() if varies_within(x, leaf, leaves)]
    names = (known.of_one or known.columns) if known else (INTERCEPT, *slopes)
    ones = np.broadcast_to(1.0, len(leaf))
    values = [own.get(n, ones) for n in names]
    at_level = {level: (names, values) for level in term.levels}
    return nested_design(term.name or "", nesting, at_level, {}, known)


def varying_columns(coded: Any) -> tuple[tuple[str, ...], np.ndarray]:
    """Return names and values of a coded formula's columns, the intercept among them."""
    names = ((INTERCEPT,) if coded.intercept else ()) + coded.names
    ones = np.ones((len(coded.X), int(coded.intercept)))
    return names, np.hstack([ones, coded.X])


def nested_blocks(term: Any, design: NestedDesign) -> tuple[UnitBlock, ...]:
    """Units of each level; columns centred, where an intercept varies, and scaled."""
    blocks = []
    for place, (level, prefix) in enumerate(zip(term.levels, design.prefixes, strict=True)):
        nesting, at = design.nesting, design.varies[place]
        units = Factor(level, nesting.labels[place], nesting.codes(level), design.num_known[place])
        coefs = design.coefs(place)
        centre = design.means[at] if INTERCEPT in coefs else 0.0
        Z = (design.Z[:, at] - centre) / design.spreads[at]
        weight = np.ones(len(Z))
        links, eta = one_unit_each(units), term.eta_of(level)
        blocks.append(UnitBlock(prefix, level, links, weight, Z, coefs, eta))
    return tuple(blocks)
