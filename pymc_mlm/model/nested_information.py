"""Score and information of a nested model's units, coefficients and crossed effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.approximation.crossed_information import crossed_information
from pymc_mlm.approximation.effect_information import (
    FEW,
    CrossedInformation,
    EffectInformation,
    front_information,
    of_columns_as_given,
)
from pymc_mlm.approximation.standard import standard
from pymc_mlm.approximation.unit_information import (
    UnitInformation,
    nested_information,
)
from pymc_mlm.data.nested_design import NestedDesign
from pymc_mlm.data.population import PopulationDesign
from pymc_mlm.families import AbstractFamily, OutcomeScale
from pymc_mlm.model.row_likelihood import row_likelihood

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Numbers in the indicators of crossed units, beyond which nested units do not follow them.
MOST_NUMBERS = 5e7


@dataclass(frozen=True, eq=False)
class NestedModelInformation:
    """What the sampler's coordinates take from the data.

    Attributes
    ----------
    levels : list of UnitInformation
        Units, given intercept (less its location), coefficients, effects of few crossed units
        in their order, and means of the effects of many.
    crossed : CrossedInformation
        Coefficients, and effects of crossed units.
    means : dict of int to ndarray, shape (unit,)
        Weight of each unit in the mean of the effects, by the term's place; terms of many units.
    """

    levels: list[UnitInformation]
    crossed: CrossedInformation
    means: dict[int, np.ndarray]


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
        Crossed `hm` and `mm` terms; nested units follow effects of few units, and means of many.
    family, outcome, priors
        As in `row_likelihood`.
    scale : OutcomeScale
        Scale of the linear predictor.

    Returns
    -------
    NestedModelInformation or None
        None if the steps lead nowhere.
    """
    X = np.column_stack([population.X_with_level, *(part.group_covariates for _, part in terms)])
    told, (few, many) = standard(X, population.intercept), _few_and_many(terms)
    location = scale.location if population.intercept else 0.0
    incidence = {i: terms[i][1].incidence for i in (*few, *many)}
    # Of many effects nested units follow the mean: it may move with all of them.
    columns = np.column_stack(
        [told.columns(X), *(incidence[i].toarray() for i in few),
         *(incidence[i].sum(axis=1) for i in many)]
    )  # fmt: skip
    sizes = [incidence[i].shape[1] for i in few] + [1] * len(many)
    start = population.offset + location + sum(term.fixed_part(part) for term, part in terms)
    likelihood = row_likelihood(family, outcome, priors, scale.spread)
    try:
        found = nested_information(
            nested, likelihood, columns, start, scale.spread,
            told.prior_precision(scale.spread), sizes,
        )  # fmt: skip
        if found is None:
            return None
        tau = [1.0 / v for v in found.variances]
        coefficients, front = front_information(told, found.precision, found.slope, sizes, tau)
    except np.linalg.LinAlgError:
        return None
    with_effects = [i for i, (term, _) in enumerate(terms) if term.takes_information]
    order = tuple(with_effects.index(i) for i in few)
    crossed = None
    if len(few) < len(with_effects):
        steps = partial(
            crossed_information, X=X, standard=told, offset=start, likelihood=likelihood,
            spread=scale.spread, location=location, front=order,
        )  # fmt: skip
        crossed = _all_crossed(nested, [terms[i] for i in with_effects], scale.spread, steps)
    if crossed is None:
        effects: list[EffectInformation | None] = [None] * len(with_effects)
        for t, known in zip(order, front[: len(few)], strict=True):
            effects[t] = known
        crossed = of_columns_as_given(
            CrossedInformation(coefficients, tuple(effects), order, len(few)), location
        )
    T, k = told.matrix, len(told.matrix)
    levels = [
        replace(u, cross=np.concatenate([u.cross[:, :, :k] @ T, u.cross[:, :, k:]], axis=2))
        for u in found.levels
    ]
    means = {i: incidence[i].sum(axis=0) / incidence[i].sum() for i in many}
    return NestedModelInformation(levels, crossed, means)


def _all_crossed(
    nested: NestedDesign,
    terms: Sequence[tuple[Any, Any]],
    spread: float,
    steps: Callable[..., CrossedInformation | None],
) -> CrossedInformation | None:
    """Tell of crossed effects of many units as well, the nested units integrated out."""
    fixed = [t.fixed_sd(spread) if t.effect_type == "fixed" else None for t, _ in terms]
    blocks = [
        part.incidence if sd is None else part.contrasts
        for (_, part), sd in zip(terms, fixed, strict=True)
    ]
    units = units_of_levels(nested)
    found = steps([*blocks, *units], fixed_sd=[*fixed, *(None for _ in units)])
    if found is None:
        return None
    own = range(len(blocks))
    order = tuple(t for t in found.order if t in own)
    return replace(found, effects=found.effects[: len(own)], order=order)


def units_of_levels(nested: NestedDesign) -> list[csr_array]:
    """Return what a deviation of each unit adds to each row: an array a level and column."""
    from scipy.sparse import csr_array

    rows, found = np.arange(len(nested.nesting.leaf)), []
    for level, name in enumerate(nested.levels):
        codes, count = nested.nesting.codes(name), len(nested.nesting.labels[level])
        for column in np.flatnonzero(nested.varies[level]):
            values = nested.values[column] / nested.spreads[column]
            found.append(csr_array((values, (rows, codes)), shape=(len(rows), count)))
    return found


def _few_and_many(terms: Sequence[tuple[Any, Any]]) -> tuple[list[int], list[int]]:
    """Return the crossed terms of few units, the fewest first, and the others."""
    random = [
        i
        for i, (term, _) in enumerate(terms)
        if term.takes_information and term.effect_type == "random"
    ]
    random.sort(key=lambda i: _num_units(terms[i][1]))
    units = np.cumsum([_num_units(terms[i][1]) for i in random])
    num_few = sum(
        n <= FEW and n * terms[i][1].incidence.shape[0] <= MOST_NUMBERS
        for i, n in zip(random, units, strict=True)
    )
    return random[:num_few], random[num_few:]


def _num_units(design: Any) -> int:
    return int(design.incidence.shape[1])
