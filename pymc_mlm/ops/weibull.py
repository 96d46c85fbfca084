"""Right-censored Weibull log density per row, with both gradients from the same pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, log
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op

from pymc_mlm.ops.base import (
    AbstractKernelOp,
    as_float,
    is_connected,
    jax_function,
    numba_kernel,
    register_backends,
)
from pymc_mlm.ops.layout import Layout


class CensoredWeibullLogp(AbstractKernelOp):
    """Rows of log density or log survival, and their derivatives by eta and by the shape."""

    __props__ = ()
    default_output = 0
    layout = Layout("eta[rows], shape, log_time[rows], event[rows]")

    def make_node(self, eta: Any, shape: Any, log_time: Any, event: Any) -> Apply:
        """Take vectors of one length and a scalar shape."""
        register_backends()
        eta, shape, log_time, event = (as_float(x) for x in (eta, shape, log_time, event))
        if not (eta.ndim == log_time.ndim == event.ndim == 1 and shape.ndim == 0):
            raise TypeError("censored_weibull_logp needs vectors eta, time, event, scalar shape")
        return Apply(self, [eta, shape, log_time, event], [eta.type() for _ in range(3)])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """One entry per row in each output."""
        return [shapes[0]] * 3

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Time and event are data."""
        return [[True] * 3, [True] * 3, [False] * 3, [False] * 3]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define density and derivatives in NumPy.

        With z = shape (log t - eta) the cumulative hazard is exp(z), and
        log f = log shape - log t + z - exp(z), log S = -exp(z).
        """
        eta, shape, log_time, event = inputs
        with np.errstate(all="ignore"):
            z = shape * (log_time - eta)
            hazard = np.exp(z)
            out[0][0] = event * (np.log(shape) - log_time + z) - hazard
            out[1][0] = shape * (hazard - event)
            out[2][0] = (event * (1.0 + z) - hazard * z) / shape

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """Multiply the stored derivatives; second derivatives have a plain-graph form."""
        if is_connected(cts[1]) or is_connected(cts[2]):
            raise NotImplementedError("Take second derivatives of reference_censored_weibull_logp.")
        grads = [cts[0] * outputs[1], pt.sum(cts[0] * outputs[2])]
        return [*grads, disconnected_type(), disconnected_type()]


def _kernel(eta: Any, shape: Any, log_time: Any, event: Any) -> Any:
    rows = eta.shape[0]
    a = shape.item()
    log_a = log(a) if a > 0.0 else -np.inf
    logp = np.empty(rows)
    d_eta = np.empty(rows)
    d_shape = np.empty(rows)
    for i in range(rows):
        z = a * (log_time[i] - eta[i])
        hazard = exp(z)
        logp[i] = event[i] * (log_a - log_time[i] + z) - hazard
        d_eta[i] = a * (hazard - event[i])
        d_shape[i] = (event[i] * (1.0 + z) - hazard * z) / a
    return logp, d_eta, d_shape


@numba_kernel(CensoredWeibullLogp)
def _(op: Op) -> Callable[..., Any]:
    return _kernel


@jax_function(CensoredWeibullLogp)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    import jax.numpy as jnp

    def logp(eta: Any, shape: Any, log_time: Any, event: Any) -> Any:
        z = shape * (log_time - eta)
        hazard = jnp.exp(z)
        value = event * (jnp.log(shape) - log_time + z) - hazard
        d_shape = (event * (1.0 + z) - hazard * z) / shape
        return value, shape * (hazard - event), d_shape

    return logp


_censored_weibull_logp = CensoredWeibullLogp()


def censored_weibull_logp(eta: Any, shape: Any, time: Any, event: Any) -> Variable:
    r"""Return the log density of events and the log survival of censored times.

    .. math:: \log t = \eta + \epsilon / a, \qquad
        S(t) = \exp\{-(t / e^{\eta})^a\}

    Parameters
    ----------
    eta : tensor_like, shape (row,)
        Log of the Weibull scale (accelerated failure time); not the log mean.
    shape : tensor_like, scalar
        Weibull shape `a`, positive.
    time : tensor_like, shape (row,)
        Time of the event or of censoring, positive.
    event : tensor_like, shape (row,)
        One where the event was seen at `time`, zero where `time` is right-censored.

    Returns
    -------
    TensorVariable, shape (row,)
        Log density (event) or log survival probability (censored), in nats.

    Examples
    --------
    >>> censored_weibull_logp([0.0, 0.0], 1.0, [1.0, 2.0], [1.0, 0.0]).eval()
    array([-1., -2.])
    """
    # Observed times are data: their logarithm is taken once, not in every gradient.
    return _censored_weibull_logp(eta, shape, pt.log(as_float(time)), event)


def reference_censored_weibull_logp(eta: Any, shape: Any, time: Any, event: Any) -> Variable:
    """Return the same values as plain PyTensor, for tests and second derivatives."""
    log_time = pt.log(as_float(time))
    z = shape * (log_time - eta)
    return as_float(event) * (pt.log(shape) - log_time + z) - pt.exp(z)
