"""Effects of ordinary units: each group belongs to just one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from pymc_mlm.approximation.effect_information import EffectInformation
from pymc_mlm.data.checks import constant_within
from pymc_mlm.data.column_scale import mean, spread
from pymc_mlm.data.factor import Factor, encode
from pymc_mlm.data.frame import category_levels, columns, open_table
from pymc_mlm.data.term_covariates import covariate_columns, read_term_covariates
from pymc_mlm.distributions.located import located
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.ops.group_sum import group_sum
from pymc_mlm.ops.linear_predictor import linear_predictor
from pymc_mlm.priors import (
    Prior,
    as_priors,
    check_priors,
    create,
    on_real_line,
    parts_of,
    pick_priors,
)
from pymc_mlm.terms.base import (
    AbstractTerm,
    add_coords,
    as_names,
    check_name,
    contribution_at_mean,
    data,
)
from pymc_mlm.terms.coefficients import covariate_coefficients
from pymc_mlm.terms.hierarchical_design import HierarchicalDesign, sd_factors
from pymc_mlm.terms.linear import LinearPart
from pymc_mlm.terms.role import Role
from pymc_mlm.terms.unit_block import UnitBlock, one_unit_each, unit_codes
from pymc_mlm.terms.varying import Given, score_given, unit_effects


@dataclass(frozen=True)
class Hierarchical(AbstractTerm):
    """Specification of a hierarchical term; made by `hm`."""

    unit: str
    covariates: str | tuple[str, ...] | None = None
    effect_type: str = "random"
    priors: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    prior_weight: str | None = None
    design_type = HierarchicalDesign

    def __post_init__(self) -> None:
        """Check what can be checked without data."""
        check_name("the unit of hm(unit)", self.unit)
        if self.prior_weight is not None:
            check_name("prior_weight of hm()", self.prior_weight)
            if self.effect_type != "random":
                raise SpecificationError(
                    f"hm({self.unit!r}): prior_weight weighs the distribution of random effects, "
                    "and effect='fixed' has none. Use effect='random', or leave "
                    f"prior_weight={self.prior_weight!r} out and weigh the rows: "
                    f"row_weights=mlm.SurveyWeights({self.prior_weight!r}) of the model."
                )
        if self.name is not None:
            check_name("the name of a term", self.name)
        as_names(self.covariates)
        if self.effect_type not in ("random", "fixed"):
            raise SpecificationError(
                f"hm({self.unit!r}): effect is {self.effect_type!r}; use 'random' (partial "
                "pooling) or 'fixed' (one free coefficient per unit)."
            )
        if self.effect_type == "fixed" and as_names(self.covariates):
            columns = " + ".join(as_names(self.covariates))
            raise SpecificationError(
                f"hm({self.unit!r}): covariates={columns!r} of a unit cannot be told from its "
                f"fixed effect. Put them into the formula, 'y ~ 1 + {columns}', where what varies "
                "within units is estimated; or use effect='random', with a coefficient for what "
                "differs between units."
            )
        check_priors(self.priors, f"hm({self.unit!r})")

    @property
    def columns(self) -> tuple[str, ...]:
        """The unit's id and its covariates."""
        covariates = covariate_columns(as_names(self.covariates))
        weight = () if self.prior_weight is None else (self.prior_weight,)
        return tuple(dict.fromkeys((self.unit, *covariates, *weight)))

    @property
    def label(self) -> str:
        """Name of the term in summaries."""
        return f"hm {self.name or self.unit}"

    def resolve(
        self, data: Any, known: HierarchicalDesign | None = None, group: Factor | None = None
    ) -> HierarchicalDesign:
        """Read the unit of each group.

        Parameters
        ----------
        data : dataframe or mapping of str to array_like
            Table with the unit's id in every row.
        known : HierarchicalDesign, optional
            Fitted design.
        group : Factor, optional
            Units of observation; each row of the table by default.

        Returns
        -------
        HierarchicalDesign

        Raises
        ------
        DataError
            The unit or a covariate varies within a group, or an id is missing in fitted data.
        """
        data = open_table(data, self.columns)
        table = columns(data, self.columns)
        remedy = "Each group belongs to one unit of hm(); use mm() for units that share a group."
        if group is not None:
            table = {k: constant_within(k, v, group, remedy) for k, v in table.items()}
        ids = table[self.unit]
        missing, unseen = ("error", "error") if known is None else ("unknown", "new")
        units = encode(
            self.unit, ids, None if known is None else known.units, unseen=unseen, missing=missing
        )
        self._check_units(units, known)
        items = as_names(self.covariates)
        coding, levels = None if known is None else known.coding, category_levels(data, table)
        coded = read_term_covariates(items, table, len(ids), levels, coding, known is None)
        name = self.name or self.unit
        of_weights = None if known is None else known.sd_factor
        if known is None and self.prior_weight is not None:
            of_weights = sd_factors(self.prior_weight, table[self.prior_weight], units)
        return HierarchicalDesign(
            name, units, coded.names, coded.X, coded.fixed, coded.coding, sd_factor=of_weights
        )

    def _check_units(self, units: Factor, known: HierarchicalDesign | None) -> None:
        if known is None and len(units) < 2:
            raise DataError(
                f"{self.unit!r} has a single unit ({units.labels[0]!r}); its effect cannot be told "
                "from the intercept. Drop the hm() term."
            )
        if known is not None and self.effect_type == "fixed":
            strange = (units.codes >= units.num_known) | (units.codes < 0)
            if strange.any():
                raise DataError(
                    f"hm({self.unit!r}, effect='fixed') has no coefficient for new or missing ids "
                    f"({int(strange.sum())} rows). Use effect='random' to predict for new units."
                )

    def effect(
        self,
        design: HierarchicalDesign,
        scale: float = 1.0,
        information: EffectInformation | None = None,
        beta: Any = None,
        given: Sequence[Given] = (),
    ) -> Any:
        """Add the units' effects and covariates to the current model, shape (group,).

        The arguments are those of `membership_graph.membership_effect`.
        """
        self.check_design(design)
        priors = self.priors_used(design, scale)
        name, units = design.name, design.units
        beta = self.coefficients(design, scale) if beta is None else beta
        if self.effect_type == "random":
            sd = create(priors[f"{name}_sd"], f"{name}_sd", positive=True)
            factor = design.sd_factor
            effects = unit_effects(name, units, sd, information, given, factor)
        else:
            effects = self._fixed_effects(design, priors, scale, information, given)
        eta = _one_per_group(name, effects, unit_codes(units))
        if beta is not None:
            eta = eta + linear_predictor(data(f"{name}_covariates", design.X), beta)
        return eta if design.fixed is None else eta + data(f"{name}_fixed", design.fixed)

    def fixed_part(self, design: HierarchicalDesign) -> Any:
        """Return the part with fixed coefficients, shape (group,) or zero."""
        return 0.0 if design.fixed is None else design.fixed

    def linear(self, design: HierarchicalDesign) -> tuple[LinearPart, ...]:
        """Return one entry per group: the standard deviation."""
        if self.effect_type == "fixed":
            return ()
        sd = pm.modelcontext(None)[f"{design.name}_sd"]
        codes, count = design.units.codes, len(design.units)
        entries, root = sd * pt.ones(len(codes)), sd
        if design.sd_factor is not None:
            entries = sd * design.sd_factor[codes]
            root = pt.diag(sd * pt.as_tensor(design.sd_factor))
        rows = np.arange(len(codes))
        return (LinearPart(f"{design.name}_effect", (count,), rows, codes, entries, root),)

    def coefficients(
        self, design: HierarchicalDesign, scale: float = 1.0, known: Any = None
    ) -> Any:
        """Add the coefficients of the unit-level covariates; None if there are none."""
        return covariate_coefficients(self, design, scale, known)

    def at_mean(self, design: HierarchicalDesign) -> Any:
        """Coefficients times the mean of the unit-level covariates."""
        return contribution_at_mean(f"{design.name}_beta", design.X, design.counts)

    def fixed_sd(self, scale: float) -> float | None:
        """Return the default prior's standard deviation of fixed effects; None of random ones."""
        return 2.5 * scale if self.effect_type == "fixed" else None

    def _fixed_effects(
        self,
        design: HierarchicalDesign,
        priors: Mapping[str, Any],
        scale: float,
        information: EffectInformation | None,
        given: Sequence[Given],
    ) -> Any:
        # The first unit is the reference: with an intercept its coefficient would not be
        # identified.
        labels = design.units.labels[1:]
        dim = f"{design.name}_contrast"
        add_coords({dim: labels})
        name = f"{design.name}_effect"
        prior, prior_sd = priors[name], 2.5 * scale
        if information is None or not on_real_line(prior):
            effects = create(prior, name, dim)
        else:
            variance = 1.0 / (information.precision + prior_sd**-2)
            centre = score_given(information, given) * pytensor.shared(variance)
            effects = located(name, *parts_of(prior, name, dim), centre, np.sqrt(variance), dim)
        return pt.concatenate([pt.zeros(1), effects])

    def priors_used(self, design: HierarchicalDesign, scale: float = 1.0) -> dict[str, Any]:
        """Half-normal standard deviation of 2.5 spreads of the outcome; see docs/priors.md."""
        name = design.name
        defaults: dict[str, Any] = {}
        if self.effect_type == "random":
            defaults[f"{name}_sd"] = Prior("HalfNormal", sigma=2.5 * scale)
        else:
            defaults[f"{name}_effect"] = Prior("Normal", mu=0.0, sigma=self.fixed_sd(scale))
        if design.covariates:
            sigma = 2.5 * scale / spread(design.X, design.counts)
            defaults[f"{name}_beta"] = Prior("Normal", mu=0.0, sigma=sigma)
        short = {full: full.removeprefix(f"{name}_") for full in defaults}
        elements = {f"{name}_beta": (design.covariates,)}
        return pick_priors(f"hm({self.unit!r})", defaults, short, self.priors, elements)

    def unit_effects(self, design: HierarchicalDesign, effects: Any) -> Any:
        """Fixed effects are differences to the first unit: it is added, with the effect zero."""
        if self.effect_type == "random":
            return effects
        renamed = effects.rename({f"{design.name}_contrast": self.unit})
        whole = renamed.pad({self.unit: (1, 0)}, constant_values=0.0)
        return whole.assign_coords({self.unit: list(design.units.labels)})

    @property
    def takes_information(self) -> bool:
        """Whether units have one effect each, of which the data inform the sampler."""
        return True

    @property
    def id_columns(self) -> tuple[str, ...]:
        """The unit column."""
        return (self.unit,)

    def units(self, design: HierarchicalDesign) -> tuple[tuple[str, Any, int], ...]:
        """Units."""
        return ((self.unit, design.units.labels, design.units.num_known),)

    def sizes(self, design: HierarchicalDesign) -> dict[str, int]:
        """Return the number of units, if their effects are random."""
        return {self.label: len(design.units)} if self.effect_type == "random" else {}

    def partitions(self, design: HierarchicalDesign) -> list[tuple[str, np.ndarray]]:
        """Return the units, if their effects are random."""
        random = self.effect_type == "random"
        return [(self.unit, design.units.codes)] if random else []

    def unit_blocks(self, design: HierarchicalDesign) -> tuple[UnitBlock, ...]:
        """One unit of each group, if effects are random and there are no covariates."""
        has_more = design.covariates or design.fixed is not None or self.prior_weight is not None
        if self.effect_type != "random" or has_more:
            return ()
        links = one_unit_each(design.units)
        ones = np.ones(len(links.group))
        return (UnitBlock(design.name, self.label, links, ones, ones[:, None]),)

    def size(self, design: HierarchicalDesign) -> str:
        """Units."""
        return f"{len(design.units)} {design.units.name}"

    def variance(
        self,
        design: HierarchicalDesign,
        draws: Mapping[str, np.ndarray],
        at: Mapping[str, float] | None = None,
    ) -> dict[str, np.ndarray]:
        """Square of the standard deviation, averaged over rows; none for fixed effects."""
        sd = draws.get(f"{design.name}_sd")
        if sd is None:
            return {}
        factor = design.factor_of_rows
        return {self.label: sd**2 * mean(factor[:, None] ** 2, design.counts)[0]}

    def roles(self, design: HierarchicalDesign) -> dict[str, Role]:
        """Standard deviation, effects and coefficients of the units."""
        name = design.name
        roles = {f"{name}_effect": Role("effect", None, self.label)}
        if self.effect_type == "random":
            roles[f"{name}_sd"] = Role("sd", "sd", self.label)
        if design.covariates:
            roles[f"{name}_beta"] = Role("coefficient", None, self.label)
        return roles


