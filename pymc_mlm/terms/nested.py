"""Coefficients that vary between units within units: `resolve` reads, `effect` writes graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.approximation.unit_information import UnitInformation
from pymc_mlm.data.factor import Factor
from pymc_mlm.data.formula import parse_terms
from pymc_mlm.data.nested_design import NestedDesign, columns_far_from_zero
from pymc_mlm.data.population import PopulationDesign, right_hand_columns
from pymc_mlm.errors import SpecificationError
from pymc_mlm.ops.unit_predictor import unit_predictor
from pymc_mlm.priors import Prior, as_priors, check_priors, pick_priors
from pymc_mlm.terms.base import AbstractTerm, data
from pymc_mlm.terms.linear import LinearPart
from pymc_mlm.terms.nested_draws import (
    correlations,
    level_variance,
    total_deviations,
    varying_point,
)
from pymc_mlm.terms.nested_graph import (
    AUTO,
    CENTERED,
    INFORMED,
    NONCENTERED,
    nested_entries,
    nested_parameters,
    nested_totals,
)
from pymc_mlm.terms.nested_reading import nested_blocks, read_nested
from pymc_mlm.terms.role import UnitRole
from pymc_mlm.terms.unit_block import UnitBlock


@dataclass(frozen=True)
class Nested(AbstractTerm):
    """Specification of nested varying coefficients; made by `nested`."""

    levels: tuple[str, ...]
    varying: str | Mapping[str, str] | None = "1"
    unique_ids: bool = False
    eta: float | Mapping[str, float] = 2.0
    priors: Mapping[str, Any] = field(default_factory=dict)
    parameterization: str | Mapping[str, str] = "auto"
    name: str | None = None
    # Set by a model of an unordered outcome: its categories but the reference.
    by: tuple[str, ...] = field(default=(), repr=False)
    design_type = NestedDesign

    def __post_init__(self) -> None:
        """Check what can be checked without data."""
        if not self.levels:
            raise SpecificationError(
                "levels is empty; list id columns from the outermost to the innermost, such as "
                "levels=['region', 'school']."
            )
        for what in ("varying", "eta", "parameterization"):
            self._check_levels_of(what)
        for level in self.levels:
            choice = self.parameterization_of(level)
            if choice not in (AUTO, CENTERED, NONCENTERED):
                raise SpecificationError(
                    f"parameterization of {level!r} is {choice!r}; use 'auto', 'centered' or "
                    "'noncentered'."
                )
            eta = self.eta_of(level)
            if isinstance(eta, bool) or not isinstance(eta, int | float) or not 0 < eta < np.inf:
                raise SpecificationError(
                    f"eta of {level!r} is {eta!r}; the LKJ shape must be positive and finite: 1 "
                    "for any correlations alike, larger for smaller ones."
                )
            if parse_terms(self.formula_of(level)).offsets:
                raise SpecificationError(
                    f"varying={self.formula_of(level)!r}: fix() has no place here; a varying "
                    "coefficient is not fixed."
                )
        check_priors(self.priors, "nested()")

    def _check_levels_of(self, what: str) -> None:
        given = getattr(self, what)
        strange = [k for k in given if k not in self.levels] if isinstance(given, Mapping) else []
        if strange:
            raise SpecificationError(
                f"{what} names the level {strange[0]!r}, which is not one of levels="
                f"{list(self.levels)!r}."
            )

    def formula_of(self, level: str) -> str:
        """Return the formula of what varies at a level; an intercept where none is given."""
        if self.varying is None or isinstance(self.varying, str):
            return self.varying or "1"
        return self.varying.get(level, "1")

    def eta_of(self, level: str) -> float:
        """Return the shape of a level's LKJ prior."""
        return self.eta.get(level, 2.0) if isinstance(self.eta, Mapping) else self.eta

    def parameterization_of(self, level: str) -> str:
        """Return how a level is sampled."""
        given = self.parameterization
        return given.get(level, "auto") if isinstance(given, Mapping) else given

    @property
    def columns(self) -> tuple[str, ...]:
        """Id columns and the covariates of the varying coefficients."""
        formulas = [parse_terms(self.formula_of(level)) for level in self.levels]
        names = [n for formula in formulas for n in right_hand_columns(formula)]
        return tuple(dict.fromkeys([*self.levels, *names]))

    @property
    def base_name(self) -> str:
        """Prefix of the variables; none by default, since the levels have names of their own."""
        return self.name or ""

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What the names of each level's variables begin with."""
        return tuple(f"{self.name}_{level}" if self.name else level for level in self.levels)

    @property
    def label(self) -> str:
        """Name of the term in reports."""
        return " / ".join(self.levels)

    @property
    def id_columns(self) -> tuple[str, ...]:
        """The levels."""
        return self.levels

    def units(self, design: NestedDesign) -> tuple[tuple[str, Any, int], ...]:
        """Units of each level."""
        return tuple(zip(self.levels, design.nesting.labels, design.num_known, strict=True))

    def sizes(self, design: NestedDesign) -> dict[str, int]:
        """Return the number of units of each level."""
        return dict(zip(self.levels, design.nesting.sizes.tolist(), strict=True))

    def size(self, design: NestedDesign) -> str:
        """Units of each level."""
        pairs = zip(design.nesting.labels, self.levels, strict=True)
        return ", ".join(f"{len(labels)} {level}" for labels, level in pairs)

    def resolve(
        self,
        data: Any,
        known: NestedDesign | None = None,
        group: Factor | None = None,
        population: PopulationDesign | None = None,
    ) -> NestedDesign:
        """Read units and varying columns (`nested_reading.read_nested`).

        ``varying=None`` needs `population`, the covariates of the formula.
        """
        return read_nested(self, data, known, group, population)

    def effect(
        self,
        design: NestedDesign,
        scale: float = 1.0,
        around: Mapping[str, Any] | None = None,
        information: Sequence[UnitInformation] | None = None,
        also: Sequence[Any] = (),
    ) -> Any:
        """Add the units' effects to the current model.

        Parameters
        ----------
        design : NestedDesign
            From `resolve`.
        scale : float
            Spread of the linear predictor, for default priors.
        around : mapping of str to TensorVariable, optional
            Population coefficients by column, such as ``{"Intercept": alpha, "x": beta}``, that
            your model adds itself. They help the sampler and do not change the model.
        information : sequence of UnitInformation, optional
            Score and information of the units of each level
            (`approximation.unit_information.nested_information`), its covariates being those of
            `around` in their order. Without it parameterization="auto" is "noncentered".
        also : sequence of TensorVariable, each of shape (count,)
            Further coefficients and effects of crossed units, whose columns come last in the
            information.

        Returns
        -------
        TensorVariable, shape (row,)
            Contribution to the linear predictor, population coefficients not included.
        """
        total = nested_totals(self, design, scale, around, information, also)[-1]
        label = design.prefixes[-1]
        return unit_predictor(
            data(f"{label}_Z", design.Z), total, data(f"{label}_leaf", design.nesting.leaf)
        )

    def coefficients(
        self,
        design: NestedDesign,
        scale: float = 1.0,
        around: Mapping[str, Any] | None = None,
        information: Sequence[UnitInformation] | None = None,
    ) -> list[list[Any]]:
        """Add the units' effects and return each unit's total deviation; arguments as in `effect`.

        Returns
        -------
        list of list of TensorVariable, shape (unit,)
            Per level, outermost first, one vector per column of ``design.columns``: the sum of
            the deviations of the unit and its ancestors.
        """
        totals = nested_totals(self, design, scale, around, information)
        return [[total[:, j] for j in range(len(design.columns))] for total in totals]

    def linear(self, design: NestedDesign) -> tuple[LinearPart, ...]:
        """Return an entry per row and coefficient of each level: a row of Z times the root."""
        return nested_entries(self, design)

    def coordinates(self, level: int, information: Sequence[UnitInformation] | None = None) -> str:
        """Return the coordinates in which a level is sampled: a kind of `Coordinates`."""
        chosen = self.parameterization_of(self.levels[level])
        if chosen != AUTO:
            return chosen
        return NONCENTERED if information is None else INFORMED

    def coordinate_notes(
        self, design: NestedDesign, information: Sequence[UnitInformation] | None
    ) -> tuple[str, ...]:
        """Return one sentence per level: how its units are sampled."""
        notes = []
        for place, level in enumerate(self.levels):
            how = self.coordinates(place, information)
            if information is None or how != INFORMED:
                notes.append(f"[{level}] {how}")
                continue
            c = information[place].centeredness()
            notes.append(
                f"[{level}] centred by the information of each unit: {c.min():.2f} to "
                f"{c.max():.2f}, mean {c.mean():.2f} (0 non-centred, 1 centred)"
            )
        return tuple(notes)

    def parameters(self, design: NestedDesign, scale: float = 1.0) -> tuple[list[Any], list[Any]]:
        """Add each level's standard deviations and partial correlations to the current model."""
        return nested_parameters(self, design, scale)

    def priors_used(self, design: NestedDesign, scale: float = 1.0) -> dict[str, Any]:
        r"""Half-normal standard deviations on the scale of the outcome, LKJ correlations.

        Notes
        -----
        A slope's prior has the scale of the outcome per standard deviation of the covariate. The
        intercept is the deviation at zero of the covariates; its prior widens by
        :math:`\sqrt{1 + \sum_j (m_j / s_j)^2}`, what slopes of that size add between mean
        and zero.
        """
        defaults: dict[str, Any] = {}
        short, names = {}, {}
        for level, prefix in enumerate(design.prefixes):
            sizes = design.sizes_of_effects(level)
            defaults[f"{prefix}_sd"] = Prior("HalfNormal", sigma=2.5 * scale * sizes)
            short[f"{prefix}_sd"] = f"{design.levels[level]}_sd"
            names[f"{prefix}_sd"] = (design.coefs(level),)
        return pick_priors(f"nested({list(self.levels)!r})", defaults, short, self.priors, names)

    def unit_blocks(self, design: NestedDesign) -> tuple[UnitBlock, ...]:
        """Units of each level; columns centred, where an intercept varies, and scaled."""
        return nested_blocks(self, design)

    def unit_priors(self, design: NestedDesign, scale: float = 1.0) -> dict[str, Any]:
        """Half-normal standard deviations of effects of centred and scaled columns."""
        zero, one = np.zeros_like(design.means), np.ones_like(design.spreads)
        return self.priors_used(replace(design, means=zero, spreads=one), scale)

    def correlation_priors(self, design: NestedDesign) -> dict[str, float]:
        """Return the LKJ shape of each level that has correlations, by variable name."""
        return {
            f"{prefix}_partial": self.eta_of(design.levels[level])
            for level, prefix in enumerate(design.prefixes)
            if design.pairs(level)
        }

    def partitions(self, design: NestedDesign) -> list[tuple[str, np.ndarray]]:
        """Return the units of every level."""
        each = max(len(design.by), 1)
        return [(level, design.nesting.codes(level)[::each]) for level in design.levels]

    def cautions(self, design: NestedDesign) -> tuple[str, ...]:
        """Return slopes whose intercept is an extrapolation."""
        return columns_far_from_zero(design)

    def derived(
        self, design: NestedDesign, posterior: Mapping[str, Any]
    ) -> dict[str, xr.DataArray]:
        """Return each level's correlations (`nested_draws.correlations`)."""
        return correlations(posterior, design)

    def totals(self, design: NestedDesign, draws: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Return each fitted unit's total deviation, (chain, draw, unit, column) by level."""
        return total_deviations(draws, design)

    def contribution(
        self, design: NestedDesign, draws: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> np.ndarray:
        """Return the leaves' deviations times the varying columns, (chain, draw, row)."""
        leaves = total_deviations(draws, design, rng)[-1]
        eta = np.zeros((*leaves.shape[:2], len(design.nesting.leaf)))
        for j, values in enumerate(design.values):
            eta += leaves[..., j][..., design.nesting.leaf] * values
        return eta

    def varying_columns(self, design: NestedDesign) -> tuple[str, ...]:
        """Return the columns whose coefficients vary at some level."""
        return design.slopes

    def variance(
        self,
        design: NestedDesign,
        draws: Mapping[str, np.ndarray],
        at: Mapping[str, float] | None = None,
        category: int | None = None,
    ) -> dict[str, np.ndarray]:
        r"""Return each level's variance at a point of the covariates, :math:`z' D R D z`.

        Of an unordered outcome `category` is the place of the category whose columns count.
        """
        z = varying_point(design, at or {}, category)
        places = enumerate(self.levels)
        return {level: level_variance(draws, design, place, z) for place, level in places}

    def roles(self, design: NestedDesign) -> dict[str, Any]:
        """Standard deviations, correlations and effects of each level."""
        roles: dict[str, Any] = {}
        for level, prefix in enumerate(design.prefixes):
            name = design.levels[level]
            roles[f"{prefix}_sd"] = UnitRole("sd", "sd {}", name)
            roles[f"{prefix}_partial"] = UnitRole("partial", "partial cor({})", name)
            roles[f"{prefix}_correlation"] = UnitRole("sd", "cor({})", name)
        for level, prefix in enumerate(design.prefixes):
            roles[f"{prefix}_effect"] = UnitRole("effect", "{}", design.levels[level])
        return roles


def nested(
    levels: Sequence[str] | str,
    varying: str | Mapping[str, str] | None = "1",
    unique_ids: bool = False,
    eta: float | Mapping[str, float] = 2.0,
    priors: Mapping[str, Any] | None = None,
    parameterization: str | Mapping[str, str] = "auto",
    name: str | None = None,
) -> Nested:
    r"""Let coefficients vary between units within units, correlated at every level.

    .. math::
        \eta_i \mathrel{+}= z_i' t_{\mathrm{leaf}(i)}, \quad
        t_g = t_{\mathrm{parent}(g)} + d_g, \quad d_g \sim N(0, D_l R_l D_l), \quad
        R_l \sim \mathrm{LKJ}(\eta_l)

    Parameters
    ----------
    levels : sequence of str
        Id columns from the outermost to the innermost: ``["region", "school"]``.
    varying : str, mapping of str to str, or None
        Right-hand side of what varies, ``"1 + x"``, at every level or by level; a level that the
        mapping leaves out has a varying intercept. None lets the intercept vary, and each
        covariate of the formula that varies within the innermost units.
    unique_ids : bool
        Whether ids count only within their parent, so that school 1 of A and school 1 of B are
        two schools.
    eta : float or mapping of str to float
        Shape of the LKJ priors; 1 is uniform over correlation matrices.
    priors : mapping of str to prior, optional
        ``<level>_sd``: prior of the level's vector of standard deviations.
    parameterization : str or mapping of str to str
        "auto", "centered" or "noncentered", for all levels or by level.
    name : str, optional
        Prefix of the term's variables; none by default.

    Returns
    -------
    Nested

    Raises
    ------
    SpecificationError
        An argument is not understood.

    Examples
    --------
    >>> nested(["region", "school"], "1 + x").columns
    ('region', 'school', 'x')
    """
    names = (levels,) if isinstance(levels, str) else tuple(levels)
    own = as_priors(priors, "nested()")
    return Nested(names, varying, unique_ids, eta, own, parameterization, name)
