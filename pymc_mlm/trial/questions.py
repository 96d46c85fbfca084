"""Questions about a fitted trial: probabilities, treatment effects, decisions, clusters.

Functions of a `Fit`; `pymc_mlm.estimators.questions` describes their arguments.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.data.trial_matrix import INTERCEPT
from pymc_mlm.decisions import (
    AbstractPopulation,
    AbstractRule,
    Decision,
    decide,
    difference,
    odds_ratio,
    outcome_correlation,
    ratio,
)
from pymc_mlm.decisions import success_probability as of_cells
from pymc_mlm.decisions.populations import Table, Value, as_populations, population_rows
from pymc_mlm.decisions.thresholds import Alternative
from pymc_mlm.errors import SpecificationError, warn_of_data
from pymc_mlm.fit import Fit
from pymc_mlm.reporting.decision_curve import decision_table
from pymc_mlm.reporting.extrapolation import population_outside, values_outside
from pymc_mlm.trial.design import read_population
from pymc_mlm.trial.draws import TrialDraws, population_cells, trial_draws
from pymc_mlm.trial.members import MemberDraws
from pymc_mlm.trial.target import Target
from pymc_mlm.trial.terms import all_blocks

MEASURES = {"difference": difference, "ratio": ratio, "odds_ratio": odds_ratio}
CURVE_POINTS = 256


def cell_probability(
    fit: Fit,
    population: Any = None,
    estimand: str | None = None,
    weights: str | None = None,
    covariate_rows: str = "both",
) -> xr.DataArray:
    """Return draws of the response patterns' probabilities, dims (chain, draw, arm, cell)."""
    return target_cells(fit, target_of(fit, population, estimand, weights, covariate_rows))


def success_probability(fit: Fit, *question: Any, **more: Any) -> xr.DataArray:
    """Return draws of the success probabilities, dims (chain, draw, arm, outcome)."""
    cells = cell_probability(fit, *question, **more)
    return of_cells(cells, outcomes(fit)).rename("success_probability")


def correlation(fit: Fit, *question: Any) -> xr.DataArray:
    """Return draws of correlations, dims (chain, draw, arm, outcome, other_outcome)."""
    return outcome_correlation(cell_probability(fit, *question), outcomes(fit))


def treatment_effect(
    fit: Fit,
    population: Any = None,
    estimand: str | None = None,
    weights: str | None = None,
    treatment: Any = None,
    covariate_rows: str = "both",
    measure: str = "difference",
) -> xr.DataArray:
    """Return draws of the effect of a treatment, dims (chain, draw, outcome)."""
    compare = measure_of(measure)
    control, chosen = arms_of(fit, treatment)
    theta = success_probability(fit, population, estimand, weights, covariate_rows)
    return compare(theta, chosen, control).rename("treatment_effect")


def measure_of(name: str) -> Any:
    """Return the function that compares two arms."""
    if name not in MEASURES:
        raise SpecificationError(
            f"measure={name!r} is not known. Use one of {', '.join(MEASURES)}."
        )
    return MEASURES[name]


def probability(
    fit: Fit, rule: AbstractRule, alpha: float, alternative: Alternative, **question: Any
) -> Decision:
    """Decide by a rule."""
    return decide(rule, treatment_effect(fit, **question), alpha, alternative)


def treatment_effect_curve(
    fit: Fit,
    column: str,
    grid: Any = None,
    population: Any = None,
    estimand: str | None = None,
    treatment: Any = None,
) -> xr.DataArray:
    """Return draws of the treatment effect, dims (chain, draw, column, outcome)."""
    if column not in fit.design.columns:
        have = ", ".join(fit.design.columns) or "(none)"
        raise SpecificationError(
            f"treatment_effect_curve: {column!r} is no covariate of the model; its covariates are "
            f"{have}."
        )
    values = _grid(fit.design.columns[column]) if grid is None else list(grid)
    if not values:
        raise SpecificationError("treatment_effect_curve: grid is empty. Give at least one value.")
    for text in values_outside(column, values, fit.design.columns[column]):
        warn_of_data(text)
    base = list(as_populations(_population(fit, population)))
    (control, chosen), draws = arms_of(fit, treatment), draws_of(fit)
    curves = []
    for value in values:
        target = Target([*base, Value(**{column: value})], estimand)
        cells = _labelled(fit, population_cells(draws, target, CURVE_POINTS), draws.shape)
        curves.append(difference(of_cells(cells, outcomes(fit)), chosen, control))
    curve = xr.concat(curves, dim=xr.DataArray(values, dims=column, name=column))
    return curve.transpose("chain", "draw", column, "outcome").rename("treatment_effect")


def decision_curve(
    fit: Fit,
    rule: AbstractRule,
    column: str,
    grid: Any = None,
    population: Any = None,
    estimand: str | None = None,
    treatment: Any = None,
    alpha: float = 0.05,
    alternative: Alternative = "greater",
) -> Any:
    """Return a table of the evidence for a rule along a covariate."""
    curve = treatment_effect_curve(fit, column, grid, population, estimand, treatment)
    values = curve[column].values.tolist()
    decisions = [
        decide(rule, curve.isel({column: i}, drop=True), alpha, alternative)
        for i in range(len(values))
    ]
    return decision_table(column, values, decisions)


