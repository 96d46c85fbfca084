"""A probability with its Monte Carlo error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """A number and its Monte Carlo standard error, zero for a formula or an enumeration.

    Examples
    --------
    >>> print(Estimate.share(0.8, trials=1600))
    0.8000 (0.0100)
    """

    value: float
    error: float = 0.0

    @classmethod
    def share(cls, value: float, trials: int | None) -> Estimate:
        """Return a share of simulated trials, or an exact probability where `trials` is None."""
        if trials is None:
            return cls(float(value))
        # Not zero, also where it happened always or never.
        p = (value * trials + 0.5) / (trials + 1)
        return cls(float(value), float(np.sqrt(p * (1 - p) / trials)))

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.error:.4f})"
