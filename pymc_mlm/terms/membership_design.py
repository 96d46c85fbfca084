"""Reads the members of each group, their covariates and weights into arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.data.by_category import columns_by_category, names_by_category
from pymc_mlm.data.checks import as_numbers
from pymc_mlm.data.column_scale import mean
from pymc_mlm.data.factor import UNKNOWN, Factor, encode
from pymc_mlm.data.frame import category_levels, columns, open_table
from pymc_mlm.data.membership import Membership, sort_by_group
from pymc_mlm.data.term_covariates import (
    TermCovariates,
    covariate_columns,
    read_term_covariates,
)
from pymc_mlm.data.values import show
from pymc_mlm.errors import DataError, MembershipRowError, SpecificationError
from pymc_mlm.terms.base import (
    as_names,
)
from pymc_mlm.terms.member_weights import evaluate_weights
from pymc_mlm.weights import Expression, WeightDesign

if TYPE_CHECKING:
    from scipy.sparse import csr_array


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
    effects : object
        What the distribution of effects has read.
    counts : ndarray, shape (group,), or None
        As in `PopulationDesign`.
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
    effects: Any = None
    counts: np.ndarray | None = None

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
        return float(mean(np.bincount(group, self.start**2, minlength=count), self.counts))


def read_memberships(
    term: Any, data: Any, known: MembershipDesign | None = None, group: Factor | None = None
) -> MembershipDesign:
    """Read the members of each group, their covariates and the columns of the weights.

    Parameters
    ----------
    term : MultipleMembership
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
    data = open_table(data, term.columns)
    _refuse_shadowed(term, data.names)
    term.weight_function.check(data.names)
    table = columns(data, term.columns)
    group = encode(term.group, table[term.group]) if group is None else group
    member, keep = _members(term, table[term.member], known)
    membership = sort_by_group(member, group, term.repeated, keep)
    rows = membership.rows
    coded = _coded(term, data, table, rows, known)
    if term.by:
        coded = _by_category(coded, term.by, membership.group)
    read = term.weight_function.columns
    ordered = {c: as_numbers(c, table[c][rows], rows) for c in read}
    weight = _resolved(term, ordered, membership, group, known)
    if term.normalize and not weight.nonnegative:
        _refuse_negative(term, weight, membership, group)
        raise SpecificationError(
            f"The weight function {term.weight_function.label!r} of mm({term.member!r}, "
            f"{term.group!r}) can be negative, and weights that are scaled to sum to one "
            "must not be: a sum near zero would blow them up. Wrap it in exp(...) or "
            "ilogit(...), or use normalize=False for signed weights."
        )
    start = _weights_at_start(term, weight, membership, group)
    name = term.name or term.member
    levels = category_levels(data, term.effects.columns)
    before = None if known is None else known.effects
    own = term.effects.resolve(table, membership, group, before, levels)
    return MembershipDesign(
        name, group, membership, weight, start, coded.names, coded.X, ordered,
        coded.fixed, coded.coding, own,
    )  # fmt: skip


def _resolved(
    term: Any,
    ordered: Mapping[str, np.ndarray],
    membership: Membership,
    group: Factor,
    known: MembershipDesign | None,
) -> WeightDesign:
    """Read the columns of the weights; add group and member to what is wrong in a row."""
    try:
        return term.weight_function.resolve(
            ordered, membership.group, membership.indptr, None if known is None else known.weight
        )
    except MembershipRowError as error:
        own = membership.member
        code = own.codes[error.row]
        who = "unknown" if code == UNKNOWN else show(own.labels[code])
        raise DataError(
            f"mm({term.member!r}, {term.group!r}), in {group.name!r}="
            f"{show(group.labels[membership.group[error.row]])} with {own.name!r}={who} (row "
            f"{int(membership.rows[error.row])} of the table, counted from 0): {error}"
        ) from None


