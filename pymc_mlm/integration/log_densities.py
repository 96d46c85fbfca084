r"""Log densities of outcomes and their derivatives by the linear predictor, family by family.

Two functions a family, in one table: the log density of each row, which is that of PyMC, and its
derivatives up to the fourth. Parameters of a family enter by their logarithms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import betaln, digamma, gammaln

Array = np.ndarray[Any, Any]
Outcome = Mapping[str, Array]

# Role of the weights of rows in an outcome.
ROW_WEIGHT = "row_weight"
# Larger exponents overflow; the density there is zero for every outcome that is met.
LARGEST_EXPONENT = 300.0
# Its next term is below the rounding of its first.
SERIES_FROM = 1e4


@dataclass(frozen=True, eq=False)
class Derivatives:
    """Derivatives of the log density of every row.

    Attributes
    ----------
    by_eta : ndarray, shape (4, row)
        First to fourth by the linear predictor.
    by_parameter : ndarray, shape (parameter, 3, row)
        Of the log density and of its first two derivatives, by the log of each parameter.
    """

    by_eta: Array
    by_parameter: Array


def _of(*by_eta: Array, by_parameter: Any = ()) -> Derivatives:
    parts = np.array(by_parameter, dtype=np.float64).reshape(-1, 3, len(by_eta[0]))
    return Derivatives(np.array(by_eta), parts)


def softplus(x: Array) -> Array:
    """Return ``log(1 + exp(x))``."""
    return np.asarray(np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0))


def _logistic(eta: Array) -> tuple[Array, Array, Array, Array]:
    """Return the logistic function and its first three derivatives."""
    smaller = np.exp(-np.abs(eta))
    larger = 1 / (1 + smaller)
    p = np.where(eta < 0, smaller * larger, larger)
    v = smaller * larger * larger
    return p, v, v * (1 - 2 * p), v * (1 - 6 * v)


def bernoulli(y: Outcome, eta: Array, parameters: Array) -> Array:
    """Events with logit link."""
    return np.asarray(y["value"] * eta - softplus(eta))


def bernoulli_derivatives(y: Outcome, eta: Array, parameters: Array) -> Derivatives:
    """Derivatives of `bernoulli`."""
    from pymc_mlm.integration import logistic_kernels

    by_eta = np.empty((4, len(eta)))
    logistic_kernels.derivatives(_numbers(y["value"]), _numbers(eta), by_eta)
    return Derivatives(by_eta, np.empty((0, 3, len(eta))))


def bernoulli_sum(y: Outcome, eta: Array, parameters: Array) -> Array:
    """Sum of `bernoulli` over rows."""
    from pymc_mlm.integration import logistic_kernels

    event, eta = _numbers(y["value"]), _numbers(eta)
    if eta.ndim == 1:
        return np.asarray(logistic_kernels.events_of_one(event, eta))
    total = np.zeros(eta.shape[1])
    logistic_kernels.events(event, eta, total)
    return total


def _numbers(x: Array) -> Array:
    """Return an array as compiled loops take it."""
    return np.ascontiguousarray(x, dtype=np.float64)


def binomial(y: Outcome, eta: Array, parameters: Array) -> Array:
    """Events out of trials with logit link."""
    k, n = y["value"], y["trials"]
    ways = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.asarray(ways + k * eta - n * softplus(eta))


def binomial_derivatives(y: Outcome, eta: Array, parameters: Array) -> Derivatives:
    """Derivatives of `binomial`."""
    n = y["trials"]
    p, *v = _logistic(eta)
    return _of(y["value"] - n * p, *(-n * x for x in v))


def poisson(y: Outcome, eta: Array, parameters: Array) -> Array:
    """Counts with log link."""
    return np.asarray(y["value"] * eta - _exp(eta) - gammaln(y["value"] + 1))


def poisson_derivatives(y: Outcome, eta: Array, parameters: Array) -> Derivatives:
    """Derivatives of `poisson`."""
    mu = _exp(eta)
    return _of(y["value"] - mu, -mu, -mu, -mu)


def negative_binomial(y: Outcome, eta: Array, parameters: Array) -> Array:
    """Counts with log link and the shape alpha: logistic in eta less log alpha."""
    count, alpha, x = y["value"], np.exp(parameters[0]), eta - parameters[0]
    ways = -np.log(count + alpha) - betaln(count + 1, alpha)
    return np.asarray(ways + count * x - (count + alpha) * softplus(x))


def negative_binomial_derivatives(y: Outcome, eta: Array, parameters: Array) -> Derivatives:
    """Derivatives of `negative_binomial`."""
    count, alpha, x = y["value"], np.exp(parameters[0]), eta - parameters[0]
    total = count + alpha
    p, *v = _logistic(x)
    by_alpha = [
        alpha * (_digamma_rise(alpha, count) - softplus(x)) + total * p - count,
        total * v[0] - alpha * p,
        total * v[1] - alpha * v[0],
    ]
    return _of(count - total * p, *(-total * d for d in v), by_parameter=[by_alpha])


def _digamma_rise(x: float, by: Array) -> Array:
    """Return ``digamma(x + by) - digamma(x)``, for large x by its asymptotic series."""
    if x < SERIES_FROM:
        return np.asarray(digamma(x + by) - digamma(x))
    far = x + by
    return np.asarray(np.log1p(by / x) + (1 / x - 1 / far) / 2 + (1 / x**2 - 1 / far**2) / 12)


def weibull(y: Outcome, eta: Array, parameters: Array) -> Array:
    """Right-censored durations; eta is the log of the scale, the parameter the shape."""
    log_time = np.log(y["time"])
    r = np.exp(parameters[0]) * (log_time - eta)
    return np.asarray(y["event"] * (parameters[0] - log_time + r) - _exp(r))


def weibull_derivatives(y: Outcome, eta: Array, parameters: Array) -> Derivatives:
    """Derivatives of `weibull`."""
    event, shape = y["event"], np.exp(parameters[0])
    r = shape * (np.log(y["time"]) - eta)
    hazard = _exp(r)  # cumulative, to the end of the row's time
    by_shape = [
        event * (1 + r) - hazard * r,
        shape * (hazard - event + hazard * r),
        -(shape**2) * hazard * (2 + r),
    ]
    by_eta = shape * (hazard - event), *(-((-shape) ** n) * hazard for n in (2, 3, 4))
    return _of(*by_eta, by_parameter=[by_shape])


def student_t(y: Outcome, eta: Array, parameters: Array) -> Array:
    """Student's t with identity link; the parameters are its scale and degrees of freedom."""
    sigma, nu = np.exp(parameters)
    r = (y["value"] - eta) / sigma
    constant = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi) - parameters[0]
    return np.asarray(constant - 0.5 * (nu + 1) * np.log1p(r * r / nu))


