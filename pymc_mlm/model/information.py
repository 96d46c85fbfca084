"""What the data tell of the effects, before sampling: it sets the sampler's coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.data.crossed_information import crossed_information
from pymc_mlm.data.effect_information import CrossedInformation
from pymc_mlm.data.standard import standard
from pymc_mlm.data.unit_information import UnitInformation, unit_information
from pymc_mlm.model.row_likelihood import row_likelihood
from pymc_mlm.terms import Hierarchical, MultipleMembership
from pymc_mlm.terms.nested import AUTO

if TYPE_CHECKING:
    from pymc_mlm.model.design import Design
    from pymc_mlm.model.specification import Specification


def effect_information(spec: Specification, design: Design) -> CrossedInformation | None:
    """Return a normal approximation of the likelihood of coefficients and effects.

    None without an outcome, and where the approximation leads nowhere. Terms of a user's own
    class and nested units are left out of it.
    """
    if design.outcome is None:
        return None
    population, scale = design.population, design.scale
    pairs = own_terms(design)
    X = np.column_stack([population.X, *(part.group_covariates for _, part in pairs)])
    # The intercept starts near its place, so that the first step is taken from there.
    location = scale.location if population.intercept else 0.0
    blocks, fixed = [], []
    for term, part in pairs:
        sd = term.fixed_sd(scale.spread) if isinstance(term, Hierarchical) else None
        if term.effect_type is not None:
            blocks.append(part.incidence if sd is None else part.contrasts)
            fixed.append(sd)
    standardization = standard(X, population.intercept)
    start, likelihood = population.offset + location, _likelihood(spec, design)
    return crossed_information(
        blocks, X, standardization, start, likelihood, scale.spread, location, fixed
    )


def own_terms(design: Design) -> tuple[tuple[Any, Any], ...]:
    """Return the `mm` and `hm` terms of a design."""
    kinds = (MultipleMembership, Hierarchical)
    return tuple((term, part) for term, part in design.terms if isinstance(term, kinds))


def nested_information(spec: Specification, design: Design) -> list[UnitInformation] | None:
    """Return the same for nested units; None where no level's coordinates ask."""
    term, nested = spec.nested, design.nested
    if term is None or all(term.parameterization_of(n) != AUTO for n in nested.levels):
        return None
    population = design.population
    ones = np.ones((len(design.rows), int(population.intercept)))
    X = np.column_stack([ones, population.X]) if population.intercept else population.X
    likelihood = _likelihood(spec, design)
    return unit_information(nested, likelihood, X, _start(design), design.scale.spread)


def _start(design: Design) -> np.ndarray:
    """Return the offset, the intercept near its place, so that the first step is from there."""
    offset = design.population.offset
    return offset + design.scale.location if design.population.intercept else offset


def _likelihood(spec: Specification, design: Design) -> Any:
    priors = spec.family_priors(design.scale)
    return row_likelihood(spec.family, design.outcome or {}, priors, design.scale.spread)
