"""Durations whose logarithm is logistic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from pymc_mlm.distributions.censored_durations import censored_loglogistic
from pymc_mlm.families.base import OutcomeScale
from pymc_mlm.families.durations import AbstractDurations, location_and_scale
from pymc_mlm.priors import Prior, create


@dataclass(frozen=True)
class LogLogistic(AbstractDurations):
    r"""Log-logistic duration, seen or right-censored: ``eta`` is the log of its median.

    .. math:: S(t) = 1 / \{1 + (t / e^{\eta})^a\}

    The hazard rises and falls again for a shape above one, and falls for others. The odds of an
    event by t are proportional: ``-a * coef`` is a log odds ratio at every t.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        ``shape``: the shape `a`.

    Examples
    --------
    >>> LogLogistic().roles
    ('time', 'event')
    """

    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "loglogistic"
    reasons: ClassVar[Mapping[str, str]] = {"shape": "as for the Weibull"}

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Log median, and sd of log time, of one log-logistic for all rows."""
        from scipy.stats import logistic

        log_time = np.log(outcome["time"]) - offset
        location, scale = location_and_scale(
            log_time, outcome["event"], lambda z: (logistic.logpdf(z), logistic.logsf(z))
        )
        return OutcomeScale(location, scale * np.pi / 3**0.5)

    def default_priors(self, scale: OutcomeScale) -> dict[str, Prior]:
        """Log-normal around 1, as for a Weibull; 95% between 0.14 and 7.1."""
        return {"shape": Prior("LogNormal", mu=0.0, sigma=1.0)}

    def likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add ``shape`` and the censored outcome."""
        shape = create(priors["shape"], "shape", positive=True)
        event = outcome["event"]
        return censored_loglogistic(name, eta, shape, event, observed=outcome["time"], dims=dims)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Mean duration, ``exp(eta) (pi / a) / sin(pi / a)``; infinite for a shape up to one."""
        shape = np.asarray(parameters["shape"], dtype=np.float64)
        angle = np.pi / np.where(shape > 1.0, shape, 2.0)
        return np.exp(eta) * np.where(shape > 1.0, angle / np.sin(angle), np.inf)

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """Variance of log time around eta: pi squared over three times shape squared."""
        return np.pi**2 / (3.0 * np.asarray(parameters["shape"]) ** 2)
