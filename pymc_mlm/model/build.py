"""From a design to a `pm.Model`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor

from pymc_mlm.data.population import INTERCEPT
from pymc_mlm.model.crossed_graph import Baseline, crossed_predictor, followed, followed_means
from pymc_mlm.model.information import effect_information, nested_information, own_terms
from pymc_mlm.model.member_coordinates import informed_members
from pymc_mlm.terms import Hierarchical, MultipleMembership
from pymc_mlm.terms.nested import Nested

if TYPE_CHECKING:
    from pymc_mlm.model.design import Design
    from pymc_mlm.model.specification import Specification


def build(spec: Specification, design: Design) -> pm.Model:
    """Write the model of a fitted table, every effect a variable.

    Parameters
    ----------
    spec : Specification
        The model.
    design : Design
        A table with its outcome.

    Returns
    -------
    pymc.Model
    """
    return build_with_predictor(spec, design)[0]


def build_with_predictor(
    spec: Specification, design: Design, informed: bool = True
) -> tuple[pm.Model, Any]:
    """Write the same model, and return its linear predictor, shape (row,), beside it.

    Parameters
    ----------
    spec, design
        As in `build`.
    informed : bool
        Whether the data set the sampler's coordinates. Who integrates the effects out needs none
        of them, and they take half a second at 10,000 rows.
    """
    rows, spread = design.rows.name, design.scale.spread
    plain = own_terms(design)
    told = nested_information(spec, design) if spec.nested and informed else None
    known = None if told is None else told.crossed
    if spec.nested is None and informed:
        known = effect_information(spec, design)
    members = informed_members(spec, design, plain) if informed else {}
    # Of its own, also when it is built inside another model.
    with pm.Model(coords={rows: tuple(design.rows.labels.tolist())}, model=None) as model:
        population = spec.population(design.scale.location)
        eta = crossed_predictor(
            population,
            design.population,
            plain,
            spread,
            known,
            _baseline(spec, design),
            members,
        )
        for term, part in design.terms:
            if not isinstance(term, (MultipleMembership, Hierarchical, Nested)):
                eta = eta + term.effect(part, spread)
        if spec.nested is not None:
            around, also = _coefficients(model, spec, design), followed(plain, known)
            levels = None
            if told is not None:
                levels, also = told.levels, also + followed_means(plain, told.means)
            eta = eta + spec.nested.effect(design.nested, spread, around, levels, also)
        outcome = {
            k: v if k in spec.family.constants else pm.Data(f"outcome_{k}", v)
            for k, v in (design.outcome or {}).items()
        }
        priors = spec.family_priors(design.scale)
        spec.family.weighted_likelihood("outcome", eta, outcome, priors, rows)
    return model, eta


def _baseline(spec: Specification, design: Design) -> Baseline | None:
    """Return how the model gets the parameter that takes the place of the intercept, if any."""
    family, name = spec.family, spec.family.baseline
    if name is None:
        return None
    outcome, prior = design.outcome or {}, spec.family_priors(design.scale)[name]
    is_default = name not in {*spec.priors, *family.priors}

    def add(at_mean: Any, centre: Any) -> Any:
        family.add_baseline(outcome, prior, at_mean if is_default else 0.0, centre)
        return family.level(outcome)

    return add


def _coefficients(model: pm.Model, spec: Specification, design: Design) -> dict[str, Any]:
    """Return the population's variables by column, the intercept less its typical value.

    Centred coordinates then start at the typical value.
    """
    found: dict[str, Any] = {}
    if spec.family.baseline:
        found[INTERCEPT] = spec.family.level(design.outcome or {})
    elif design.by:
        found |= {category: model[INTERCEPT][i] for i, category in enumerate(design.by)}
    elif design.population.intercept:
        location = pytensor.shared(np.float64(design.scale.location))
        found[INTERCEPT] = model[INTERCEPT] - location
    if design.population.names:
        found |= {n: model["beta"][i] for i, n in enumerate(design.population.names)}
    return found