def student_t_derivatives(y: Outcome, eta: Array, parameters: Array) -> Derivatives:
    """Derivatives of `student_t`."""
    sigma, nu = np.exp(parameters)
    r = (y["value"] - eta) / sigma
    s = r * r
    q = nu + s
    # Derivatives of -(nu + 1) / 2 log(1 + r^2 / nu) by r.
    g1 = -(nu + 1) * r / q
    g2 = -(nu + 1) * (nu - s) / q**2
    g3 = 2 * (nu + 1) * r * (3 * nu - s) / q**3
    g4 = 6 * (nu + 1) * (nu * nu - 6 * nu * s + s * s) / q**4
    by_sigma = [-1 - r * g1, (g1 + r * g2) / sigma, -(2 * g2 + r * g3) / sigma**2]
    level = 0.5 * (digamma((nu + 1) / 2) - digamma(nu / 2) - 1 / nu - np.log1p(s / nu))
    by_nu = [
        nu * level + 0.5 * (nu + 1) * s / q,
        nu * r * (s - 1) / (q * q * sigma),
        nu * (nu - 3 * nu * s - 3 * s + s * s) / (q**3 * sigma**2),
    ]
    by_eta = -g1 / sigma, g2 / sigma**2, -g3 / sigma**3, g4 / sigma**4
    return _of(*by_eta, by_parameter=[by_sigma, by_nu])


def _exp(x: Array) -> Array:
    return np.asarray(np.exp(np.minimum(x, LARGEST_EXPONENT)))


def gaussian(y: Outcome, eta: Array, parameters: Array) -> Array:
    """Normal outcomes with identity link; the parameter is their standard deviation."""
    r = (y["value"] - eta) * np.exp(-parameters[0])
    return np.asarray(-0.5 * np.log(2 * np.pi) - parameters[0] - 0.5 * r * r)


def gaussian_derivatives(y: Outcome, eta: Array, parameters: Array) -> Derivatives:
    """Derivatives of `gaussian`; the third and fourth are zero."""
    precision = np.exp(-2 * parameters[0])
    r = y["value"] - eta
    zero, curve = np.zeros_like(r), np.full_like(r, precision)
    by_sigma = [precision * r * r - 1, -2 * precision * r, 2 * curve]
    return _of(precision * r, -curve, zero, zero, by_parameter=[by_sigma])


@dataclass(frozen=True)
class LogDensity:
    """A family's entry in the table.

    Attributes
    ----------
    value : callable
        Log density, shape (row, ...), of outcome by role, linear predictor (row, ...) and logs of
        the parameters (parameter,).
    derivatives : callable
        Its `Derivatives`, at a linear predictor of shape (row,).
    parameters : tuple of str
        The family's own parameters, all positive.
    total : callable, optional
        Sum of `value` over rows, where that takes less than its parts; linear predictors of shape
        (row,) or (row, vector).
    """

    value: Callable[[Outcome, Array, Array], Array]
    derivatives: Callable[[Outcome, Array, Array], Derivatives]
    parameters: tuple[str, ...] = ()
    total: Callable[[Outcome, Array, Array], Array] | None = None


def weighted(density: LogDensity) -> LogDensity:
    """Return a log density that is multiplied by each row's weight."""

    def value(y: Outcome, eta: Array, parameters: Array) -> Array:
        return np.asarray(y[ROW_WEIGHT] * density.value(y, eta, parameters))

    def derivatives(y: Outcome, eta: Array, parameters: Array) -> Derivatives:
        found = density.derivatives(y, eta, parameters)
        return Derivatives(found.by_eta * y[ROW_WEIGHT], found.by_parameter * y[ROW_WEIGHT])

    return LogDensity(value, derivatives, density.parameters)


LOG_DENSITIES = {
    "bernoulli": LogDensity(bernoulli, bernoulli_derivatives, total=bernoulli_sum),
    "binomial": LogDensity(binomial, binomial_derivatives),
    "poisson": LogDensity(poisson, poisson_derivatives),
    "negative_binomial": LogDensity(negative_binomial, negative_binomial_derivatives, ("alpha",)),
    "weibull": LogDensity(weibull, weibull_derivatives, ("shape",)),
    "gaussian": LogDensity(gaussian, gaussian_derivatives, ("sigma",)),
    "student_t": LogDensity(student_t, student_t_derivatives, ("sigma", "nu")),
}
