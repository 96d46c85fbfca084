"""Draws that answer a question about a fitted trial: which persons, which clusters, which weights.

Functions of the posterior; nothing is fitted or compiled again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from pymc_mlm.data.arms import Array
from pymc_mlm.data.factor import Factor
from pymc_mlm.data.trial import CollapsedRows, collapse_rows
from pymc_mlm.decisions.members import SeveralClusters
from pymc_mlm.decisions.populations import PopulationRows, as_populations, population_rows
from pymc_mlm.decisions.standardization import (
    NEW_CLUSTER_POINTS,
    AbstractClusters,
    CoefficientDraws,
    ObservedClusters,
    average_cells,
    bootstrap_weights,
    cell_probabilities,
    new_clusters,
)
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.terms.cluster_effects import AbstractClusterPrior
from pymc_mlm.terms.cluster_effects import Z as OFFSETS
from pymc_mlm.trial.design import TrialModelDesign
from pymc_mlm.trial.members import AbstractTermDraws, term_draws
from pymc_mlm.trial.target import Target
from pymc_mlm.trial.terms import kinds_of_persons

# The same arguments give the same draws.
SEED = 20_231
MOST_WEIGHTS = 200_000_000
MOST_ROWS = 1_000_000


@dataclass(frozen=True, eq=False)
class TrialDraws:
    """Posterior draws of a trial's parameters, chains stacked.

    Attributes
    ----------
    design : TrialModelDesign
    coefficients : CoefficientDraws
    roots : ndarray, shape (sample, dim, dim), or None
        Root of the covariance of a cluster's effects.
    offsets : ndarray, shape (sample, cluster, dim), or None
    shape : tuple of int
        Chains and draws per chain.
    members : tuple of AbstractTermDraws
        Of each kind of a term's units, and of each other term.
    """

    design: TrialModelDesign
    coefficients: CoefficientDraws
    roots: Array | None
    offsets: Array | None
    shape: tuple[int, int]
    members: tuple[AbstractTermDraws, ...] = ()

    @property
    def effects(self) -> Array:
        """Effects of the observed clusters, shape (sample, cluster, slope, predictor)."""
        assert self.offsets is not None and self.roots is not None
        u = np.matmul(self.offsets, np.swapaxes(self.roots, 1, 2))
        return u.reshape(*u.shape[:2], len(self.design.matrix.random), -1)


def trial_draws(
    design: TrialModelDesign, posterior: xr.Dataset, prior: AbstractClusterPrior
) -> TrialDraws:
    """Take the parameters out of a posterior."""
    beta = posterior["beta"].transpose("chain", "draw", "predictor", "covariate").values
    shape = beta.shape[:2]
    flat = beta.reshape(-1, *beta.shape[2:])
    coefficients = CoefficientDraws(flat, design.trial.basis)
    contrasts = design.contrasts
    members = term_draws(design.terms, posterior, contrasts)
    if design.trial.cluster is None:
        return TrialDraws(design, coefficients, None, None, shape, members)
    roots = prior.roots(posterior, len(design.matrix.random), contrasts)
    offsets = posterior[OFFSETS].values
    offsets = offsets.reshape(-1, *offsets.shape[2:])
    return TrialDraws(design, coefficients, roots, offsets, shape, members)


def population_cells(draws: TrialDraws, target: Target, points: int = NEW_CLUSTER_POINTS) -> Array:
    """Average the response patterns of each arm over a target.

    Parameters
    ----------
    draws : TrialDraws
        Posterior draws.
    target : Target
        Population, clusters and weights.
    points : int
        Points of the integration over new clusters.

    Returns
    -------
    ndarray, shape (sample, arm, cell)
    """
    design = draws.design
    clustered = design.trial.cluster is not None
    target.check(bool(design.units))
    estimand = (target.estimand or "new_cluster") if design.units else None
    alike = _alike_persons(draws, estimand)
    rows = population_rows(as_populations(target.population), design.columns, len(design.X))
    _refuse_changed_columns(rows, design)
    coded = design.code(rows.columns, len(rows))
    own_arm = np.where(rows.person >= 0, design.trial.arm.codes[rows.person], -1)
    own_cluster = np.where(rows.person >= 0, design.cluster_codes[rows.person], -1)
    own_kind = np.where(rows.person >= 0, alike.kind[rows.person], -1)
    found = _Rows(coded, rows.weight, own_arm, own_cluster, own_kind, rows.unit)
    if target.weights is None:
        by_arm = target.covariate_rows == "arm"
        found = found.collapsed(by_arm, estimand == "observed_clusters")
    persons = float(found.weight.sum())
    found = found.for_estimand(estimand, draws, alike, points)
    rng = np.random.default_rng(SEED)
    weight = found.weight
    if target.weights is not None:
        weight = _bootstrap(found, clustered, persons, len(draws.coefficients.beta), rng)
    out = []
    for arm in range(design.matrix.num_arms):
        mine = np.arange(len(found.coded))
        if target.covariate_rows == "arm":
            mine = np.flatnonzero((found.arm == arm) | (found.arm == -1))
            if not len(mine):
                raise DataError(
                    f"covariate_rows='arm': nobody of arm {design.trial.arm.labels[arm]!r} is in "
                    "the population. Widen it, or use covariate_rows='both'."
                )
        X = design.matrix.rows(np.full(len(mine), arm), found.coded[mine])
        Z = design.matrix.random_rows(X) if clustered else np.zeros((len(mine), 0))
        person = alike.first[found.kind[mine]]
        clusters = _clusters(estimand, draws, found.cluster[mine], person)
        out.append(average_cells(draws.coefficients, X, weight[..., mine], Z, clusters))
    return np.stack(out, axis=1)


def _refuse_changed_columns(rows: PopulationRows, design: TrialModelDesign) -> None:
    """Refuse populations that change a covariate which a term reads from the persons, too."""
    read = {c: term for term, _ in design.terms for c in term.columns}
    for name, values in rows.columns.items():
        if name in read:
            own = design.columns[name][np.maximum(rows.person, 0)]
            if not ((rows.person >= 0) & (values == own)).all():
                raise SpecificationError(
                    f"The population changes {name!r}, and the term [{read[name].label}] reads it "
                    "from the persons themselves. Ask for the sample or a Range, or fit without "
                    f"{name!r} in the term."
                )


def row_shift(
    draws: TrialDraws,
    design: TrialModelDesign,
    rng: np.random.Generator,
    typical: Collection[str] = (),
) -> Array | None:
    """Return what clusters and members add to rows, shape (sample, predictor, row).

    Units that the fitted data lacked are new: one draw each per posterior draw, shared by their
    rows. Those of the columns `typical` have effects of zero.
    """
    parts = []
    cluster = design.trial.cluster
    if cluster is not None and cluster.factor.name not in typical:
        Z = design.matrix.random_rows(design.X)
        effects = _with_new(draws, cluster.factor, rng)
        parts.append(ObservedClusters(effects, cluster.factor.codes).shift(slice(None), Z))
    persons = np.arange(len(design.X))
    shared = int(rng.integers(2**31)) if draws.members else 0
    for fitted in draws.members:
        is_typical = set(fitted.units) & set(typical)
        own = fitted.typical() if is_typical else fitted
        if own is not None:
            on_rows = own.on(design.terms, rng, shared).observed(persons)
            parts.append(on_rows.shift(slice(None), design.X))
    return sum(parts[1:], start=parts[0]) if parts else None


def row_predictors(
    draws: TrialDraws,
    design: TrialModelDesign,
    rng: np.random.Generator,
    typical: Collection[str] = (),
) -> Array:
    """Return the linear predictors of rows, shape (sample, row, predictor)."""
    eta = draws.coefficients.beta @ design.X.T
    shift = row_shift(draws, design, rng, typical)
    return np.swapaxes(eta if shift is None else eta + shift, 1, 2)


def row_cells(
    draws: TrialDraws,
    design: TrialModelDesign,
    rng: np.random.Generator,
    typical: Collection[str] = (),
) -> Array:
    """Return the probabilities of the response patterns of rows, shape (sample, row, cell)."""
    shift = row_shift(draws, design, rng, typical)
    free = cell_probabilities(draws.coefficients, slice(None), design.X, shift)
    last = np.clip(1.0 - free.sum(axis=1, keepdims=True), 0.0, 1.0)
    return np.swapaxes(np.concatenate([free, last], axis=1), 1, 2)


def _with_new(draws: TrialDraws, factor: Factor, rng: np.random.Generator) -> Array:
    """Return effects of fitted clusters, and draws of those of new ones."""
    effects, fresh = draws.effects, len(factor) - factor.num_known
    if not fresh:
        return effects
    assert draws.roots is not None
    z = rng.standard_normal((len(effects), fresh, draws.roots.shape[-1]))
    u = np.matmul(z, np.swapaxes(draws.roots, 1, 2))
    return np.concatenate([effects, u.reshape(len(effects), fresh, *effects.shape[2:])], 1)


def outcome_draws(
    cells: Array, shape: tuple[int, int], design: TrialModelDesign, rng: np.random.Generator
) -> xr.DataArray:
    """Draw a response pattern for every row from its probabilities, shape (sample, row, cell)."""
    uniform = rng.random(cells.shape[:2])[..., None]
    cell = (uniform > np.cumsum(cells[..., :-1], axis=-1)).sum(axis=-1)
    digits = np.array([[int(d) for d in label] for label in design.trial.cells])
    outcomes = digits[cell]
    return xr.DataArray(
        outcomes.reshape(*shape, *outcomes.shape[1:]),
        dims=("chain", "draw", design.row_dim, "outcome"),
        coords={design.row_dim: design.row_labels, "outcome": list(design.trial.outcomes)},
        name="outcomes",
    )


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of a target: coded covariates, weights, and where they are from.

    `kind` numbers persons to whom the units of terms add alike; -1 for nobody in particular.
    """

    coded: Array
    weight: Array
    arm: Array
    cluster: Array
    kind: Array
    unit: Array

    def collapsed(self, by_arm: bool, by_cluster: bool) -> _Rows:
        """Join rows that give the same probabilities."""
        keys = [self.coded] if self.coded.shape[1] else []
        keys += [self.arm] if by_arm else []
        keys += [self.cluster] if by_cluster else []
        keys += [self.kind] if self.kind.any() else []
        if not keys:
            keys = [np.zeros(len(self.weight))]
        found = collapse_rows(*keys)
        weight = np.bincount(found.kind, weights=self.weight)
        return self._take(found.first, weight)

    def for_estimand(
        self, estimand: str | None, draws: TrialDraws, alike: CollapsedRows, points: int
    ) -> _Rows:
        """Repeat rows as often as the integration over clusters and members needs."""
        found = self._with_members(estimand == "observed_clusters", draws, alike)
        rows = np.arange(len(found.weight))
        if estimand == "observed_clusters" and draws.offsets is not None:
            if (found.cluster == -1).any():
                count = draws.offsets.shape[1]
                crossed = found._take(np.repeat(rows, count), np.repeat(found.weight, count))
                return replace(crossed, cluster=np.tile(np.arange(count), len(rows)))
        if estimand == "new_cluster":
            times = -(-points // len(rows))
            return found._take(np.tile(rows, times), np.tile(found.weight, times))
        return found

    def _with_members(self, observed: bool, draws: TrialDraws, alike: CollapsedRows) -> _Rows:
        """Give rows that are nobody the members of all persons, as often as persons have them."""
        if not (self.kind == -1).any():
            return self
        rows, count = np.arange(len(self.weight)), len(alike.first)
        if len(rows) * count > MOST_ROWS:
            raise SpecificationError(
                f"The population has {len(rows)} rows, and its members are those of {count} kinds "
                "of persons: more combinations than can be averaged over. Use a smaller "
                "population, such as Value(...) of a column, or the sample."
            )
        share = np.tile(alike.count / alike.count.sum(), len(rows))
        crossed = self._take(np.repeat(rows, count), np.repeat(self.weight, count) * share)
        kind = np.tile(np.arange(count), len(rows))
        cluster = crossed.cluster
        if observed and draws.members:
            cluster = draws.design.cluster_codes[alike.first[kind]]
        return replace(crossed, kind=kind, cluster=cluster)

    def _take(self, rows: Array, weight: Array) -> _Rows:
        own = (self.arm[rows], self.cluster[rows], self.kind[rows], self.unit[rows])
        return _Rows(self.coded[rows], weight, *own)


def _alike_persons(draws: TrialDraws, estimand: str | None) -> CollapsedRows:
    """Join persons to whom the units of terms, those that an estimand asks for, add alike."""
    design, count = draws.design, len(draws.design.X)
    if draws.members and estimand == "observed_clusters":
        return collapse_rows(kinds_of_persons(design.terms, count), design.cluster_codes)
    terms = draws.members if estimand == "new_cluster" else _at_typical(draws)
    kinds = [own.kinds() for own in terms]
    return collapse_rows(*(kinds or [np.zeros(count)]))


def _at_typical(draws: TrialDraws) -> list[AbstractTermDraws]:
    """Return what terms add where no unit has an effect."""
    found = (own.typical() for own in draws.members)
    return [own for own in found if own is not None]


def _clusters(
    estimand: str | None, draws: TrialDraws, code: Array, person: Array
) -> AbstractClusters | None:
    """Return whose effects are added: those of clusters, and of the members of persons."""
    parts: list[AbstractClusters] = []
    if estimand in (None, "typical_cluster"):
        parts += [own.observed(person) for own in _at_typical(draws)]
    if estimand == "observed_clusters":
        if draws.offsets is not None:
            parts.append(ObservedClusters(draws.effects, code))
        parts += [members.observed(person) for members in draws.members]
    if estimand == "new_cluster":
        # The same seeds for every arm: both arms meet the same clusters.
        if draws.roots is not None:
            parts.append(new_clusters(draws.roots, len(code), SEED))
        first = SEED + len(parts)
        parts += [m.new(person, first + i) for i, m in enumerate(draws.members)]
    return SeveralClusters(tuple(parts)) if len(parts) > 1 else next(iter(parts), None)


def _bootstrap(
    rows: _Rows, clustered: bool, persons: float, samples: int, rng: np.random.Generator
) -> Array:
    """Weigh persons, or whole clusters where persons come in clusters."""
    if samples * len(rows.weight) > MOST_WEIGHTS:
        raise SpecificationError(
            f"weights='bayesian_bootstrap' needs {samples} x {len(rows.weight)} weights, more "
            "than memory should hold. Use a smaller population, or fewer draws."
        )
    by_cluster = clustered and bool((rows.cluster >= 0).all())
    labels, unit = np.unique(rows.cluster if by_cluster else rows.unit, return_inverse=True)
    shape = np.ones(len(labels))
    if not by_cluster:
        shape = np.bincount(unit, weights=rows.weight) * persons / rows.weight.sum()
    return bootstrap_weights(rows.weight, unit, shape, samples, rng)