def _one_per_group(name: str, effects: Any, codes: np.ndarray) -> Any:
    """Look up one effect per group: a membership with a single member of weight one.

    The same Op as for multiple membership, so that nothing more needs compiling.
    """
    count = len(codes)
    return group_sum(
        data(f"{name}_weights", np.ones(count)),
        effects,
        data(f"{name}_units", codes),
        data(f"{name}_rows", np.arange(count)),
        data(f"{name}_ends", np.arange(count + 1)),
    )


def hm(
    unit: str,
    covariates: str | tuple[str, ...] | list[str] | None = None,
    effect: str = "random",
    priors: Mapping[str, Any] | None = None,
    name: str | None = None,
    prior_weight: str | None = None,
) -> Hierarchical:
    r"""Give each unit an effect of its own: an ordinary hierarchical term.

    .. math:: \eta_j \mathrel{+}= v_{c(j)} + x_{c(j)}'\gamma, \qquad v_c \sim N(0, \tau^2)

    Parameters
    ----------
    unit : str
        Column with the unit of each group, such as the country of a government. Several `hm`
        terms may be nested or crossed.
    covariates : str or sequence of str, optional
        Unit-level columns with a coefficient each.
    effect : {"random", "fixed"}
        Effects drawn from a normal distribution with an estimated standard deviation, or one
        free coefficient per unit against the first one.
    priors : mapping of str to prior, optional
        ``sd`` (random), ``effect`` (fixed), ``beta``.
    name : str, optional
        Prefix of the term's variables; `unit` by default.
    prior_weight : str, optional
        Column of positive weights, constant within units, by which the log density of each unit's
        effect is multiplied; scaled to the mean 1 over units (docs/row_weights.md).

    Returns
    -------
    Hierarchical

    Raises
    ------
    SpecificationError
        An argument is not understood.

    Examples
    --------
    >>> hm("country").columns
    ('country',)
    """
    names = as_names(covariates) or None
    own = as_priors(priors, f"hm({unit!r})")
    return Hierarchical(unit, names, effect, own, name, prior_weight)
