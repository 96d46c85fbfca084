"""Ordered categories of a normal latent variable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytensor.tensor as pt

from pymc_mlm.distributions.cutpoints import ordered_probit
from pymc_mlm.families.ordered import CUTPOINT, THRESHOLDS, AbstractCumulative


@dataclass(frozen=True)
class CumulativeProbit(AbstractCumulative):
    r"""Ordered outcome 0, 1, ..., K with probit link.

    .. math:: P(y \le k) = \Phi(c_k - \eta)

    A latent normal variable of sd 1 around ``eta``, cut at ascending points, which take the place
    of the intercept (McKelvey and Zavoina 1975). Coefficients are about 1.7 times smaller than
    those of `Cumulative`.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        ``cutpoint``: one distribution for all cut points, before they are ordered.

    Examples
    --------
    >>> CumulativeProbit().baseline
    'cutpoint'
    """

    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "cumulative_probit"
    link: ClassVar[str] = "probit"
    # A logistic variable has 1.7 times the spread of a normal one of the same middle.
    spread: ClassVar[float] = 0.6
    reasons: ClassVar[Mapping[str, str]] = {CUTPOINT: THRESHOLDS}

    @staticmethod
    def probability(z: Any) -> Any:
        """Return the normal distribution function."""
        from scipy.special import ndtr

        return ndtr(z)

    @staticmethod
    def predictor(share: Any) -> Any:
        """Return its quantiles."""
        from scipy.special import ndtri

        return ndtri(share)

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
        return ordered_probit(name, eta, cuts, observed=y, dims=dims)

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """Variance of the latent standard normal distribution, one."""
        return 1.0
