"""Draws that answer a question about a fitted trial: which persons, which clusters, which weights.

Functions of the posterior; nothing is fitted or compiled again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.data.arms import Array
from pymc_mlm.data.trial import collapse_rows
from pymc_mlm.decisions.populations import as_populations, population_rows
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

ESTIMANDS = ("typical_cluster", "observed_clusters", "new_cluster")
# The same arguments give the same draws.
SEED = 20_231
MOST_WEIGHTS = 200_000_000


@dataclass(frozen=True)
class Target:
    """What an effect is averaged over.

    Attributes
    ----------
    population : object
        Population, several, or None for the sample.
    estimand : str or None
        One of `ESTIMANDS`; None for the default.
    weights : {"bayesian_bootstrap"} or None
        Whether the population is the sample itself (None) or what it was drawn from.
    covariate_rows : {"both", "arm"}
        Whether both arms are evaluated on the same rows, or each on its own (bmco).
    """

    population: Any = None
    estimand: str | None = None
    weights: str | None = None
    covariate_rows: str = "both"

    def check(self, clustered: bool) -> None:
        """Raise a `SpecificationError` for words that are not known."""
        if self.estimand is not None and self.estimand not in ESTIMANDS:
            raise SpecificationError(
                f"estimand={self.estimand!r} is not known. Use one of {', '.join(ESTIMANDS)}."
            )
        if self.estimand is not None and not clustered:
            raise SpecificationError(
                f"estimand={self.estimand!r} is about clusters, and the model has none. Leave "
                "it out, or fit with cluster=."
            )
        if self.weights not in (None, "bayesian_bootstrap"):
            raise SpecificationError(
                f"weights={self.weights!r} is not known. Use 'bayesian_bootstrap', or None for "
                "the sample as it is."
            )
        if self.covariate_rows not in ("both", "arm"):
            raise SpecificationError(
                f"covariate_rows={self.covariate_rows!r} is not known. Use 'both' (default), or "
                "'arm' to average each arm over its own persons, as bmco does."
            )


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
    """

    design: TrialModelDesign
    coefficients: CoefficientDraws
    roots: Array | None
    offsets: Array | None
    shape: tuple[int, int]

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
    if design.trial.cluster is None:
        return TrialDraws(design, coefficients, None, None, shape)
    roots = prior.roots(posterior, len(design.matrix.random), flat.shape[1])
    offsets = posterior[OFFSETS].values
    return TrialDraws(design, coefficients, roots, offsets.reshape(-1, *offsets.shape[2:]), shape)


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
    target.check(clustered)
    estimand = (target.estimand or "new_cluster") if clustered else None
    rows = population_rows(as_populations(target.population), design.columns, len(design.X))
    coded = design.code(rows.columns, len(rows))
    own_arm = np.where(rows.person >= 0, design.trial.arm.codes[rows.person], -1)
    own_cluster = np.where(rows.person >= 0, design.cluster_codes[rows.person], -1)
    found = _Rows(coded, rows.weight, own_arm, own_cluster, rows.unit)
    if target.weights is None:
        by_arm = target.covariate_rows == "arm"
        found = found.collapsed(by_arm, estimand == "observed_clusters")
    persons = float(found.weight.sum())
    found = found.for_estimand(estimand, draws, points)
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
        Z = design.matrix.random_rows(X) if clustered else None
        clusters = _clusters(estimand, draws, found.cluster[mine])
        out.append(average_cells(draws.coefficients, X, weight[..., mine], Z, clusters))
    return np.stack(out, axis=1)


def row_shift(
    draws: TrialDraws, design: TrialModelDesign, rng: np.random.Generator
) -> Array | None:
    """Return what clusters add to the linear predictors of rows, (sample, predictor, row).

    Clusters that the fitted data lacked are new: one draw each per posterior draw, shared by
    their rows.
    """
    if design.trial.cluster is None:
        return None
    factor, effects = design.trial.cluster.factor, draws.effects
    samples, fresh = len(effects), len(factor) - factor.num_known
    if fresh:
        assert draws.roots is not None
        z = rng.standard_normal((samples, fresh, draws.roots.shape[-1]))
        u = np.matmul(z, np.swapaxes(draws.roots, 1, 2))
        effects = np.concatenate([effects, u.reshape(samples, fresh, *effects.shape[2:])], 1)
    Z = design.matrix.random_rows(design.X)
    return ObservedClusters(effects, factor.codes).shift(slice(None), Z)


