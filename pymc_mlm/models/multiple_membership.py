"""Outcomes that depend on several members at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import xarray as xr

from pymc_mlm.data.checks import as_numbers, constant_within
from pymc_mlm.data.crossed_information import crossed_information
from pymc_mlm.data.effect_information import CrossedInformation
from pymc_mlm.data.event import constant_note, outcome_numbers
from pymc_mlm.data.factor import UNKNOWN, Factor, encode
from pymc_mlm.data.few_units import few_units
from pymc_mlm.data.formula import Formula, parse_formula
from pymc_mlm.data.frame import Table as Opened
from pymc_mlm.data.frame import columns, open_table
from pymc_mlm.data.nested_design import varies_within
from pymc_mlm.data.population import PopulationDesign, response_values
from pymc_mlm.data.standard import standard
from pymc_mlm.errors import DataError, SpecificationError, warn_of_data
from pymc_mlm.families import AbstractFamily, OutcomeScale, as_family
from pymc_mlm.inference import Nutpie, as_seed
from pymc_mlm.models.base import Estimator
from pymc_mlm.models.crossed_graph import coefficient_modes, crossed_predictor
from pymc_mlm.models.extrapolation import rows_outside
from pymc_mlm.models.outcome_scale import outcome_scale
from pymc_mlm.models.row_likelihood import row_likelihood
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.priors import Prior, check_priors, support_point
from pymc_mlm.reporting import plots, variance
from pymc_mlm.reporting.summary import Table, check_probability, draws_table
from pymc_mlm.terms import Hierarchical, MultipleMembership, Population, Role
from pymc_mlm.terms.membership import WIDE
from pymc_mlm.terms.population import COVARIATE

if TYPE_CHECKING:
    import pandas as pd

OBSERVATION = "obs"
# Weights are evaluated per draw for reports; a thousand draws place a mean within 3% of an sd.
REPORT_DRAWS = 1_000
# No name that a column is likely to have, as "sample" is.
DRAW_OF_ALL = "draw of all chains"

_LINK_SCALES = {"identity": "the outcome", "logit": "the log odds", "log": "the log mean"}

Term = MultipleMembership | Hierarchical


@dataclass(frozen=True, eq=False)
class ModelDesign:
    """A table as the model needs it.

    Attributes
    ----------
    num_rows : int
        Rows of the table.
    group : Factor
        Units of observation.
    population : PopulationDesign
        Covariates of the formula.
    terms : tuple
        Pairs of a term, under its final name, and its design.
    outcome : dict of str to ndarray, shape (group,), or None
        Outcome by role; None for new data without one.
    scale : OutcomeScale
        Scale of the linear predictor in the fitted data.
    side : mapping of str to ndarray, shape (group,)
        What the family reads beside the outcome, such as the number of trials.
    """

    num_rows: int
    group: Factor
    population: PopulationDesign
    terms: tuple[tuple[Term, Any], ...]
    outcome: dict[str, np.ndarray] | None
    scale: OutcomeScale
    side: Mapping[str, np.ndarray]


class MultipleMembershipModel(Estimator):
    r"""Multilevel model for outcomes of groups that share members.

    .. math:: \eta_j = x_j'\beta + \sum_{k \in j} w_{jk}\,(z_{jk}'\gamma + u_k) + v_{c(j)}

    with weights that are known or estimated as a function of covariates, member effects
    :math:`u_k \sim N(0, \sigma^2)` and effects of ordinary units :math:`v_c \sim N(0, \tau^2)`.

    Parameters
    ----------
    formula : str
        Outcome and group-level covariates: ``"y ~ 1 + x"``, ``"Surv(time, event) ~ 1 + x"``;
        ``fix(column, value)`` is a covariate whose coefficient is fixed.
    *terms : mm or hm terms
        Multiple-membership blocks (all of one group column) and hierarchical terms.
    family : str or AbstractFamily, default "gaussian"
        "gaussian", "bernoulli", "weibull", or an object.
    priors : mapping of str to prior, optional
        Priors by variable name (``Intercept``, ``beta``, ``sigma``, ``shape``, ``party_sd``, ...)
        that replace the defaults; `model.priors(data)` lists the names.

    Attributes
    ----------
    result_ : Fit
        After `fit`: the model, its draws and its design.

    References
    ----------
    .. [1] Browne, Goldstein and Rasbash (2001). Multiple membership multiple classification
       (MMMC) models. Statistical Modelling 1, 103-124.
    .. [2] Rosche, B. (2026). A Multilevel Model for Coalition Governments. Political Analysis.

    Examples
    --------
    >>> import pymc_mlm as mlm
    >>> model = mlm.MultipleMembershipModel(
    ...     "Surv(weeks, ended) ~ 1 + majority",
    ...     mlm.mm("party", "government", covariates="cohesion", weight="ilogit(b0 + b1 * seats)"),
    ...     mlm.hm("country"),
    ...     family="weibull",
    ... )
    >>> model.get_params()["family"]
    'weibull'
    """

    def __init__(
        self,
        formula: str,
        *term: Term,
        terms: Sequence[Term] = (),
        family: str | AbstractFamily = "gaussian",
        priors: Mapping[str, Any] | None = None,
    ) -> None:
        self.formula = formula
        self.terms = (*term, *terms)
        self.family = family
        self.priors_given = priors
        self._check()

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
        import pandas as pd

        design = self._fitted().design if data is None else self._design(data)
        roles = self._roles(design)
        rows = [
            {"variable": name, "meaning": roles[name].text("each column"), "prior": repr(prior)}
            for name, prior in self._priors_used(design).items()
        ]
        centred = "Intercept" in roles and "Intercept" not in (self.priors_given or {})
        notes = ("The prior of Intercept is stated at the mean of all covariates.",) * centred
        return Table(f"Priors of {self.formula}", pd.DataFrame(rows).set_index("variable"), notes)

    def predict(
        self, data: Any = None, kind: str = "mean", random_seed: Any = None
    ) -> xr.DataArray:
        """Predict groups, also new ones with new members.

        Parameters
        ----------
        data : dataframe, optional
            One row per membership, without the outcome; the fitted table by default. A member or
            unit that the fitted data lacked is one new draw from its population, shared by all
            rows that carry its id; a missing id is an unknown one of the fitted members.
        kind : {"mean", "outcome", "eta"}
            Expected outcome, new outcomes with their residual variation, or linear predictor.
        random_seed : int, optional
            Seed of the new draws.

        Returns
        -------
        xarray.DataArray, dims (chain, draw, group)
            Posterior draws per group, on the scale of the outcome ("mean", "outcome") or of the
            link ("eta"). Complete durations for a censored outcome.

        Examples
        --------
        >>> model.predict(new).mean(("chain", "draw"))  # doctest: +SKIP
        """
        if kind not in ("mean", "outcome", "eta"):
            raise SpecificationError(f"kind is 'mean', 'outcome' or 'eta', not {kind!r}.")
        fit = self._fitted()
        design = fit.design if data is None else self._design(data, known=fit.design)
        if data is not None:
            for text in rows_outside(
                dict(zip(design.population.names, design.population.X.T, strict=True)),
                dict(zip(design.population.names, fit.design.population.X.T, strict=True)),
            ):
                warn_of_data(text)
        name = "eta" if kind == "mean" else kind
        draws = self._predictive(design, fit.posterior, as_seed(random_seed))[name]
        if kind != "mean":
            return draws
        parameters = {n: fit.posterior[n] for n in self._family().default_priors(fit.design.scale)}
        aligned = {n: p.broadcast_like(draws) for n, p in parameters.items()}
        given = {n: p.values for n, p in aligned.items()} | dict(design.side)
        mean = self._family().mean(draws.values, given)
        return draws.copy(data=mean).rename("mean")

    def sample_prior_predictive(
        self, data: Any, draws: int = 500, random_seed: Any = None
    ) -> xr.DataTree:
        """Draw parameters and outcomes from the priors alone.

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
        with self._build(self._design(data)):
            return pm.sample_prior_predictive(
                draws, random_seed=as_seed(random_seed), compile_kwargs={"mode": uncompiled()}
            )

    def variance_decomposition(self, ci_prob: float = 0.89) -> Table:
        """Split the random variation between members, units and residual.

        Parameters
        ----------
        ci_prob : float
            Probability inside the intervals.

        Returns
        -------
        Table
            Per part: standard deviation, variance, share of the total.

        Notes
        -----
        The residual is on the scale of the link: ``sigma**2`` (Gaussian), ``pi**2 / (6 shape**2)``
        (Weibull, log time; bml reports ``1 / shape**2``, which is too small by a factor 1.645),
        ``pi**2 / 3`` (logit).
        """
        fit = self._fitted()
        posterior = self._report_draws()
        parts: dict[str, np.ndarray] = {}
        for term, design in fit.design.terms:
            sd = posterior.get(f"{design.name}_sd")
            if sd is None:
                continue
            if isinstance(term, MultipleMembership):
                w = term.weights(design, self._weight_draws(term, design, posterior))
                m = design.membership
                w = np.broadcast_to(w, (len(sd), w.shape[1]))
                parts[term.label] = variance.membership_variance(
                    sd.values, w, m.group, m.num_groups
                )
            else:
                parts[term.label] = sd.values**2
        if not parts:
            raise SpecificationError(
                "The model has no random effects, so there is no variance to split."
            )
        family = self._family()
        parameters = {n: posterior[n].values for n in family.default_priors(fit.design.scale)}
        residual = family.residual_variance(parameters)
        link = {"weibull": "log time"}.get(family.name) or _LINK_SCALES[family.link]
        title = f"Variance decomposition of {self.formula}"
        return variance.variance_decomposition(title, parts, residual, link, ci_prob)

    def weights(self, term: str | None = None, ci_prob: float = 0.89) -> pd.DataFrame:
        """Tabulate the weights of a multiple-membership term.

        Parameters
        ----------
        term : str, optional
            Name of the term; the first one with estimated weights by default.
        ci_prob : float
            Probability inside the intervals.

        Returns
        -------
        pandas.DataFrame
            A row per membership: group, member, equal weight, posterior mean, sd, interval.
        """
        import pandas as pd

        block, design, w = self._weights_of(term)
        m = design.membership
        check_probability(ci_prob)
        low, high = (1 - ci_prob) / 2, (1 + ci_prob) / 2
        percent = f"{100 * ci_prob:g}"
        return pd.DataFrame(
            {
                block.group: design.group.labels[m.group],
                block.member: m.member.labels[m.member.codes],
                "equal": 1.0 / m.size[m.group],
                "mean": w.mean(axis=0),
                "sd": w.std(axis=0),
                f"eti{percent}_lb": np.quantile(w, low, axis=0),
                f"eti{percent}_ub": np.quantile(w, high, axis=0),
            }
        )

    def members(self, term: str | None = None, ci_prob: float = 0.89) -> pd.DataFrame:
        """Tabulate the effects of a term's members or units, sorted by posterior mean.

        Parameters
        ----------
        term : str, optional
            Name of the term; the first one with random effects by default.
        ci_prob : float
            Probability inside the intervals.

        Returns
        -------
        pandas.DataFrame
            A row per member: posterior mean, sd and interval, on the scale of the link.
        """
        import pandas as pd

        effects = self._fitted().posterior[self._effect_name(term)]
        dim = next(d for d in effects.dims if d not in ("chain", "draw"))
        flat = effects.stack({DRAW_OF_ALL: ("chain", "draw")}).values
        table = draws_table({str(i): draws for i, draws in enumerate(flat)}, ci_prob)
        table.index = pd.Index(effects[dim].values, name=dim)
        return table.sort_values("mean", ascending=False)

    def plot(self, what: str = "forest", term: str | None = None, **kwargs: Any) -> Any:
        """Draw a picture of the fit.

        Parameters
        ----------
        what : {"forest", "trace", "weights", "members"}
            Intervals of the parameters; densities and chains; estimated weights against the
            column that they depend on; effects of the members that stand out.
        term : str, optional
            Term for "weights" and "members".
        **kwargs
            Passed to arviz-plots.

        Returns
        -------
        arviz_plots.PlotCollection
        """
        fit = self._fitted()
        if what == "forest":
            return plots.plot_forest(fit, **kwargs)
        if what == "trace":
            return plots.plot_trace(fit, **kwargs)
        if what == "members":
            return plots.plot_members(fit, self._effect_name(term), **kwargs)
        if what == "weights":
            return self._plot_weights(term, **kwargs)
        raise SpecificationError(
            f"Unknown plot {what!r}; use 'forest', 'trace', 'weights' or 'members'."
        )

    # ------------------------------------------------------------------ from table to design

    def _check(self) -> None:
        """Refuse what can be refused before there are data."""
        formula = parse_formula(self.formula)
        family = self._family()
        if formula.response.kind == "survival" and "time" not in family.roles:
            raise SpecificationError(
                f"{formula.response.label} is a duration, and family {family.name!r} is not for "
                "durations. Use family='weibull', or a plain outcome column."
            )
        for term in self.terms:
            if not isinstance(term, (MultipleMembership, Hierarchical)):
                raise SpecificationError(
                    f"{term!r} is not a term. After the formula come mm(...) and hm(...) terms; "
                    "family= and priors= are given by name."
                )
        groups = {t.group for t in self.terms if isinstance(t, MultipleMembership)}
        if len(groups) > 1:
            raise SpecificationError(
                f"All mm() terms of a model share one group column; found {sorted(groups)}. The "
                "group is the unit of the outcome; other units go into hm()."
            )
        check_priors(self.priors_given or {}, type(self).__name__)

    def _family(self) -> AbstractFamily:
        return as_family(self.family)

    def _population(self, formula: Formula, location: float = 0.0) -> Population:
        given = self.priors_given or {}
        own = {k: v for k, v in given.items() if k in ("Intercept", "beta")}
        return Population(formula, own, location)

    def _named_terms(self) -> list[Term]:
        """Return the terms under unique names, with the model's priors for their variables."""
        taken: dict[str, int] = {}
        named: list[Term] = []
        for term in self.terms:
            base = term.name or (term.member if isinstance(term, MultipleMembership) else term.unit)
            taken[base] = taken.get(base, 0) + 1
            name = base if taken[base] == 1 else f"{base}_{taken[base]}"
            own = {k: v for k, v in (self.priors_given or {}).items() if k.startswith(f"{name}_")}
            # The longest matching prefix owns a prior: "party_2_sd" is not one of "party".
            others = [n.name or "" for n in named]
            own = {k: v for k, v in own.items() if not any(
                len(o) > len(name) and k.startswith(f"{o}_") for o in others)}  # fmt: skip
            named.append(replace(term, name=name, priors={**own, **term.priors}))
        return named

    def _design(self, data: Any, known: ModelDesign | None = None) -> ModelDesign:
        self._check()
        formula = parse_formula(self.formula)
        family = self._family()
        terms = self._named_terms()
        population = self._population(formula)
        needed = [c for t in terms for c in t.columns] + list(population.columns)
        needed += list(family.side_columns.values())
        data = open_table(data, [*needed, *(() if known else formula.response.columns)])
        group = self._groups(data, terms)
        outcome = None if known else self._outcome(data, formula, family, group)
        side = self._side_columns(data, family, group)
        designs = []
        for i, term in enumerate(terms):
            designs.append(
                (term, term.resolve(data, known.terms[i][1] if known else None, group=group))
            )
        covariates = population.resolve(data, known.population if known else None, group=group)
        scale = (
            known.scale if known else outcome_scale(family, outcome or {}, population, covariates)
        )
        design = ModelDesign(
            len(group.codes), group, covariates, tuple(designs), outcome, scale, side
        )
        self._refuse_unknown_priors(design)
        return design

    def _groups(self, data: Opened, terms: Sequence[Term]) -> Factor:
        blocks = [t for t in terms if isinstance(t, MultipleMembership)]
        if blocks:
            name = blocks[0].group
            return encode(name, columns(data, [name])[name])
        return encode(OBSERVATION, np.arange(data.num_rows))

    def _outcome(
        self, data: Any, formula: Formula, family: AbstractFamily, group: Factor
    ) -> dict[str, np.ndarray]:
        response = formula.response
        table = columns(data, response.columns)
        remedy = f"The outcome belongs to {group.name!r}: repeat one value in all of its rows."
        try:
            reduced = {k: constant_within(k, v, group, remedy) for k, v in table.items()}
        except DataError as error:
            hint = self._layout_hint(data, next(iter(table.values())))
            raise DataError(f"{error}{hint}") from None
        numbers = partial(outcome_numbers, binary=family.binary, event=family.event)
        values = response_values(response, reduced, numbers)
        named = dict(zip(family.roles, values, strict=False))
        return family.outcome(response.label, named | self._side_columns(data, family, group))

    def _layout_hint(self, data: Opened, outcome: np.ndarray) -> str:
        """Say how the table differs from one row per membership, if the outcome tells."""
        blocks = [t for t in self.terms if isinstance(t, MultipleMembership)]
        if not blocks:
            return ""
        name = blocks[0].member
        member = encode(name, columns(data, [name])[name], missing="unknown")
        if (member.codes == UNKNOWN).any() or varies_within(outcome, member.codes, len(member)):
            return ""
        if len(member) == len(outcome):
            return f" Every row has a {name!r} of its own.{WIDE}"
        return (
            f" It has one value in every {name!r}: member and group are swapped. Write "
            f"mm({blocks[0].group!r}, {name!r})."
        )

    def _side_columns(
        self, data: Any, family: AbstractFamily, group: Factor
    ) -> dict[str, np.ndarray]:
        table = columns(data, family.side_columns.values())
        remedy = f"Family {family.name!r} reads one value per {group.name!r}."
        return {
            role: as_numbers(name, constant_within(name, table[name], group, remedy))
            for role, name in family.side_columns.items()
        }

    def _refuse_unknown_priors(self, design: ModelDesign) -> None:
        used = self._priors_used(design)
        for name in self.priors_given or {}:
            if name not in used:
                raise SpecificationError(
                    f"priors: the model has no parameter {name!r}; it has {', '.join(used)}."
                )
        for name in self._family().priors:
            if name not in used:
                raise SpecificationError(
                    f"Family {self._family().name!r} has no parameter {name!r}."
                )

    # ------------------------------------------------------------------ from design to model

    def _default_sampler(self) -> Nutpie:
        # Effects in informed coordinates need no small steps; the ridge between estimated weights
        # and the coefficients of what they weigh does (docs/performance.md has the figures).
        members = [t for t in self.terms if isinstance(t, MultipleMembership)]
        estimated = any(t.weight_function.parameters for t in members)
        return Nutpie(target_accept=0.9 if estimated else 0.8)

    def _starts(self, design: ModelDesign) -> dict[str, Any]:
        """Start parameters with a replaced prior where their default prior would start.

        The centre of a very wide prior may lie where the likelihood overflows.
        """
        family: Any = self._family()
        terms = [replace(term, priors={}) for term, _ in design.terms]
        plain = MultipleMembershipModel(self.formula, *terms, family=replace(family, priors={}))
        bare = replace(design, terms=tuple(zip(terms, (d for _, d in design.terms), strict=True)))
        used, defaults = self._priors_used(design), plain._priors_used(bare)
        changed = [n for n in used if used[n] != defaults[n]]
        own = {n: r for n, r in self._roles(design).items() if r.kind in ("coefficient", "effect")}
        starts = {n: support_point(defaults[n]) for n in changed if n not in own}
        # Coefficients with a prior of ours start where their coordinates have the zero.
        foreign = [n for n in changed if n in own and not isinstance(used[n], Prior)]
        known = self._information(design) if foreign else None
        return starts | (
            coefficient_modes(known, design.population, design.terms, foreign) if known else {}
        )

    def _family_priors(self, design: ModelDesign) -> dict[str, Any]:
        family = self._family()
        defaults = family.default_priors(design.scale)
        given = {k: v for k, v in (self.priors_given or {}).items() if k in defaults}
        return {**defaults, **given, **family.priors}

    def _priors_used(self, design: ModelDesign) -> dict[str, Any]:
        spread = design.scale.spread
        population = self._population(parse_formula(self.formula), design.scale.location)
        used = population.priors_used(design.population, spread)
        for term, part in design.terms:
            used |= term.priors_used(part, spread)
        return used | self._family_priors(design)

    def _build(self, design: ModelDesign, predictive: bool = False) -> pm.Model:
        formula = parse_formula(self.formula)
        self._refuse_colliding_names(design)
        known = None if predictive else self._information(design)
        with pm.Model(coords={design.group.name: tuple(design.group.labels)}) as model:
            population = self._population(formula, design.scale.location)
            parts = (population, design.population, design.terms, design.scale.spread)
            eta = crossed_predictor(*parts, known)
            if predictive:
                eta = pm.Deterministic("eta", eta, dims=design.group.name)
            outcome = {k: pm.Data(f"outcome_{k}", v) for k, v in self._observed(design).items()}
            self._family().likelihood(
                "outcome", eta, outcome, self._family_priors(design), design.group.name
            )
        return model

    def _information(self, design: ModelDesign) -> CrossedInformation | None:
        """Return what the data say about coefficients and effects."""
        if design.outcome is None:
            return None
        population, scale = design.population, design.scale
        X = np.column_stack([population.X, *(part.group_covariates for _, part in design.terms)])
        offset = population.offset
        # The intercept starts near its place, so that the first step is taken from there.
        location = scale.location if population.intercept else 0.0
        likelihood = row_likelihood(
            self._family(), design.outcome, self._family_priors(design), scale.spread
        )
        blocks, fixed = [], []
        for term, part in design.terms:
            sd = term.fixed_sd(scale.spread) if isinstance(term, Hierarchical) else None
            if term.effect_type is not None:
                blocks.append(part.incidence if sd is None else part.contrasts)
                fixed.append(sd)
        standardization = standard(X, population.intercept)
        return crossed_information(
            blocks, X, standardization, offset + location, likelihood, scale.spread, location, fixed
        )

    def _observed(self, design: ModelDesign) -> dict[str, np.ndarray]:
        if design.outcome is not None:
            return design.outcome
        # New data have no outcome; the likelihood still needs the shape of one.
        empty = {role: np.ones(len(design.group)) for role in self._family().roles}
        return empty | dict(design.side)

    def _refuse_colliding_names(self, design: ModelDesign) -> None:
        dims = {design.group.name}
        for term, _ in design.terms:
            dims.add(term.member if isinstance(term, MultipleMembership) else term.unit)
        own = dims & {"chain", "draw", COVARIATE}
        if own:
            raise SpecificationError(
                f"Column {min(own)!r} would name a dimension that the model uses itself. Rename "
                "the column."
            )
        variables = {"outcome", "eta", "covariates", "offset", *self._priors_used(design)}
        variables |= {n for term, part in design.terms for n in term.roles(part)}
        clash = sorted(dims & variables)
        if clash:
            raise SpecificationError(
                f"Column {clash[0]!r} would name a dimension, but the model already has a variable "
                "of that name, and PyMC allows each name once. Rename the column."
            )

    def _predictive(
        self, design: ModelDesign, posterior: xr.Dataset, random_seed: int | None
    ) -> xr.Dataset:
        with self._build(design, predictive=True):
            tree = pm.sample_posterior_predictive(
                xr.DataTree.from_dict({"posterior": posterior}),
                var_names=["eta", "outcome"],
                # Fitted parameters stay as drawn, although the new table's data differ.
                freeze_vars=[str(name) for name in posterior.data_vars],
                predictions=True,
                random_seed=random_seed,
                progressbar=False,
                compile_kwargs={"mode": uncompiled()},
            )
        return tree["predictions"].to_dataset()

    # ------------------------------------------------------------------ reports

    def _roles(self, design: ModelDesign) -> dict[str, Role]:
        roles = self._population(parse_formula(self.formula)).roles(design.population)
        for term, part in design.terms:
            roles |= term.roles(part)
        return roles | {n: Role("family", n) for n in self._family().default_priors(design.scale)}

    def _title(self, design: ModelDesign) -> str:
        parts = [f"{len(design.group)} {design.group.name}"]
        for term, part in design.terms:
            if isinstance(term, MultipleMembership):
                member = part.membership.member
                parts.append(
                    f"{len(part.membership.group)} memberships of {len(member)} {member.name}"
                )
            else:
                parts.append(f"{len(part.units)} {part.units.name}")
        return f"{self._family().name}: {self.formula}  ({', '.join(parts)})"

    def _notes(self, design: ModelDesign) -> tuple[str, ...]:
        response = parse_formula(self.formula).response
        notes = constant_note(response.label, self._observed(design))
        random = [(term, part) for term, part in design.terms if term.effect_type == "random"]
        notes += few_units({term.label: part.incidence.shape[1] for term, part in random})
        for term, part in design.terms:
            if not isinstance(term, MultipleMembership):
                continue
            scaled = "scaled to sum to one" if term.normalize else "not scaled"
            text = f"weights [{term.label}]: {term.weight_function.label}, {scaled}"
            used = term.priors_used(part, design.scale.spread)
            free = [
                f"{b} ~ {used[f'{part.name}_weight_{b}']!r}"
                for b in term.weight_function.parameters
            ]
            notes.append(text + (f"; {', '.join(free)}" if free else "; no free parameters"))
            skipped = design.num_rows - len(part.membership.group)
            if skipped:
                notes.append(f"[{term.label}]: {skipped} rows without a member id were skipped")
        return tuple(notes)

    def _effect_name(self, term: str | None) -> str:
        fit = self._fitted()
        names = fit.names("effect")
        wanted = names[:1] if term is None else [n for n in names if n == f"{term}_effect"]
        if not wanted:
            have = ", ".join(n.removesuffix("_effect") for n in names) or "none"
            raise SpecificationError(
                f"No term {term!r} with random effects; the model has: {have}."
            )
        return wanted[0]

    def _weights_of(self, term: str | None) -> tuple[MultipleMembership, Any, np.ndarray]:
        blocks = [
            (t, d) for t, d in self._fitted().design.terms if isinstance(t, MultipleMembership)
        ]
        free = [b for b in blocks if b[0].weight_function.parameters]
        chosen = (free or blocks) if term is None else [b for b in blocks if b[1].name == term]
        if not chosen:
            have = ", ".join(d.name for _, d in blocks) or "none"
            raise SpecificationError(
                f"No multiple-membership term {term!r}; the model has: {have}."
            )
        block, design = chosen[0]
        draws = self._weight_draws(block, design, self._report_draws())
        return block, design, block.weights(design, draws)

    def _report_draws(self) -> xr.Dataset:
        """Return model-level draws of all chains, evenly thinned to what reports need."""
        fit = self._fitted()
        names = fit.names("coefficient", "sd", "weight", "family")
        stacked = fit.posterior[names].stack({DRAW_OF_ALL: ("chain", "draw")})
        count = stacked.sizes[DRAW_OF_ALL]
        keep = np.linspace(0, count - 1, min(count, REPORT_DRAWS)).astype(int)
        return stacked.isel({DRAW_OF_ALL: keep})

    def _weight_draws(
        self, term: MultipleMembership, design: Any, posterior: xr.Dataset
    ) -> dict[str, np.ndarray]:
        names = term.weight_function.parameters
        return {b: posterior[f"{design.name}_weight_{b}"].values for b in names}

    def _plot_weights(self, term: str | None, **kwargs: Any) -> Any:
        block, design, w = self._weights_of(term)
        m = design.membership
        size = m.size[m.group]
        label, x = next(iter(design.weight_columns.items()), ("n", size))
        title = f"Weights of {block.member} in {block.group}: {block.weight_function.label}"
        return plots.plot_weights(w, size, x, label, title, **kwargs)
