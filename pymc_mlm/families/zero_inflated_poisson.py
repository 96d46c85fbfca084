"""Counts with more zeros than a Poisson has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from pymc_mlm.families.excess_zeros import EVEN, AbstractZeroInflated


@dataclass(frozen=True)
class ZeroInflatedPoisson(AbstractZeroInflated):
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
    reasons: ClassVar[Mapping[str, str]] = {"zi": EVEN}

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """``log(1 + variance / mean**2)`` at the given ``eta``; None where no eta is given.

        The log-normal approximation of Nakagawa, Johnson & Schielzeth (2017), as in `Poisson`:
        variance over squared mean is ``(1 / mu + 1) / (1 - zi) - 1``.
        """
        if "eta" not in parameters:
            return None
        some = 1.0 - np.asarray(parameters["zi"])
        return np.log((np.exp(-parameters["eta"]) + 1.0) / some)
