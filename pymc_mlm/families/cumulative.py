"""Ordered categories with proportional odds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytensor.tensor as pt

from pymc_mlm.distributions.cutpoints import ordered_logistic
from pymc_mlm.families.ordered import CUTPOINT, THRESHOLDS, AbstractCumulative


@dataclass(frozen=True)
class Cumulative(AbstractCumulative):
    r"""Ordered outcome 0, 1, ..., K with logit link and proportional odds [1]_.

    .. math:: \operatorname{logit} P(y \le k) = c_k - \eta

    A logistic latent variable around ``eta``, cut at ascending points: a positive coefficient
    makes higher categories likelier, and ``exp(coef)`` is the odds ratio of exceeding any of them.
    The cut points take the place of the intercept, which a formula may name and which is left out.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        ``cutpoint``: one distribution for all cut points, before they are ordered.

    References
    ----------
    .. [1] McCullagh, P. (1980). Regression models for ordinal data. J. R. Stat. Soc. B 42, 109-142.

    Examples
    --------
    >>> Cumulative().baseline
    'cutpoint'
    """

    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "cumulative"
    link: ClassVar[str] = "logit"
    reasons: ClassVar[Mapping[str, str]] = {CUTPOINT: THRESHOLDS}

    @staticmethod
    def probability(z: Any) -> Any:
        """Return the logistic distribution function."""
        return 1.0 / (1.0 + np.exp(-z))

    @staticmethod
    def predictor(share: Any) -> Any:
        """Return its quantiles, log odds."""
        return np.log(share / (1.0 - share))

    def likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add the outcome, and ``cutpoint`` where the model lacks it."""
        cuts, y = self.cuts(outcome, priors), outcome["value"]
        eta = eta + pt.zeros_like(pt.as_tensor(y))
        return ordered_logistic(name, eta, cuts, observed=y, dims=dims)

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """Variance of the latent standard logistic distribution, pi squared over three."""
        return np.pi**2 / 3.0
