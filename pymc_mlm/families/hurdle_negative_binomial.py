"""Counts that vary more than a Poisson allows, whose zeros come about otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pymc_mlm.families.excess_zeros import EVEN, OVERDISPERSION, AbstractHurdle


@dataclass(frozen=True)
class HurdleNegativeBinomial(AbstractHurdle):
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
    has_shape: ClassVar[bool] = True
    row_variation: ClassVar[str | None] = "the overdispersion of negative-binomial counts"
    reasons: ClassVar[Mapping[str, str]] = {"hu": EVEN, "alpha": OVERDISPERSION}

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """None: the log of the expected count is not linear in ``eta``."""
        return None
