"""Effects of members that share a group: the multiple-membership term."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from pymc_mlm.approximation.effect_information import EffectInformation
from pymc_mlm.data.checks import as_numbers
from pymc_mlm.data.column_scale import spread
from pymc_mlm.data.factor import UNKNOWN, Factor, encode
from pymc_mlm.data.frame import category_levels, columns, open_table
from pymc_mlm.data.membership import Membership, sort_by_group
from pymc_mlm.data.term_covariates import (
    TermCovariates,
    covariate_columns,
    read_term_covariates,
)
from pymc_mlm.data.values import show
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.ops.group_mean import group_mean
from pymc_mlm.ops.group_softmax import group_softmax
from pymc_mlm.ops.group_sum import group_sum
from pymc_mlm.ops.linear_predictor import linear_predictor
from pymc_mlm.priors import Prior, as_priors, check_priors, create
from pymc_mlm.terms.base import (
    AbstractTerm,
    Role,
    add_coords,
    as_names,
    check_name,
    contribution_at_mean,
    data,
    pick_priors,
)
from pymc_mlm.terms.coefficients import coefficients
from pymc_mlm.terms.linear import LinearPart
from pymc_mlm.terms.unit_block import UnitBlock, unit_codes
from pymc_mlm.terms.varying import Given, unit_effects
from pymc_mlm.weights import AbstractWeight, Expression, RawWeight, WeightDesign, as_weight

if TYPE_CHECKING:
    from scipy.sparse import csr_array


WIDE = (
    " mm() reads one row per membership: a wide table, with a column for each member, is made long "
    "first: mlm.long_memberships(table, members=[...], weights=[...])."
)


@dataclass(frozen=True, eq=False)
class MembershipDesign:
    """Everything that a multiple-membership term needs to know about a table.

    Attributes
    ----------
    name : str
        Prefix of the term's variables.
    group : Factor
        Groups, one observation each.
    membership : Membership
        Members of each group; its rows are in group order.
    weight : WeightDesign
        Folded columns of the weight function.
    start : ndarray, shape (row,)
        Weights at the starting values, where every free parameter is zero; the weights
        themselves if the function has no free parameters.
    covariates : tuple of str
        Member-level covariates.
    X : ndarray, shape (row, covariate)
        Their values, in the order of the membership's rows.
    weight_columns : dict of str to ndarray, shape (row,)
        Columns that the weight function reads, for pictures.
    fixed : ndarray, shape (row,), or None
        Part of the covariates with fixed coefficients.
    coding : PopulationDesign or None
        How a formula of covariates was coded.
    """

    name: str
    group: Factor
    membership: Membership
    weight: WeightDesign
    start: np.ndarray
    covariates: tuple[str, ...]
    X: np.ndarray
    weight_columns: Mapping[str, np.ndarray]
    fixed: np.ndarray | None = None
    coding: Any = None

    @property
    def group_fixed(self) -> np.ndarray:
        """Part with fixed coefficients, summed with the starting weights, shape (group,)."""
        count = self.membership.num_groups
        if self.fixed is None:
            return np.zeros(count)
        return np.bincount(self.membership.group, self.start * self.fixed, minlength=count)

    @property
    def group_covariates(self) -> np.ndarray:
        """Covariates summed with the starting weights, shape (group, covariate)."""
        group, count = self.membership.group, self.membership.num_groups
        sums = [np.bincount(group, self.start * x, minlength=count) for x in self.X.T]
        return np.column_stack(sums) if sums else np.zeros((count, 0))

    @property
    def incidence(self) -> csr_array:
        """Starting weight of each member in each group, (group, member); unknown ones left out."""
        from scipy.sparse import csr_array

        m = self.membership
        known = m.member.codes != UNKNOWN
        places = m.group[known], m.member.codes[known]
        return csr_array((self.start[known], places), shape=(m.num_groups, len(m.member)))

    @property
    def mean_squared_weight(self) -> float:
        """Mean over groups of the sum of squared starting weights; 1/n for equal weights."""
        group, count = self.membership.group, self.membership.num_groups
        return float(np.bincount(group, self.start**2, minlength=count).mean())


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
        names = (self.member, self.group, *covariates, *self.weight_function.columns)
        return tuple(dict.fromkeys(names))

    @property
    def label(self) -> str:
        """Name of the term in summaries."""
        return f"mm {self.name or self.member}"

    def resolve(
        self, data: Any, known: MembershipDesign | None = None, group: Factor | None = None
    ) -> MembershipDesign:
        """Read the members of each group, their covariates and the columns of the weights.

        Parameters
        ----------
        data : dataframe or mapping of str to array_like
            One row per membership.
        known : MembershipDesign, optional
            Fitted design; its members keep their place, others become new members, and a
            missing id is an unknown one.
        group : Factor, optional
            Groups, where the caller has coded them already.

        Returns
        -------
        MembershipDesign

        Raises
        ------
        DataError
            An id, covariate or weight column is unusable; the message names it.
        """
        data = open_table(data, self.columns)
        self._refuse_shadowed(data.names)
        self.weight_function.check(data.names)
        table = columns(data, self.columns)
        group = encode(self.group, table[self.group]) if group is None else group
        member, keep = self._members(table[self.member], known)
        membership = sort_by_group(member, group, self.repeated, keep)
        rows = membership.rows
        coded = self._coded(data, table, rows, known)
        read = self.weight_function.columns
        ordered = {c: as_numbers(c, table[c][rows], rows) for c in read}
        weight = self.weight_function.resolve(
            ordered, membership.group, membership.indptr, None if known is None else known.weight
        )
        if self.normalize and not weight.nonnegative:
            self._refuse_negative(weight, membership, group)
            raise SpecificationError(
                f"The weight function {self.weight_function.label!r} of mm({self.member!r}, "
                f"{self.group!r}) can be negative, and weights that are scaled to sum to one "
                "must not be: a sum near zero would blow them up. Wrap it in exp(...) or "
                "ilogit(...), or use normalize=False for signed weights."
            )
        start = self._weights_at_start(weight, membership, group)
        name = self.name or self.member
        return MembershipDesign(
            name, group, membership, weight, start, coded.names, coded.X, ordered,
            coded.fixed, coded.coding,
        )  # fmt: skip

    def _coded(
        self,
        data: Any,
        table: Mapping[str, np.ndarray],
        rows: np.ndarray,
        known: MembershipDesign | None,
    ) -> TermCovariates:
        """Read the covariates of the rows of the membership, in its order."""
        items = as_names(self.covariates)
        names, kept = covariate_columns(items), np.sort(rows)
        own = {n: table[n][kept] for n in names}
        coding = None if known is None else known.coding
        levels = category_levels(data, names)
        coded = read_term_covariates(items, own, len(kept), levels, coding, known is None, kept)
        return coded.take(np.searchsorted(kept, rows))

    def _refuse_shadowed(self, available: Sequence[str]) -> None:
        """Refuse a text whose n or b is a column of the table too."""
        weight = self.weight_function
        if not isinstance(self.weight, str) or not isinstance(weight, Expression):
            return
        own = [] if weight.label == "1 / n" else weight.own_names
        twice = [n for n in own if n in available and n not in self.parameters]
        if twice:
            name = twice[0]
            what = "the number of rows of a group" if name == "n" else "a free parameter"
            raise SpecificationError(
                f"weight={self.weight!r}: {name!r} is {what} here, and the table has a column "
                f"{name!r}. Write `{name}` in backquotes for the column; if {what} is meant, "
                f"rename the column, or pass weights.Expression({self.weight!r})."
            )

    def _members(
        self, ids: np.ndarray, known: MembershipDesign | None
    ) -> tuple[Factor, np.ndarray | None]:
        unseen, missing = ("error", "error") if known is None else ("new", "unknown")
        if self.missing == "skip":
            missing = "unknown"
        factor = encode(
            self.member, ids, None if known is None else known.membership.member, unseen, missing
        )
        keep = factor.codes != UNKNOWN if self.missing == "skip" else None
        if known is None and self.effect_type == "random" and len(factor) < 2:
            raise DataError(
                f"{self.member!r} has {len(factor)} member(s); random effects need at least two. "
                "Use effect=None to aggregate covariates only."
            )
        return factor, keep

    def _refuse_negative(self, weight: WeightDesign, membership: Membership, group: Factor) -> None:
        """Name the group of the first negative weight, where the weights are known."""
        if weight.value is None or not (weight.value < 0).any():
            return
        row = int(np.flatnonzero(weight.value < 0)[0])
        raise DataError(
            f"The weights {self.weight_function.label!r} are negative in "
            f"{int((weight.value < 0).sum())} row(s), first in {group.name!r}="
            f"{show(group.labels[membership.group[row]])} ({weight.value[row]:g}). Weights "
            "that are scaled to sum to one must not be negative: correct the column, or use "
            "normalize=False for signed weights."
        )

    def _weights_at_start(
        self, weight: WeightDesign, membership: Membership, group: Factor
    ) -> np.ndarray:
        zeros = {b: np.zeros((1,)) for b in self.weight_function.parameters}
        start = _evaluate(self.weight_function, weight, membership, self.normalize, zeros)[0]
        bad = ~np.isfinite(start)
        if bad.any():
            at = membership.group[int(np.flatnonzero(bad)[0])]
            size = int(membership.size[at])
            raise DataError(
                f"The weights {self.weight_function.label!r} are undefined or sum to zero in "
                f"{len(np.unique(membership.group[bad]))} group(s), first in {group.name!r}="
                f"{show(group.labels[at])} with {size} member(s). Every group needs a positive "
                "weight: change the function, or drop those groups."
            )
        return start

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
        return _evaluate(*args, parameters)

    def effect(
        self,
        design: MembershipDesign,
        scale: float = 1.0,
        information: EffectInformation | None = None,
        beta: Any = None,
        given: Sequence[Given] = (),
    ) -> Any:
        """Add the members' effects, weights and covariates to the current model.

        Parameters
        ----------
        design : MembershipDesign
            From `resolve`.
        scale : float
            Spread of the linear predictor, for default priors.

        information : EffectInformation, optional
            Score and information of the effects (`approximation.effect_information`). It helps
            the sampler and does not change the model.
        beta : TensorVariable, optional
            From `coefficients`, which is called without it.
        given : sequence of Given
            What the information is given: intercept, coefficients and other terms' effects.

        Returns
        -------
        TensorVariable, shape (group,)
            Weighted sum over the members of each group.
        """
        priors = self.priors_used(design, scale)
        name, membership = design.name, design.membership
        add_coords({self.group: design.group.labels})
        group = data(f"{name}_group", membership.group)
        indptr = data(f"{name}_indptr", membership.indptr)
        effects, member = pt.zeros(0), group
        beta = self.coefficients(design, scale) if beta is None else beta
        if self.effect_type == "random":
            sd = create(priors[f"{name}_sd"], f"{name}_sd", positive=True)
            effects = unit_effects(name, membership.member, sd, information, given)
            member = data(f"{name}_member", unit_codes(membership.member))
        if design.weight.fixed:
            return self._known_weights(design, beta, effects, member, group, indptr)
        raw = self._raw_weight(design, priors, group, indptr)
        of_rows = self._covariates(design, beta, design.X, design.fixed)
        if self.normalize:
            return group_mean(raw.log, effects, of_rows, member, group, indptr)
        w, eta = raw.natural(), 0.0
        if self.effect_type == "random":
            eta = group_sum(w, effects, member, group, indptr)
        if design.covariates or design.fixed is not None:
            rows = data(f"{name}_rows", np.arange(len(design.start)))
            eta = eta + group_sum(w, of_rows, rows, group, indptr)
        return eta

    def linear(self, design: MembershipDesign) -> tuple[LinearPart, ...]:
        """Return one entry per membership row: its weight times the standard deviation."""
        if self.effect_type is None:
            return ()
        model, name, m = pm.modelcontext(None), design.name, design.membership
        sd, w = model[f"{name}_sd"], pt.as_tensor(design.start)
        if not design.weight.fixed:
            places = model[f"{name}_group"], model[f"{name}_indptr"]
            b = {p: model[f"{name}_weight_{p}"] for p in self.weight_function.parameters}
            pieces = {k: model[f"{name}_weight_{k}"] for k in design.weight.data}
            raw = self.weight_function.evaluate(pieces, b, *places)
            w = group_softmax(raw.log, *places) if self.normalize else raw.natural()
        entries = sd * w * pt.ones(len(m.group))
        part = f"{name}_effect", (len(m.member),), m.group, m.member.codes, entries, sd
        return (LinearPart(*part),)

    def at_mean(self, design: MembershipDesign) -> Any:
        """Coefficients times the mean of the aggregated covariates, at the starting weights."""
        return contribution_at_mean(f"{design.name}_beta", design.group_covariates)

    def _known_weights(
        self,
        design: MembershipDesign,
        beta: Any,
        effects: Any,
        member: Any,
        group: Any,
        indptr: Any,
    ) -> Any:
        """Sum with weights that are data; the sums of the covariates are then data, too."""
        fixed = None if design.fixed is None else design.group_fixed
        of_groups = self._covariates(design, beta, design.group_covariates, fixed)
        if self.effect_type is None:
            return of_groups
        w = data(f"{design.name}_weights", design.start)
        eta = group_sum(w, effects, member, group, indptr)
        return eta + of_groups if design.covariates or fixed is not None else eta

    def _raw_weight(
        self, design: MembershipDesign, priors: Mapping[str, Any], group: Any, indptr: Any
    ) -> RawWeight:
        name = design.name
        b = {
            p: create(priors[f"{name}_weight_{p}"], f"{name}_weight_{p}")
            for p in self.weight_function.parameters
        }
        pieces = {k: data(f"{name}_weight_{k}", v) for k, v in design.weight.data.items()}
        return self.weight_function.evaluate(pieces, b, group, indptr)

    def _covariates(
        self, design: MembershipDesign, beta: Any, X: np.ndarray, fixed: np.ndarray | None
    ) -> Any:
        """Return the covariates times their coefficients, one entry per row of X, if any."""
        known = None if fixed is None else data(f"{design.name}_fixed", fixed)
        if beta is None:
            return pt.zeros(0) if known is None else known
        values = data(f"{design.name}_covariates", np.ascontiguousarray(X))
        total = linear_predictor(values, beta)
        return total if known is None else total + known

    def fixed_part(self, design: MembershipDesign) -> np.ndarray:
        """Sum the part with fixed coefficients with the starting weights, shape (group,)."""
        return design.group_fixed

    def coefficients(self, design: MembershipDesign, scale: float = 1.0, known: Any = None) -> Any:
        """Add the coefficients of the member-level covariates; None if there are none.

        Parameters
        ----------
        design, scale
            As in `effect`.
        known : tuple of ndarray, optional
            Where they are (`pymc_mlm.terms.coefficients.coefficients`).
        """
        if not design.covariates:
            return None
        name, dim = f"{design.name}_beta", f"{design.name}_covariate"
        add_coords({dim: design.covariates})
        prior = self.priors_used(design, scale)[name]
        return coefficients(name, prior, dim, design.group_covariates, scale, known)

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
            sigma = 2.5 * scale / np.sqrt(design.mean_squared_weight or 1.0)
            defaults[f"{name}_sd"] = Prior("HalfNormal", sigma=float(sigma))
        if design.covariates:
            sigma = 2.5 * scale / spread(design.group_covariates)
            defaults[f"{name}_beta"] = Prior("Normal", mu=0.0, sigma=sigma)
        for b, sd in design.weight.prior_sd.items():
            defaults[f"{name}_weight_{b}"] = Prior("Normal", mu=0.0, sigma=sd)
        short = {full: full.removeprefix(f"{name}_").removeprefix("weight_") for full in defaults}
        names = {f"{name}_beta": design.covariates}
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
        if self.effect_type is None:
            return []
        if len(members.member) == len(members.member.codes):
            return [(self.member, np.arange(members.num_groups))]
        return [(self.member, members.member.codes)] if (members.size == 1).all() else []

    def unit_blocks(self, design: MembershipDesign) -> tuple[UnitBlock, ...]:
        """Members of each group, if they have effects and no covariates."""
        has_more = bool(design.covariates) or design.fixed is not None
        if self.effect_type is None or has_more:
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
        """Add the free parameters of estimated weights to the current model; return the weights.

        Parameters
        ----------
        design : MembershipDesign
            From `resolve`.
        scale : float
            Spread of the linear predictor, for default priors.
        group, indptr : TensorVariable of int
            Group of each row, and first row of each group.

        Returns
        -------
        TensorVariable, shape (row,)
        """
        raw = self._raw_weight(design, self.priors_used(design, scale), group, indptr)
        return group_softmax(raw.log, group, indptr) if self.normalize else raw.natural()

    def size(self, design: MembershipDesign) -> str:
        """Memberships and members."""
        member = design.membership.member
        return f"{len(design.membership.group)} memberships of {len(member)} {member.name}"

    def notes(self, design: MembershipDesign, scale: float = 1.0) -> tuple[str, ...]:
        """Weight function and its priors; rows that are no memberships."""
        scaled = "scaled to sum to one" if self.normalize else "not scaled"
        text = f"weights [{self.label}]: {self.weight_function.label}, {scaled}"
        used = self.priors_used(design, scale)
        free = [
            f"{b} ~ {used[f'{design.name}_weight_{b}']!r}" for b in self.weight_function.parameters
        ]
        text += f"; {', '.join(free)}" if free else "; no free parameters"
        skipped = len(design.group.codes) - len(design.membership.group)
        if not skipped:
            return (text,)
        return (text, f"[{self.label}]: {skipped} rows without a member id were skipped")

    def weight_draws(self, design: MembershipDesign, draws: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the weights at draws of the free parameters, shape (draw, row)."""
        names = self.weight_function.parameters
        return self.weights(design, {b: draws[f"{design.name}_weight_{b}"] for b in names})

    def variance(
        self,
        design: MembershipDesign,
        draws: Mapping[str, np.ndarray],
        at: Mapping[str, float] | None = None,
    ) -> dict[str, np.ndarray]:
        """Average over groups of the variance that members give to theirs."""
        sd = draws.get(f"{design.name}_sd")
        if sd is None:
            return {}
        w = self.weight_draws(design, draws)
        return {self.label: membership_variance(sd, w, design.membership.num_groups)}

    def roles(self, design: MembershipDesign) -> dict[str, Role]:
        """Effects, their standard deviation, coefficients and weight parameters."""
        name = design.name
        roles = {}
        if self.effect_type == "random":
            roles[f"{name}_effect"] = Role("effect", None, self.label)
            roles[f"{name}_sd"] = Role("sd", "sd", self.label)
        if design.covariates:
            roles[f"{name}_beta"] = Role("coefficient", None, self.label)
        for b in self.weight_function.parameters:
            roles[f"{name}_weight_{b}"] = Role("weight", f"weight {b}", self.label)
        return roles