def row_predictors(draws: TrialDraws, design: TrialModelDesign, rng: np.random.Generator) -> Array:
    """Return the linear predictors of rows, shape (sample, row, predictor)."""
    eta = draws.coefficients.beta @ design.X.T
    shift = row_shift(draws, design, rng)
    return np.swapaxes(eta if shift is None else eta + shift, 1, 2)


def row_cells(draws: TrialDraws, design: TrialModelDesign, rng: np.random.Generator) -> Array:
    """Return the probabilities of the response patterns of rows, shape (sample, row, cell)."""
    shift = row_shift(draws, design, rng)
    free = cell_probabilities(draws.coefficients, slice(None), design.X, shift)
    last = np.clip(1.0 - free.sum(axis=1, keepdims=True), 0.0, 1.0)
    return np.swapaxes(np.concatenate([free, last], axis=1), 1, 2)


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
        dims=("chain", "draw", "row", "outcome"),
        coords={"row": design.trial.rows, "outcome": list(design.trial.outcomes)},
        name="outcomes",
    )


def described(target: Target, clustered: bool) -> str:
    """Describe a target in a sentence."""
    population = " and ".join(p.label for p in as_populations(target.population))
    rows = "both arms on the same covariate rows"
    if not clustered:
        return f"Population: {population}; {rows}."
    estimand = target.estimand or "new_cluster"
    meaning = {
        "new_cluster": "averaged over clusters that are still to come",
        "observed_clusters": "averaged over the observed clusters only",
        "typical_cluster": "in a cluster whose effects are zero",
    }[estimand]
    return f"Population: {population}; {rows}, {meaning} (estimand {estimand!r})."


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of a target: coded covariates, weights, and the arm, cluster and unit they are from."""

    coded: Array
    weight: Array
    arm: Array
    cluster: Array
    unit: Array

    def collapsed(self, by_arm: bool, by_cluster: bool) -> _Rows:
        """Join rows that give the same probabilities."""
        keys = [self.coded] if self.coded.shape[1] else []
        keys += [self.arm] if by_arm else []
        keys += [self.cluster] if by_cluster else []
        if not keys:
            keys = [np.zeros(len(self.weight))]
        found = collapse_rows(*keys)
        weight = np.bincount(found.kind, weights=self.weight)
        return self._take(found.first, weight)

    def for_estimand(self, estimand: str | None, draws: TrialDraws, points: int) -> _Rows:
        """Repeat rows as often as the integration over clusters needs."""
        rows = np.arange(len(self.weight))
        if estimand == "observed_clusters" and (self.cluster == -1).any():
            assert draws.offsets is not None
            count = draws.offsets.shape[1]
            crossed = self._take(np.repeat(rows, count), np.repeat(self.weight, count))
            cluster = np.tile(np.arange(count), len(rows))
            return _Rows(crossed.coded, crossed.weight, crossed.arm, cluster, crossed.unit)
        if estimand == "new_cluster":
            times = -(-points // len(rows))
            return self._take(np.tile(rows, times), np.tile(self.weight, times))
        return self

    def _take(self, rows: Array, weight: Array) -> _Rows:
        return _Rows(self.coded[rows], weight, self.arm[rows], self.cluster[rows], self.unit[rows])


def _clusters(estimand: str | None, draws: TrialDraws, code: Array) -> AbstractClusters | None:
    if estimand == "observed_clusters":
        return ObservedClusters(draws.effects, code)
    if estimand == "new_cluster":
        assert draws.roots is not None
        # The same seed for every arm: both arms meet the same clusters.
        return new_clusters(draws.roots, len(code), SEED)
    return None


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
