"""Yes/no outcomes with logit link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pymc as pm

from pymc_mlm.families.binary import AbstractBinary


@dataclass(frozen=True)
class Bernoulli(AbstractBinary):
    r"""Binary outcome with logit link, :math:`\operatorname{logit} P(y = 1) = \eta`.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        The family has no parameters of its own; must be empty.
    event : object, optional
        The value of the outcome that counts as one, for example ``"yes"``. Needed unless the
        outcome is 0/1 or boolean.

    Examples
    --------
    >>> Bernoulli().link
    'logit'
    """

    priors: Mapping[str, Any] = field(default_factory=dict)
    event: Any = None

    name: ClassVar[str] = "bernoulli"
    link: ClassVar[str] = "logit"

    @staticmethod
    def probability(eta: Any) -> Any:
        """Return the logistic function."""
        return 1.0 / (1.0 + np.exp(-eta))

    @staticmethod
    def predictor(share: float) -> float:
        """Return the log odds."""
        return float(np.log(share) - np.log1p(-share))

    def likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add the binary outcome."""
        return pm.Bernoulli(name, logit_p=eta, observed=outcome["value"], dims=dims)

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """Variance of the standard logistic distribution, pi squared over three."""
        return np.pi**2 / 3.0
