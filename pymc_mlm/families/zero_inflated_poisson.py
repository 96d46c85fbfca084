"""Counts with more zeros than a Poisson has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from pymc_mlm.distributions.excess_zeros import zero_inflated
from pymc_mlm.families.base import OutcomeScale
from pymc_mlm.families.excess_zeros import EVEN, AbstractExcessZeros
from pymc_mlm.families.poisson import rate_scale


@dataclass(frozen=True)
class ZeroInflatedPoisson(AbstractExcessZeros):
    r"""Count that is zero with an additional probability, log link [1]_.

    .. math:: P(0) = z + (1 - z) e^{-\mu}, \qquad P(y) = (1 - z) \mu^y e^{-\mu} / y!, \qquad
        \mu = e^\eta

    The expected count is :math:`(1 - z) \mu`, so that ``exp(coef)`` multiplies it.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        ``zi``: probability `z` of a zero beside those of the Poisson distribution.

    References
    ----------
    .. [1] Lambert, D. (1992). Zero-inflated Poisson regression, with an application to defects in
       manufacturing. Technometrics 34, 1-14.

    Examples
    --------
    >>> ZeroInflatedPoisson().link
    'log'
    """

    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "zero_inflated_poisson"
    zero: ClassVar[str] = "zi"
    reasons: ClassVar[Mapping[str, str]] = {"zi": EVEN}

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Log of total count over total exposure, and how much log rates differ; 1 or more."""
        return rate_scale(outcome["value"], offset)

    def likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add ``zi`` and the outcome."""
        own = self.parameters(priors)
        return zero_inflated(name, eta, *own, observed=outcome["value"], dims=dims)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Expected count, ``(1 - zi) exp(eta)``."""
        return (1.0 - np.asarray(parameters["zi"])) * np.exp(eta)

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """``log(1 + variance / mean**2)`` at the given ``eta``; None where no eta is given.

        The log-normal approximation of Nakagawa, Johnson & Schielzeth (2017), as in `Poisson`:
        variance over squared mean is ``(1 / mu + 1) / (1 - zi) - 1``.
        """
        if "eta" not in parameters:
            return None
        some = 1.0 - np.asarray(parameters["zi"])
        return np.log((np.exp(-parameters["eta"]) + 1.0) / some)
