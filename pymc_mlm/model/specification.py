"""A model with one linear predictor: a formula, terms, a family and priors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pymc as pm

from pymc_mlm.data.confounded import confounded
from pymc_mlm.data.event import constant_note
from pymc_mlm.data.few_units import few_units
from pymc_mlm.data.formula import Formula, parse_formula
from pymc_mlm.data.imputed import check_imputed
from pymc_mlm.data.missing import PREDICT, check_rule
from pymc_mlm.data.population import INTERCEPT
from pymc_mlm.data.row_weights import AbstractRowWeights, as_row_weights
from pymc_mlm.errors import SpecificationError
from pymc_mlm.families import AbstractFamily, OutcomeScale
from pymc_mlm.inference import TARGET_ACCEPT
from pymc_mlm.model.base import AbstractSpecification
from pymc_mlm.model.build import build
from pymc_mlm.model.categories import check_categories
from pymc_mlm.model.crossed_graph import coefficient_modes
from pymc_mlm.model.design import Design, read
from pymc_mlm.model.information import effect_information, nested_information, own_terms
from pymc_mlm.model.names import is_coefficient, refuse_taken_names, uniquely_named
from pymc_mlm.priors import Prior, check_priors, support_point
from pymc_mlm.terms import AbstractTerm, MultipleMembership, Population, Role
from pymc_mlm.terms.imputed import Imputed
from pymc_mlm.terms.nested import Nested


@dataclass(frozen=True)
class Specification(AbstractSpecification):
    """A formula, the terms beside it, an outcome family and priors.

    Parameters
    ----------
    formula : str
        Outcome and covariates.
    terms : tuple of AbstractTerm
        Terms beside the formula.
    family : AbstractFamily
        Outcome family.
    priors : mapping of str to prior
        Priors by variable name, in place of the defaults.
    within_between : tuple of str
        Covariates whose means in each nested unit enter, too (Mundlak 1978).
    level_covariates : mapping of str to tuple of str
        Columns of the formula that are constant within the units of a nested level.
    missing : {"error", "drop", "predict"}
        Whether rows with a missing value are refused, or left out and counted, or predicted where
        the outcome alone is missing.
    row_weights : AbstractRowWeights, optional
        How much each row counts.
    impute : tuple of str
        Covariates of the formula whose missing values are unknowns of the model.

    Raises
    ------
    SpecificationError
        Formula, terms, family or priors do not go together.
    """

    formula: str
    terms: tuple[AbstractTerm, ...]
    family: AbstractFamily
    priors: Mapping[str, Any] = field(default_factory=dict)
    within_between: tuple[str, ...] = ()
    level_covariates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    missing: str = "error"
    row_weights: AbstractRowWeights | None = None
    impute: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what can be refused before there are data."""
        check_priors(self.priors, "priors")
        check_rule(self.missing, can_predict=True)
        as_row_weights(self.row_weights)
        for term in self.terms:
            if not isinstance(term, AbstractTerm):
                raise SpecificationError(
                    f"{term!r} is not a term. Terms are mm(...), hm(...), nested(...), or of a "
                    "class of your own that derives from AbstractTerm."
                )
        response = self.parsed.response
        if response.kind == "survival" and "time" not in self.family.roles:
            raise SpecificationError(
                f"{response.label} is a duration, and family {self.family.name!r} is not for "
                "durations. Use family='weibull' or 'cox', or a plain outcome column."
            )
        if len(response.parts) == 3 and not self.family.is_left_truncated:
            raise SpecificationError(
                f"{response.label} begins to be watched at a start, which family "
                f"{self.family.name!r} does not read. Use family='cox', or Surv(time, event)."
            )
        if self.family.baseline and not self.parsed.intercept:
            raise SpecificationError(
                f"{self.formula!r} leaves the intercept out, and family {self.family.name!r} has a "
                "baseline in its place, which no formula takes away. Write the formula with 1 or "
                "without 0, so that categories are coded beside a level."
            )
        several = [t for t in self.terms if isinstance(t, Nested)]
        if len(several) > 1:
            raise SpecificationError(
                f"A model has one nested() term; found {len(several)}, of the levels "
                f"{' and '.join(', '.join(t.levels) for t in several)}. Name all levels of one "
                "hierarchy in one term; units that cross it go into hm()."
            )
        groups = sorted({t.group for t in self.terms if isinstance(t, MultipleMembership)})
        if len(groups) > 1:
            raise SpecificationError(
                f"All mm() terms of a model share one group column; found {groups}. The "
                "group is the unit of the outcome; other units go into hm()."
            )
        self.columns  # noqa: B018  (checks the calls of the formula)
        if self.family.has_categories:
            check_categories(self)
        self._check_imputed()

    @cached_property
    def parsed(self) -> Formula:
        """The formula's parts."""
        return parse_formula(self.formula)

    @cached_property
    def named(self) -> tuple[AbstractTerm, ...]:
        """The terms under unique names, with the model's priors for their variables."""
        imputed = (Imputed(self.impute),) if self.impute else ()
        return uniquely_named((*self.terms, *imputed), self.priors)

    @property
    def label(self) -> str:
        """The formula."""
        return self.formula

    @property
    def observation(self) -> str | None:
        """Column of the unit of observation: the group of `mm` terms; None for the row."""
        return next((t.group for t in self.terms if isinstance(t, MultipleMembership)), None)

    @property
    def nested(self) -> Nested | None:
        """The nested term, if there is one."""
        return next((t for t in self.named if isinstance(t, Nested)), None)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Outcome, covariates, and what terms and family read."""
        names = [
            *self.parsed.response.columns,
            *self.predictors,
            *((self.row_weights.column,) if self.row_weights else ()),
        ]
        return tuple(dict.fromkeys(names))

    @cached_property
    def predictors(self) -> tuple[str, ...]:
        """All columns but those of the outcome: what a table to predict needs."""
        names = [c for term in self.named for c in term.columns]
        names += self.population().columns
        names += [*self.within_between, *self.family.side_columns.values()]
        return tuple(dict.fromkeys(names))

    @cached_property
    def imputable(self) -> tuple[str, ...]:
        """Covariates that `impute` would take, as far as this is known without a table."""
        found = []
        for name in dict.fromkeys(self.population().columns):
            try:
                replace(self, impute=(*self.impute, name))
            except SpecificationError:
                continue
            found.append(name)
        return tuple(found)

    def population(self, location: Any = 0.0) -> Population:
        """Return the population part, its default intercept prior at `location`."""
        own = {k: v for k, v in self.priors.items() if k == INTERCEPT or is_coefficient(k)}
        return Population(self.parsed, own, location, self.family.baseline)

    def family_priors(self, scale: OutcomeScale) -> dict[str, Any]:
        """Return the priors of the family's own parameters."""
        defaults = self.family.default_priors(scale)
        given = {k: v for k, v in self.priors.items() if k in defaults}
        return {**defaults, **given, **self.family.priors}

    def read(self, data: Any, known: Design | None = None) -> Design:
        """Read a table; see `pymc_mlm.model.design.read`."""
        design = read(self, data, known)
        if known is None:
            self._refuse_unknown_priors(design)
            refuse_taken_names(self, design)
        return design

    def build(self, design: Design) -> pm.Model:
        """Write the model; see `pymc_mlm.model.build.build`."""
        return build(self, design)

    def priors_used(self, design: Design) -> dict[str, Any]:
        """Return the priors of population, terms and family, in this order."""
        spread = design.scale.spread
        used = self.population(design.scale.location).priors_used(design.population, spread)
        for term, part in design.terms:
            used |= term.priors_used(part, spread)
        return used | self.family_priors(design.scale)

    def cautions(self, design: Design) -> tuple[str, ...]:
        """Return effects that the table cannot tell apart, and what the terms warn of."""
        partitions = [part for t, d in design.terms for part in t.partitions(d)]
        row = design.rows.name if self.observation else "row"
        alike = confounded(partitions, row, self.family.row_variation)
        weights = self.row_weights.cautions() if self.row_weights else ()
        return (*alike, *weights, *(text for t, d in design.terms for text in t.cautions(d)))

    def prior_rows(self, design: Design) -> list[tuple[str, str, str]]:
        """Return variable, meaning and prior of every parameter."""
        roles = self.roles(design)
        used = self.priors_used(design)
        own = f"each {' '.join(self.family.own_dims)}"
        each = {INTERCEPT if design.by else self.family.baseline: own}
        rows = [(n, roles[n].text(each.get(n, "each column")), repr(p)) for n, p in used.items()]
        for term, part in design.terms:
            shapes = term.correlation_priors(part)
            rows += [(n, "correlations", f"LKJ(eta={eta:g})") for n, eta in shapes.items()]
        return rows

    def prior_notes(self, design: Design) -> tuple[str, ...]:
        """Return where the default prior of the intercept is stated."""
        level = self.family.baseline or INTERCEPT
        is_stated = design.population.intercept or design.by
        if not is_stated or level in {*self.priors, *self.family.priors}:
            return ()
        return (f"The prior of {level} is stated at the mean of all covariates.",)

    def roles(self, design: Design) -> dict[str, Any]:
        """Return the roles of the variables of population, terms and family."""
        roles: dict[str, Any] = dict(self.population().roles(design.population))
        for term, part in design.terms:
            roles |= term.roles(part)
        own = {n: Role("family", n) for n in self.family.default_priors(design.scale)}
        if self.family.baseline:
            own[self.family.baseline] = Role("family", None, self.family.baseline.replace("_", " "))
        return roles | own

    def title(self, design: Design) -> str:
        """Return family, formula and the numbers of units."""
        observations = "rows" if self.observation is None else design.rows.name
        parts = [f"{len(design.rows)} {observations}"]
        parts += [term.size(part) for term, part in design.terms]
        return f"{self.family.name}: {self.formula}  ({', '.join(parts)})"

    def notes(self, design: Design) -> tuple[str, ...]:
        """Return rows left out, a constant outcome, few units, and what terms report."""
        spread = design.scale.spread
        own = [n for term, part in design.terms for n in term.notes(part, spread)]
        constant = constant_note(self.parsed.response.label, design.outcome or {})
        sizes = {name: n for term, part in design.terms for name, n in term.sizes(part).items()}
        what = "predicted, not fitted" if self.missing == PREDICT else "left out"
        dropped = [f"{n} rows {what}: {reason}." for reason, n in design.dropped.items()]
        of_family = self.family.notes(design.outcome or {})
        weights: tuple[str, ...] = ()
        if self.row_weights is not None and design.weights is not None:
            weights = self.row_weights.notes(design.weights)
        return (*dropped, *weights, *constant, *of_family, *few_units(sizes), *own)

    def derived(self, posterior: Any, design: Design) -> dict[str, Any]:
        """Return variables that follow from draws and are kept with them, by name."""
        return {n: v for t, d in design.terms for n, v in t.derived(d, posterior).items()}

    def coordinates(self, design: Design) -> tuple[str, ...]:
        """Return in which coordinates nested effects are sampled, in words."""
        if self.nested is None:
            return ()
        told = nested_information(self, design)
        levels = None if told is None else told.levels
        return self.nested.coordinate_notes(design.nested, levels)

    @property
    def paths(self) -> tuple[str, ...]:
        """Names of the paths to its draws, the best first."""
        return ("collapsed", "certified", "sampled", "laplace")

    @property
    def target_accept(self) -> float:
        """Acceptance rate of NUTS: with smaller steps where weights are estimated.

        Effects in informed coordinates need no small steps; the ridge between estimated weights
        and the coefficients of what they weigh does (docs/performance.md has the figures).
        """
        members = [t for t in self.terms if isinstance(t, MultipleMembership)]
        known = bool(members) and not any(t.weight_function.parameters for t in members)
        units_only = not members and self.nested is None
        return 0.8 if known or units_only else TARGET_ACCEPT

    def starts(self, design: Design) -> dict[str, Any]:
        """Start parameters with a replaced prior where their default prior would start.

        The centre of a very wide prior may lie where the likelihood overflows.
        """
        family: Any = self.family
        # Those of the design, which has effects for each category of an unordered outcome.
        terms = tuple(replace(t, priors={}) for t, _ in design.terms)
        family = replace(family, priors={})
        plain = replace(self, terms=(), family=family, priors={}, impute=())
        pairs = zip(terms, (part for _, part in design.terms), strict=True)
        bare = replace(design, terms=tuple(pairs))
        used, defaults = self.priors_used(design), plain.priors_used(bare)
        changed = [n for n in used if used[n] != defaults[n]]
        own = {n for n, r in self.roles(design).items() if r.kind in ("coefficient", "effect")}
        starts = {n: support_point(defaults[n]) for n in changed if n not in own}
        # Coefficients with a prior of ours start where their coordinates have the zero.
        foreign = [n for n in changed if n in own and not isinstance(used[n], Prior)]
        known = effect_information(self, design) if foreign and not self.nested else None
        if known is None:
            return starts
        return starts | coefficient_modes(known, design.population, own_terms(design), foreign)

    def _check_imputed(self) -> None:
        """Refuse covariates that cannot be imputed here."""
        if not self.impute:
            return
        elsewhere = {c: f"the term {t.label!r}" for t in self.terms for c in t.columns}
        elsewhere |= dict.fromkeys(self.within_between, "within_between")
        elsewhere |= {c: "level_covariates" for own in self.level_covariates.values() for c in own}
        check_imputed(self.impute, self.parsed, elsewhere)
        if self.row_weights is not None:
            raise SpecificationError(
                f"impute={list(self.impute)!r} with row_weights={self.row_weights!r}: a row that "
                "stands for several would have one missing value for all of them. Fill the column "
                "in before fitting, or write the table out."
            )

    def _refuse_unknown_priors(self, design: Design) -> None:
        used = self.priors_used(design)
        # Terms have looked at theirs, also at those of elements.
        owned = {name for term in self.named for name in getattr(term, "priors", {})}
        for name in [*self.priors, *self.family.priors]:
            if name not in used and name not in owned and not is_coefficient(name):
                raise SpecificationError(
                    f"priors: the model has no parameter {name!r}; it has {', '.join(used)}."
                )
