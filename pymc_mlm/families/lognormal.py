"""Durations whose logarithm is normal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from pymc_mlm.distributions.censored_durations import censored_lognormal
from pymc_mlm.families.base import OutcomeScale
from pymc_mlm.families.durations import AbstractDurations, location_and_scale
from pymc_mlm.priors import Prior, create


@dataclass(frozen=True)
class LogNormal(AbstractDurations):
    r"""Log-normal duration, seen or right-censored: ``eta`` is the log of its median.

    .. math:: \log t \sim N(\eta, \sigma^2)

    The hazard rises and falls again. Without censoring it is the Gaussian model of the log
    outcome.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        ``sigma``: standard deviation of log time.

    Examples
    --------
    >>> LogNormal().latent
    'log time'
    """

    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "lognormal"
    reasons: ClassVar[Mapping[str, str]] = {"sigma": "as for a Gaussian outcome, on log time"}

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Mean and sd of log time of one log-normal for all rows; censored rows count."""
        from scipy.stats import norm

        log_time = np.log(outcome["time"]) - offset
        return OutcomeScale(
            *location_and_scale(
                log_time, outcome["event"], lambda z: (norm.logpdf(z), norm.logsf(z))
            )
        )

    def default_priors(self, scale: OutcomeScale) -> dict[str, Prior]:
        """Exponential with the sd of log time as its mean, as for a Gaussian outcome."""
        return {"sigma": Prior("Exponential", scale=scale.spread)}

    def likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add ``sigma`` and the censored outcome."""
        sigma = create(priors["sigma"], "sigma", positive=True)
        event = outcome["event"]
        return censored_lognormal(name, eta, sigma, event, observed=outcome["time"], dims=dims)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Mean duration, ``exp(eta + sigma**2 / 2)``."""
        return np.exp(eta + 0.5 * np.asarray(parameters["sigma"]) ** 2)

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """Variance of log time, the square of ``sigma``."""
        return np.asarray(parameters["sigma"]) ** 2
