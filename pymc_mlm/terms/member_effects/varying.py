"""Members with several correlated coefficients: intercepts and slopes of columns of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from pymc_mlm.data.by_category import columns_by_category, names_by_category
from pymc_mlm.data.factor import UNKNOWN, Factor
from pymc_mlm.data.formula import Formula, parse_terms
from pymc_mlm.data.membership import Membership
from pymc_mlm.data.nested_design import check_near_zero, columns_far_from_zero, varies_within
from pymc_mlm.data.population import INTERCEPT, population_design, right_hand_columns
from pymc_mlm.distributions.partial_correlation import PartialCorrelation
from pymc_mlm.distributions.unit_effects import Coordinates, UnitEffects
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.ops.correlation import cholesky_from_partials, lkj_partial_alphas
from pymc_mlm.ops.group_sum import group_sum
from pymc_mlm.ops.unit_score import unit_score
from pymc_mlm.priors import Prior, create
from pymc_mlm.terms.base import add_coords, data
from pymc_mlm.terms.member_effects.base import AbstractMemberEffects, Array, Entries
from pymc_mlm.terms.nested_draws import correlation_of
from pymc_mlm.terms.nested_reading import varying_columns
from pymc_mlm.terms.role import UnitRole
from pymc_mlm.terms.unit_block import unit_codes
from pymc_mlm.terms.varying import Given


@dataclass(frozen=True, eq=False)
class VaryingDesign:
    """Columns whose coefficients vary between members.

    Attributes
    ----------
    columns : tuple of str
        Their names.
    X : ndarray, shape (row, column)
        Their values, in the order of the membership's rows.
    means, spreads : ndarray, shape (column,)
        Mean and standard deviation in the fitted rows; 0 and 1 for the intercept.
    coding : PopulationDesign
        How the formula was coded.
    is_correlated : bool
        Whether the coefficients of a member are correlated.
    by : tuple of str
        Categories that each have these coefficients, one category after the other.
    of_one : tuple of str
        Names of the coefficients of a single category, or of all.
    """

    columns: tuple[str, ...]
    X: Array
    means: Array
    spreads: Array
    coding: Any
    is_correlated: bool = True
    by: tuple[str, ...] = ()
    of_one: tuple[str, ...] = ()

    @property
    def is_intercept(self) -> Array:
        """Whether each column is one of ones, of all rows or of a category."""
        own = self.of_one or self.columns
        return np.tile([name == INTERCEPT for name in own], max(len(self.by), 1))

    @property
    def pairs(self) -> tuple[str, ...]:
        """Names of the correlations, row by row."""
        names = self.columns if self.is_correlated else ()
        return tuple(f"{names[j]}, {names[i]}" for i in range(len(names)) for j in range(i))


@dataclass(frozen=True)
class VaryingCoefficients(AbstractMemberEffects):
    r"""Coefficients that vary between members, correlated or not.

    .. math:: x_{jk}' u_k, \qquad u_k \sim N(0, D R D), \qquad R \sim \mathrm{LKJ}(\eta)

    Parameters
    ----------
    formula : str
        Right-hand side of what varies; the columns may differ between the rows of a group.
    eta : float
        Shape of the LKJ prior of the correlations; 1 is uniform over correlation matrices.
    correlated : bool
        Whether the coefficients of a member are correlated; if not, R is the identity, as with
        ``||`` of lme4 and brms.
    by : tuple of str
        Categories of an unordered outcome but the reference, which each have these coefficients;
        the model sets them.

    Raises
    ------
    SpecificationError
        An argument is not understood.

    Examples
    --------
    >>> VaryingCoefficients("1 + experience", eta=1.0).columns
    ('experience',)
    """

    formula: str
    eta: float = 2.0
    correlated: bool = True
    by: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Check the arguments."""
        formula = self._parsed
        if formula.offsets:
            raise SpecificationError(
                f"varying={self.formula!r}: fix() has no place here; a varying coefficient is not "
                "fixed."
            )
        if not formula.intercept and not formula.products:
            raise SpecificationError(
                f"varying={self.formula!r} gives members no coefficient. Write '1 + x', or leave "
                "varying out for an intercept."
            )
        eta = self.eta
        if isinstance(eta, bool) or not isinstance(eta, int | float) or not 0 < eta < np.inf:
            raise SpecificationError(
                f"VaryingCoefficients: eta is {eta!r}; the LKJ shape must be positive and "
                "finite: 1 for any correlations alike, larger for smaller ones."
            )
        if not isinstance(self.correlated, bool):
            raise SpecificationError(
                f"VaryingCoefficients: correlated is {self.correlated!r}; use True or False."
            )

    @property
    def _parsed(self) -> Formula:
        return parse_terms(self.formula)

    @property
    def is_intercept(self) -> bool:
        """Whether an intercept alone varies."""
        return self._parsed.intercept and not self._parsed.products

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the formula."""
        return right_hand_columns(self._parsed)

    def resolve(
        self,
        table: Mapping[str, Array],
        membership: Membership,
        group: Factor,
        known: Any,
        levels: Mapping[str, Any],
    ) -> VaryingDesign:
        """Read the columns.

        Raises
        ------
        DataError
            A column does not vary within any member.
        """
        kept = np.sort(membership.rows)
        own = {n: table[n][kept] for n in self.columns}
        before = None if known is None else known.coding
        coding = population_design(self._parsed, own, len(kept), before, dict(levels))
        columns, X = varying_columns(coding)
        X = np.ascontiguousarray(X[np.searchsorted(kept, membership.rows)])
        of_one, categories = columns, len(self.by)
        if known is not None:
            if categories:
                X = columns_by_category(X, membership.group % categories, categories)
            return replace(known, X=X, coding=coding)
        member = membership.member
        is_fixed = np.array([c == INTERCEPT for c in columns])
        for name, x in zip(columns, X.T, strict=True):
            if name != INTERCEPT and not varies_within(x, member.codes, len(member)):
                raise DataError(
                    f"{name!r} has one value in every {member.name!r}: its slope cannot vary "
                    "between them. Put it into covariates= instead."
                )
        means = np.where(is_fixed, 0.0, X.mean(axis=0))
        spreads = np.where(is_fixed, 1.0, X.std(axis=0))
        check_near_zero(columns, means, spreads)
        if categories:
            X = columns_by_category(X, membership.group % categories, categories)
            columns = names_by_category(of_one, self.by, INTERCEPT)
            means, spreads = np.tile(means, categories), np.tile(spreads, categories)
        return VaryingDesign(columns, X, means, spreads, coding, self.correlated, self.by, of_one)

    def default_priors(self, design: Any, scale: float) -> dict[str, Any]:
        r"""Half-normal standard deviations, on the scale of the outcome per sd of the column.

        As of nested levels: the intercept is the effect at zero of the columns, and its prior
        widens by :math:`\sqrt{1 + \sum_j (m_j / s_j)^2}`.
        """
        own = design.effects
        ratio = (own.means / own.spreads) ** 2
        # Of the slopes of a single category.
        total = ratio.sum() / max(len(own.by), 1)
        sigma = np.where(own.is_intercept, np.sqrt(1.0 + total), 1.0 / own.spreads)
        sigma = 2.5 * scale * sigma / np.sqrt(design.mean_squared_weight or 1.0)
        return {f"{design.name}_sd": Prior("HalfNormal", sigma=sigma)}

    def graph(
        self, design: Any, priors: Mapping[str, Any], information: Any, given: Sequence[Given]
    ) -> tuple[Any, Any]:
        """Add standard deviations, correlations and coefficients; an effect of each row."""
        name, own, member = design.name, design.effects, design.membership.member
        p, dim = len(own.columns), member.name
        add_coords({f"{name}_coef": own.columns, dim: member.labels[: member.num_known]})
        sd = create(priors[f"{name}_sd"], f"{name}_sd", f"{name}_coef", positive=True)
        partial: Any = pt.zeros(p * (p - 1) // 2)
        if own.pairs:
            add_coords({f"{name}_pair": own.pairs})
            alphas = lkj_partial_alphas(p, self.eta)
            partial = PartialCorrelation(
                f"{name}_partial", alphas, shape=len(own.pairs), dims=f"{name}_pair"
            )
        around, precision, how = _coordinates(name, information, given, (member.num_known, p))
        parts = [
            UnitEffects(
                f"{name}_effect", sd, partial, around, precision,
                dims=(dim, f"{name}_coef"), transform=Coordinates(how),
            )
        ]  # fmt: skip
        new = member.new_labels
        if len(new):
            add_coords({f"{dim}_new": new})
            parts.append(
                UnitEffects(
                    f"{name}_effect_new", sd, partial, pt.zeros((len(new), p)),
                    dims=(f"{dim}_new", f"{name}_coef"),
                )
            )  # fmt: skip
        unknown = int((member.codes == UNKNOWN).sum())
        if unknown:
            last = member.num_known - 1
            same = same_in_categories(design.membership, len(own.by))
            count = int(same.max()) + 1
            which = pm.DiscreteUniform(f"{name}_unknown", lower=0, upper=last, shape=count)
            parts.append(parts[0][which[same]] if own.by else parts[0][which])
        effects = parts[0] if len(parts) == 1 else pt.concatenate(parts)
        rows = np.arange(len(own.X))
        places = (unit_codes(member)[:, None] * p + np.arange(p)).ravel()
        of_rows = group_sum(
            data(f"{name}_columns", own.X.ravel()),
            effects.reshape((-1,)),
            data(f"{name}_coefficient", places),
            data(f"{name}_row", np.repeat(rows, p)),
            data(f"{name}_row_ends", np.arange(len(rows) + 1) * p),
        )
        return of_rows, data(f"{name}_place", rows)

    def entries(self, design: Any) -> Entries:
        """Return an entry per row and coefficient: the columns times the root."""
        model, name, own = pm.modelcontext(None), design.name, design.effects
        p, member = len(own.columns), design.membership.member
        of_one: Any = np.eye(p)
        if own.pairs:
            of_one = cholesky_from_partials(model[f"{name}_partial"], p)
        root = model[f"{name}_sd"][:, None] * of_one
        rows = np.repeat(np.arange(len(own.X)), p)
        columns = (p * member.codes[:, None] + np.arange(p)).ravel()
        factors = pt.dot(own.X, root).ravel()
        return Entries(rows, columns, factors, (len(member), p), root)

    def covariance(
        self, design: Any, draws: Mapping[str, Array], a: Array, b: Array, at: Mapping[str, float]
    ) -> Array:
        """Return x' D R D x of two rows of a member, at their own columns or as given."""
        name, own = design.name, design.effects
        X = own.X.copy()
        for column, value in at.items():
            X[:, own.columns.index(column)] = value
        sd = draws[f"{name}_sd"]
        R = np.broadcast_to(np.eye(sd.shape[1]), (len(sd), sd.shape[1], sd.shape[1])).copy()
        if own.pairs:
            i, j = np.tril_indices(sd.shape[1], -1)
            R[:, i, j] = R[:, j, i] = draws[f"{name}_correlation"]
        covariance = sd[:, :, None] * R * sd[:, None, :]
        return np.einsum("ri,sij,rj->sr", X[a], covariance, X[b], optimize=True)

    def dims(self, design: Any) -> tuple[str, ...]:
        """Members, coefficients and their pairs."""
        name = design.name
        return (design.membership.member.name, f"{name}_coef", f"{name}_pair")

    def elements(self, design: Any) -> dict[str, tuple[tuple[str, ...], ...]]:
        """Names of the standard deviations."""
        return {f"{design.name}_sd": (design.effects.columns,)}

    def correlation_priors(self, design: Any) -> dict[str, float]:
        """Shape of the LKJ prior, if there are correlations."""
        return {f"{design.name}_partial": self.eta} if design.effects.pairs else {}

    def derived(self, design: Any, posterior: Any) -> dict[str, Any]:
        """Correlations from partial correlations."""
        name, pairs = design.name, design.effects.pairs
        return {f"{name}_correlation": correlation_of(posterior, name, pairs)} if pairs else {}

    def varying_columns(self, design: Any) -> tuple[str, ...]:
        """Columns of the slopes."""
        own = design.effects
        named = zip(own.columns, own.is_intercept, strict=True)
        return tuple(column for column, is_intercept in named if not is_intercept)

    def cautions(self, design: Any) -> tuple[str, ...]:
        """Return slopes whose intercept is an extrapolation."""
        return columns_far_from_zero(design.effects)

    def roles(self, design: Any, label: str) -> dict[str, Any]:
        """Standard deviations, correlations and coefficients."""
        name = design.name
        roles: dict[str, Any] = {f"{name}_sd": UnitRole("sd", "sd {}", label)}
        if design.effects.pairs:
            roles[f"{name}_partial"] = UnitRole("partial", "partial cor({})", label)
            roles[f"{name}_correlation"] = UnitRole("sd", "cor({})", label)
        roles[f"{name}_effect"] = UnitRole("effect", "{}", label)
        return roles


