"""What the data tell of the effects, before sampling: it sets the sampler's coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.data.crossed_information import crossed_information
from pymc_mlm.data.unit_information import UnitInformation, unit_information
from pymc_mlm.model.row_likelihood import row_likelihood
from pymc_mlm.terms.nested import AUTO

if TYPE_CHECKING:
    from pymc_mlm.model.design import Design
    from pymc_mlm.model.specification import Specification


def effect_information(spec: Specification, design: Design) -> dict[str, Any]:
    """Return a normal approximation of the likelihood of each term's effects, by its name.

    Terms without random effects, and all terms where the approximation leads nowhere, have none:
    their effects are sampled non-centred.
    """
    random = [part for term, part in design.terms if getattr(term, "effect_type", "") == "random"]
    if design.outcome is None or not random:
        return {}
    population = design.population
    intercept = np.ones((len(design.rows), int(population.intercept)))
    of_terms = [part.group_covariates for _, part in design.terms if hasattr(part, "incidence")]
    X = np.column_stack([intercept, population.X, *of_terms])
    found = crossed_information(
        [part.incidence for part in random],
        X,
        _start(design),
        _likelihood(spec, design),
        design.scale.spread,
    )
    names = [part.name for part in random]
    return {} if found is None else dict(zip(names, found, strict=True))


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
