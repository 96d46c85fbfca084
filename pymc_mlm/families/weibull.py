"""Durations with right censoring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import gamma
from typing import Any, ClassVar

import numpy as np

from pymc_mlm.distributions.censored_weibull import CensoredWeibull
from pymc_mlm.families.base import OutcomeScale
from pymc_mlm.families.durations import PRIOR_SD, AbstractDurations
from pymc_mlm.priors import Prior, create


@dataclass(frozen=True)
class Weibull(AbstractDurations):
    r"""Weibull duration, accelerated failure time: ``eta`` is the log of the scale.

    .. math:: \log t = \eta + \epsilon / a, \quad S(t) = \exp\{-(t / e^{\eta})^a\}

    A coefficient is an effect on log time: ``exp(coef)`` multiplies every quantile of the
    duration. On the log hazard it is ``-a * coef``.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        ``shape``: the Weibull shape `a`; above one the hazard rises with time.

    Notes
    -----
    The convention of bml's ``family = "Weibull"`` (JAGS ``dweib(a, exp(-a * eta))``). Bambi and
    brms put the linear predictor on the log mean, so their intercept is larger by
    ``log Gamma(1 + 1 / a)``.

    Examples
    --------
    >>> Weibull().roles
    ('time', 'event')
    """

    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "weibull"
    reasons: ClassVar[Mapping[str, str]] = {
        "shape": "centred at the constant hazard; 95% between 0.14 and 7.1"
    }

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Log scale, and sd of a log time, of a Weibull for all rows; censored rows count."""
        log_time = np.log(outcome["time"]) - offset
        location, shape = censored_fit(log_time, outcome["event"])
        return OutcomeScale(location, np.pi / (6**0.5 * shape))

    def default_priors(self, scale: OutcomeScale) -> dict[str, Prior]:
        """Log-normal around 1, the constant hazard; 95% between 0.14 and 7.1."""
        return {"shape": Prior("LogNormal", mu=0.0, sigma=PRIOR_SD)}

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
        return CensoredWeibull(name, eta, shape, event, observed=outcome["time"], dims=dims)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Mean duration, ``exp(eta) * Gamma(1 + 1 / a)``."""
        shape = np.asarray(parameters["shape"])
        return np.exp(eta) * np.vectorize(gamma)(1.0 + 1.0 / shape)

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """Variance of log time around eta: pi squared over six times shape squared."""
        return np.pi**2 / (6.0 * parameters["shape"] ** 2)


def censored_fit(log_time: np.ndarray, event: np.ndarray) -> tuple[float, float]:
    r"""Return log scale and shape of one Weibull for all rows.

    Maximum likelihood for the log scale, :math:`e^{a\mu} = \sum_i t_i^a / d`, and the posterior
    mode of the shape under its default prior: a few events, or one, would have an infinite shape.

    Parameters
    ----------
    log_time : ndarray, shape (group,)
        Log of the time to the event or to censoring.
    event : ndarray, shape (group,)
        One where the event was seen.

    Examples
    --------
    >>> location, shape = censored_fit(np.log([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 0.0]))
    >>> bool(location > np.log(3.0))  # most times are longer than three
    True
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    events, latest = event.sum(), float(log_time.max())
    u = log_time - latest

    def negative(log_shape: float) -> float:
        a = np.exp(log_shape)
        likelihood = events * log_shape + a * (event @ u) - events * logsumexp(a * u)
        return float(0.5 * (log_shape / PRIOR_SD) ** 2 - likelihood)

    bounds = (-3.0 * PRIOR_SD, 3.0 * PRIOR_SD)
    shape = float(np.exp(minimize_scalar(negative, bounds=bounds, method="bounded").x))
    return latest + float(logsumexp(shape * u) - np.log(events)) / shape, shape