def effect_draws(fit: Fit, term: str | None = None) -> xr.DataArray:
    """Return draws of clusters' effects, dims (chain, draw, cluster, slope, predictor)."""
    design, cluster = fit.design, fit.design.trial.cluster
    names = [block.name for block in all_blocks(design.terms)]
    have = [*([] if cluster is None else [cluster.factor.name]), *names]
    if not have:
        raise SpecificationError(
            "The model has no clusters, so no effects. Fit with cluster=, or with terms=."
        )
    if term is not None and term not in have:
        raise SpecificationError(
            f"No term {term!r} with effects; the model has: {', '.join(have)}."
        )
    draws, chosen = draws_of(fit), have[0] if term is None else term
    if cluster is not None and chosen == cluster.factor.name:
        factor, effects, slopes = cluster.factor, draws.effects, design.matrix.random_names
    else:
        members = [own for own in draws.members if isinstance(own, MemberDraws)]
        own = members[names.index(chosen)]
        factor, slopes = own.block.links.member, own.block.coefs or (INTERCEPT,)
        effects = own.effects.reshape(*own.effects.shape[:2], len(slopes), -1)
    return xr.DataArray(
        effects.reshape(*draws.shape, *effects.shape[1:]),
        dims=("chain", "draw", factor.name, "slope", "predictor"),
        coords={
            factor.name: list(factor.labels),
            "slope": list(slopes),
            "predictor": list(design.trial.predictors),
        },
        name="effect",
    )


def outcomes(fit: Fit) -> list[str]:
    """Return the names of the outcomes."""
    return list(fit.design.trial.outcomes)


def draws_of(fit: Fit) -> TrialDraws:
    """Return the draws as questions need them."""
    prior = fit.spec.trial_priors.clusters(fit.design.matrix)
    return trial_draws(fit.design, fit.posterior, prior)


def target_of(
    fit: Fit, population: Any, estimand: str | None, weights: str | None, covariate_rows: str
) -> Target:
    """Return what a question averages over, checked."""
    target = Target(_population(fit, population), estimand, weights, covariate_rows)
    target.check(bool(fit.design.units))
    return target


def target_cells(fit: Fit, target: Target) -> xr.DataArray:
    """Return draws of the response patterns' probabilities in a target."""
    if fit.spec.is_conjugate:
        # Without covariates only the sample itself is a population; others name a column.
        population_rows(as_populations(target.population), {}, 1)
        return fit.posterior["cell_probability"]
    for text in outside(fit, target):
        warn_of_data(text)
    draws = draws_of(fit)
    return _labelled(fit, population_cells(draws, target), draws.shape)


def outside(fit: Fit, target: Target) -> list[str]:
    """Return where the population of a target lies outside the data, a sentence each."""
    if target.population is None or fit.spec.is_conjugate:
        return []
    known = fit.design.columns
    return population_outside(as_populations(target.population), known, len(fit.design.X))


def _population(fit: Fit, population: Any) -> Any:
    if population is None or isinstance(population, (AbstractPopulation, list, tuple)):
        return population
    names = fit.design.columns
    if isinstance(population, str) or not names:
        return as_populations(population)
    table, of = read_population(population, fit.design)
    return Table(table, of=of)


def _labelled(fit: Fit, cells: np.ndarray, shape: tuple[int, int]) -> xr.DataArray:
    trial = fit.design.trial
    return xr.DataArray(
        cells.reshape(*shape, *cells.shape[1:]),
        dims=("chain", "draw", "arm", "cell"),
        coords={"arm": trial.arm.labels.tolist(), "cell": list(trial.cells)},
        name="cell_probability",
    )


def arms_of(fit: Fit, treatment: Any) -> tuple[Any, Any]:
    """Return control and treatment."""
    control, *others = fit.design.trial.arm.labels.tolist()
    if treatment is None and len(others) > 1:
        raise SpecificationError(
            f"The trial has the treatments {', '.join(map(repr, others))}. Name one: "
            f"treatment={others[0]!r}."
        )
    if treatment is not None and treatment == control:
        raise SpecificationError(
            f"treatment={treatment!r} is the control itself. Name another arm: "
            f"{', '.join(map(repr, others))}."
        )
    if treatment is not None and treatment not in others:
        raise SpecificationError(
            f"treatment={treatment!r} is no arm of the trial; its treatments are "
            f"{', '.join(map(repr, others))}."
        )
    return control, others[0] if treatment is None else treatment


def _grid(values: np.ndarray) -> list[Any]:
    if values.dtype.kind not in "iuf":
        return sorted(set(values.tolist()), key=str)
    distinct = np.unique(values)
    if len(distinct) <= 10:
        return distinct.tolist()
    low, high = np.quantile(values, [0.025, 0.975])
    return np.linspace(low, high, 25).tolist()
