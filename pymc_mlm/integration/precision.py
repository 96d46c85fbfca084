"""What Laplace's method asks of a precision of effects, in whatever form it is held."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from pymc_mlm.integration.rows import Rows

Array = np.ndarray[Any, Any]


class Covariances(NamedTuple):
    """What the inverse of a precision tells of the rows.

    Attributes
    ----------
    by_entry : ndarray, shape (entry,)
        Covariance of each entry's effect with the linear predictor of its row.
    variance : ndarray, shape (row,)
        Variance of each row's linear predictor.
    squared : ndarray, shape (row,)
        Square of the variance; where variances are estimates, without the bias of their square.
    """

    by_entry: Array
    variance: Array
    squared: Array


class AbstractPrecision(ABC):
    """The precision ``I + B'WB`` of effects with a standard normal prior."""

    rows: Rows

    @property
    @abstractmethod
    def log_determinant(self) -> float:
        """Half the log determinant of the precision."""

    @abstractmethod
    def solve(self, b: Array) -> Array:
        """Solve with the precision, for a vector or the columns of a matrix."""

    @abstractmethod
    def covariances(self, entries: Array) -> Covariances:
        """Return what the inverse tells of rows whose entries of B are given."""

    @abstractmethod
    def cubes(self, entries: Array, l3: Array) -> float:
        """Return the sum of ``l3_i h_ij^3 l3_j`` over pairs of rows with the same effects."""

    @abstractmethod
    def draw(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw normal vectors with this precision.

        Parameters
        ----------
        count : int
            Number of draws.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        draws : ndarray, shape (effect, count)
        energy : ndarray, shape (count,)
            Half of each draw's square in the metric of the precision.
        """
