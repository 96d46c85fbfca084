"""Priors of a standard deviation that are stated for the precision, as in JAGS and BUGS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.transforms import log

from pymc_mlm.errors import SpecificationError


@dataclass(frozen=True)
class PrecisionGamma:
    r"""Gamma prior of a precision, as a prior of the standard deviation.

    .. math:: \sigma = 1 / \sqrt{\tau}, \quad \tau \sim \mathrm{Gamma}(a, b), \qquad
        p(\sigma) = \frac{2 b^a}{\Gamma(a)}\, \sigma^{-2a - 1} e^{-b / \sigma^2}

    Parameters
    ----------
    shape, rate : float
        `a` and `b`, positive: ``dgamma(a, b)`` of JAGS.

    Raises
    ------
    SpecificationError
        A parameter is not a positive number.

    Notes
    -----
    Only to repeat an analysis. With small parameters it looks vague and is not: it has a spike near
    zero and depends on them (Gelman 2006).

    Examples
    --------
    >>> PrecisionGamma(2, 0.5)
    PrecisionGamma(shape=2, rate=0.5)
    """

    shape: float
    rate: float

    def __post_init__(self) -> None:
        """Refuse parameters that make no distribution."""
        for name in ("shape", "rate"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
                raise SpecificationError(f"PrecisionGamma: {name}={value!r} must be above zero.")

    def create_variable(self, name: str) -> Any:
        """Create the standard deviation `name` in the current model."""
        return pm.CustomDist(name, float(self.shape), float(self.rate), dist=_root, transform=log)


def _root(shape: Any, rate: Any, size: Any) -> Any:
    return pt.sqrt(pm.InverseGamma.dist(alpha=shape, beta=rate, size=size))