def membership_variance(sd: np.ndarray, weights: np.ndarray, num_groups: int) -> np.ndarray:
    r"""Return the variance that member effects give to their groups, averaged over groups.

    .. math:: V^{(s)} = \frac{1}{J} \sum_j \bigl(\sigma^{(s)}\bigr)^2
        \sum_{k \in j} \bigl(w_{jk}^{(s)}\bigr)^2

    Per draw `s`, weights included: the mean of a squared weight is larger than the square of
    its mean, and plugging in mean weights understates the variance.

    Parameters
    ----------
    sd : ndarray, shape (draw,)
        Standard deviation of the member effects.
    weights : ndarray, shape (draw, row) or (1, row)
        Weights of the membership rows.
    num_groups : int
        Number of groups.

    Returns
    -------
    ndarray, shape (draw,)
        Variance on the scale of the linear predictor, squared.

    Examples
    --------
    >>> membership_variance(np.array([2.0]), np.array([[0.5, 0.5, 1.0]]), 2)
    array([3.])
    """
    # Summing over all rows at once: the average over groups needs no sum per group.
    return np.asarray(sd**2 * (weights**2).sum(axis=1) / num_groups)


def _evaluate(
    weight: AbstractWeight,
    design: WeightDesign,
    membership: Membership,
    normalize: bool,
    parameters: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Evaluate the very graph that the model uses, by NumPy, without compilation."""
    b = {name: pt.dscalar(name) for name in weight.parameters}
    group, indptr = pt.lvector("group"), pt.lvector("indptr")
    raw = weight.evaluate(design.data, b, group, indptr)
    w = group_softmax(raw.log, group, indptr) if normalize else raw.natural()
    rows = len(membership.group)
    w = pt.as_tensor(w) + pt.zeros(rows)
    f = pytensor.function(
        [*b.values()],
        w,
        givens=[(group, pt.constant(membership.group)), (indptr, pt.constant(membership.indptr))],
        mode=uncompiled(),
        on_unused_input="ignore",
    )
    draws = max((len(v) for v in parameters.values()), default=1)
    out = np.empty((draws, rows))
    with np.errstate(all="ignore"):
        for s in range(draws):
            out[s] = f(*(parameters[name][s] for name in b))
    return out


def mm(
    member: str,
    group: str,
    covariates: str | tuple[str, ...] | list[str] | None = None,
    weight: str | AbstractWeight = "1 / n",
    normalize: bool = True,
    effect: str | None = "random",
    priors: Mapping[str, Any] | None = None,
    parameters: tuple[str, ...] | list[str] = (),
    repeated: str = "add",
    missing: str = "error",
    name: str | None = None,
) -> MultipleMembership:
    r"""Let an outcome depend on several members at once, with known or estimated weights.

    .. math:: \eta_j \mathrel{+}= \sum_{k \in j} w_{jk}\,(x_{jk}'\gamma + u_k), \qquad
        u_k \sim N(0, \sigma^2)

    Parameters
    ----------
    member : str
        Column with the member of each row, such as the party.
    group : str
        Column with the group of each row, such as the government; one outcome each.
    covariates : str or sequence of str, optional
        Member-level columns, aggregated inside the model with the same weights; also parts of a
        formula, such as ``"cohesion * finance"``, and ``"fix(seats, 0.5)"`` for a coefficient
        that is known.
    weight : str or AbstractWeight, default "1 / n"
        Weight function: text such as ``"ilogit(b0 + b1 * seats)"`` with columns, the group size
        ``n`` and free parameters ``b``, ``b0``, ``b1``, ...; or one of `pymc_mlm.weights`.
    normalize : bool, default True
        Scale the weights so that they sum to one in each group. With False the weights are
        taken as they are, and may be negative.
    effect : {"random", None}
        Random effects of the members, or none (the term then only aggregates covariates).
    priors : mapping of str to prior, optional
        ``sd``, ``beta``, and the free parameters of the weight function.
    parameters : sequence of str, optional
        Further names in the weight text that are free parameters.
    repeated : {"add", "refuse"}
        A member listed twice in a group adds its weights, or is an error.
    missing : {"error", "skip"}
        Rows without a member id are an error, or are no memberships of this term (tables with
        several member columns, such as parties in government and in opposition).
    name : str, optional
        Prefix of the term's variables; `member` by default.

    Returns
    -------
    MultipleMembership

    Raises
    ------
    SpecificationError
        An argument or the weight text is not understood; the position is named.

    References
    ----------
    .. [1] Browne, Goldstein and Rasbash (2001). Multiple membership multiple classification
       (MMMC) models. Statistical Modelling 1, 103-124.
    .. [2] Rosche, B. (2026). A Multilevel Model for Coalition Governments. Political Analysis.

    Examples
    --------
    >>> mm("party", "cabinet", weight="ilogit(b0 + b1 * seats)").columns
    ('party', 'cabinet', 'seats')
    """
    return MultipleMembership(
        member,
        group,
        as_names(covariates) or None,
        weight,
        normalize,
        effect,
        as_priors(priors, f"mm({member!r}, {group!r})"),
        tuple(parameters),
        repeated,
        missing,
        name,
    )
