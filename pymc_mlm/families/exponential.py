"""Durations with a constant hazard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytensor.tensor as pt
from scipy.special import logsumexp

from pymc_mlm.distributions.censored_weibull import CensoredWeibull
from pymc_mlm.families.base import OutcomeScale
from pymc_mlm.families.durations import AbstractDurations
from pymc_mlm.priors import Prior


@dataclass(frozen=True)
class Exponential(AbstractDurations):
    r"""Exponential duration, seen or right-censored: ``eta`` is the log of its mean.

    .. math:: S(t) = \exp(-t / e^{\eta})

    A Weibull of shape one: ``exp(coef)`` multiplies the duration and divides the hazard.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        The family has no parameters of its own; must be empty.

    Examples
    --------
    >>> Exponential().roles
    ('time', 'event')
    """

    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "exponential"
    row_variation: ClassVar[str | None] = None

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Log of total time over events, and the sd of the log of an exponential time."""
        total = logsumexp(np.log(outcome["time"]) - offset)
        location = float(total - np.log(outcome["event"].sum()))
        return OutcomeScale(location, np.pi / 6**0.5)

    def default_priors(self, scale: OutcomeScale) -> dict[str, Prior]:
        """Nothing: the family has no parameters of its own."""
        return {}

    def likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add the censored outcome."""
        one, event = pt.constant(1.0), outcome["event"]
        return CensoredWeibull(name, eta, one, event, observed=outcome["time"], dims=dims)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Mean duration, ``exp(eta)``."""
        return np.exp(eta)

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """Variance of log time around eta: pi squared over six."""
        return np.pi**2 / 6.0
