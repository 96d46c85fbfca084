"""Score and information of a nested model's units, coefficients and crossed effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pymc_mlm.approximation.effect_information import (
    FEW,
    CrossedInformation,
    EffectInformation,
    front_information,
    of_columns_as_given,
)
from pymc_mlm.approximation.standard import standard
from pymc_mlm.approximation.unit_information import UnitInformation, nested_information
from pymc_mlm.data.nested_design import NestedDesign
from pymc_mlm.data.population import PopulationDesign
from pymc_mlm.families import AbstractFamily, OutcomeScale
from pymc_mlm.model.row_likelihood import row_likelihood

# Numbers in the indicators of crossed units, beyond which these are sampled non-centred.
MOST_NUMBERS = 5e7


@dataclass(frozen=True, eq=False)
class NestedModelInformation:
    """What the sampler's coordinates take from the data.

    Attributes
    ----------
    levels : list of UnitInformation
        Units, given intercept (less its location), coefficients, and effects of few crossed units
        in their order.
    crossed : CrossedInformation
        Coefficients, and effects of crossed units.
    """

    levels: list[UnitInformation]
    crossed: CrossedInformation


def nested_model_information(
    population: PopulationDesign,
    nested: NestedDesign,
    terms: Sequence[tuple[Any, Any]],
    family: AbstractFamily,
    outcome: Mapping[str, np.ndarray],
    priors: Mapping[str, Any],
    scale: OutcomeScale,
) -> NestedModelInformation | None:
    """Approximate the likelihood of a nested model with crossed terms.

    Parameters
    ----------
    population, nested : designs
        Covariates and units.
    terms : sequence of (term, design)
        Crossed `hm` and `mm` terms; those of few units are followed by the nested ones.
    family, outcome, priors
        As in `row_likelihood`.
    scale : OutcomeScale
        Scale of the linear predictor.

    Returns
    -------
    NestedModelInformation or None
        None if the steps lead nowhere.
    """
    X = np.column_stack([population.X, *(part.group_covariates for _, part in terms)])
    told, few = standard(X, population.intercept), _few(terms)
    location = scale.location if population.intercept else 0.0
    columns = np.column_stack(
        [told.columns(X), *(part.incidence.toarray() for _, part in (terms[i] for i in few))]
    )
    sizes = [_num_units(terms[i][1]) for i in few]
    start = population.offset + location + sum(term.fixed_part(part) for term, part in terms)
    try:
        found = nested_information(
            nested, row_likelihood(family, outcome, priors, scale.spread), columns,
            start, scale.spread, told.prior_precision(scale.spread), sizes,
        )  # fmt: skip
        if found is None:
            return None
        tau = [1.0 / v for v in found.variances]
        coefficients, front = front_information(told, found.precision, found.slope, sizes, tau)
    except np.linalg.LinAlgError:
        return None
    with_effects = [i for i, (term, _) in enumerate(terms) if term.takes_information]
    effects: list[EffectInformation | None] = [None] * len(with_effects)
    for i, known in zip(few, front, strict=True):
        effects[with_effects.index(i)] = known
    order = tuple(with_effects.index(i) for i in few)
    crossed = CrossedInformation(coefficients, tuple(effects), order, len(few))
    T, k = told.matrix, len(told.matrix)
    levels = [
        replace(u, cross=np.concatenate([u.cross[:, :, :k] @ T, u.cross[:, :, k:]], axis=2))
        for u in found.levels
    ]
    return NestedModelInformation(levels, of_columns_as_given(crossed, location))


def _few(terms: Sequence[tuple[Any, Any]]) -> list[int]:
    """Return the crossed terms of few units, the fewest first."""
    random = [
        i
        for i, (term, _) in enumerate(terms)
        if term.takes_information and term.effect_type == "random"
    ]
    few: list[int] = []
    units = 0
    for i in sorted(random, key=lambda i: _num_units(terms[i][1])):
        units += _num_units(terms[i][1])
        if units > FEW or units * terms[i][1].incidence.shape[0] > MOST_NUMBERS:
            break
        few.append(i)
    return few


def _num_units(design: Any) -> int:
    return int(design.incidence.shape[1])
