"""Effects of members that share a group: the multiple-membership term."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pymc_mlm.approximation.effect_information import EffectInformation
from pymc_mlm.data.column_scale import spread
from pymc_mlm.data.factor import Factor
from pymc_mlm.data.term_covariates import covariate_columns
from pymc_mlm.errors import SpecificationError
from pymc_mlm.priors import Prior, check_priors, pick_priors
from pymc_mlm.terms.base import (
    AbstractTerm,
    as_names,
    check_name,
    contribution_at_mean,
)
from pymc_mlm.terms.coefficients import covariate_coefficients
from pymc_mlm.terms.linear import LinearPart
from pymc_mlm.terms.member_effects import AbstractMemberEffects, Independent
from pymc_mlm.terms.member_weights import evaluate_weights
from pymc_mlm.terms.membership_design import MembershipDesign, read_memberships
from pymc_mlm.terms.membership_draws import membership_contribution
from pymc_mlm.terms.membership_graph import membership_effect, membership_entries, weight_graph
from pymc_mlm.terms.role import Role
from pymc_mlm.terms.unit_block import UnitBlock
from pymc_mlm.terms.varying import Given
from pymc_mlm.weights import AbstractWeight, as_weight

WIDE = (
    " mm() reads one row per membership: a wide table, with a column for each member, is made long "
    "first: mlm.long_memberships(table, members=[...], weights=[...])."
)


@dataclass(frozen=True)
class MultipleMembership(AbstractTerm):
    """Specification of a multiple-membership term; made by `mm`."""

    member: str
    group: str
    covariates: tuple[str, ...] | None = None
    weight: str | AbstractWeight = "1 / n"
    normalize: bool = True
    effect_type: str | None = "random"
    priors: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    repeated: str = "add"
    missing: str = "error"
    name: str | None = None
    effects: AbstractMemberEffects = field(default_factory=Independent)
    # Set by a model of an unordered outcome: its categories but the reference, and the call that
    # the term was made by.
    by: tuple[str, ...] = field(default=(), repr=False)
    call: str = field(default="mm", repr=False)
    design_type = MembershipDesign

    def __post_init__(self) -> None:
        """Check what can be checked without data, the weight function included."""
        where = f"mm({self.member!r}, {self.group!r})"
        check_name("the member of mm(member, group)", self.member, WIDE)
        check_name("the group of mm(member, group)", self.group)
        if self.name is not None:
            check_name("the name of a term", self.name)
        if self.member == self.group:
            raise SpecificationError(
                f"{where}: member and group are one column. Name the column of the members and "
                "that of the groups they belong to."
            )
        if self.effect_type not in ("random", None):
            raise SpecificationError(
                f"{where}: effect is {self.effect_type!r}; use 'random', or None for a term that "
                "only aggregates covariates."
            )
        if self.effect_type is None and not as_names(self.covariates):
            raise SpecificationError(
                f"{where}: without covariates and with effect=None the term is empty. Name "
                "covariates=..., or use effect='random'."
            )
        if self.effect_type is None and self.effects != Independent():
            raise SpecificationError(
                f"{where}: {self.effects!r} is a distribution of effects, and effect=None leaves "
                "members without. Leave one of them out."
            )
        if self.repeated not in ("add", "refuse"):
            raise SpecificationError(
                f"{where}: repeated is 'add' or 'refuse', not {self.repeated!r}."
            )
        if self.missing not in ("error", "skip"):
            raise SpecificationError(
                f"{where}: missing is 'error' or 'skip', not {self.missing!r}."
            )
        check_priors(self.priors, where)
        object.__setattr__(self, "_weight", as_weight(self.weight, self.parameters))

    @property
    def weight_function(self) -> AbstractWeight:
        """The parsed weight function."""
        return self._weight  # type: ignore[attr-defined]

    @property
    def columns(self) -> tuple[str, ...]:
        """Ids, covariates and columns of the weight function."""
        covariates = covariate_columns(as_names(self.covariates))
        names = (
            self.member, self.group, *covariates, *self.weight_function.columns,
            *self.effects.columns,
        )  # fmt: skip
        return tuple(dict.fromkeys(names))

    @property
    def takes_information(self) -> bool:
        """Whether members have one effect each, of which the data inform the sampler."""
        return self.effect_type is not None and self.effects.takes_information

    @property
    def label(self) -> str:
        """Name of the term in summaries."""
        return f"{self.call} {self.name or self.member}"

    def resolve(
        self, data: Any, known: MembershipDesign | None = None, group: Factor | None = None
    ) -> MembershipDesign:
        """Read members, covariates and weights (`membership_design.read_memberships`).

        New members come after the fitted ones, and a missing id is an unknown member.
        """
        return read_memberships(self, data, known, group)

    def weights(self, design: MembershipDesign, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """Evaluate the weight function at given parameter values.

        Parameters
        ----------
        design : MembershipDesign
            From `resolve`.
        parameters : mapping of str to ndarray, shape (draw,)
            Values of the free parameters by name (``b0``, ``b1``, ...).

        Returns
        -------
        ndarray, shape (draw, row)
            Weights of the membership rows, in the order of ``design.membership``.
        """
        if design.weight.fixed:
            draws = len(next(iter(parameters.values()))) if parameters else 1
            return np.broadcast_to(design.start, (draws, len(design.start)))
        args = (self.weight_function, design.weight, design.membership, self.normalize)
        return evaluate_weights(*args, parameters)

    def effect(
        self,
        design: MembershipDesign,
        scale: float = 1.0,
        information: EffectInformation | None = None,
        beta: Any = None,
        given: Sequence[Given] = (),
    ) -> Any:
        """Add effects, weights and covariates of members (`membership_graph.membership_effect`)."""
        self.check_design(design)
        return membership_effect(self, design, scale, information, beta, given)

    def linear(self, design: MembershipDesign) -> tuple[LinearPart, ...]:
        """Return one entry per membership row: its weight times the standard deviation."""
        return membership_entries(self, design)

    def at_mean(self, design: MembershipDesign) -> Any:
        """Coefficients times the mean of the aggregated covariates, at the starting weights."""
        own = f"{design.name}_beta", design.group_covariates, design.counts
        return contribution_at_mean(*own, len(self.by))

    def fixed_part(self, design: MembershipDesign) -> np.ndarray:
        """Sum the part with fixed coefficients with the starting weights, shape (group,)."""
        return design.group_fixed

    def coefficients(self, design: MembershipDesign, scale: float = 1.0, known: Any = None) -> Any:
        """Add the coefficients of the member-level covariates; None if there are none."""
        return covariate_coefficients(self, design, scale, known)

    def priors_used(self, design: MembershipDesign, scale: float = 1.0) -> dict[str, Any]:
        """Return the prior of every free parameter by variable name.

        The standard deviation's prior is set so that the *contribution* of the members to
        their group, not the effect of one member, has the scale of the outcome: its scale is
        ``2.5 scale / sqrt(mean of sum of squared weights)``: ``2.5 scale sqrt(n)`` for equal
        weights.
        """
        name = design.name
        defaults: dict[str, Any] = {}
        if self.effect_type == "random":
            defaults |= self.effects.default_priors(design, scale)
        if design.covariates:
            # Columns of categories are alike, each in the rows of its own.
            count = max(len(self.by), 1)
            own = design.group_covariates[::count, : len(design.covariates) // count]
            sigma = 2.5 * scale / np.tile(spread(own, design.counts), count)
            defaults[f"{name}_beta"] = Prior("Normal", mu=0.0, sigma=sigma)
        for b, sd in design.weight.prior_sd.items():
            defaults[f"{name}_weight_{b}"] = Prior("Normal", mu=0.0, sigma=sd)
        short = {full: full.removeprefix(f"{name}_").removeprefix("weight_") for full in defaults}
        names = {f"{name}_beta": (design.covariates,), **self.effects.elements(design)}
        where = f"mm({self.member!r}, {self.group!r})"
        return pick_priors(where, defaults, short, self.priors, names)

    @property
    def id_columns(self) -> tuple[str, ...]:
        """The member column."""
        return (self.member,)

    def units(self, design: MembershipDesign) -> tuple[tuple[str, Any, int], ...]:
        """Members."""
        member = design.membership.member
        return ((self.member, member.labels, member.num_known),)

    def sizes(self, design: MembershipDesign) -> dict[str, int]:
        """Return the number of members, if they have effects."""
        if self.effect_type is None:
            return {}
        return {self.label: len(design.membership.member)}

    def partitions(self, design: MembershipDesign) -> list[tuple[str, np.ndarray]]:
        """Return the groups where none share a member, and the members where groups have one."""
        members = design.membership
        if self.by:
            return self._partitions_of_categories(design)
        if not self.takes_information:
            return []
        if len(members.member) == len(members.member.codes):
            return [(self.member, np.arange(members.num_groups))]
        return [(self.member, members.member.codes)] if (members.size == 1).all() else []

    def _partitions_of_categories(self, design: MembershipDesign) -> list[tuple[str, np.ndarray]]:
        """Return those of the first category, where members have an intercept alone."""
        varying: Any = self.effects
        members, count = design.membership, len(self.by)
        if self.effect_type is None or not varying.is_intercept:
            return []
        codes = members.member.codes[members.group % count == 0]
        if len(members.member) == len(codes):
            return [(self.member, np.arange(members.num_groups // count))]
        return [(self.member, codes)] if (members.size == 1).all() else []

    def unit_blocks(self, design: MembershipDesign) -> tuple[UnitBlock, ...]:
        """Members of each group, if they have effects and no covariates."""
        has_more = bool(design.covariates) or design.fixed is not None
        if not self.takes_information or has_more:
            return ()
        links, ones = design.membership, np.ones((design.membership.num_groups, 1))
        is_estimated = not design.weight.fixed
        columns = tuple(design.weight_columns.values())
        return (
            UnitBlock(
                design.name, self.label, links, design.start, ones,
                is_estimated=is_estimated, columns=columns,
            ),
        )  # fmt: skip

    def weight_graph(self, design: MembershipDesign, scale: float, group: Any, indptr: Any) -> Any:
        """Add the free parameters of estimated weights to the current model; return the weights."""
        return weight_graph(self, design, scale, group, indptr)

    def size(self, design: MembershipDesign) -> str:
        """Memberships and members."""
        member = design.membership.member
        if self.call == "hm":
            return f"{len(member)} {member.name}"
        count = len(design.membership.group) // max(len(self.by), 1)
        return f"{count} memberships of {len(member)} {member.name}"

    def notes(self, design: MembershipDesign, scale: float = 1.0) -> tuple[str, ...]:
        """Weight function and its priors; rows that are no memberships."""
        if self.call == "hm":
            return ()
        scaled = "scaled to sum to one" if self.normalize else "not scaled"
        text = f"weights [{self.label}]: {self.weight_function.label}, {scaled}"
        used = self.priors_used(design, scale)
        free = [
            f"{b} ~ {used[f'{design.name}_weight_{b}']!r}" for b in self.weight_function.parameters
        ]
        text += f"; {', '.join(free)}" if free else "; no free parameters"
        own = self.effects.notes(design) if self.effect_type else ()
        skipped = len(design.group.codes) - len(design.membership.group)
        skipped //= max(len(self.by), 1)
        if not skipped:
            return (text, *own)
        return (text, *own, f"[{self.label}]: {skipped} rows without a member id were skipped")

    def cautions(self, design: MembershipDesign) -> tuple[str, ...]:
        """Return those of the distribution of effects."""
        return self.effects.cautions(design) if self.effect_type else ()

    def dims(self, design: MembershipDesign) -> tuple[str, ...]:
        """Return the dimensions of the effects."""
        return self.effects.dims(design) if self.effect_type else self.id_columns

    def derived(self, design: MembershipDesign, posterior: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of the distribution of effects."""
        return self.effects.derived(design, posterior) if self.effect_type else {}

    def correlation_priors(self, design: MembershipDesign) -> dict[str, float]:
        """Return the LKJ shape of correlations of effects by variable name."""
        return self.effects.correlation_priors(design) if self.effect_type else {}

    def contribution(
        self, design: MembershipDesign, draws: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> np.ndarray | None:
        """Return draws of the sums (`membership_draws.membership_contribution`)."""
        return membership_contribution(self, design, draws, rng) if self.effect_type else None

    def weight_draws(self, design: MembershipDesign, draws: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the weights at draws of the free parameters, shape (draw, row)."""
        names = self.weight_function.parameters
        return self.weights(design, {b: draws[f"{design.name}_weight_{b}"] for b in names})

    def varying_columns(self, design: MembershipDesign) -> tuple[str, ...]:
        """Return those of the distribution of effects."""
        return self.effects.varying_columns(design)

    def variance(
        self,
        design: MembershipDesign,
        draws: Mapping[str, np.ndarray],
        at: Mapping[str, float] | None = None,
        category: int | None = None,
    ) -> dict[str, np.ndarray]:
        """Average over groups of the variance that members give to theirs.

        Of an unordered outcome `category` is the place of the category whose groups count.
        """
        if self.effect_type is None:
            return {}
        if category is not None:
            groups = np.arange(design.membership.num_groups)
            counts = (groups % len(self.by) == category).astype(np.float64)
            design = replace(design, counts=counts)
        w = self.weight_draws(design, draws)
        return {self.label: self.effects.variance(design, draws, w, at or {})}

    def roles(self, design: MembershipDesign) -> dict[str, Any]:
        """Effects, their standard deviation, coefficients and weight parameters."""
        name = design.name
        roles: dict[str, Any] = {}
        if self.effect_type == "random":
            roles |= self.effects.roles(design, self.label)
        if design.covariates:
            roles[f"{name}_beta"] = Role("coefficient", None, self.label)
        for b in self.weight_function.parameters:
            roles[f"{name}_weight_{b}"] = Role("weight", f"weight {b}", self.label)
        return roles
