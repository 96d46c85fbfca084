"""Coefficients that vary between units within units: `resolve` reads, `effect` writes graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr

from pymc_mlm.approximation.unit_information import UnitInformation
from pymc_mlm.data.checks import constant_within
from pymc_mlm.data.factor import Factor
from pymc_mlm.data.formula import parse_terms
from pymc_mlm.data.frame import category_levels, columns, open_table
from pymc_mlm.data.nested_design import (
    NestedDesign,
    columns_far_from_zero,
    nested_design,
    varies_within,
)
from pymc_mlm.data.nesting import Nesting, name_missing, nest
from pymc_mlm.data.population import (
    INTERCEPT,
    PopulationDesign,
    population_design,
    right_hand_columns,
)
from pymc_mlm.distributions.partial_correlation import PartialCorrelation
from pymc_mlm.distributions.unit_effects import Coordinates, UnitEffects
from pymc_mlm.errors import SpecificationError
from pymc_mlm.ops.correlation import cholesky_from_partials, lkj_partial_alphas
from pymc_mlm.ops.unit_predictor import unit_predictor
from pymc_mlm.ops.unit_score import unit_score
from pymc_mlm.ops.unit_totals import unit_totals
from pymc_mlm.priors import Prior, as_priors, check_priors, create
from pymc_mlm.terms.base import AbstractTerm, add_coords, data, pick_priors
from pymc_mlm.terms.linear import LinearPart
from pymc_mlm.terms.nested_draws import (
    correlations,
    level_variance,
    total_deviations,
    varying_point,
)
from pymc_mlm.terms.unit_block import UnitBlock, one_unit_each

AUTO, CENTERED, NONCENTERED, INFORMED = "auto", "centered", "noncentered", "informed"
PARAMETERIZATIONS = (AUTO, CENTERED, NONCENTERED)


@dataclass(frozen=True)
class UnitRole:
    """What a variable with a place per coefficient means: `Role` for the units of a level.

    Attributes
    ----------
    kind : {"sd", "correlation", "partial", "effect"}
        What it is; correlations are shown with the standard deviations.
    pattern : str
        Row label in a summary, with ``{}`` for the coordinate.
    term : str
        The level.
    """

    kind: str
    pattern: str
    term: str

    def text(self, coordinate: Any = None) -> str:
        """Return the row label, for example ``"sd x [school]"``."""
        if isinstance(coordinate, tuple):
            coordinate = ", ".join(str(c) for c in coordinate)
        return f"{self.pattern.format(coordinate)} [{self.term}]"


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
            if choice not in PARAMETERIZATIONS:
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

    def num_effects(self, design: NestedDesign) -> int:
        """Return the number of coefficients of all units."""
        return int(design.nesting.sizes @ design.varies.sum(axis=1))

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
        """Read the units of each row and the columns whose coefficients vary.

        Parameters
        ----------
        data : dataframe or mapping of str to array_like
            One row per observation.
        known : NestedDesign, optional
            Fitted design: its units keep their place, others are new.
        group : Factor, optional
            Units of observation, each in one unit of every level; each row by default.
        population : PopulationDesign, optional
            Covariates of the formula; needed for ``varying=None``, which lets every one vary that
            varies within the innermost units.

        Returns
        -------
        NestedDesign

        Raises
        ------
        DataError
            An id is missing or has two parents, the levels are in the wrong order, a level has a
            single unit, or a slope is to vary where its covariate does not.
        """
        data = open_table(data, self.columns)
        table, levels = columns(data, self.columns), category_levels(data, self.columns)
        if group is not None:
            remedy = f"Each {group.name!r} belongs to one unit of every level."
            table = {k: constant_within(k, v, group, remedy) for k, v in table.items()}
        if known is not None:
            ids = {level: table[level] for level in self.levels}
            table = table | name_missing(ids, known.nesting, self.unique_ids)
        nesting = nest(table, self.levels, self.unique_ids, known.nesting if known else None)
        if self.varying is None:
            return self._by_default(nesting, population, known)
        coded, at_level = {}, {}
        for level in self.levels:
            text = self.formula_of(level)
            if text not in coded:
                formula = parse_terms(text)
                own = {n: table[n] for n in right_hand_columns(formula)}
                before = known.coded[text] if known else None
                own_levels = {n: levels[n] for n in own if n in levels}
                coded[text] = population_design(formula, own, len(nesting.leaf), before, own_levels)
            at_level[level] = varying_columns(coded[text])
        return nested_design(self.name or "", nesting, at_level, coded, known)

    def _by_default(
        self, nesting: Nesting, population: PopulationDesign | None, known: NestedDesign | None
    ) -> NestedDesign:
        """Let the intercept vary, and each covariate that varies within the innermost units."""
        if population is None:
            raise SpecificationError(
                "nested(varying=None) lets the covariates of a formula vary, and there is none "
                "here. Write what varies, such as varying='1 + x'."
            )
        own = dict(zip(population.names, population.X.T, strict=True))
        leaf, leaves = nesting.leaf, len(nesting.labels[-1])
        slopes = [name for name, x in own.items() if varies_within(x, leaf, leaves)]
        names = known.columns if known else (INTERCEPT, *slopes)
        ones = np.broadcast_to(1.0, len(leaf))
        values = [own.get(n, ones) for n in names]
        at_level = {level: (names, values) for level in self.levels}
        return nested_design(self.name or "", nesting, at_level, {}, known)

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
            (`approximation.unit_information.unit_information`), its covariates being those of
            `around` in their order. Without it parameterization="auto" is "noncentered".
        also : sequence of TensorVariable, each of shape (count,)
            Further coefficients and effects of crossed units, whose columns come last in the
            information.

        Returns
        -------
        TensorVariable, shape (row,)
            Contribution to the linear predictor, population coefficients not included.
        """
        total = self._totals(design, scale, around, information, also)[-1]
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
        """Add the units' effects and return each unit's total deviation, level by level.

        Parameters
        ----------
        design, scale, around, information
            As in `effect`.

        Returns
        -------
        list of list of TensorVariable, shape (unit,)
            Per level, outermost first, one vector per column of ``design.columns``: the sum of
            the deviations of the unit and its ancestors. `unit_totals` names them.
        """
        totals = self._totals(design, scale, around, information)
        return [[total[:, j] for j in range(len(design.columns))] for total in totals]

    def linear(self, design: NestedDesign) -> tuple[LinearPart, ...]:
        """Return an entry per row and coefficient of each level: a row of Z times the root."""
        model, count, parts = pm.modelcontext(None), len(design.nesting.leaf), []
        for level, prefix in enumerate(design.prefixes):
            at = np.flatnonzero(design.varies[level])
            sd, p, units = model[f"{prefix}_sd"], len(at), len(design.nesting.labels[level])
            of_one: Any = np.eye(p)
            if design.pairs(level):
                of_one = cholesky_from_partials(model[f"{prefix}_partial"], p)
            root = sd[:, None] * of_one
            unit = design.nesting.codes(design.levels[level])
            columns = (p * unit[:, None] + np.arange(p)).ravel()
            entries = pt.dot(design.Z[:, at], root).ravel()
            rows = np.repeat(np.arange(count), p)
            parts.append(LinearPart(f"{prefix}_effect", (units, p), rows, columns, entries, root))
        return tuple(parts)

    def _totals(
        self,
        design: NestedDesign,
        scale: float,
        around: Mapping[str, Any] | None,
        information: Sequence[UnitInformation] | None,
        also: Sequence[Any] = (),
    ) -> list[Any]:
        """Add the units' effects and return a matrix (unit, column) of totals per level."""
        sds, partials = self.parameters(design, scale)
        population = dict(around or {})
        # The outermost units have no parents.
        above: Any = np.zeros((0, len(design.columns)))
        parent: Any = np.zeros(0, dtype=np.int64)
        totals = []
        for level, prefix in enumerate(design.prefixes):
            at = np.flatnonzero(design.varies[level])
            if level:
                parent = data(f"{prefix}_parent", design.nesting.parents[level])
            how, precision = self.coordinates(level, information), None
            if information is not None and how == INFORMED:
                unit_info = information[level]
                coefs = [pt.stack(list(population.values()))] if population else []
                centre = _score(prefix, unit_info, at, [*coefs, *also], above, parent)
                precision = data(f"{prefix}_precision", _lower_triangle(unit_info.precision, at))
            else:
                centre = _by_unit(f"{prefix}_zeros", np.zeros((design.num_known[level], len(at))))
            if how == CENTERED:
                base = [population.get(design.columns[j], 0.0) for j in at]
                given = above[parent[: centre.shape[0]]][:, at] if level else 0.0
                centre = centre + given + pt.stack(base)
            effects = centre, precision, Coordinates(how)
            own = self._deviations(design, level, sds[level], partials[level], *effects)
            alone = level == 0 and len(at) == len(design.columns)
            above = own if alone else unit_totals(above, own, parent, at)
            totals.append(above)
        return totals

    def _deviations(
        self,
        design: NestedDesign,
        level: int,
        sd: Any,
        partial: Any,
        around: Any,
        precision: Any,
        coordinates: Coordinates,
    ) -> Any:
        """Add a level's effects: one row per fitted unit, and one per new unit."""
        name, prefix = design.levels[level], design.prefixes[level]
        labels, known = design.nesting.labels[level], design.num_known[level]
        p = len(design.coefs(level))
        add_coords({name: labels[:known]})
        partial = pt.zeros(0) if partial is None else partial
        effects = UnitEffects(
            f"{prefix}_effect", sd, partial, around, precision, dims=(name, f"{prefix}_coef"),
            transform=coordinates,
        )  # fmt: skip
        if known == len(labels):
            return effects
        add_coords({f"{name}_new": labels[known:]})
        new = UnitEffects(
            f"{prefix}_effect_new", sd, partial, pt.zeros((len(labels) - known, p)),
            dims=(f"{name}_new", f"{prefix}_coef"),
        )  # fmt: skip
        return pt.concatenate([effects, new])

    def coordinates(
        self,
        level: int,
        information: Sequence[UnitInformation] | None = None,
    ) -> str:
        """Return the coordinates in which a level is sampled: a kind of `Coordinates`."""
        chosen = self.parameterization_of(self.levels[level])
        if chosen != AUTO:
            return chosen
        return NONCENTERED if information is None else INFORMED

    def coordinate_notes(
        self,
        design: NestedDesign,
        information: Sequence[UnitInformation] | None,
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
        """Add each level's standard deviations and correlations to the current model.

        Returns
        -------
        sds, partials : list of TensorVariable
            One vector per level, (coef,) and (pair,); None where a level has no correlations.
        """
        sds, partials = [], []
        for level, prefix in enumerate(design.prefixes):
            names = design.coefs(level)
            add_coords({f"{prefix}_coef": names})
            prior = self.priors_used(design, scale)[f"{prefix}_sd"]
            sds.append(create(prior, f"{prefix}_sd", f"{prefix}_coef", positive=True))
            partials.append(self._partial(design, level, prefix))
        return sds, partials

    def _partial(self, design: NestedDesign, level: int, prefix: str) -> Any:
        pairs = design.pairs(level)
        if not pairs:
            return None
        add_coords({f"{prefix}_pair": pairs})
        alphas = lkj_partial_alphas(len(design.coefs(level)), self.eta_of(design.levels[level]))
        return PartialCorrelation(
            f"{prefix}_partial", alphas, shape=len(pairs), dims=f"{prefix}_pair"
        )

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
            at = design.varies[level]
            sigma = 2.5 * scale / design.spreads[at]
            ratio = (design.means[at] / design.spreads[at]) ** 2
            is_intercept = np.array([c == INTERCEPT for c in design.coefs(level)])
            sigma = np.where(is_intercept, 2.5 * scale * np.sqrt(1.0 + ratio.sum()), sigma)
            defaults[f"{prefix}_sd"] = Prior("HalfNormal", sigma=sigma)
            short[f"{prefix}_sd"] = f"{design.levels[level]}_sd"
            names[f"{prefix}_sd"] = design.coefs(level)
        return pick_priors(f"nested({list(self.levels)!r})", defaults, short, self.priors, names)

    def unit_blocks(self, design: NestedDesign) -> tuple[UnitBlock, ...]:
        """Units of each level; columns centred, where an intercept varies, and scaled."""
        blocks = []
        for place, (level, prefix) in enumerate(zip(self.levels, design.prefixes, strict=True)):
            nesting, at = design.nesting, design.varies[place]
            units = Factor(
                level, nesting.labels[place], nesting.codes(level), design.num_known[place]
            )
            coefs = design.coefs(place)
            centre = design.means[at] if INTERCEPT in coefs else 0.0
            Z = (design.Z[:, at] - centre) / design.spreads[at]
            weight = np.ones(len(Z))
            links, eta = one_unit_each(units), self.eta_of(level)
            blocks.append(UnitBlock(prefix, level, links, weight, Z, coefs, eta))
        return tuple(blocks)

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
        return [(level, design.nesting.codes(level)) for level in design.levels]

    def cautions(self, design: NestedDesign) -> tuple[str, ...]:
        """Return slopes whose intercept is an extrapolation."""
        return columns_far_from_zero(design)

    def derived(
        self, design: NestedDesign, posterior: Mapping[str, Any]
    ) -> dict[str, xr.DataArray]:
        """Return each level's correlations, computed from its partial correlations.

        Returns
        -------
        dict of str to DataArray, dims (chain, draw, level_pair)
            By variable name, ``<level>_correlation``.
        """
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

    def variance(
        self,
        design: NestedDesign,
        draws: Mapping[str, np.ndarray],
        at: Mapping[str, float] | None = None,
    ) -> dict[str, np.ndarray]:
        r"""Return each level's variance at a point of the covariates, :math:`z' D R D z`."""
        z = varying_point(design, at or {})
        return {
            level: level_variance(draws, design, place, z)
            for place, level in enumerate(self.levels)
        }

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


def _score(
    prefix: str,
    unit_info: UnitInformation,
    at: np.ndarray,
    coefs: list[Any],
    above: Any,
    parent: Any,
) -> Any:
    """Return the slope of the units' log likelihood at their parents' coefficients."""
    return unit_score(
        _by_unit(f"{prefix}_score", unit_info.score[:, at]),
        data(f"{prefix}_cross", unit_info.cross[:, at] if coefs else unit_info.cross[:, at, :0]),
        data(f"{prefix}_precision_rows", unit_info.precision[:, at]),
        joined(coefs),
        above,
        parent,
    )


def joined(parts: Sequence[Any]) -> Any:
    """Return vectors as one, without entries if there are none."""
    return pt.zeros(0) if not parts else parts[0] if len(parts) == 1 else pt.concatenate(parts)


def _by_unit(name: str, values: np.ndarray) -> Any:
    """Add data with a row per unit, whose number of columns is static."""
    return pt.specify_shape(data(name, values), (None, values.shape[1]))


def _lower_triangle(precision: np.ndarray, at: np.ndarray) -> np.ndarray:
    rows, columns = np.tril_indices(len(at))
    return precision[:, at[rows], at[columns]]


def varying_columns(coded: Any) -> tuple[tuple[str, ...], np.ndarray]:
    """Return names and values of a coded formula's columns, the intercept among them."""
    names = ((INTERCEPT,) if coded.intercept else ()) + coded.names
    ones = np.ones((len(coded.X), int(coded.intercept)))
    return names, np.hstack([ones, coded.X])


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
