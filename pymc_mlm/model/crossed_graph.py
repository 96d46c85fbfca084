"""The linear predictor of a model with crossed terms, each sampled given those before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from pymc_mlm.approximation.effect_information import CrossedInformation
from pymc_mlm.data.population import INTERCEPT, PopulationDesign
from pymc_mlm.terms import Population
from pymc_mlm.terms.coefficients import intercept_centre, level_centre
from pymc_mlm.terms.varying import Given

Terms = Sequence[tuple[Any, Any]]
# From what covariates contribute at their mean, and the centre of an intercept, to a level.
Baseline = Callable[[Any, Any], Any]


def crossed_predictor(
    population: Population,
    design: PopulationDesign,
    terms: Terms,
    spread: float,
    known: CrossedInformation | None = None,
    baseline: Baseline | None = None,
    members: Mapping[int, Any] | None = None,
) -> Any:
    """Add coefficients, intercept and effects to the current model.

    Parameters
    ----------
    population : Population
        Population part; its location is that of the information.
    design : PopulationDesign
        Its design.
    terms : sequence of (term, design)
        Terms of `mm` and `hm`.
    spread : float
        Spread of the linear predictor.
    known : CrossedInformation, optional
        Score and information; without them covariates and prior alone set the coordinates.
    baseline : callable, optional
        Adds what takes the place of the intercept, and returns its level, which effects follow.
    members : mapping of int to information, optional
        Of terms whose members have several effects each, by their place.

    Returns
    -------
    TensorVariable, shape (group,)
    """
    parts = [(population, design), *terms]
    betas: list[Any] = []
    counts = [num_covariates(part) for _, part in parts]
    categories = len(design.by)
    for (term, part), count in zip(parts, counts, strict=True):
        place = categories + sum(counts[: len(betas)])
        at = None if known is None else known.coefficients.block(place, count)
        betas.append(term.coefficients(part, spread, at))
    present = [(beta, n) for beta, n in zip(betas, counts, strict=True) if n]
    at_mean = sum(term.at_mean(part) for term, part in parts)
    centre = None
    if known is not None and design.by:
        centre = level_centre(known.coefficients, present, categories)
    elif known is not None and design.intercept:
        centre = intercept_centre(known.coefficients, present)
    intercept = None
    if baseline is None:
        level = intercept = population.intercept(design, spread, at_mean, centre)
    else:
        level = baseline(at_mean, centre)
    given = [] if level is None else [Given(level, categories or 1)]
    given += [Given(beta, n) for beta, n in present]
    eta = population.predictor(design, intercept, betas[0])
    return eta + _effects(terms, betas[1:], spread, known, given, members or {})


def coefficient_modes(
    known: CrossedInformation, design: PopulationDesign, terms: Terms, names: Sequence[str]
) -> dict[str, Any]:
    """Return where the data put some coefficients, by variable name."""
    coefficients, modes = known.coefficients, {}
    place = len(design.by)
    parts = [("beta", design), *((f"{part.name}_beta", part) for _, part in terms)]
    for name, part in parts:
        count = num_covariates(part)
        modes[name] = coefficients.block(place, count)[0]
        place += count
    if design.by or design.intercept:
        found = coefficients.levels(len(design.by)) if design.by else coefficients.intercept()
        constant, slopes, _ = found
        modes[INTERCEPT] = constant + slopes @ np.concatenate(list(modes.values()))
    return {name: modes[name] for name in names if name in modes}


def followed(terms: Terms, known: CrossedInformation | None) -> list[Any]:
    """Return the effects of few units, in order, and the coefficients of the terms before them."""
    model = pm.modelcontext(None)
    betas = [model[f"{part.name}_beta"] for _, part in terms if num_covariates(part)]
    if known is None:
        return []
    with_effects = [part for term, part in terms if term.takes_information]
    few = known.order[: known.num_few]
    return [*betas, *(model[f"{with_effects[t].name}_effect"] for t in few)]


def followed_means(terms: Terms, weights: Mapping[int, np.ndarray]) -> list[Any]:
    """Return the mean effect of each term of many units, by its place, as a vector of one."""
    effects = (pm.modelcontext(None)[f"{terms[i][1].name}_effect"] for i in weights)
    return [
        pt.dot(pytensor.shared(p), effect)[None]
        for p, effect in zip(weights.values(), effects, strict=True)
    ]


def num_covariates(design: Any) -> int:
    """Return how many coefficients of covariates a part of the model has."""
    X = design.X if isinstance(design, PopulationDesign) else design.group_covariates
    return int(X.shape[1])


def _effects(
    terms: Terms,
    betas: Sequence[Any],
    spread: float,
    known: CrossedInformation | None,
    given: list[Given],
    members: Mapping[int, Any],
) -> Any:
    """Add the terms in the order in which they follow each other."""
    with_effects = [i for i, (term, _) in enumerate(terms) if term.takes_information]
    order = [with_effects[t] for t in known.order] if known else []
    total: Any = 0.0
    for n, i in enumerate([*order, *(i for i in range(len(terms)) if i not in order)]):
        (term, part), told = terms[i], members.get(i)
        if known and i in order:
            told = known.effects[with_effects.index(i)]
        total = total + term.effect(part, spread, told, betas[i], given)
        if known and told and n < known.num_few:
            effects = pm.modelcontext(None)[f"{part.name}_effect"]
            given = [*given, Given(effects, len(told.score), is_effect=True)]
    return total
