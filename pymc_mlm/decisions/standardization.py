r"""Averages of response patterns over a population, for every draw: g-computation in NumPy.

.. math:: \bar\phi_c^{(s)} = \sum_i p_i \int \operatorname{softmax}\big(A (B^{(s)} x_i
    + u z_i)\big)_c \, dF(u)

The covariate rows :math:`x_i` are the user's population; F is the distribution of the clusters
that are meant. Plugging in a mean row or mean coefficients is biased (Jensen), so
nothing is averaged before the softmax.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Bytes of one chunk's largest array; small enough to stay in cache, large enough for NumPy.
CHUNK_BYTES = 1_000_000
# Log odds up to here have sums of exponentials that are finite.
SAFE_LOG_ODDS = 600.0
# Points over which a draw's average over persons and new clusters is taken.
NEW_CLUSTER_POINTS = 1_024


@dataclass(frozen=True, eq=False)
class CoefficientDraws:
    """Draws of a trial's coefficients.

    Attributes
    ----------
    beta : ndarray, shape (sample, predictor, column)
        Coefficients.
    basis : ndarray, shape (cell - 1, predictor)
        Map from predictors to cell logits.
    """

    beta: Array
    basis: Array


class AbstractClusters(ABC):
    """Whose cluster effects are added to the linear predictors."""

    @abstractmethod
    def shift(self, draws: slice, Z: Array) -> Array:
        """Return what clusters add, shape (sample, predictor, row), for rows with slopes Z."""


@dataclass(frozen=True, eq=False)
class ObservedClusters(AbstractClusters):
    """Effects of clusters in the data.

    Attributes
    ----------
    effects : ndarray, shape (sample, cluster, slope, predictor)
    code : ndarray of int, shape (row,)
        Cluster of each row.
    """

    effects: Array
    code: Array

    def shift(self, draws: slice, Z: Array) -> Array:
        """Gather the effects of each row's cluster."""
        u = self.effects[draws][:, self.code]  # (sample, row, slope, predictor)
        return np.einsum("nr,snrm->smn", Z, u)


@dataclass(frozen=True, eq=False)
class NewClusters(AbstractClusters):
    r"""Clusters that are still to come, integrated over in every draw.

    The nodes are scrambled Sobol points, one per row; every draw turns them by other signs and
    deals them to other rows, so that errors do not add up over draws. Both arms of a draw use
    the same clusters.

    Attributes
    ----------
    roots : ndarray, shape (sample, dim, dim)
        Root of the covariance of a cluster's effects.
    nodes : ndarray, shape (row, dim)
        Standard normal points.
    signs : ndarray, shape (sample, dim)
    turn : ndarray of int, shape (sample,)
    """

    roots: Array
    nodes: Array
    signs: Array
    turn: Array

    def shift(self, draws: slice, Z: Array) -> Array:
        """Deal a cluster to every row."""
        turn, ring = self.turn[draws], self._ring(len(Z))
        root = self.roots[draws] * self.signs[draws][:, None, :]
        u = np.empty((len(turn), self.nodes.shape[1], len(Z)))  # (sample, dim, row)
        for own, first, out in zip(root, turn, u, strict=True):  # gathered nodes take twice as long
            np.matmul(own, ring[:, first : first + len(Z)], out=out)
        slopes = Z.shape[1]
        u = u.reshape(len(turn), slopes, -1, len(Z))
        return np.einsum("nr,srmn->smn", Z, u) if slopes > 1 else Z[:, 0] * u[:, 0]

    def _ring(self, rows: int) -> Array:
        """Return the nodes once around, and on for so many rows, shape (dim, node + row)."""
        around = np.arange(len(self.nodes) + rows) % len(self.nodes)
        return np.ascontiguousarray(self.nodes[around].T)


