"""The population part of a linear predictor: intercept, covariates, fixed coefficients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from pymc_mlm.data.by_category import CATEGORY, of_one_category
from pymc_mlm.data.checks import constant_within
from pymc_mlm.data.column_scale import level_weights, mean, own_spread, spread
from pymc_mlm.data.factor import Factor
from pymc_mlm.data.formula import Formula
from pymc_mlm.data.formula_terms import term_label
from pymc_mlm.data.formula_tree import column_names
from pymc_mlm.data.frame import category_levels, columns, open_table
from pymc_mlm.data.population import (
    INTERCEPT,
    PopulationDesign,
    population_design,
    right_hand_columns,
)
from pymc_mlm.distributions.located import located
from pymc_mlm.distributions.noncentered import noncentered
from pymc_mlm.ops.linear_predictor import linear_predictor
from pymc_mlm.priors import Prior, create, on_real_line, parts_of, pick_priors
from pymc_mlm.terms.base import (
    AbstractTerm,
    add_coords,
    contribution_at_mean,
    data,
)
from pymc_mlm.terms.coefficients import ROUGH, coefficients
from pymc_mlm.terms.role import Role, UnitRole

COVARIATE = "covariate"


@dataclass(frozen=True)
class Population(AbstractTerm):
    """Intercept and covariates of a formula, one coefficient each.

    Parameters
    ----------
    formula : Formula
        Parsed formula.
    priors : mapping of str to prior
        ``Intercept`` and ``beta`` (one distribution for the vector of coefficients; its
        parameters may be arrays).
    location : float or ndarray, shape (category,)
        Typical value of the linear predictor, where the default intercept prior sits.
    baseline : str, optional
        Parameter of the family that takes the place of the intercept.

    Notes
    -----
    The default intercept prior is stated at the mean of all covariates, those of terms
    included, as in brms and rstanarm:
    ``Intercept + mean(X) beta ~ Normal(location, 2.5 scale)``. Its meaning does not
    depend on where a covariate has its zero, and the sampled design is centred. A prior of
    the user's is a prior on the intercept itself, at zero of all covariates. Without an
    intercept, the columns that sum to a constant, such as the cells of ``0 + f``, carry the
    level: their coefficients are around the location.
    """

    formula: Formula
    priors: Mapping[str, Any] = field(default_factory=dict)
    location: Any = 0.0
    baseline: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns on the right-hand side."""
        return right_hand_columns(self.formula)

    def resolve(
        self, data: Any, known: PopulationDesign | None = None, group: Factor | None = None
    ) -> PopulationDesign:
        """Code the covariates, one row per group."""
        if group is None:
            raise TypeError("The population part needs the units of observation: group=.")
        data = open_table(data, self.columns)
        table = columns(data, self.columns)
        remedy = (
            f"Formula covariates must be constant within {group.name!r}; put member-level "
            "columns in mm(covariates=...)."
        )
        reduced = {k: constant_within(k, v, group, remedy) for k, v in table.items()}
        levels = category_levels(data, self.columns)
        return population_design(self.formula, reduced, len(group), known, levels)

    def effect(self, design: PopulationDesign, scale: float = 1.0, elsewhere: Any = 0.0) -> Any:
        """Add the intercept and the coefficients.

        Parameters
        ----------
        design : PopulationDesign
            From `resolve`.
        scale : float
            Spread of the linear predictor, for default priors.
        elsewhere : TensorVariable or float, scalar
            What covariates of other terms contribute at their mean.

        Returns
        -------
        TensorVariable, shape (group,) or scalar
        """
        beta = self.coefficients(design, scale)
        intercept = self.intercept(design, scale, elsewhere + self.at_mean(design))
        return self.predictor(design, intercept, beta)

    def coefficients(self, design: PopulationDesign, scale: float = 1.0, known: Any = None) -> Any:
        """Add the coefficients of the covariates; None if there are none.

        Parameters
        ----------
        design, scale
            As in `effect`.
        known : tuple of ndarray, optional
            Where they are (`pymc_mlm.terms.coefficients.coefficients`).
        """
        if not design.names:
            return None
        add_coords({COVARIATE: design.names})
        prior = self.priors_used(design, scale)["beta"]
        carries = not design.intercept and not design.by
        if known is None and carries and "mu" in getattr(prior, "parameters", ()):
            # Coefficients that carry the level start there.
            mu = np.broadcast_to(prior.parameters["mu"], len(design.names))
            known = mu, ROUGH * scale / spread(design.X)
        return coefficients("beta", prior, COVARIATE, design.X, scale, known)

    def at_mean(self, design: PopulationDesign) -> Any:
        """Coefficients times the mean of the covariates."""
        return contribution_at_mean("beta", design.X, design.counts, len(design.by))

    def intercept(
        self, design: PopulationDesign, scale: float, at_mean: Any, known: Any = None
    ) -> Any:
        """Add the intercept, or one for each category; None if the formula has none.

        Parameters
        ----------
        design, scale
            As in `effect`.
        at_mean : TensorVariable or float, scalar
            What all covariates contribute at their mean.
        known : tuple, optional
            Where the intercept is given the coefficients, a tensor, and its standard deviation
            there (`pymc_mlm.terms.coefficients.intercept_centre`).
        """
        if not self.has_intercept(design):
            return None
        dims = CATEGORY if design.by else None
        if design.by:
            add_coords({CATEGORY: design.by})
            known = known or (pt.as_tensor(self.location) - at_mean, np.asarray(ROUGH * scale))
        prior = self.priors_used(design, scale)[INTERCEPT]
        if INTERCEPT in self.priors:
            if known is None or not on_real_line(prior):
                return create(prior, INTERCEPT, dims)
            centre, root = known
            return located(INTERCEPT, *parts_of(prior, INTERCEPT, dims), centre, root, dims)
        location, sd = (
            pytensor.shared(np.asarray(x, dtype=np.float64)) for x in (self.location, 2.5 * scale)
        )
        if known is None:
            return pm.Normal(INTERCEPT, location - at_mean, sd, transform=noncentered)
        parameters, (centre, root) = {"mu": location - at_mean, "sigma": sd}, known
        return located(INTERCEPT, pm.Normal, parameters, centre, root, dims)

    def predictor(self, design: PopulationDesign, intercept: Any, beta: Any) -> Any:
        """Return what intercept, covariates and offset add up to, shape (group,) or scalar."""
        eta: Any = 0.0
        if beta is not None:
            eta = linear_predictor(data("covariates", design.X), beta)
        if design.by:
            eta = eta + linear_predictor(data("category_level", design.level), intercept)
        elif intercept is not None:
            eta = eta + intercept
        if design.offset.any():
            eta = eta + data("offset", design.offset)
        return pt.as_tensor(eta)

    def priors_used(self, design: PopulationDesign, scale: float = 1.0) -> dict[str, Any]:
        """Scaled normal priors, as in rstanarm: 2.5 outcome spreads per covariate spread."""
        defaults: dict[str, Any] = {}
        if self.has_intercept(design):
            defaults[INTERCEPT] = Prior("Normal", mu=self.location, sigma=2.5 * scale)
        if design.names:
            defaults["beta"] = self._beta_prior(design, scale)
        return pick_priors("The formula", defaults, {}, self.priors, {"beta": (design.names,)})

    def _beta_prior(self, design: PopulationDesign, scale: float) -> Prior:
        """Return the prior of the coefficients; without an intercept some carry the level."""
        if design.by:
            prior = self._beta_prior(of_one_category(design), scale)
            return Prior("Normal", mu=0.0, sigma=np.tile(prior.parameters["sigma"], len(design.by)))
        X = design.X
        sigma = 2.5 * scale / own_spread(X, self._related(design), design.counts)
        if design.intercept:
            return Prior("Normal", mu=0.0, sigma=sigma)
        weights = level_weights(X)
        if weights is None:
            # Through the origin: an effect is that of the distance from zero.
            size = np.sqrt(mean(X**2, design.counts))
            return Prior("Normal", mu=0.0, sigma=2.5 * scale / np.where(size > 0, size, 1.0))
        # The level is known at the mean of the other columns; from there to zero their
        # coefficients may change it.
        others = weights == 0
        at_mean = mean(X[:, others], design.counts)
        shift = np.hypot.reduce(np.append(at_mean * sigma[others], 0.0))
        sigma = np.where(others, sigma, np.hypot(sigma, np.abs(weights) * shift))
        return Prior("Normal", mu=self.location * weights, sigma=sigma)

    def has_intercept(self, design: PopulationDesign) -> bool:
        """Tell whether there is an intercept, and no baseline in its place."""
        return (design.intercept or bool(design.by)) and self.baseline is None

    def has_level(self, design: PopulationDesign) -> bool:
        """Tell whether an intercept, or columns that sum to one, give the predictor a level."""
        return design.intercept or level_weights(design.X) is not None

    def _related(self, design: PopulationDesign) -> list[list[int]]:
        """Return, for each column, those of other terms that share a variable with its term."""
        reads = {
            term_label(term): {name for factor in term for name in column_names(factor)}
            for term in self.formula.products
        }
        # Means of units come after the columns of the formula.
        read = [(term, reads.get(term, set())) for term in design.terms]
        read += [("", set())] * (len(design.names) - len(read))
        return [
            [k for k, (term, names) in enumerate(read) if term != own and names & mine]
            for own, mine in read
        ]

    def roles(self, design: PopulationDesign) -> dict[str, Any]:
        """Intercept and coefficients under the names that the formula gives them."""
        roles: dict[str, Any] = {}
        if design.by:
            roles = {INTERCEPT: UnitRole("coefficient", f"{INTERCEPT} {{}}", "")}
        elif self.has_intercept(design):
            roles = {INTERCEPT: Role("coefficient", INTERCEPT)}
        return roles | ({"beta": Role("coefficient", None)} if design.names else {})
