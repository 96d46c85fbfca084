"""Weibull durations with right censoring, as a distribution that anyone's model may use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.continuous import PositiveContinuous
from pytensor.graph.basic import Variable
from pytensor.tensor.random.op import RandomVariable

from pymc_mlm.ops.weibull import censored_weibull_logp, reference_censored_weibull_logp


class CensoredWeibullRV(RandomVariable):
    """Draws complete durations: the event indicator tells about observations, not the future."""

    name = "censored_weibull"
    signature = "(),(),()->()"
    dtype = "float64"
    _print_name = ("CensoredWeibull", "\\operatorname{CensoredWeibull}")

    @classmethod
    def rng_fn(cls, rng: Any, eta: Any, shape: Any, event: Any, size: Any = None) -> Any:
        """Draw t = exp(eta) * (standard exponential) ** (1 / shape)."""
        if size is None:
            size = np.broadcast_shapes(np.shape(eta), np.shape(shape), np.shape(event))
        return np.exp(eta) * rng.standard_exponential(size=size) ** (1.0 / np.asarray(shape))


censored_weibull = CensoredWeibullRV()


class CensoredWeibull(PositiveContinuous):
    r"""Weibull duration in accelerated-failure-time form, seen or right-censored.

    .. math:: S(t) = \exp\{-(t / e^{\eta})^a\}

    Parameters
    ----------
    eta : tensor_like of float
        Log of the Weibull scale, per observation. Not the log mean, which is
        ``eta + log Gamma(1 + 1 / shape)``.
    shape_parameter : tensor_like of float, scalar
        Weibull shape `a`, positive.
    event : tensor_like, default 1
        One where the observed value is the time of the event, zero where the event is only
        known to be later.

    Notes
    -----
    Random draws are complete durations, whatever `event` says: how long a censored unit was
    watched is known, how long any other would have been is not.

    Examples
    --------
    >>> import numpy as np
    >>> with pm.Model():
    ...     y = CensoredWeibull("y", eta=0.0, shape_parameter=1.0, observed=np.array([1.0, 2.0]))
    >>> float(pm.logp(CensoredWeibull.dist(0.0, 1.0, 0.0), 2.0).eval())
    -2.0
    """

    rv_op = censored_weibull

    @classmethod
    def dist(cls, eta: Any, shape_parameter: Any, event: Any = 1.0, **kwargs: Any) -> Any:
        """Create the variable without a name."""
        parameters = [pt.as_tensor_variable(x) for x in (eta, shape_parameter, event)]
        return super().dist(parameters, **kwargs)

    def support_point(rv: Variable, size: Any, eta: Any, shape: Any, event: Any) -> Variable:  # noqa: N805
        """Start at the scale."""
        point = pt.exp(eta) + pt.zeros_like(shape) + pt.zeros_like(event)
        return point if pm.distributions.shape_utils.rv_size_is_none(size) else pt.full(size, point)

    def logp(value: Variable, eta: Variable, shape: Variable, event: Variable) -> Variable:  # noqa: N805
        """Log density of events, log survival of censored times."""
        if value.ndim == 1 and all(_one_value(x) for x in (shape,)):
            ones = pt.ones_like(value)
            rows = [x if not _one_value(x) and x.ndim == 1 else x * ones for x in (eta, event)]
            return censored_weibull_logp(rows[0], _as_scalar(shape), value, rows[1])
        return reference_censored_weibull_logp(eta, shape, value, event)


def _one_value(x: Variable) -> bool:
    return all(x.type.broadcastable)


def _as_scalar(x: Variable) -> Variable:
    return x.dimshuffle() if x.ndim else x
