"""Clusters of a planned trial, and how alike their patients are."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from pymc_mlm.errors import SpecificationError
from pymc_mlm.planning.patterns import Array

# Nodes of the average over normal cluster effects: exact to machine precision for sd up to 3.
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(40)


@dataclass(frozen=True)
class Clusters:
    """Whole clusters are randomised.

    Parameters
    ----------
    number : int
        Clusters in each arm.
    size : int
        Patients in each cluster.
    icc : float, optional
        Correlation of one outcome between two patients of a cluster, probability scale.
    sd : float, optional
        In place of it, the standard deviation of the clusters' log odds.

    Examples
    --------
    >>> Clusters(10, 15, icc=0.05)
    Clusters(number=10, size=15, icc=0.05, sd=None)
    """

    number: int
    size: int
    icc: float | None = None
    sd: float | None = None

    def __post_init__(self) -> None:
        few = "with fewer than two clusters in an arm nothing tells how they differ."
        for name, least, why in (("number", 2, few), ("size", 1, "it counts patients.")):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < least:
                raise SpecificationError(
                    f"Clusters({name}={value!r}): a whole number of at least {least} is needed; "
                    f"{why}"
                )
        if (self.icc is None) == (self.sd is None):
            raise SpecificationError("Clusters takes either icc= or sd=; give one of them.")
        if self.icc is not None and not 0 <= self.icc < 1:
            raise SpecificationError(f"icc={self.icc!r} must lie in [0, 1).")
        if self.sd is not None and not 0 <= self.sd < np.inf:
            raise SpecificationError(f"sd={self.sd!r} must be a number from 0 on, log odds.")

    def intraclass(self, success: Array) -> float:
        """Return the correlation on the probability scale, averaged over `success`."""
        if self.icc is not None:
            return float(self.icc)
        return float(np.mean([_icc(p, float(self.sd or 0.0)) for p in np.ravel(success)]))


def _icc(p: float, sd: float) -> float:
    """Return the probability-scale correlation of normal log odds with mean success p."""
    if sd == 0:
        return 0.0
    weights = WEIGHTS / WEIGHTS.sum()
    low, high = -60.0, 60.0
    for _ in range(80):
        middle = (low + high) / 2
        below = weights @ (1 / (1 + np.exp(-(middle + sd * NODES)))) < p
        low, high = (middle, high) if below else (low, middle)
    cluster = 1 / (1 + np.exp(-(low + sd * NODES)))
    return float(weights @ (cluster - p) ** 2 / (p * (1 - p)))