def new_clusters(roots: Array, num_rows: int, random_seed: int = 0) -> NewClusters:
    """Prepare the integration over new clusters.

    Parameters
    ----------
    roots : ndarray, shape (sample, dim, dim)
        Roots of the covariance of a cluster's effects.
    num_rows : int
        Number of points.
    random_seed : int
        Seed of the points.

    Returns
    -------
    NewClusters
    """
    from scipy.special import ndtri
    from scipy.stats import qmc

    rng = np.random.default_rng(random_seed)
    samples, dim = len(roots), roots.shape[-1]
    power = int(np.ceil(np.log2(max(num_rows, 2))))
    uniform = qmc.Sobol(dim, scramble=True, rng=rng).random_base2(power)
    nodes = ndtri(np.clip(uniform, 1e-12, 1 - 1e-12))
    signs = rng.choice([-1.0, 1.0], size=(samples, dim))
    return NewClusters(roots, nodes, signs, rng.integers(0, len(nodes), samples))


def average_cells(
    draws: CoefficientDraws,
    X: Array,
    weight: Array,
    Z: Array | None = None,
    clusters: AbstractClusters | None = None,
) -> Array:
    """Average the probabilities of response patterns over rows.

    Parameters
    ----------
    draws : CoefficientDraws
        Coefficients.
    X : ndarray, shape (row, column)
        Rows of one arm.
    weight : ndarray, shape (row,) or (sample, row)
        Weights of the rows, the same in every draw or not; scaled here.
    Z : ndarray, shape (row, slope), optional
        Columns with coefficients that vary by cluster.
    clusters : AbstractClusters, optional
        Which clusters; None for a typical one, whose effects are zero.

    Returns
    -------
    ndarray, shape (sample, cell)

    Examples
    --------
    >>> draws = CoefficientDraws(np.zeros((2, 3, 1)), np.eye(3))
    >>> average_cells(draws, np.ones((4, 1)), np.ones(4))[0]
    array([0.25, 0.25, 0.25, 0.25])
    """
    samples, free = len(draws.beta), len(draws.basis)
    weight = weight / weight.sum(axis=-1, keepdims=True)
    step = max(1, CHUNK_BYTES // (8 * (free + 1) * len(X)))
    out = np.empty((samples, free + 1))
    for start in range(0, samples, step):
        part = slice(start, min(start + step, samples))
        extra = None if clusters is None or Z is None else clusters.shift(part, Z)
        phi = cell_probabilities(draws, part, X, extra)
        by_draw = weight[part] if weight.ndim == 2 else weight[None]
        out[part, :free] = np.matmul(phi, by_draw[:, :, None])[:, :, 0]
    out[:, free] = 1.0 - out[:, :free].sum(axis=1)
    return out


def cell_probabilities(
    draws: CoefficientDraws, part: slice, X: Array, shift: Array | None = None
) -> Array:
    """Return the probabilities of all but the last pattern, shape (sample, cell - 1, row)."""
    eta = np.matmul(draws.beta[part], X.T)  # (sample, predictor, row)
    if shift is not None:
        eta += shift
    saturated = (
        draws.basis.shape[0] == draws.basis.shape[1]
        and (draws.basis == np.eye(len(draws.basis))).all()
    )
    psi = eta if saturated else np.matmul(draws.basis, eta)
    none: Any = 1.0
    if not psi.max(initial=0.0) < SAFE_LOG_ODDS:
        top = np.maximum(psi.max(axis=1), 0.0)
        psi -= top[:, None]
        none = np.exp(-top)
    np.exp(psi, out=psi)
    total = psi[:, 0] + none
    for k in range(1, psi.shape[1]):  # a sum over the middle axis takes longer
        total += psi[:, k]
    psi /= total[:, None]
    return psi


def bootstrap_weights(
    weight: Array, unit: Array, shape: Array, samples: int, rng: np.random.Generator
) -> Array:
    """Draw Bayesian bootstrap weights.

    Parameters
    ----------
    weight : ndarray, shape (row,)
        Weights of the rows.
    unit : ndarray of int, shape (row,)
        Unit of each row, ``0 .. n - 1``; the rows of one unit rise and fall together.
    shape : ndarray, shape (unit,)
        Number of persons that a unit stands for: all ones give Dirichlet(1, ..., 1).
    samples : int
        Number of draws.
    rng : Generator
        Random numbers.

    Returns
    -------
    ndarray, shape (sample, row)
        Weights on any scale.
    """
    gamma = rng.standard_gamma(shape, size=(samples, len(shape)))
    return gamma[:, unit] * (weight / shape[unit])