def same_in_categories(membership: Membership, categories: int) -> Array:
    """Return which unknown member each row without a known one has, shape (unknown_row,).

    A membership has a row for each category of an outcome, and one member in all of them.
    """
    unknown = np.flatnonzero(membership.member.codes == UNKNOWN)
    if not categories:
        return np.arange(len(unknown))
    group = membership.group[unknown]
    # Rows are sorted by group: count them from the first of their group.
    first = np.searchsorted(group, group)
    pairs = np.column_stack([group // categories, np.arange(len(group)) - first])
    return np.unique(pairs, axis=0, return_inverse=True)[1].ravel()


def _coordinates(
    name: str, information: Any, given: Sequence[Given], shape: tuple[int, int]
) -> tuple[Any, Any, str]:
    """Return what the coordinates of the coefficients are taken around, precision, and kind."""
    if information is None:
        zeros = data(f"{name}_zeros", np.zeros(shape))
        return pt.specify_shape(zeros, (None, shape[1])), None, "noncentered"
    own = [pt.atleast_1d(part.values) for part in given if not part.is_effect]
    rows, columns = np.tril_indices(shape[1])
    around = unit_score(
        pt.specify_shape(data(f"{name}_score", information.score), (None, shape[1])),
        data(f"{name}_cross", information.cross),
        data(f"{name}_precision_rows", information.precision),
        pt.concatenate(own) if own else pt.zeros(0),
        np.zeros((0, shape[1])),
        np.zeros(0, dtype=np.int64),
    )
    return around, data(f"{name}_precision", information.precision[:, rows, columns]), "informed"
