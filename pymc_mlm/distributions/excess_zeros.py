"""Counts with more or other zeros than their distribution has: zero-inflated and hurdle counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

# Of a rate: one event in e^300 rows, whose zero is one to the last digit.
SMALLEST_ETA = -300.0


def zero_inflated(name: str, eta: Any, zi: Any, alpha: Any = None, **kwargs: Any) -> Any:
    r"""Add counts that are zero with an additional probability to the current model.

    .. math:: P(0) = z + (1 - z) f(0), \qquad P(y) = (1 - z) f(y)

    with `f` the Poisson distribution of mean :math:`e^\eta` [1]_, or the negative binomial one of
    shape `alpha`.

    Parameters
    ----------
    name : str
        Name of the variable.
    eta : tensor_like, shape (row,)
        Log of the mean of `f`.
    zi : tensor_like, scalar
        Probability `z` of a zero that `f` does not give.
    alpha : tensor_like, scalar, optional
        Shape of the negative binomial distribution.
    **kwargs
        ``observed`` and ``dims``.

    Returns
    -------
    TensorVariable, shape (row,)

    References
    ----------
    .. [1] Lambert, D. (1992). Zero-inflated Poisson regression, with an application to defects in
       manufacturing. Technometrics 34, 1-14.
    """

    def logp(value: Any, eta: Any, zi: Any, *shape: Any) -> Any:
        rest, none = pt.log1p(-zi), _log_zero(eta, *shape)
        zero = pt.logaddexp(pt.log(zi), rest + none)
        return pt.switch(pt.eq(value, 0), zero, rest + _log_count(value, eta, *shape))

    def random(eta: Any, zi: Any, *shape: Any, rng: Any, size: Any) -> Any:
        counts = _drawn(rng, eta, shape, size)
        return np.where(rng.random(counts.shape) < zi, 0.0, counts)

    return _counts(name, logp, random, (eta, zi), alpha, kwargs)


def hurdle(name: str, eta: Any, hu: Any, alpha: Any = None, **kwargs: Any) -> Any:
    r"""Add counts whose zeros have a probability of their own to the current model.

    .. math:: P(0) = h, \qquad P(y) = (1 - h) f(y) / \{1 - f(0)\}

    with `f` as in `zero_inflated` [1]_.

    Parameters
    ----------
    name : str
        Name of the variable.
    eta : tensor_like, shape (row,)
        Log of the mean of `f`, which is not that of the positive counts.
    hu : tensor_like, scalar
        Probability `h` of a zero.
    alpha : tensor_like, scalar, optional
        Shape of the negative binomial distribution.
    **kwargs
        ``observed`` and ``dims``.

    Returns
    -------
    TensorVariable, shape (row,)

    References
    ----------
    .. [1] Mullahy, J. (1986). Specification and testing of some modified count data models. Journal
       of Econometrics 33, 341-365.
    """

    def logp(value: Any, eta: Any, hu: Any, *shape: Any) -> Any:
        # Not of zero, whose count would have a density that nobody reads.
        count = pt.maximum(value, 1.0)
        eta = pt.maximum(eta, SMALLEST_ETA)
        some = pt.log(-pt.expm1(_log_zero(eta, *shape)))
        positive = pt.log1p(-hu) + _log_count(count, eta, *shape) - some
        return pt.switch(pt.eq(value, 0), pt.log(hu), positive)

    def random(eta: Any, hu: Any, *shape: Any, rng: Any, size: Any) -> Any:
        counts = _positive(rng, eta, shape, size)
        return np.where(rng.random(counts.shape) < hu, 0.0, counts)

    return _counts(name, logp, random, (eta, hu), alpha, kwargs)


def _log_count(y: Any, eta: Any, *shape: Any) -> Any:
    """Return the log probability of a count, the rate by its logarithm."""
    if not shape:
        return y * eta - pt.exp(eta) - pt.gammaln(y + 1.0)
    (alpha,) = shape
    x = eta - pt.log(alpha)
    ways = pt.gammaln(y + alpha) - pt.gammaln(alpha) - pt.gammaln(y + 1.0)
    return ways + y * x - (y + alpha) * pt.softplus(x)


def _log_zero(eta: Any, *shape: Any) -> Any:
    if not shape:
        return -pt.exp(eta)
    return -shape[0] * pt.softplus(eta - pt.log(shape[0]))


def _drawn(rng: Any, eta: Any, shape: Any, size: Any) -> Any:
    rate = np.exp(eta)
    if shape:
        rate = rate * rng.gamma(shape[0], size=np.shape(rate) if size is None else size) / shape[0]
    return rng.poisson(rate, size=size).astype(np.float64)


def _positive(rng: Any, eta: Any, shape: Any, size: Any) -> Any:
    """Draw counts above zero by inversion, which small rates need."""
    from scipy import stats

    rate = np.exp(np.maximum(eta, SMALLEST_ETA))
    count = np.shape(rate) if size is None else size
    if not shape:
        # The first event of a Poisson process on (0, 1), given one, then those after it.
        first = -np.log1p(rng.random(count) * np.expm1(-rate)) / rate
        return 1.0 + rng.poisson(rate * (1.0 - first))
    f = stats.nbinom(shape[0], shape[0] / (shape[0] + rate))
    tail = rng.random(count) * f.sf(0)
    return np.maximum(f.isf(tail), 1.0)


def _counts(
    name: str, logp: Callable[..., Any], random: Callable[..., Any], given: tuple[Any, ...],
    alpha: Any, kwargs: Any,
) -> Any:  # fmt: skip
    parameters = (*given, *(() if alpha is None else (alpha,)))
    signature = f"{','.join(['()'] * len(parameters))}->()"
    return pm.CustomDist(
        name, *parameters, logp=logp, random=random, signature=signature, dtype="float64", **kwargs
    )
