"""Log posterior of hyperparameters with effects integrated out."""

from __future__ import annotations

from typing import Any

import numpy as np

from pymc_mlm.integration.cross_products import Collapsed
from pymc_mlm.integration.effect_mode import TOLERANCE
from pymc_mlm.integration.gaussian import collapsed
from pymc_mlm.integration.importance import IntegrationError
from pymc_mlm.integration.laplace import Laplace, laplace
from pymc_mlm.paths.conditional import Conditional

Array = np.ndarray[Any, Any]


class LogMarginal:
    """Log posterior of hyperparameters, effects integrated out; remembers where the mode was."""

    def __init__(self, model: Conditional) -> None:
        self.model = model
        self.near: Array | None = None

    def at(self, point: Array, tolerance: float = TOLERANCE) -> tuple[float, Laplace | Collapsed]:
        """Return the log prior and the approximation of the effects, at their mode or near it."""
        if self.model.linear is not None:
            return self.model.linear.at(point)
        return self.of_rows(point, tolerance)

    def of_rows(self, point: Array, tolerance: float = TOLERANCE) -> tuple[float, Laplace]:
        """Return the same from the rows of the table."""
        p = self.model.pieces(point)
        given = self.model.rows, p.entries, p.offset, p.parameters
        if self.model.rows.family == "gaussian":
            return p.log_prior, collapsed(*given)
        return p.log_prior, laplace(*given, self.near, tolerance)

    def __call__(self, point: Array) -> tuple[float, Array]:
        """Return value and gradient by Laplace's method, minus infinity where it fails."""
        try:
            log_prior, found = self.at(point)
        except IntegrationError:
            return -np.inf, np.zeros_like(point)
        self.near = found.mode
        pull_back = self.model if self.model.linear is None else self.model.linear
        return log_prior + found.value, pull_back.gradient(point, *found.gradient())

    def second_order(self, point: Array) -> float:
        """Return what the second order adds to the value."""
        return self.at(point)[1].second_order
