"""Coefficients that vary between units within units: pupils in schools in regions."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import xarray as xr

from pymc_mlm.data.event import constant_note
from pymc_mlm.data.few_units import few_units
from pymc_mlm.data.formula import parse_formula
from pymc_mlm.data.nested_design import columns_far_from_zero
from pymc_mlm.data.nesting import design_warnings
from pymc_mlm.data.population import INTERCEPT
from pymc_mlm.errors import SpecificationError, warn_of_data
from pymc_mlm.families import AbstractFamily, as_family
from pymc_mlm.fit import Fit
from pymc_mlm.inference import as_seed
from pymc_mlm.models.base import Estimator
from pymc_mlm.models.crossed_graph import crossed_predictor, followed
from pymc_mlm.models.extrapolation import rows_outside, values_outside
from pymc_mlm.models.nested_collapsed import (
    add_collapsed_likelihood,
    correlations,
    exact_effects,
    nested_statistics,
)
from pymc_mlm.models.nested_design import (
    OBSERVATION,
    NestedModelDesign,
    NestedReader,
    refuse_new_units,
)
from pymc_mlm.models.nested_information import (
    NestedModelInformation,
    nested_model_information,
)
from pymc_mlm.models.nested_prediction import (
    crossed_draws,
    linear_predictor_draws,
    outcome_draws,
    population_draws,
    unit_totals,
)
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.priors import Prior, check_priors, create
from pymc_mlm.reporting import nested_plots, variance
from pymc_mlm.reporting.nested_tables import level_variances, share_table, unit_table
from pymc_mlm.reporting.summary import Table
from pymc_mlm.terms import Hierarchical, Population, Role
from pymc_mlm.terms.coefficients import rough
from pymc_mlm.terms.nested import INFORMED, Nested, nested

EFFECT_SEED = 1
# Dimensions of every fit, which no level can be called.
DIMENSIONS = ("chain", "draw", "coef", "covariate", OBSERVATION)


class NestedVaryingEffects(Estimator):
    r"""Multilevel model whose intercept and slopes vary between units within units.

    .. math::
        \eta_i = x_i'\beta + z_i' t_{\mathrm{leaf}(i)}, \quad
        t_g = t_{\mathrm{parent}(g)} + d_g, \quad d_g \sim N(0, D_l R_l D_l)

    Each unit deviates from its parent, the outermost ones from the population; the deviations
    of a level are correlated.

    Parameters
    ----------
    formula : str
        Outcome and covariates: ``"y ~ 1 + x"``.
    levels : sequence of str
        Id columns from the outermost to the innermost: ``["region", "school"]``.
    varying : str or mapping of str to str, optional
        What varies, ``"1 + x"``, at every level or by level. By default the intercept and every
        covariate of the formula that varies within the innermost units, at every level.
    family : str or AbstractFamily, default "gaussian"
        "gaussian", "student_t", "bernoulli", "poisson", "negative_binomial", "weibull", or an
        object such as ``Binomial("trials")``.
    parameterization : str or mapping of str to str, default "auto"
        "centered", "noncentered", or "auto": each unit by what its data say. The collapsed path
        has no units to sample.
    collapse : bool, optional
        Whether the effects are integrated out exactly before sampling and drawn exactly
        afterwards. By default where it can be done: Gaussian outcome, no crossed terms.
    unique_ids : bool
        Whether ids count only within their parent.
    terms : sequence of hm terms
        Crossed units.
    eta : float or mapping of str to float, default 2
        Shape of the LKJ prior of each level's correlations; 1 is uniform.
    priors : mapping of str to prior, optional
        Priors by variable name (``Intercept``, ``beta``, ``sigma``, ``<level>_sd``, ...) that
        replace the defaults; `model.priors(data)` lists the names.
    within_between : sequence of str
        Covariates whose unit means enter too: the coefficient of the covariate is then its
        effect within units, that of a mean how much more units differ (Mundlak 1978).
    level_covariates : mapping of str to sequence of str, optional
        Formula columns that are properties of a level's units, checked to be constant there.

    Attributes
    ----------
    result_ : Fit
        After `fit`: the model, its draws and its design.

    Notes
    -----
    The varying intercept is a unit's deviation at zero of the covariates: centre a covariate
    whose zero lies far outside the data, ``"y ~ 1 + center(year)"``.

    References
    ----------
    .. [1] Gelman, A. & Hill, J. (2007). Data Analysis Using Regression and
       Multilevel/Hierarchical Models. Cambridge University Press, chapter 13.
    .. [2] Mundlak, Y. (1978). On the pooling of time series and cross section data.
       Econometrica 46, 69-85.

    Examples
    --------
    >>> import pymc_mlm as mlm
    >>> model = mlm.NestedVaryingEffects("y ~ 1 + x", levels=["region", "school"])
    >>> model.fit(pupils)  # doctest: +SKIP
    """

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
        within_between: Sequence[str] = (),
        level_covariates: Mapping[str, Sequence[str]] | None = None,
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
        self.within_between = within_between
        self.level_covariates = level_covariates
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
        """Fit the model to a table with one row per observation.

        Parameters
        ----------
        data, draws, tune, chains, random_seed, progressbar, sampler
            As in `Estimator.fit`.

        Returns
        -------
        self
            With the attribute `result_`. Its posterior holds the effects of all units and the
            correlations, on whichever path the model was sampled.
        """
        return Estimator.fit(self, data, draws, tune, chains, random_seed, progressbar, sampler)

    def priors(self, data: Any = None) -> Table:
        """List the prior of every parameter.

        Parameters
        ----------
        data : dataframe, optional
            Table that the default priors are scaled to; the fitted one by default.

        Returns
        -------
        Table
            Columns: variable name (the key in ``priors=``), what it is, and its prior.
        """
        design = self._fitted().design if data is None else self._design(data)
        roles = self._roles(design)
        rows = [
            {"variable": name, "meaning": roles[name].text("each column"), "prior": repr(prior)}
            for name, prior in self._priors_used(design).items()
        ]
        rows += [
            {"variable": name, "meaning": "correlations", "prior": f"LKJ(eta={eta:g})"}
            for name, eta in self._term().correlation_priors(design.nested).items()
        ]
        notes = (
            "Intercept: stated at the mean of the covariates unless you replace it. Correlations: "
            "set with eta=.",
        )
        return Table(f"Priors of {self.formula}", pd.DataFrame(rows).set_index("variable"), notes)

    def effects(self, level: str | None = None, ci_prob: float = 0.89) -> pd.DataFrame:
        """Tabulate how the units of a level deviate from their parents.

        Parameters
        ----------
        level : str, optional
            Level; the innermost by default.
        ci_prob : float
            Probability inside the intervals.

        Returns
        -------
        pandas.DataFrame
            A row per unit and coefficient: posterior mean, sd and interval, on the scale of the
            link.
        """
        prefix = self._fitted().design.nested.prefixes[self._place(level)]
        return unit_table(self._fitted().posterior[f"{prefix}_effect"], ci_prob)

    def coefficients(self, level: str | None = None, ci_prob: float = 0.89) -> pd.DataFrame:
        """Tabulate the units' own intercepts and slopes: population and all deviations together.

        Parameters
        ----------
        level : str, optional
            Level; the innermost by default.
        ci_prob : float
            Probability inside the intervals.

        Returns
        -------
        pandas.DataFrame
            A row per unit and varying coefficient.
        """
        return unit_table(self.coefficient_draws(level), ci_prob)

    def coefficient_draws(self, level: str | None = None) -> xr.DataArray:
        """Return draws of the units' own intercepts and slopes.

        Returns
        -------
        xarray.DataArray, dims (chain, draw, level, coef)
        """
        fit, place = self._fitted(), self._place(level)
        nested = fit.design.nested
        total = unit_totals(fit.posterior, nested)[place]
        total += population_draws(fit.posterior, nested.columns)[:, :, None]
        name = nested.levels[place]
        coords = {name: list(nested.nesting.labels[place]), "coef": list(nested.columns)}
        return xr.DataArray(total, dims=("chain", "draw", name, "coef"), coords=coords)

    def variance_decomposition(
        self, at: Mapping[str, float] | None = None, ci_prob: float = 0.89
    ) -> Table:
        """Split the random variation between levels and residual, at one point.

        Parameters
        ----------
        at : mapping of str to float, optional
            Values of the varying columns; their means by default. With varying slopes the shares
            depend on it; `variance_shares` shows how.
        ci_prob : float
            Probability inside the intervals.

        Returns
        -------
        Table
            Per level, crossed term and for the residual: standard deviation, variance, share of
            the total.
        """
        point = self._point(at or {})
        self._warn_outside(at or {})
        parts = self._variances(point[None])
        link = {"log": "the log", "logit": "the log odds"}.get(self._family().link, "the outcome")
        title = f"Variance decomposition of {self.formula}"
        residual = self._residual(parts)
        first = {name: v[:, 0] for name, v in parts.items()}
        rest = None if residual is None else residual[:, 0]
        table = variance.variance_decomposition(title, first, rest, link, ci_prob)
        text = f"Variances on the scale of {link}, per draw; what covariates explain is left out."
        where = ", ".join(f"{n} = {v:.4g}" for n, v in self._slopes(point).items())
        return replace(table, notes=(text + (f" At {where}." if where else ""), *table.notes[1:]))

    def variance_shares(
        self,
        column: str | None = None,
        values: Sequence[float] | None = None,
        ci_prob: float = 0.89,
    ) -> pd.DataFrame:
        """Tabulate the variance partition coefficient of each level along a covariate.

        Parameters
        ----------
        column : str, optional
            Varying column; the first slope by default.
        values : sequence of float, optional
            Its values; 41 from two standard deviations below its mean to two above by default.
        ci_prob : float
            Probability inside the intervals.

        Returns
        -------
        pandas.DataFrame
            A row per value and part: variance, and share of the total with its interval. The
            other varying columns are at their means.
        """
        nested, column = self._fitted().design.nested, self._slope(column)
        j = nested.columns.index(column)
        if values is None:
            values = nested.means[j] + nested.spreads[j] * np.linspace(-2, 2, 41)
        else:
            if not len(values) or not np.isfinite(np.asarray(values, dtype=float)).all():
                raise SpecificationError(
                    f"values={list(values)!r} of {column!r} must be finite numbers, at least one."
                )
            self._warn_outside({column: values})
        points = np.tile(self._point({}), (len(values), 1))
        points[:, j] = values
        parts = self._variances(points)
        residual = self._residual(parts)
        if residual is not None:
            parts["residual"] = residual
        return share_table(parts, column, list(values), ci_prob)

    def _warn_outside(self, asked: Mapping[str, Any]) -> None:
        nested = self._fitted().design.nested
        for column, values in asked.items():
            for text in values_outside(column, values, nested.values[nested.columns.index(column)]):
                warn_of_data(text)

    def predict(
        self,
        data: Any = None,
        kind: str = "mean",
        random_seed: Any = None,
        allow_new: bool | Sequence[str] = True,
    ) -> xr.DataArray:
        """Predict rows, also those of units that were not fitted.

        Parameters
        ----------
        data : dataframe, optional
            One row per observation, without the outcome; the fitted table by default. A new unit
            of a known parent takes its parent's draws plus one deviation of its own, drawn once
            per posterior draw for all rows that carry its id; with a new parent, both are drawn.
            A missing id is an unknown one of the fitted units of the row's parent.
        kind : {"mean", "outcome", "eta"}
            Expected outcome, new outcomes with their residual variation, or linear predictor.
        random_seed : int, optional
            Seed of the new draws.
        allow_new : bool or sequence of str
            Whether, or at which levels, units may be new.

        Returns
        -------
        xarray.DataArray, dims (chain, draw, obs)
            Posterior draws per row, on the scale of the outcome ("mean", "outcome") or of the
            link ("eta").

        Raises
        ------
        DataError
            The table does not fit the model, or holds a new unit where none is allowed.
        """
        if kind not in ("mean", "outcome", "eta"):
            raise SpecificationError(f"kind is 'mean', 'outcome' or 'eta', not {kind!r}.")
        fit, (seed, noise_seed) = self._fitted(), _two_seeds(random_seed)
        design = fit.design if data is None else self._design(data, known=fit.design)
        if data is not None:
            for text in rows_outside(
                dict(zip(design.population.names, design.population.X.T, strict=True)),
                dict(zip(design.population.names, fit.design.population.X.T, strict=True)),
            ):
                warn_of_data(text)
        refuse_new_units(design, allow_new)
        eta = self._eta_draws(design, seed)
        if kind == "eta":
            return eta
        parameters = {n: fit.posterior[n] for n in self._family().default_priors(design.scale)}
        side = {role: design.outcome[role] for role in self._family().side_columns}
        if kind == "outcome":
            priors = self._family_priors(fit.design)
            return outcome_draws(eta, self._family(), parameters, side, priors, noise_seed)
        along = {n: p.values[..., None] for n, p in parameters.items()}
        return eta.copy(data=self._family().mean(eta.values, along | side)).rename("mean")

    def sample_prior_predictive(
        self, data: Any, draws: int = 500, random_seed: Any = None
    ) -> xr.DataTree:
        """Draw parameters, effects and outcomes from the priors alone.

        Parameters
        ----------
        data : dataframe
            Table with the outcome, whose scale the default priors take.
        draws : int
            Number of draws.
        random_seed : int, optional
            Seed.

        Returns
        -------
        xarray.DataTree
            Groups ``prior`` and ``prior_predictive``.
        """
        with self._build_with_effects(self._design(data)):
            return pm.sample_prior_predictive(
                draws, random_seed=as_seed(random_seed), compile_kwargs={"mode": uncompiled()}
            )

    def plot(
        self,
        what: str = "forest",
        level: str | None = None,
        column: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Draw a picture of the fit.

        Parameters
        ----------
        what : {"forest", "trace", "pairs", "effects", "lines", "variance"}
            Intervals of the parameters; densities and chains; pairs of standard deviations and
            correlations; the units' own coefficients, sorted; the units' regression lines;
            variance partition coefficients along a covariate.
        level : str, optional
            Level for "effects" and "lines"; the innermost by default.
        column : str, optional
            Varying column for "effects" (the first), "lines" and "variance" (the first slope).
        **kwargs
            Passed on to arviz-plots.

        Returns
        -------
        arviz_plots.PlotCollection
        """
        fit = self._fitted()
        if what in ("forest", "trace", "pairs"):
            return nested_plots.plot_parameters(fit, what, **kwargs)
        if what == "effects":
            draws = self.coefficient_draws(level)
            chosen = column or str(draws["coef"].values[0])
            return nested_plots.plot_effects(draws.sel(coef=self._column(chosen)), **kwargs)
        if what == "lines":
            slope = self._slope(column)
            j = fit.design.nested.columns.index(slope)
            values = fit.design.nested.values[j]
            ends = float(values.min()), float(values.max())
            draws, rest = self.coefficient_draws(level), self._fixed_part()
            return nested_plots.plot_lines(draws, slope, self._point({}), ends, rest, **kwargs)
        if what == "variance":
            return nested_plots.plot_variance(self.variance_shares(column), **kwargs)
        raise SpecificationError(
            f"Unknown plot {what!r}; use 'forest', 'trace', 'pairs', 'effects', 'lines' or "
            "'variance'."
        )

    # ------------------------------------------------------------------ from table to design

    def _check(self) -> None:
        """Refuse what can be refused before there are data."""
        family = self._family()
        for text in (str(self.formula).partition("~")[2], *self._varying_texts()):
            plain = re.sub("`[^`]*`|'[^']*'|\"[^\"]*\"", "", text)
            if "|" in plain or "~" in plain:
                raise SpecificationError(
                    f"{text.strip()!r} holds '|' or '~'. Write what varies as a plain sum, "
                    "varying='1 + x', and between which units in levels=['region', 'school']; "
                    "the formula has the population's part alone."
                )
        formula = parse_formula(self.formula)
        if formula.response.kind == "survival" and "time" not in family.roles:
            raise SpecificationError(
                f"{formula.response.label} is a duration, and family {family.name!r} is not for "
                "durations. Use family='weibull', or a plain outcome column."
            )
        self._check_kinds()
        for term in self.terms:
            if not isinstance(term, Hierarchical):
                raise SpecificationError(
                    f"{term!r} is not an hm() term; terms= takes crossed units, such as "
                    "terms=[hm('year')]."
                )
        if self.collapse not in (None, True, False):
            raise SpecificationError(f"collapse is None, True or False, not {self.collapse!r}.")
        check_priors(self.priors_given or {}, type(self).__name__)
        self._term()
        self._is_collapsed()

    def _check_kinds(self) -> None:
        """Refuse arguments of the wrong kind by name."""
        levels = (self.levels,) if isinstance(self.levels, str) else self.levels
        if not isinstance(levels, Sequence) or not all(isinstance(n, str) for n in levels):
            raise SpecificationError(
                f"levels is {self.levels!r}; list names of id columns, such as "
                "levels=['region', 'school']."
            )
        if not isinstance(self.terms, Sequence):
            raise SpecificationError(f"terms is {self.terms!r}; give a list, terms=[hm('year')].")
        if not isinstance(self.level_covariates or {}, Mapping):
            raise SpecificationError(
                f"level_covariates is {self.level_covariates!r}; give columns by level, such as "
                "level_covariates={'school': ['income']}."
            )

    def _varying_texts(self) -> tuple[str, ...]:
        given = self.varying
        if given is None:
            return ()
        return (given,) if isinstance(given, str) else tuple(given.values())

    def _is_collapsed(self) -> bool:
        family = self._family()
        can = family.name == "gaussian" and not self.terms
        if self.collapse and not can:
            why = "crossed terms=" if self.terms else f"family {family.name!r}"
            raise SpecificationError(
                f"collapse=True integrates the effects out exactly, which {why} cannot be: it "
                "needs family='gaussian' and no crossed terms. Use collapse=None or False."
            )
        return can if self.collapse is None else bool(self.collapse)

    def _family(self) -> AbstractFamily:
        return as_family(self.family)

    def _population(self, location: float = 0.0) -> Population:
        own = {k: v for k, v in (self.priors_given or {}).items() if k in (INTERCEPT, "beta")}
        return Population(parse_formula(self.formula), own, location)

    def _term(self) -> Nested:
        names = (self.levels,) if isinstance(self.levels, str) else tuple(self.levels)
        given = self.priors_given or {}
        own = {f"{n}_sd": given[f"{n}_sd"] for n in names if f"{n}_sd" in given}
        varying = "1" if self.varying is None else self.varying
        return nested(names, varying, self.unique_ids, self.eta, own, self.parameterization)

    def _crossed(self) -> tuple[Hierarchical, ...]:
        """Return the crossed terms under their names, with the model's priors for them."""
        named = []
        for term in self.terms:
            name = term.name or term.unit
            own = {k: v for k, v in (self.priors_given or {}).items() if k.startswith(f"{name}_")}
            named.append(replace(term, name=name, priors={**own, **term.priors}))
        return tuple(named)

    def _design(self, data: Any, known: NestedModelDesign | None = None) -> NestedModelDesign:
        self._check()
        within = self.within_between
        reader = NestedReader(
            formula=parse_formula(self.formula),
            family=self._family(),
            population=self._population(),
            term=self._term(),
            varies_by_default=self.varying is None,
            crossed=self._crossed(),
            within_between=(within,) if isinstance(within, str) else tuple(within),
            level_covariates=self.level_covariates or {},
        )
        design = reader.read(data, known)
        if known is None:
            self._refuse_unknown_priors(design)
            self._refuse_colliding_names(design)
            for text in (
                *design_warnings(design.nested.nesting, row_variation=self._family().row_variation),
                *columns_far_from_zero(design.nested),
            ):
                # Said of the table, to whoever gave it to fit().
                warnings.warn(text, stacklevel=4)
        return design

    def _refuse_unknown_priors(self, design: NestedModelDesign) -> None:
        used = self._priors_used(design)
        for name in [*(self.priors_given or {}), *self._family().priors]:
            if name not in used:
                raise SpecificationError(
                    f"priors: the model has no parameter {name!r}; it has {', '.join(used)}."
                )

    def _refuse_colliding_names(self, design: NestedModelDesign) -> None:
        own = [*design.nested.levels, *(part.units.name for _, part in design.terms)]
        taken = {"outcome", "covariates", "offset", *DIMENSIONS, *self._roles(design)}
        taken |= {f"{p}_{what}" for p in design.nested.prefixes for what in ("coef", "pair")}
        clash = [n for i, n in enumerate(own) if n in taken or n in own[:i]]
        if clash:
            raise SpecificationError(
                f"Column {clash[0]!r} would name a dimension, but the model already has that name, "
                "and PyMC allows each name once. Rename the column."
            )

    # ------------------------------------------------------------------ from design to model

    def _family_priors(self, design: NestedModelDesign) -> dict[str, Any]:
        defaults = self._family().default_priors(design.scale)
        given = {k: v for k, v in (self.priors_given or {}).items() if k in defaults}
        return {**defaults, **given, **self._family().priors}

    def _priors_used(self, design: NestedModelDesign) -> dict[str, Any]:
        spread = design.scale.spread
        used = self._population(design.scale.location).priors_used(design.population, spread)
        used |= self._term().priors_used(design.nested, spread)
        for term, part in design.terms:
            used |= term.priors_used(part, spread)
        return used | self._family_priors(design)

    def _build(self, design: NestedModelDesign) -> pm.Model:
        if self._is_collapsed():
            return self._build_collapsed(design)
        return self._build_with_effects(design)

    def _build_collapsed(self, design: NestedModelDesign) -> pm.Model:
        spread = design.scale.spread
        with pm.Model() as model:
            population = self._population(design.scale.location)
            beta = population.priors_used(design.population, spread).get("beta")
            own = population.priors if beta is None else {**population.priors, "beta": beta}
            # The coefficients as every model has them, but at one row, the mean of all.
            X = design.population.X.mean(axis=0, keepdims=True)
            at_mean = replace(design.population, X=X, offset=np.zeros(1))
            part = replace(population, priors=own)
            centre, root = rough(design.population.X, spread)
            if not design.population.intercept and isinstance(beta, Prior):
                # Coefficients that carry the level start there.
                centre = np.broadcast_to(beta.parameters.get("mu", 0.0), centre.shape)
            part.coefficients(at_mean, spread, (centre, root))
            part.intercept(at_mean, spread, part.at_mean(at_mean))
            coefficients = {n: model[n] for n in (INTERCEPT, "beta") if n in model.named_vars}
            sds, partials = self._term().parameters(design.nested, spread)
            sigma = create(self._family_priors(design)["sigma"], "sigma", positive=True)
            parts = (design.population, design.nested)
            statistics = nested_statistics(*parts, design.outcome["value"])
            add_collapsed_likelihood(coefficients, sds, partials, sigma, *parts, statistics)
        return model

    def _build_with_effects(self, design: NestedModelDesign) -> pm.Model:
        spread, told = design.scale.spread, self._information(design)
        crossed, levels = (None, None) if told is None else (told.crossed, told.levels)
        with pm.Model(coords={OBSERVATION: tuple(design.rows.labels.tolist())}) as model:
            population = self._population(design.scale.location)
            eta = crossed_predictor(population, design.population, design.terms, spread, crossed)
            # Less the typical value, where centred coordinates then start.
            location = pytensor.shared(np.float64(design.scale.location))
            around = {INTERCEPT: model[INTERCEPT] - location} if design.population.intercept else {}
            if design.population.names:
                around |= {n: model["beta"][i] for i, n in enumerate(design.population.names)}
            also = followed(design.terms, crossed)
            eta = eta + self._term().effect(design.nested, spread, around, levels, also)
            outcome = {k: pm.Data(f"outcome_{k}", v) for k, v in design.outcome.items()}
            priors = self._family_priors(design)
            self._family().likelihood("outcome", eta, outcome, priors, OBSERVATION)
        return model

    def _information(self, design: NestedModelDesign) -> NestedModelInformation | None:
        """Return what the data say about units, coefficients and crossed effects."""
        return nested_model_information(
            design.population, design.nested, design.terms, self._family(), design.outcome,
            self._family_priors(design), design.scale,
        )  # fmt: skip

    # ------------------------------------------------------------------ from draws to reports

    def _finished(self, fit: Fit, seed: int | None) -> Fit:
        """Return the fit with correlations, and with the effects that were integrated out."""
        rng = np.random.default_rng(None if seed is None else [seed, EFFECT_SEED])
        nested = fit.design.nested
        posterior = fit.posterior.assign(correlations(fit.posterior, nested))
        if self._is_collapsed():
            parts = (fit.design.population, nested)
            statistics = nested_statistics(*parts, fit.design.outcome["value"])
            posterior = posterior.assign(exact_effects(posterior, *parts, statistics, rng))
        posterior.attrs = fit.idata["posterior"].attrs
        fit.idata["posterior"] = xr.DataTree(posterior)
        roles = {n: r for n, r in self._roles(fit.design).items() if n in posterior}
        return replace(fit, roles=roles)

    def _eta_draws(self, design: NestedModelDesign, seed: int | None) -> xr.DataArray:
        posterior, rng = self._fitted().posterior, np.random.default_rng(seed)
        eta = linear_predictor_draws(posterior, design.population, design.nested, rng)
        if design.terms:
            count, spread = len(design.rows), design.scale.spread
            eta = eta + crossed_draws(design.terms, posterior, count, spread, seed)
        coords = {
            "chain": posterior["chain"], "draw": posterior["draw"], OBSERVATION: design.rows.labels
        }  # fmt: skip
        dims = ("chain", "draw", OBSERVATION)
        return xr.DataArray(eta, dims=dims, coords=coords, name="eta")

    def _variances(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """Return the variance of each level and crossed term, (draw, point)."""
        fit = self._fitted()
        parts = level_variances(fit, points)
        for _, part in fit.design.terms:
            if f"{part.name}_sd" in fit.posterior:
                sd = fit.posterior[f"{part.name}_sd"].values.reshape(-1, 1)
                parts[part.name] = np.broadcast_to(sd**2, (len(sd), len(points)))
        return parts

    def _residual(self, parts: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """Return the residual variance at the points of the parts, (draw, point).

        The population's part of the predictor is at the mean of the covariates.
        """
        fit = self._fitted()
        population = fit.design.population
        at_mean = population_draws(fit.posterior, (INTERCEPT, *population.names)).reshape(
            -1, 1 + len(population.names)
        ) @ np.concatenate([[1.0], population.X.mean(axis=0)])
        # Counts: the mean of exp(eta) over units is that of a log-normal.
        eta = at_mean[:, None] + population.offset.mean() + 0.5 * np.sum([*parts.values()], axis=0)
        names = self._family().default_priors(fit.design.scale)
        parameters = {n: fit.posterior[n].values.reshape(-1, 1) for n in names}
        residual = self._family().residual_variance({"eta": eta, **parameters})
        return None if residual is None else np.broadcast_to(residual, eta.shape)

    def _point(self, at: Mapping[str, float]) -> np.ndarray:
        """Return the varying columns at a point: means, ones for the intercept, or as given."""
        nested = self._fitted().design.nested
        for name, value in at.items():
            self._slope(name)
            if not np.isfinite(value):
                raise SpecificationError(f"at={dict(at)!r}: {name!r} needs a finite number.")
        means = zip(nested.columns, nested.means, strict=True)
        return np.array([1.0 if n == INTERCEPT else at.get(n, m) for n, m in means])

    def _slopes(self, point: np.ndarray) -> dict[str, float]:
        columns = self._fitted().design.nested.columns
        return {n: v for n, v in zip(columns, point.tolist(), strict=True) if n != INTERCEPT}

    def _fixed_part(self) -> float:
        """Return what the columns that do not vary contribute at their mean, on average."""
        fit = self._fitted()
        population, varying = fit.design.population, fit.design.nested.columns
        names = [n for n in (INTERCEPT, *population.names) if n not in varying]
        if not names:
            return float(population.offset.mean())
        mean = dict(zip(population.names, population.X.mean(axis=0), strict=True))
        beta = population_draws(fit.posterior, tuple(names)).mean(axis=(0, 1))
        return float(population.offset.mean() + beta @ [mean.get(n, 1.0) for n in names])

    def _slope(self, column: str | None) -> str:
        slopes = [n for n in self._fitted().design.nested.columns if n != INTERCEPT]
        if column is None and not slopes:
            raise SpecificationError(
                f"No slope varies in this model, so nothing changes along a covariate. Use "
                f"varying='1 + x', with a covariate of {self.formula!r}."
            )
        if column == INTERCEPT:
            raise SpecificationError(
                f"The intercept is no covariate; those whose slopes vary: {', '.join(slopes)}."
            )
        return slopes[0] if column is None else self._column(column)

    def _column(self, name: str) -> str:
        columns = self._fitted().design.nested.columns
        if name not in columns:
            raise SpecificationError(
                f"No coefficient of {name!r} varies; those that do: {', '.join(columns)}."
            )
        return name

    def _place(self, level: str | None) -> int:
        levels = self._fitted().design.nested.levels
        if level is None:
            return len(levels) - 1
        if level not in levels:
            raise SpecificationError(f"No level {level!r}; the levels are: {', '.join(levels)}.")
        return levels.index(level)

    def _roles(self, design: NestedModelDesign) -> dict[str, Any]:
        roles: dict[str, Any] = dict(self._population().roles(design.population))
        roles |= self._term().roles(design.nested)
        for term, part in design.terms:
            roles |= term.roles(part)
        return roles | {n: Role("family", n) for n in self._family().default_priors(design.scale)}

    def _title(self, design: NestedModelDesign) -> str:
        nesting = design.nested.nesting
        parts = [f"{len(design.rows)} rows"]
        parts += [f"{len(u)} {n}" for n, u in zip(nesting.levels, nesting.labels, strict=True)]
        parts += [f"{len(part.units)} {part.units.name}" for _, part in design.terms]
        return f"{self._family().name}: {self.formula}  ({', '.join(parts)})"

    def _notes(self, design: NestedModelDesign) -> tuple[str, ...]:
        sizes = design.nested.nesting.sizes.tolist()
        crossed = {part.units.name: len(part.units) for _, part in design.terms}
        few = few_units(dict(zip(design.nested.levels, sizes, strict=True)) | crossed)
        if self._is_collapsed():
            return ("effects integrated out exactly, and drawn exactly after sampling", *few)
        told = self._information(design)
        information = None if told is None else told.levels
        constant = constant_note(parse_formula(self.formula).response.label, design.outcome)
        notes = [*constant, *few]
        for place, level in enumerate(design.nested.levels):
            how = self._term().coordinates(place, information, bool(design.terms))
            if information is None or how != INFORMED:
                notes.append(f"[{level}] {how}")
                continue
            c = information[place].centeredness()
            notes.append(
                f"[{level}] centred by what the data say of each unit: {c.min():.2f} to "
                f"{c.max():.2f}, mean {c.mean():.2f} (0 non-centred, 1 centred)"
            )
        return tuple(notes)


def _two_seeds(random_seed: Any) -> tuple[int | None, int | None]:
    """Return seeds for new units and for noise: with one, both would be the same normals."""
    seed = as_seed(random_seed)
    if seed is None:
        return None, None
    first, second = np.random.SeedSequence(seed).generate_state(2)
    return int(first), int(second)
