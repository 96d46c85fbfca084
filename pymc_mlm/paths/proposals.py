"""Effects drawn, and weighted, at every point of the hyperparameters whose density is asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from pymc_mlm.integration.cross_products import Collapsed
from pymc_mlm.integration.importance import IntegrationError
from pymc_mlm.integration.laplace import Laplace, laplace_near
from pymc_mlm.integration.near import Near, Proposal
from pymc_mlm.integration.trend import Trend
from pymc_mlm.paths.log_marginal import LogMarginal

Array = np.ndarray[Any, Any]

# From so many rows on the second order is followed from the mode.
MANY_ROWS = 2000
# Squared Newton decrement before the last step to a mode that proposals are drawn around. What the
# step leaves is about its square; the weights of draws are of the joint density, wherever it is.
NEAR_ENOUGH = 1e-3


class AbstractProposals(ABC):
    """Effects drawn at points of the hyperparameters, which are keys as bytes.

    Attributes
    ----------
    each : int
        Draws at a point.
    """

    each: int

    @abstractmethod
    def __call__(self, point: Array) -> float:
        """Draw at a point; return its log density, minus infinity where there is none."""

    @abstractmethod
    def log_weights(self, key: bytes) -> Array:
        """Return the logs of the draws' weights beside that of their point, shape (draw,)."""

    @abstractmethod
    def origin(self, key: bytes) -> Array:
        """Return the noise that each draw was made of; draws of one noise are not independent."""

    @abstractmethod
    def effects(self, key: bytes, draws: Array) -> Array:
        """Return draws at a point by their places, shape (effect, draw)."""


class OwnFactors(AbstractProposals):
    """Draws by the approximation at each point, with a factor of its own.

    Parameters
    ----------
    density : LogMarginal
        The model.
    trend : Trend, optional
        What is followed from the mode in a table of many rows; not needed where Laplace's method
        is exact.
    each : int
        Draws at a point.
    rng : numpy.random.Generator
        Source of randomness.
    """

    def __init__(
        self, density: LogMarginal, trend: Trend | None, each: int, rng: np.random.Generator
    ) -> None:
        self.density, self.trend, self.each, self.rng = density, trend, each, rng
        self._found: dict[bytes, tuple[int, Array, Array]] = {}

    def __call__(self, point: Array) -> float:
        """Draw at a point; return its log density, minus infinity where there is none."""
        try:
            log_prior, found, marginal = self._approximated(point)
        except IntegrationError:
            return -np.inf
        effects, log_ratio = found.draw(self.each, self.rng)
        self._found[point.tobytes()] = len(self._found), effects, log_ratio - marginal
        return log_prior + marginal

    def _approximated(self, point: Array) -> tuple[float, Laplace | Collapsed, float]:
        """Return the log prior, the approximation and the log marginal density."""
        if self.trend is None or len(self.trend.center.eta) < MANY_ROWS:
            if self.trend is not None:
                self.density.near = self.trend.effects(point)
            log_prior, found = self.density.at(point, NEAR_ENOUGH)
            return log_prior, found, found.value + found.second_order
        # Only proposals depend on what is followed from the mode.
        rows, p = self.density.model.rows, self.density.model.pieces(point)
        followed = self.trend.effects(point), self.trend.variance(point, p.entries)
        found = laplace_near(rows, p.entries, p.offset, p.parameters, *followed)
        return p.log_prior, found, found.value + self.trend.second_order(point)

    def log_weights(self, key: bytes) -> Array:
        """Return the logs of the draws' weights beside that of their point, shape (draw,)."""
        return self._found[key][2]

    def origin(self, key: bytes) -> Array:
        """Return numbers that no other draws have."""
        return self._found[key][0] * self.each + np.arange(self.each)

    def effects(self, key: bytes, draws: Array) -> Array:
        """Return draws at a point by their places, shape (effect, draw)."""
        return np.asarray(self._found[key][1][:, draws])


class Followed(AbstractProposals):
    """Draws by the approximation at the mode, scaled and moved to each point.

    Parameters
    ----------
    density : LogMarginal
        The model.
    trend : Trend
        The approximation at the mode, and how it changes.
    each : int
        Draws at a point.
    rng : numpy.random.Generator
        Source of randomness.
    """

    def __init__(
        self, density: LogMarginal, trend: Trend, each: int, rng: np.random.Generator
    ) -> None:
        self.model, self.near, self.each = density.model, Near(trend, rng), each
        self._found: dict[bytes, Proposal] = {}

    def __call__(self, point: Array) -> float:
        """Draw at a point; return its log density, minus infinity where there is none."""
        p = self.model.pieces(point)
        try:
            found = self.near.at(point, p.entries, p.offset, p.parameters, self.each)
        except IntegrationError:
            return -np.inf
        self._found[point.tobytes()] = found
        return p.log_prior + found.log_marginal

    def log_weights(self, key: bytes) -> Array:
        """Return the logs of the draws' weights beside that of their point, shape (draw,)."""
        return self._found[key].log_ratio - self._found[key].log_marginal

    def origin(self, key: bytes) -> Array:
        """Return the noise that each draw was made of."""
        return self._found[key].origin

    def effects(self, key: bytes, draws: Array) -> Array:
        """Return draws at a point by their places, shape (effect, draw)."""
        return self.near.effects(self._found[key], draws)
