"""Log-normal and log-logistic durations with right censoring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from pymc_mlm.distributions.normal_tail import log_normal_tail


def censored_lognormal(name: str, eta: Any, sigma: Any, event: Any, **kwargs: Any) -> Any:
    r"""Add durations whose logarithm is normal, seen or right-censored, to the current model.

    .. math:: \log t = \eta + \sigma \epsilon, \quad \epsilon \sim N(0, 1), \qquad
        S(t) = \Phi\{(\eta - \log t) / \sigma\}

    Parameters
    ----------
    name : str
        Name of the variable.
    eta : tensor_like
        Mean of the log duration, per observation.
    sigma : tensor_like, scalar
        Its standard deviation.
    event : tensor_like
        One where the observed value is the time of the event, zero where it is only known to be
        later.
    **kwargs
        ``observed`` and ``dims``.

    Returns
    -------
    TensorVariable, shape (row,)
        Random draws are complete durations.
    """

    def logp(value: Any, eta: Any, sigma: Any, event: Any) -> Any:
        z = (pt.log(value) - eta) / sigma
        seen = -0.5 * z**2 - pt.log(sigma) - pt.log(value) - 0.5 * np.log(2 * np.pi)
        return event * seen + (1.0 - event) * log_normal_tail(z)

    return _durations(name, logp, lambda rng, n: rng.standard_normal(n), eta, sigma, event, kwargs)


def censored_loglogistic(name: str, eta: Any, shape: Any, event: Any, **kwargs: Any) -> Any:
    r"""Add durations whose logarithm is logistic, seen or right-censored, to the current model.

    .. math:: \log t = \eta + \epsilon / a, \quad \epsilon \sim \text{Logistic}(0, 1), \qquad
        S(t) = 1 / \{1 + (t / e^\eta)^a\}

    Parameters
    ----------
    name : str
        Name of the variable.
    eta : tensor_like
        Log of the median duration, per observation.
    shape : tensor_like, scalar
        Shape `a`, positive.
    event : tensor_like
        As in `censored_lognormal`.
    **kwargs
        ``observed`` and ``dims``.

    Returns
    -------
    TensorVariable, shape (row,)
        Random draws are complete durations.
    """

    def logp(value: Any, eta: Any, scale: Any, event: Any) -> Any:
        z = (pt.log(value) - eta) / scale
        survival = -pt.softplus(z)
        return event * (z + survival - pt.log(scale) - pt.log(value)) + survival

    scale = 1.0 / pt.as_tensor(shape)
    return _durations(name, logp, lambda rng, n: rng.logistic(size=n), eta, scale, event, kwargs)


def _durations(
    name: str,
    logp: Callable[..., Any],
    noise: Callable[..., Any],
    eta: Any,
    scale: Any,
    event: Any,
    kwargs: dict[str, Any],
) -> Any:
    def random(eta: Any, scale: Any, event: Any, rng: Any = None, size: Any = None) -> Any:
        count = np.broadcast_shapes(np.shape(eta), np.shape(event)) if size is None else size
        return np.exp(eta + scale * noise(rng, count))

    return pm.CustomDist(name, eta, scale, event, logp=logp, random=random, **kwargs)
