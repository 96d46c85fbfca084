"""Counts whose zeros come about otherwise than the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pymc_mlm.families.excess_zeros import EVEN, AbstractHurdle


@dataclass(frozen=True)
class HurdlePoisson(AbstractHurdle):
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
    reasons: ClassVar[Mapping[str, str]] = {"hu": EVEN}

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """None: the log of the expected count is not linear in ``eta``."""
        return None
