"""Coefficients that vary between units within units: pupils in schools in regions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pymc as pm
import xarray as xr

from pymc_mlm.data.checks import as_numbers
from pymc_mlm.data.factor import Factor
from pymc_mlm.data.formula import Formula, parse_formula
from pymc_mlm.data.frame import column_names, columns, require
from pymc_mlm.data.nested_design import (
    NestedDesign,
    columns_far_from_zero,
    nested_design,
    varies_within,
)
from pymc_mlm.data.nesting import design_warnings, nest
from pymc_mlm.data.population import INTERCEPT, PopulationDesign, response_values
from pymc_mlm.distributions.partial_correlation import PartialCorrelation
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.families import AbstractFamily, OutcomeScale, as_family
from pymc_mlm.inference import as_seed
from pymc_mlm.models.base import Estimator
from pymc_mlm.models.nested_collapsed import (
    add_collapsed_likelihood,
    correlations,
    exact_effects,
    nested_statistics,
)
from pymc_mlm.ops.correlation import lkj_partial_alphas
from pymc_mlm.priors import check_priors, create
from pymc_mlm.terms import Hierarchical, Population
from pymc_mlm.terms.base import add_coords
from pymc_mlm.terms.nested import Nested, nested

OBSERVATION = "obs"


@dataclass(frozen=True, eq=False)
class NestedModelDesign:
    """A table as the model needs it.

    Attributes
    ----------
    rows : Factor
        Observations.
    population : PopulationDesign
        Covariates of the formula.
    nested : NestedDesign
        Units and varying columns.
    terms : tuple
        Crossed terms and their designs.
    outcome : dict of str to ndarray, shape (row,), or None
        Outcome by role; None for new data.
    scale : OutcomeScale
        Scale of the linear predictor in the fitted data.
    """

    rows: Factor
    population: PopulationDesign
    nested: NestedDesign
    terms: tuple[tuple[Hierarchical, Any], ...]
    outcome: dict[str, np.ndarray] | None
    scale: OutcomeScale


class NestedVaryingEffects(Estimator):
    def __init__(
        self,
        formula: str,
        levels: Sequence[str],
        varying: str | Mapping[str, str] | None = None,
        *,
        family: str | AbstractFamily = "gaussian",
        parameterization: str | Mapping[str, str] = "auto",
        collapse: bool | None = None,
        unique_ids: bool = False,
        terms: Sequence[Hierarchical] = (),
        eta: float | Mapping[str, float] = 2.0,
        priors: Mapping[str, Any] | None = None,
    ) -> None:
        self.formula = formula
        self.levels = levels
        self.varying = varying
        self.family = family
        self.parameterization = parameterization
        self.collapse = collapse
        self.unique_ids = unique_ids
        self.terms = terms
        self.eta = eta
        self.priors_given = priors
        self._check()

    def fit(
        self,
        data: Any,
        draws: int = 1000,
        tune: int = 1000,
        chains: int = 4,
        random_seed: Any = None,
        progressbar: bool = True,
        sampler: Any = "nutpie",
    ) -> Self:
        seed = as_seed(random_seed)
        Estimator.fit(self, data, draws, tune, chains, seed, progressbar, sampler)
        self.result_ = self._completed(np.random.default_rng(seed))
        return self

    def _completed(self, rng: np.random.Generator) -> Any:
        """Return the fit with correlations, and with the effects that were integrated out."""
        fit = self.result_
        posterior = fit.posterior.assign(correlations(fit.posterior, fit.design.nested))
        if self._is_collapsed():
            design = fit.design
            parts = (design.population, design.nested)
            statistics = nested_statistics(*parts, design.outcome["value"])
            posterior = posterior.assign(exact_effects(posterior, *parts, statistics, rng))
        posterior.attrs = fit.idata["posterior"].attrs
        fit.idata["posterior"] = xr.DataTree(posterior)
        roles = {n: r for n, r in self._roles(fit.design).items() if n in posterior}
        return replace(fit, roles=roles)

    def _check(self) -> None:
        parse_formula(self.formula)
        self._term()
        check_priors(self.priors_given or {}, type(self).__name__)
        self._is_collapsed()

    def _is_collapsed(self) -> bool:
        family = self._family()
        can = family.name == "gaussian" and not self.terms
        if self.collapse and not can:
            why = f"family {family.name!r}" if family.name != "gaussian" else "crossed terms"
            raise SpecificationError(
                f"collapse=True integrates the effects out exactly, which {why} does not allow: "
                "it needs a Gaussian outcome and no terms=. Use collapse=None or False."
            )
        return can if self.collapse is None else bool(self.collapse)

    def _family(self) -> AbstractFamily:
        return as_family(self.family)

    def _term(self) -> Nested:
        levels = self.levels
        given = self.priors_given or {}
        names = (levels,) if isinstance(levels, str) else tuple(levels)
        own = {f"{n}_sd": given[f"{n}_sd"] for n in names if f"{n}_sd" in given}
        varying = "1" if self.varying is None else self.varying
        return nested(
            names, varying, self.unique_ids, self.eta, own, self.parameterization
        )

    def _population(self, location: float = 0.0) -> Population:
        given = self.priors_given or {}
        own = {k: v for k, v in given.items() if k in (INTERCEPT, "beta")}
        return Population(parse_formula(self.formula), own, location)

    def _design(self, data: Any, known: NestedModelDesign | None = None) -> NestedModelDesign:
        self._check()
        formula, family, term = parse_formula(self.formula), self._family(), self._term()
        population = self._population()
        outcome_columns = () if known else formula.response.columns
        needed = [*term.columns, *population.columns, *outcome_columns]
        require(needed, column_names(data))
        count = len(columns(data, term.levels[:1])[term.levels[0]])
        rows = Factor(OBSERVATION, np.arange(count), np.arange(count), count)
        covariates = population.resolve(data, known and known.population, group=rows)
        units = self._units(data, term, covariates, known)
        outcome = None if known else self._outcome(data, formula, family)
        scale = known.scale if known else family.scale(outcome)
        if known is None:
            for text in (*design_warnings(units.nesting), *columns_far_from_zero(units)):
                warnings.warn(text, stacklevel=4)
        return NestedModelDesign(rows, covariates, units, (), outcome, scale)

    def _units(self, data, term, covariates, known) -> NestedDesign:
        if self.varying is not None:
            return term.resolve(data, known and known.nested)
        table = columns(data, term.levels)
        tree = nest(table, term.levels, self.unique_ids, known and known.nested.nesting)
        if known:
            names = known.nested.columns
        else:
            leaves = len(tree.labels[-1])
            names = (INTERCEPT,) * covariates.intercept + tuple(
                n for n, x in zip(covariates.names, covariates.X.T, strict=True)
                if varies_within(x, tree.leaf, leaves)
            )
        own = dict(zip(covariates.names, covariates.X.T, strict=True))
        ones = np.ones(len(tree.leaf))
        Z = np.column_stack([own.get(n, ones) for n in names])
        at_level = {level: (names, Z) for level in term.levels}
        return nested_design("", tree, at_level, {}, known and known.nested)

    def _outcome(self, data, formula, family):
        response = formula.response
        table = columns(data, response.columns)
        if response.expression is not None:
            values = [response_values(response.expression, table)]
        else:
            values = [as_numbers(name, table[name]) for name in response.columns]
        return family.outcome(response.label, dict(zip(family.roles, values, strict=False)))

    def _family_priors(self, design) -> dict[str, Any]:
        family = self._family()
        defaults = family.default_priors(design.scale)
        given = {k: v for k, v in (self.priors_given or {}).items() if k in defaults}
        return {**defaults, **given, **family.priors}

    def _build(self, design: NestedModelDesign) -> pm.Model:
        term, spread = self._term(), design.scale.spread
        with pm.Model() as model:
            population = self._population(design.scale.location)
            priors = population.priors_used(design.population, spread)
            at_mean = replace(design.population, X=design.population.X.mean(axis=0, keepdims=True),
                              offset=np.zeros(1))
            given = {**population.priors, **{k: priors[k] for k in ("beta",) if k in priors}}
            replace(population, priors=given).effect(at_mean, spread)
            coefficients = {n: model[n] for n in (INTERCEPT, "beta") if n in model.named_vars}
            sds, partials = term.parameters(design.nested, spread)
            sigma = create(self._family_priors(design)["sigma"], "sigma")
            statistics = nested_statistics(design.population, design.nested, design.outcome["value"])
            add_collapsed_likelihood(coefficients, sds, partials, sigma, design.population,
                                     design.nested, statistics)
        return model

    def _roles(self, design) -> dict[str, Any]:
        from pymc_mlm.terms import Role
        roles = self._population().roles(design.population)
        roles |= self._term().roles(design.nested)
        return roles | {n: Role("family", n) for n in self._family().default_priors(design.scale)}

    def _title(self, design) -> str:
        return f"{self._family().name}: {self.formula}"

    def _notes(self, design) -> tuple[str, ...]:
        return ()
