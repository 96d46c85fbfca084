r"""Missing values of covariates as unknowns of the model, normal given the complete covariates.

.. math:: x_{ki} \sim N(a_k + c_i'\gamma_k + x_{1i} \delta_{k1} + \dots + x_{k-1,i}
    \delta_{k,k-1},\; \tau_k^2)

in all rows, where c are the complete covariates of the formula: a normal distribution of all
imputed covariates given the others, one after the other. The population's design holds a fill for
each missing value; the term adds the coefficient times what the value is above its fill.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from pymc_mlm.data.factor import Factor
from pymc_mlm.data.imputed import ImputedColumn, imputed_columns
from pymc_mlm.data.population import PopulationDesign
from pymc_mlm.distributions.located import located
from pymc_mlm.distributions.noncentered import noncentered
from pymc_mlm.ops.linear_predictor import linear_predictor
from pymc_mlm.priors import Prior, create, on_real_line, parts_of, pick_priors
from pymc_mlm.terms.base import AbstractTerm, add_coords, data
from pymc_mlm.terms.role import Role

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class ImputedDesign:
    """Covariates with missing values.

    Attributes
    ----------
    columns : tuple of ImputedColumn
        In the order in which they depend on each other.
    num_rows : int
        Rows of the table.
    is_new : bool
        Whether the rows are not those of the fit.
    """

    columns: tuple[ImputedColumn, ...]
    num_rows: int
    is_new: bool = False


@dataclass(frozen=True)
class Imputed(AbstractTerm):
    """Covariates of the formula whose missing values are imputed; made by ``impute=``.

    Parameters
    ----------
    covariates : tuple of str
        The covariates.
    priors : mapping of str to prior
        ``<covariate>_imputation`` (intercept and coefficients), ``<covariate>_imputation_sd``.
    name : str, optional
        The first covariate by default.
    """

    covariates: tuple[str, ...]
    priors: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    design_type = ImputedDesign

    @property
    def columns(self) -> tuple[str, ...]:
        """The covariates."""
        return self.covariates

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The covariates: each has variables of its own."""
        return self.covariates

    @property
    def label(self) -> str:
        """Name in reports."""
        return f"imputed {', '.join(self.covariates)}"

    def resolve(
        self,
        data: Any,
        known: ImputedDesign | None = None,
        group: Factor | None = None,
        *,
        population: PopulationDesign | None = None,
        lost: Mapping[str, Array] | None = None,
    ) -> ImputedDesign:
        """Read where the covariates are missing.

        Parameters
        ----------
        data, known, group
            As in `AbstractTerm.resolve`; the table has no further part in it.
        population : PopulationDesign
            Coded covariates, fills in place of missing values.
        lost : mapping of str to ndarray of bool, shape (row,)
            Rows without a value, by imputed column.
        """
        if population is None or lost is None:
            raise TypeError(f"{self.label!r} needs the population part: population= and lost=.")
        if known is None:
            found = imputed_columns(self.covariates, population, lost)
        else:
            found = tuple(
                replace(
                    column,
                    missing=np.flatnonzero(lost[column.name]),
                    values=population.X[:, column.place],
                    X=column.design_matrix(population.X),
                )
                for column in known.columns
            )
        return ImputedDesign(found, len(population.X), known is not None)

    def priors_used(self, design: ImputedDesign, scale: float = 1.0) -> dict[str, Any]:
        """Weak priors on the scale of each covariate, as those of a Gaussian outcome."""
        defaults, elements = {}, {}
        for column in design.columns:
            own = f"{column.name}_imputation"
            elements[own] = (column.predictors,)
            defaults[own] = Prior("Normal", mu=column.prior_mean, sigma=column.prior_sd)
            defaults[f"{own}_sd"] = Prior("Exponential", scale=column.sd)
        where = f"impute={list(self.covariates)!r}"
        return pick_priors(where, defaults, {}, self.priors, elements)

    def effect(self, design: ImputedDesign, scale: float = 1.0) -> Any:
        """Add the distribution of the covariates, and their missing values, to the current model.

        Returns
        -------
        TensorVariable, shape (row,)
            The coefficients times what missing values are above their fill.
        """
        self.check_design(design)
        priors = self.priors_used(design, scale)
        beta = pm.modelcontext(None)["beta"]
        eta: Any = pt.zeros(design.num_rows)
        above: list[Any] = []
        for column in design.columns:
            name, dim = f"{column.name}_imputation", f"{column.name}_predictor"
            add_coords({dim: column.predictors, f"{column.name}_row": column.missing.tolist()})
            sd = create(priors[f"{name}_sd"], f"{name}_sd", positive=True)
            prior = priors[name]
            if on_real_line(prior):
                gamma = located(name, *parts_of(prior, name, dim), column.mode, column.root, dim)
            else:
                gamma = create(prior, name, dim)
            mu = linear_predictor(data(f"{name}_columns", column.X), gamma)
            before = zip(design.columns, above, strict=False)
            for k, (other, values) in enumerate(before, start=column.num_complete):
                mu = _with_more(mu, other.missing, gamma[k] * values)
            seen = column.observed
            pm.Normal(
                f"{column.name}_observed",
                mu[pytensor.shared(seen)],
                sd,
                observed=data(f"{name}_values", column.values[seen]),
            )
            values = pm.Normal(
                f"{column.name}_missing",
                mu[pytensor.shared(column.missing)],
                sd,
                dims=f"{column.name}_row",
                transform=noncentered,
            )
            above.append(values - pytensor.shared(np.float64(column.fill)))
            eta = _with_more(eta, column.missing, beta[column.place] * above[-1])
        return eta

    def contribution(
        self, design: ImputedDesign, draws: Mapping[str, Array], rng: np.random.Generator
    ) -> Array:
        """Return the same of draws; missing values of new rows are drawn given their covariates."""
        beta = draws["beta"]
        eta = np.zeros((*beta.shape[:2], design.num_rows))
        above: list[Array] = []
        for column in design.columns:
            above.append(_above_fill(design, column, above, draws, rng))
            eta[..., column.missing] += beta[..., column.place, None] * above[-1]
        return eta

    def roles(self, design: ImputedDesign) -> dict[str, Role]:
        """Coefficients, standard deviation and missing values."""
        roles = {}
        for column in design.columns:
            name, label = column.name, f"imputed {column.name}"
            roles[f"{name}_imputation"] = Role("imputation", None, label)
            roles[f"{name}_imputation_sd"] = Role("imputation", "sd", label)
            roles[f"{name}_missing"] = Role("missing", None, label)
        return roles

    def dims(self, design: ImputedDesign) -> tuple[str, ...]:
        """Rows without a value, and predictors, of each covariate."""
        return tuple(f"{c.name}_{what}" for c in design.columns for what in ("row", "predictor"))

    def size(self, design: ImputedDesign) -> str:
        """Number of imputed values."""
        return f"{sum(len(c.missing) for c in design.columns)} imputed values"

    def notes(self, design: ImputedDesign, scale: float = 1.0) -> tuple[str, ...]:
        """Return how many values are imputed, and by what."""
        return tuple(
            f"{len(c.missing)} of {design.num_rows} values of {c.name!r} are imputed: normal, with "
            f"a mean that is linear in {', '.join(c.predictors[1:]) or 'nothing'}; missing at "
            "random given these and the outcome."
            for c in design.columns
        )


def _above_fill(
    design: ImputedDesign,
    column: ImputedColumn,
    above: list[Array],
    draws: Mapping[str, Array],
    rng: np.random.Generator,
) -> Array:
    """Return draws of missing values less their fill, (chain, draw, missing)."""
    if not design.is_new:
        return np.asarray(draws[f"{column.name}_missing"] - column.fill)
    gamma, sd = (draws[f"{column.name}_imputation{end}"] for end in ("", "_sd"))
    mu = gamma @ column.X.T
    before = zip(design.columns, above, strict=False)
    for k, (other, values) in enumerate(before, start=column.num_complete):
        mu[..., other.missing] += gamma[..., k, None] * values
    noise = rng.standard_normal((*sd.shape, len(column.missing)))
    return np.asarray(mu[..., column.missing] + sd[..., None] * noise - column.fill)


def _with_more(vector: Any, rows: Array, values: Any) -> Any:
    return pt.inc_subtensor(vector[pytensor.shared(rows)], values)