def _coded(
    term: Any,
    data: Any,
    table: Mapping[str, np.ndarray],
    rows: np.ndarray,
    known: MembershipDesign | None,
) -> TermCovariates:
    """Read the covariates of the rows of the membership, in its order."""
    items = as_names(term.covariates)
    names, kept = covariate_columns(items), np.sort(rows)
    own = {n: table[n][kept] for n in names}
    coding = None if known is None else known.coding
    levels = category_levels(data, names)
    coded = read_term_covariates(items, own, len(kept), levels, coding, known is None, kept)
    return coded.take(np.searchsorted(kept, rows))


def _by_category(coded: TermCovariates, by: tuple[str, ...], group: np.ndarray) -> TermCovariates:
    """Return covariates with a coefficient for each category, the categories of the rows' groups.

    Raises
    ------
    SpecificationError
        A coefficient is fixed, and it is open for which category.
    """
    if coded.fixed is not None:
        raise SpecificationError(
            "fix(column, value) has no place in covariates= of a model of unordered categories: "
            "each category has a coefficient of its own. Name the column alone."
        )
    X = columns_by_category(coded.X, group % len(by), len(by))
    return TermCovariates(names_by_category(coded.names, by), X, None, coded.coding)


def _refuse_shadowed(term: Any, available: Sequence[str]) -> None:
    """Refuse a text whose n or b is a column of the table too."""
    weight = term.weight_function
    if not isinstance(term.weight, str) or not isinstance(weight, Expression):
        return
    own = [] if weight.label == "1 / n" else weight.own_names
    twice = [n for n in own if n in available and n not in term.parameters]
    if twice:
        name = twice[0]
        what = "the number of rows of a group" if name == "n" else "a free parameter"
        raise SpecificationError(
            f"weight={term.weight!r}: {name!r} is {what} here, and the table has a column "
            f"{name!r}. Write `{name}` in backquotes for the column; if {what} is meant, "
            f"rename the column, or pass weights.Expression({term.weight!r})."
        )


def _members(
    term: Any, ids: np.ndarray, known: MembershipDesign | None
) -> tuple[Factor, np.ndarray | None]:
    unseen, missing = ("error", "error") if known is None else ("new", "unknown")
    if term.missing == "skip":
        missing = "unknown"
    fitted = None if known is None else known.membership.member
    factor = term.effects.members(term.member, ids, fitted, unseen, missing)
    keep = factor.codes != UNKNOWN if term.missing == "skip" else None
    if known is None and term.effect_type == "random" and len(factor) < 2:
        raise DataError(
            f"{term.member!r} has {len(factor)} member(s); random effects need at least two. "
            "Use effect=None to aggregate covariates only."
        )
    return factor, keep


def _refuse_negative(
    term: Any, weight: WeightDesign, membership: Membership, group: Factor
) -> None:
    """Name the group of the first negative weight, where the weights are known."""
    if weight.value is None or not (weight.value < 0).any():
        return
    row = int(np.flatnonzero(weight.value < 0)[0])
    raise DataError(
        f"The weights {term.weight_function.label!r} are negative in "
        f"{int((weight.value < 0).sum())} row(s), first in {group.name!r}="
        f"{show(group.labels[membership.group[row]])} ({weight.value[row]:g}). Weights "
        "that are scaled to sum to one must not be negative: correct the column, or use "
        "normalize=False for signed weights."
    )


def _weights_at_start(
    term: Any, weight: WeightDesign, membership: Membership, group: Factor
) -> np.ndarray:
    zeros = {b: np.zeros((1,)) for b in term.weight_function.parameters}
    start = evaluate_weights(term.weight_function, weight, membership, term.normalize, zeros)[0]
    bad = ~np.isfinite(start)
    if bad.any():
        at = membership.group[int(np.flatnonzero(bad)[0])]
        size = int(membership.size[at])
        raise DataError(
            f"The weights {term.weight_function.label!r} are undefined or sum to zero in "
            f"{len(np.unique(membership.group[bad]))} group(s), first in {group.name!r}="
            f"{show(group.labels[at])} with {size} member(s). Every group needs a positive "
            "weight: change the function, or drop those groups."
        )
    return start
