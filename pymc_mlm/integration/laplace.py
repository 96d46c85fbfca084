r"""Effects integrated out by Laplace's method, with the next order of its expansion.

Rows have the linear predictor :math:`\eta = o + B u`, effects are standard normal (their
standard deviations and correlations are in the entries of B), and :math:`l_i(\eta_i)` is
the log density of a row. With the mode :math:`a` of :math:`\sum l - u'u / 2`, :math:`W = -l''` and
:math:`H = I + B'WB`, :math:`V = H^{-1}`,

.. math:: \log p(y) \approx L + \epsilon, \qquad L = \sum l - a'a/2 - \log|H| / 2 .

The gradient of :math:`L` counts that the mode moves. With :math:`h_{ij} = (B V B')_{ij}`,
:math:`h_i = h_{ii}`, :math:`q = h l''' / 2`, :math:`z = V B' q` and :math:`s = l' + q - W (B z)`:
:math:`dL/do = s`; for the entry :math:`k` of row :math:`i` in column :math:`c`,
:math:`dL/dw_k = s_i a_c + l'_i z_c - W_i (V B')_{ci}`; for a parameter of the family,
:math:`\sum l_\kappa + h' l''_\kappa / 2 + (Bz)' l'_\kappa`. The second order [1]_ is

.. math:: \epsilon = \sum_i l''''_i h_i^2 / 8 + q' B z / 2
          + \sum_{ij} l'''_i h_{ij}^3 l'''_j / 12 ,

its last sum over pairs of rows of the same units; those of different units, whose :math:`h_{ij}` is
small, are left out.

References
----------
.. [1] Shun, Z. & McCullagh, P. (1995). Laplace approximation of high dimensional integrals. Journal
   of the Royal Statistical Society B 57, 749-760.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pymc_mlm.integration.factor import Factor, Inverse, factor
from pymc_mlm.integration.importance import IntegrationError
from pymc_mlm.integration.log_densities import Derivatives
from pymc_mlm.integration.rows import Rows

Array = np.ndarray[Any, Any]

# Of the squared Newton decrement, twice the log density that a step could still gain: the last
# step is taken at less, and leaves its square.
TOLERANCE = 1e-8
MOST_STEPS = 100
# Solves with an old factor that take longer are dearer than a new one.
MOST_SOLVES = 8
# Number of effects behind the front up to which a new factor costs less than old solves.
CHEAP_FACTOR = 300


@dataclass(frozen=True, eq=False)
class Laplace:
    """The normal approximation of the effects at given parameters.

    Attributes
    ----------
    rows : Rows
        The table.
    entries : ndarray, shape (entry,)
        Entries of B.
    offset : ndarray, shape (row,)
        Linear predictor without effects.
    parameters : ndarray, shape (parameter,)
        Logs of the family's parameters.
    mode : ndarray, shape (effect,)
        Mode of the effects, in prior standard deviations.
    eta : ndarray, shape (row,)
        Linear predictor at the mode.
    root : Factor
        Cholesky factor of the precision at the mode.
    value : float
        Log marginal density without the second order.
    known_variance : ndarray, shape (row,), optional
        Variance of each row's linear predictor, where it is known without the covariance.
    """

    rows: Rows
    entries: Array
    offset: Array
    parameters: Array
    mode: Array
    eta: Array
    root: Factor
    value: float
    known_variance: Array | None = None

    @cached_property
    def derivatives(self) -> Derivatives:
        """Of the rows' log densities at the mode."""
        return self.rows.derivatives(self.eta, self.parameters)

    @cached_property
    def covariance(self) -> Inverse:
        """Inverse of the precision, where rows have entries."""
        return self.root.inverse()

    @cached_property
    def _covariances(self) -> tuple[Array, Array]:
        from pymc_mlm.integration import kernels

        by_entry, variance = np.empty(len(self.entries)), np.empty(len(self.eta))
        kernels.covariances(*self._layout, self.entries, *self.covariance, by_entry, variance)
        return by_entry, variance

    @property
    def _layout(self) -> tuple[Array, ...]:
        rows = self.rows
        return rows.indptr, rows.columns, rows.links.unit, rows.links.link

    @property
    def by_entry(self) -> Array:
        """Covariance of each entry's effect with its row's linear predictor."""
        return self._covariances[0]

    @property
    def variance(self) -> Array:
        """Variance of each row's linear predictor."""
        return self._covariances[1] if self.known_variance is None else self.known_variance

    @cached_property
    def shift(self) -> Array:
        """Mean of the effects less their mode, to first order."""
        if not self.derivatives.by_eta[2].any():
            return np.zeros_like(self.mode)
        q = 0.5 * self.variance * self.derivatives.by_eta[2]
        return self.root.solve(self.rows.transposed(self.entries, q))

    @cached_property
    def moved(self) -> Array:
        """What the shift does to the linear predictor."""
        return self.rows.times(self.entries, self.shift)

    def gradient(self) -> tuple[Array, Array, Array]:
        """Return the gradient of `value` by the entries, the offset and the parameters."""
        l1, l2, l3, _ = self.derivatives.by_eta
        by_offset = l1 + 0.5 * self.variance * l3 + l2 * self.moved
        at, row = self.rows.columns, self.rows.owners
        by_entries = by_offset[row] * self.mode[at] + l1[row] * self.shift[at]
        by_entries += l2[row] * self.by_entry
        of_value, of_slope, of_curve = np.moveaxis(self.derivatives.by_parameter, 1, 0)
        by_parameters = (
            of_value.sum(axis=1) + of_curve @ (0.5 * self.variance) + of_slope @ self.moved
        )
        return by_entries, by_offset, by_parameters

    @cached_property
    def second_order(self) -> float:
        """What the next order of the expansion adds to `value`."""
        _, _, l3, l4 = self.derivatives.by_eta
        if not (l3.any() or l4.any()):  # quadratic: nothing is approximated
            return 0.0
        h = self.variance
        return float(l4 @ h**2 / 8 + 0.25 * (h * l3) @ self.moved + self._cubes(l3) / 12)

    def _cubes(self, l3: Array) -> float:
        """Sum ``l3_i h_ij^3 l3_j`` over pairs of rows with the same effects."""
        if self.rows.patterns is None:
            return float(l3**2 @ self.variance**3)
        from pymc_mlm.integration import kernels

        where = *self.rows.patterns, *self._layout
        return float(kernels.cubes(*where, self.entries, *self.covariance, l3))

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw from the normal approximation, its mean moved from the mode by the shift.

        Parameters
        ----------
        count : int
            Number of draws.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        effects : ndarray, shape (effect, count)
            In prior standard deviations.
        log_ratio : ndarray, shape (count,)
            Log of the joint density of outcomes and effects over that of the draw; the mean of its
            exponential is the marginal density without error of approximation.
        """
        z = rng.standard_normal((self.rows.size, count))
        mean = self.mode + self.shift
        u = self.root.scale(z) + mean[:, None]
        eta = self.offset[:, None] + self.rows.matrix(self.entries) @ u
        joint = self.rows.log_density(eta, self.parameters) - 0.5 * (u * u).sum(axis=0)
        return u, joint + 0.5 * (z * z).sum(axis=0) - self.root.log_determinant


def laplace(
    rows: Rows,
    entries: Array,
    offset: Array,
    parameters: Array,
    near: tuple[Array, Factor] | None = None,
    tolerance: float = TOLERANCE,
    is_proposal: bool = False,
) -> Laplace:
    """Find the mode of the effects and the normal approximation there.

    Parameters
    ----------
    rows : Rows
        The table.
    entries : ndarray, shape (entry,)
        Entries of B: weights or covariates times the root of the effects' covariance.
    offset : ndarray, shape (row,)
        Linear predictor without effects.
    parameters : ndarray, shape (parameter,)
        Logs of the family's parameters.
    near : tuple of ndarray and Factor, optional
        Mode and root at parameters nearby: where the search starts.
    tolerance : float
        Squared Newton decrement before the last step.
    is_proposal : bool
        Whether draws will be weighted, so that the factor of the last step serves.

    Returns
    -------
    Laplace

    Raises
    ------
    IntegrationError
        The log density overflows, or has no mode with a curvature.

    Notes
    -----
    Newton's method with halved steps; solves by conjugate gradients with the last Cholesky factor
    as preconditioner, since factors are the dear part. Rows without a convex log density, outliers
    under a Student t, count as flat in the steps and as they are in the precision.
    """
    a, root = (np.zeros(rows.size), None) if near is None else near
    eta = offset + rows.times(entries, a)
    value = rows.log_density(eta, parameters) - 0.5 * a @ a
    for _ in range(MOST_STEPS):
        if not np.isfinite(value):
            if not a.any():
                raise IntegrationError("the log density of the outcomes overflows")
            a = np.zeros(rows.size)  # the mode nearby does not do here
            eta, value = offset, rows.log_density(offset, parameters)
            continue
        l1, l2, *_ = rows.derivatives(eta, parameters).by_eta
        gradient = rows.transposed(entries, l1) - a
        W = np.maximum(-l2, 0.0)
        step, is_factor_near = None, False
        if root is not None and rows.size - rows.num_front > CHEAP_FACTOR:
            step = _solve(rows, entries, W, root, gradient)
        if step is None:
            root, is_factor_near = factor(rows, entries, W), bool((l2 <= 0).all())
            step = root.solve(gradient)
        move = rows.times(entries, step)
        if gradient @ step < tolerance:
            a, eta = a + step, eta + move  # to its square, without a search
            break
        a, eta, value = _ascend(rows, parameters, (a, eta, value), step, move)
    else:
        raise IntegrationError(f"the mode of the effects is not reached in {MOST_STEPS} steps")
    if root is None or not (is_proposal and is_factor_near):
        curvature = -rows.derivatives(eta, parameters).by_eta[1]
        is_large = rows.size - rows.num_front > CHEAP_FACTOR
        root = factor(rows, entries, curvature, is_proposal and is_large)
    joint = rows.log_density(eta, parameters) - 0.5 * a @ a
    marginal = float(joint - root.log_determinant)
    return Laplace(rows, entries, offset, parameters, a, eta, root, marginal)


def _ascend(
    rows: Rows, parameters: Array, at: tuple[Array, Array, Any], step: Array, move: Array
) -> tuple[Array, Array, Any]:
    """Take a step, or a fraction of it that improves the log density."""
    a, eta, value = at
    scale = 1.0
    while scale > 1e-6:
        new, ahead = a + scale * step, eta + scale * move
        gained = rows.log_density(ahead, parameters) - 0.5 * new @ new
        if gained >= value - 1e-12 * abs(value):
            return new, ahead, gained
        scale /= 2
    raise IntegrationError("the log density of the effects does not rise along its gradient")


def _solve(rows: Rows, entries: Array, W: Array, root: Factor, b: Array) -> Array | None:
    """Solve ``(I + B'WB) x = b`` by preconditioned conjugate gradients; None if that is slow."""
    x, r = np.zeros_like(b), b
    z = root.solve(r)
    direction, rz = z, r @ z
    goal = 1e-4 * rz
    for _ in range(MOST_SOLVES):
        along = W * rows.times(entries, direction)
        applied = direction + rows.transposed(entries, along)
        alpha = rz / (direction @ applied)
        x, r = x + alpha * direction, r - alpha * applied
        z = root.solve(r)
        rz, before = r @ z, rz
        if rz <= goal:
            return x
        direction = z + (rz / before) * direction
    return None
