"""Counts that vary more than a Poisson allows, whose zeros come about otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from pymc_mlm.distributions.excess_zeros import hurdle
from pymc_mlm.families.base import OutcomeScale
from pymc_mlm.families.excess_zeros import (
    EVEN,
    OVERDISPERSION,
    AbstractExcessZeros,
    no_count,
    positive_scale,
)


@dataclass(frozen=True)
class HurdleNegativeBinomial(AbstractExcessZeros):
    r"""Count that is zero with a probability of its own, else negative binomial above zero [1]_.

    .. math:: P(0) = h, \qquad P(y) = (1 - h) \frac{f(y)}{1 - f(0)}

    with `f` of mean :math:`\mu = e^\eta` and variance :math:`\mu + \mu^2 / \alpha`. The expected
    count is :math:`(1 - h) \mu / \{1 - f(0)\}`.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        ``hu``: probability `h` of a zero; ``alpha``: shape of `f`.

    References
    ----------
    .. [1] Mullahy, J. (1986). Specification and testing of some modified count data models. Journal
       of Econometrics 33, 341-365.

    Examples
    --------
    >>> HurdleNegativeBinomial().link
    'log'
    """

    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "hurdle_negative_binomial"
    zero: ClassVar[str] = "hu"
    has_shape: ClassVar[bool] = True
    row_variation: ClassVar[str | None] = "the overdispersion of negative-binomial counts"
    reasons: ClassVar[Mapping[str, str]] = {"hu": EVEN, "alpha": OVERDISPERSION}

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
        """Add ``hu``, ``alpha`` and the outcome."""
        own = self.parameters(priors)
        return hurdle(name, eta, *own, observed=outcome["value"], dims=dims)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Expected count, ``(1 - hu) exp(eta) / (1 - f(0))``."""
        none = no_count(eta, parameters["alpha"])
        return (1.0 - np.asarray(parameters["hu"])) * np.exp(eta) / (1.0 - none)

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """None: the log of the expected count is not linear in ``eta``."""
        return None
