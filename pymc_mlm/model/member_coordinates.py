"""Which members' effects are sampled in coordinates that the data inform, and by what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.approximation.member_information import member_information
from pymc_mlm.approximation.standard import standard
from pymc_mlm.data.factor import UNKNOWN
from pymc_mlm.model.nested_information import units_of_levels
from pymc_mlm.model.row_likelihood import row_likelihood
from pymc_mlm.terms.member_effects.paths import Paths
from pymc_mlm.terms.member_effects.varying import VaryingDesign

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from pymc_mlm.model.design import Design
    from pymc_mlm.model.specification import Specification

# Designs of members with more than one effect each.
SEVERAL = (VaryingDesign, Paths)


def informed_members(
    spec: Specification, design: Design, terms: tuple[tuple[Any, Any], ...]
) -> dict[int, Any]:
    """Return score and information of members with several effects, by the place of their term.

    Parameters
    ----------
    spec, design
        The model and its table, with an outcome.
    terms : tuple of (term, design)
        Terms of `mm` and `hm`.

    Returns
    -------
    dict of int to MemberInformation or EffectInformation
        The latter of effects along time. Without terms of which nothing is known.
    """
    places = [
        i for i, (t, part) in enumerate(terms)
        if isinstance(getattr(part, "effects", None), SEVERAL) and t.effect_type == "random"
    ]  # fmt: skip
    if not places or design.outcome is None:
        return {}
    population, scale = design.population, design.scale
    X = np.column_stack([population.X_with_level, *(part.group_covariates for _, part in terms)])
    location = scale.location if population.intercept else 0.0
    priors = spec.family_priors(scale)
    likelihood = row_likelihood(spec.family, design.outcome, priors, scale.spread)
    nested = [] if design.nested is None else units_of_levels(design.nested)
    others = [part.incidence for t, part in terms if t.takes_information] + nested
    told = standard(X, population.intercept)
    found: dict[int, Any] = {}
    for i in places:
        part = terms[i][1]
        more = [b for k in places if k != i for b in member_blocks(terms[k][1])]
        start = design.offset + location
        known = member_information(
            member_blocks(part), [*others, *more], X, told, start, likelihood, scale.spread,
            location,
        )  # fmt: skip
        if known is not None and isinstance(part.effects, VaryingDesign):
            found[i] = known.of_scaled(1.0 / part.effects.spreads)
        elif known is not None:
            found[i] = known.of_one_effect
    return found


def member_blocks(design: Any) -> list[csr_array]:
    """Return what effects of members add to the groups, one array an effect.

    Coefficients are per spread of their column; members along time have one effect a time.
    """
    from scipy.sparse import csr_array

    m, own = design.membership, design.effects
    known = m.member.codes != UNKNOWN
    if isinstance(own, Paths):
        places = m.group[known], own.place[known]
        return [csr_array((design.start[known], places), shape=(m.num_groups, len(own.member)))]
    places = m.group[known], m.member.codes[known]
    shape = m.num_groups, len(m.member)
    return [
        csr_array((design.start[known] * x[known] / spread, places), shape=shape)
        for x, spread in zip(own.X.T, own.spreads, strict=True)
    ]
