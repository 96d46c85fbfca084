"""Mode of effects and variance of rows, followed from the mode of the hyperparameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from pymc_mlm.integration.importance import Mode, root_of
from pymc_mlm.integration.laplace import Laplace
from pymc_mlm.integration.matrix_free import MatrixFree

Array = np.ndarray[Any, Any]

# Trends are not followed further than this many standard deviations.
FARTHEST = 3.0


@dataclass(frozen=True, eq=False)
class Trend:
    """What the approximation of the effects is near the mode of the hyperparameters.

    Attributes
    ----------
    mode : Mode
        Mode of the hyperparameters.
    center : Laplace
        The approximation there.
    slope, curve : ndarray, shape (axis, effect)
        First two derivatives of the effects' mode along each axis of the covariance's root.
    spread : ndarray, shape (axis, row)
        First derivative of the variance of each row's linear predictor.
    smallest, largest : ndarray, shape (row,)
        Of the variances that were met: no other is believed.
    orders : ndarray, shape (axis, 2)
        Second order of the log marginal ahead and behind on each axis.
    residuals : ndarray, shape (axis, 2)
        Half the log determinant of the precision scaled to a unit diagonal, there.
    """

    mode: Mode
    center: Laplace
    slope: Array
    curve: Array
    spread: Array
    smallest: Array
    largest: Array
    orders: Array
    residuals: Array

    def effects(self, point: Array) -> Array:
        """Return the effects' mode at hyperparameters nearby."""
        x = self._along(point)
        return np.asarray(self.center.mode + x @ self.slope + 0.5 * x**2 @ self.curve)

    def variance(self, point: Array, entries: Array) -> Array:
        """Return the variance of rows at hyperparameters nearby, whose entries of B are given."""
        followed = self.center.variance + self._along(point) @ self.spread
        prior = self.center.rows.squares(entries)
        return np.asarray(np.minimum(np.clip(followed, self.smallest, self.largest), prior))

    def second_order(self, point: Array) -> float:
        """Return the second order of the log marginal at hyperparameters nearby."""
        return self._linear(point, self.center.second_order, self.orders)

    def log_determinant(self, point: Array, diagonal: Array) -> float:
        """Return half that of the precision whose diagonal is given."""
        residual = self._linear(point, self._residual, self.residuals)
        return float(0.5 * np.log(diagonal).sum() + residual)

    def _linear(self, point: Array, center: float, ends: Array) -> float:
        smallest, largest = min(center, ends.min()), max(center, ends.max())
        along = self._along(point) @ (ends[:, 0] - ends[:, 1]) / 2
        return float(np.clip(center + along, smallest, largest))

    def _along(self, point: Array) -> Array:
        x = self._inverse_root @ (point - self.mode.point)
        return np.clip(x, -FARTHEST, FARTHEST)

    @cached_property
    def _inverse_root(self) -> Array:
        root = root_of(self.mode.covariance)
        return np.asarray(solve_triangular(root, np.eye(len(root)), lower=True))

    @cached_property
    def _residual(self) -> float:
        return residual_of(self.center)


def trend(approximate: Callable[[Array], Laplace], mode: Mode) -> Trend:
    """Evaluate the approximation at the mode and a standard deviation from it along each axis.

    Parameters
    ----------
    approximate : callable
        The approximation of the effects at hyperparameters, shape (hyperparameter,).
    mode : Mode
        Mode and covariance of the hyperparameters.

    Returns
    -------
    Trend

    Raises
    ------
    IntegrationError
        There is no approximation at one of these points.
    """
    center = approximate(mode.point)
    axes = root_of(mode.covariance).T
    ends = [[approximate(mode.point + s * axis) for s in (1, -1)] for axis in axes]

    slope = np.array([(a.mode - b.mode) / 2 for a, b in ends])
    curve = np.array([a.mode + b.mode - 2 * center.mode for a, b in ends])
    spread = np.array([(a.variance - b.variance) / 2 for a, b in ends])
    met = np.array([center.variance, *(found.variance for pair in ends for found in pair)])
    orders = np.array([(a.second_order, b.second_order) for a, b in ends])
    residuals = np.array([(residual_of(a), residual_of(b)) for a, b in ends])
    edges = met.min(axis=0), met.max(axis=0)
    return Trend(mode, center, slope, curve, spread, *edges, orders, residuals)


def diagonal_of(found: Laplace) -> Array:
    """Return the diagonal of the precision of an approximation, shape (effect,)."""
    W = np.maximum(-found.derivatives.by_eta[1], 0)
    return MatrixFree(found.rows, found.entries, W).diagonal


def residual_of(found: Laplace) -> float:
    """Return half the log determinant of its precision, scaled to a unit diagonal."""
    return float(found.root.log_determinant - 0.5 * np.log(diagonal_of(found)).sum())
