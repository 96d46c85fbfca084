"""Counts whose zeros come about otherwise than the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from pymc_mlm.distributions.excess_zeros import hurdle
from pymc_mlm.families.base import OutcomeScale
from pymc_mlm.families.excess_zeros import (
    EVEN,
    AbstractExcessZeros,
    no_count,
    positive_scale,
)


@dataclass(frozen=True)
class HurdlePoisson(AbstractExcessZeros):
    r"""Count that is zero with a probability of its own, else a Poisson above zero [1]_.

    .. math:: P(0) = h, \qquad P(y) = (1 - h) \frac{\mu^y e^{-\mu} / y!}{1 - e^{-\mu}}, \qquad
        \mu = e^\eta

    The expected count is :math:`(1 - h) \mu / (1 - e^{-\mu})`.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        ``hu``: probability `h` of a zero.

    References
    ----------
    .. [1] Mullahy, J. (1986). Specification and testing of some modified count data models. Journal
       of Econometrics 33, 341-365.

    Examples
    --------
    >>> HurdlePoisson().link
    'log'
    """

    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "hurdle_poisson"
    zero: ClassVar[str] = "hu"
    reasons: ClassVar[Mapping[str, str]] = {"hu": EVEN}

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Log rate of a Poisson whose positive counts have the mean of those seen."""
        return positive_scale(outcome["value"], offset)

    def likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add ``hu`` and the outcome."""
        own = self.parameters(priors)
        return hurdle(name, eta, *own, observed=outcome["value"], dims=dims)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Expected count, ``(1 - hu) exp(eta) / (1 - exp(-exp(eta)))``."""
        some = (1.0 - np.asarray(parameters["hu"])) / (1.0 - no_count(eta))
        return some * np.exp(eta)

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """None: the log of the expected count is not linear in ``eta``."""
        return None
