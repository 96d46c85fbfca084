"""Counts that vary more than a Poisson allows, with more zeros."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from pymc_mlm.families.excess_zeros import EVEN, OVERDISPERSION, AbstractZeroInflated


@dataclass(frozen=True)
class ZeroInflatedNegativeBinomial(AbstractZeroInflated):
    r"""Overdispersed count that is zero with an additional probability, log link [1]_.

    .. math:: P(0) = z + (1 - z) f(0), \qquad P(y) = (1 - z) f(y)

    with `f` the negative binomial distribution of mean :math:`\mu = e^\eta` and variance
    :math:`\mu + \mu^2 / \alpha`. The expected count is :math:`(1 - z) \mu`. A small `alpha` gives
    many zeros, too: few tables tell the two apart.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        ``zi``: probability `z` of a zero beside those of `f`; ``alpha``: shape.

    References
    ----------
    .. [1] Lambert, D. (1992). Zero-inflated Poisson regression, with an application to defects in
       manufacturing. Technometrics 34, 1-14.

    Examples
    --------
    >>> ZeroInflatedNegativeBinomial().link
    'log'
    """

    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "zero_inflated_negative_binomial"
    has_shape: ClassVar[bool] = True
    row_variation: ClassVar[str | None] = "the overdispersion of negative-binomial counts"
    reasons: ClassVar[Mapping[str, str]] = {"zi": EVEN, "alpha": OVERDISPERSION}

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """``log(1 + variance / mean**2)`` at the given ``eta``; None where no eta is given.

        As in `ZeroInflatedPoisson`: ``(1 / mu + 1 + 1 / alpha) / (1 - zi) - 1``.
        """
        if "eta" not in parameters:
            return None
        some, alpha = 1.0 - np.asarray(parameters["zi"]), np.asarray(parameters["alpha"])
        return np.log((np.exp(-parameters["eta"]) + 1.0 + 1.0 / alpha) / some)
