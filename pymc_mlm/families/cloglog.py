"""Yes/no outcomes with complementary log-log link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from pymc_mlm.distributions.binary_links import cloglog_bernoulli
from pymc_mlm.families.binary import AbstractBinary


@dataclass(frozen=True)
class ComplementaryLogLog(AbstractBinary):
    r"""Binary outcome with complementary log-log link, :math:`P(y = 1) = 1 - \exp(-e^\eta)`.

    The event of a duration with proportional hazards, seen by the end of an interval: ``exp(coef)``
    is a hazard ratio (Prentice and Gloeckler 1978). Which value counts as one matters: the link is
    not symmetric.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        The family has no parameters of its own; must be empty.
    event : object, optional
        The value of the outcome that counts as one, for example ``"yes"``. Needed unless the
        outcome is 0/1 or boolean.

    Examples
    --------
    >>> ComplementaryLogLog().link
    'cloglog'
    """

    priors: Mapping[str, Any] = field(default_factory=dict)
    event: Any = None

    name: ClassVar[str] = "cloglog"
    link: ClassVar[str] = "cloglog"

    @staticmethod
    def probability(eta: Any) -> Any:
        """Return the probability of an event, by the log of its cumulative hazard."""
        return -np.expm1(-np.exp(eta))

    @staticmethod
    def predictor(share: float) -> float:
        """Return the log of the cumulative hazard."""
        return float(np.log(-np.log1p(-share)))

    def likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add the binary outcome."""
        return cloglog_bernoulli(name, eta, observed=outcome["value"], dims=dims)

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """Variance of the latent Gumbel distribution, pi squared over six."""
        return np.pi**2 / 6.0
