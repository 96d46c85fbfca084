"""Durations with a piecewise-constant hazard, as a distribution that anyone's model may use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.continuous import PositiveContinuous
from pytensor.graph.basic import Constant, Variable
from pytensor.tensor.random.op import RandomVariable


class PiecewiseExponentialRV(RandomVariable):
    """Draws complete durations from time zero, whatever was observed of others."""

    name = "piecewise_exponential"
    signature = "(),(k),(k),(),()->()"
    dtype = "float64"
    _print_name = ("PiecewiseExponential", "\\operatorname{PiecewiseExponential}")

    @classmethod
    def rng_fn(
        cls,
        rng: Any,
        eta: Any,
        log_hazard: Any,
        cuts: Any,
        event: Any,
        start: Any,
        size: Any = None,
    ) -> Any:
        """Draw where the cumulative hazard reaches a standard exponential."""
        if size is None:
            size = np.broadcast_shapes(np.shape(eta), np.shape(event), np.shape(start))
        wanted = rng.standard_exponential(size=size) / np.exp(eta)
        lines = np.broadcast_to(log_hazard, np.broadcast_shapes(np.shape(log_hazard), cuts.shape))
        lines = lines.reshape(-1, lines.shape[-1])
        left = np.asarray(cuts).reshape(-1, lines.shape[-1])[0]
        if len(lines) > 1:
            raise NotImplementedError("One baseline for all durations: log_hazard is a vector.")
        hazard = np.exp(lines[0])
        reached = np.concatenate([[0.0], np.cumsum(hazard[:-1] * np.diff(left))])
        k = np.searchsorted(reached, wanted, side="right") - 1
        return left[k] + (wanted - reached[k]) / hazard[k]


piecewise_exponential = PiecewiseExponentialRV()


class PiecewiseExponential(PositiveContinuous):
    r"""Duration with proportional hazards and a baseline that is constant within intervals.

    .. math:: h(t) = \lambda_{k(t)} e^{\eta}, \qquad
        \ell = d\,(\log \lambda_{k(t)} + \eta) - e^{\eta} \{\Lambda_0(t) - \Lambda_0(s)\}

    with d the event, s the start of observation, :math:`k(t)` the interval that holds t, and
    :math:`\Lambda_0(t) = \sum_{j < k} \lambda_j (c_{j+1} - c_j) + \lambda_k (t - c_k)` [1]_ [2]_.

    Parameters
    ----------
    eta : tensor_like of float, per observation
        Log hazard relative to the baseline.
    log_hazard : tensor_like, shape (interval,)
        Log of the baseline hazard in each interval, per unit of time.
    cuts : tensor_like, shape (interval,)
        Where intervals begin, ascending from zero. An interval holds its end and not its
        beginning; the last one has no end.
    event : tensor_like, default 1
        One where the observed value is the time of the event, zero where the event is only known
        to be later.
    start : tensor_like, default 0
        Time at which observation began: the event is known not to have been before (left
        truncation), or another row covers the time before (covariates that change).

    Notes
    -----
    Random draws are complete durations from time zero, whatever `event` and `start` say. No array
    of rows by intervals is made: each row looks its cumulative hazard up.

    References
    ----------
    .. [1] Holford, T. R. (1980). The analysis of rates and of survivorship using log-linear
       models. Biometrics 36, 299-305.
    .. [2] Friedman, M. (1982). Piecewise exponential models for survival data with covariates.
       Annals of Statistics 10, 101-113.

    Examples
    --------
    Hazard 1 up to time 1 and 2 afterwards: the cumulative hazard at 2 is 3.

    >>> import numpy as np
    >>> seen = PiecewiseExponential.dist(0.0, np.log([1.0, 2.0]), [0.0, 1.0])
    >>> round(float(pm.logp(seen, 2.0).eval()), 4)  # log 2 - 3
    -2.3069
    """

    rv_op = piecewise_exponential

    @classmethod
    def dist(
        cls,
        eta: Any,
        log_hazard: Any,
        cuts: Any,
        event: Any = 1.0,
        start: Any = 0.0,
        **kwargs: Any,
    ) -> Any:
        """Create the variable without a name."""
        parameters = [pt.as_tensor(x, dtype="float64") for x in (log_hazard, cuts, event, start)]
        return super().dist([pt.as_tensor_variable(eta), *parameters], **kwargs)

    def support_point(rv: Variable, size: Any, *parameters: Any) -> Variable:  # noqa: N805
        """Start where a constant hazard, that of the first interval, has its mean."""
        eta, log_hazard, _, event, start = parameters
        point = pt.exp(-eta - log_hazard[..., 0]) + pt.zeros_like(event) + pt.zeros_like(start)
        return point if pm.distributions.shape_utils.rv_size_is_none(size) else pt.full(size, point)

    def logp(value: Variable, *parameters: Variable) -> Variable:  # noqa: N805
        """Log density of events, log survival of censored times, given survival to the start."""
        eta, log_hazard, cuts, event, start = parameters
        log_hazard, cuts = _vector(log_hazard), _vector(cuts)
        hazard = pt.exp(log_hazard)
        steps = pt.cumsum(hazard[:-1] * (cuts[1:] - cuts[:-1]))
        reached = pt.concatenate([pt.zeros(1), steps])

        def interval(time: Variable) -> Variable:
            return pt.searchsorted(cuts[1:], time, side="left")

        def cumulative(time: Variable, k: Variable) -> Variable:
            return reached[k] + hazard[k] * (time - cuts[k])

        at = interval(value)
        exposed = cumulative(value, at)
        if not _is_zero(start):
            start = start + pt.zeros_like(value)
            exposed = exposed - cumulative(start, interval(start))
        logp = event * (log_hazard[at] + eta) - pt.exp(eta) * exposed
        return pt.switch(pt.gt(value, start), logp, -np.inf)


def _is_zero(x: Variable) -> bool:
    # A constant may stand behind new axes.
    while x.owner is not None and x.owner.inputs:
        x = x.owner.inputs[0]
    return isinstance(x, Constant) and not np.any(x.data)


def _vector(x: Variable) -> Variable:
    """Drop the batch dimensions of length one that PyMC puts before a parameter's own."""
    if any(not b for b in x.type.broadcastable[:-1]):
        raise NotImplementedError("One baseline for all durations: log_hazard is a vector.")
    return x.dimshuffle(x.ndim - 1)
