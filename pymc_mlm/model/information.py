"""Score and information of the effects before sampling: they set the sampler's coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.approximation.crossed_information import crossed_information
from pymc_mlm.approximation.effect_information import CrossedInformation
from pymc_mlm.approximation.standard import standard
from pymc_mlm.model.nested_information import NestedModelInformation, nested_model_information
from pymc_mlm.model.row_likelihood import row_likelihood
from pymc_mlm.terms import Hierarchical, MultipleMembership

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
    X = np.column_stack([population.X_with_level, *(part.group_covariates for _, part in pairs)])
    # The intercept starts near its place, so that the first step is taken from there.
    location = scale.location if population.intercept else 0.0
    blocks, fixed = [], []
    for term, part in pairs:
        sd = term.fixed_sd(scale.spread) if isinstance(term, Hierarchical) else None
        if term.takes_information:
            blocks.append(part.incidence if sd is None else part.contrasts)
            fixed.append(sd)
    standardization = standard(X, population.intercept)
    start, likelihood = design.offset + location, _likelihood(spec, design)
    return crossed_information(
        blocks, X, standardization, start, likelihood, scale.spread, location, fixed
    )


def own_terms(design: Design) -> tuple[tuple[Any, Any], ...]:
    """Return the `mm` and `hm` terms of a design."""
    kinds = (MultipleMembership, Hierarchical)
    return tuple((term, part) for term, part in design.terms if isinstance(term, kinds))


def nested_information(spec: Specification, design: Design) -> NestedModelInformation | None:
    """Return the same of a model with nested units; None where the approximation leads nowhere."""
    return nested_model_information(
        design.population, design.nested, own_terms(design), spec.family, design.outcome or {},
        spec.family_priors(design.scale), design.scale,
    )  # fmt: skip


def _likelihood(spec: Specification, design: Design) -> Any:
    priors = spec.family_priors(design.scale)
    return row_likelihood(spec.family, design.outcome or {}, priors, design.scale.spread)
