r"""What the data tell of a first-order chain from each place on: recursions backwards.

A chain :math:`u_i \sim N(\phi_i u_{i-1}, s_i^2)` whose places have log likelihoods near
:math:`a_i u_i - J_i u_i^2 / 2` gives, from place i on, the log likelihood
:math:`h_i u_i - q_i u_i^2 / 2` of :math:`u_i` with

.. math:: q_i = J_i + \frac{\phi_{i+1}^2 q_{i+1}}{1 + s_{i+1}^2 q_{i+1}}, \qquad
    h_i = a_i + \frac{\phi_{i+1}}{1 + s_{i+1}^2 q_{i+1}} h_{i+1} ,

the information form of the Kalman smoother. A chain begins where :math:`\phi_i = 0`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op

from pymc_mlm.ops.base import (
    AbstractKernelOp,
    as_float,
    jax_function,
    numba_kernel,
    register_backends,
    vector,
)
from pymc_mlm.ops.layout import Layout


def chain_information(phi: Any, sd: Any, precision: Any) -> Variable:
    """Return the information q about each place from there on.

    Parameters
    ----------
    phi, sd : tensor_like, shape (place,)
        Factor and standard deviation given the place before.
    precision : tensor_like, shape (place,)
        Information J of each place's own data.

    Returns
    -------
    TensorVariable, shape (place,)

    Examples
    --------
    >>> chain_information([0.0, 1.0], [1.0, 1.0], [2.0, 1.0]).eval()
    array([2.5, 1. ])
    """
    return _chain_information(phi, sd, precision)


def information(phi: Any, sd: Any, precision: Any) -> Any:
    """Return the recursion of q in NumPy."""
    q = np.array(precision, dtype=np.float64)
    for i in range(len(q) - 2, -1, -1):
        q[i] += phi[i + 1] ** 2 * q[i + 1] / (1.0 + sd[i + 1] ** 2 * q[i + 1])
    return q


def _gradient(phi: Any, sd: Any, q: Any, ct: Any) -> Any:
    r"""Return gradients by phi, sd and J, places in order.

    With :math:`W = 1 + s^2 q`, the derivatives of :math:`\phi^2 q / W` by :math:`\phi`, s and q
    are :math:`2 \phi q / W`, :math:`-2 \phi^2 s q^2 / W^2` and :math:`\phi^2 / W^2`.
    """
    by_phi, by_sd, by_precision = np.zeros(len(q)), np.zeros(len(q)), np.array(ct, dtype=float)
    for i in range(1, len(q)):
        W = 1.0 + sd[i] ** 2 * q[i]
        before = by_precision[i - 1]
        by_phi[i] = before * 2.0 * phi[i] * q[i] / W
        by_sd[i] = -before * 2.0 * sd[i] * (phi[i] * q[i] / W) ** 2
        by_precision[i] += before * (phi[i] / W) ** 2
    return by_phi, by_sd, by_precision


class ChainInformation(AbstractKernelOp):
    """Information from each place on."""

    __props__ = ()
    layout = Layout("phi[places], sd[places], precision[places]")

    def make_node(self, phi: Any, sd: Any, precision: Any) -> Apply:
        """Take three vectors."""
        register_backends()
        inputs = [as_float(x) for x in (phi, sd, precision)]
        if not all(x.ndim == 1 for x in inputs):
            raise TypeError("chain_information needs vectors phi, sd and precision")
        return Apply(self, inputs, [vector()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """One value a place."""
        return [shapes[2]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the values in NumPy."""
        out[0][0] = information(*inputs)

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """The recursion forwards."""
        return list(_information_vjp(*inputs[:2], outputs[0], cts[0]))


class ChainInformationVJP(AbstractKernelOp):
    """Gradients of `ChainInformation`."""

    __props__ = ()
    layout = Layout("phi[places], sd[places], q[places], ct[places]")

    def make_node(self, phi: Any, sd: Any, q: Any, ct: Any) -> Apply:
        """Take factors, scales, information and its cotangent."""
        register_backends()
        inputs = [as_float(x) for x in (phi, sd, q, ct)]
        return Apply(self, inputs, [vector(), vector(), vector()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Gradients have the shape of the inputs."""
        return [shapes[0]] * 3

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the gradients in NumPy."""
        out[0][0], out[1][0], out[2][0] = _gradient(*inputs)


def _information_kernel(phi: Any, sd: Any, precision: Any) -> Any:
    n = precision.shape[0]
    q = np.empty(n)
    after = 0.0
    for k in range(n):
        i = n - 1 - k
        q[i] = precision[i] + after
        after = phi[i] * phi[i] * q[i] / (1.0 + sd[i] * sd[i] * q[i])
    return q


def _information_vjp_kernel(phi: Any, sd: Any, q: Any, ct: Any) -> Any:
    n = q.shape[0]
    by_phi, by_sd, by_precision = np.zeros(n), np.zeros(n), np.empty(n)
    before = 0.0
    for i in range(n):
        W = 1.0 + sd[i] * sd[i] * q[i]
        share = phi[i] / W
        by_phi[i] = before * 2.0 * share * q[i]
        by_sd[i] = -before * 2.0 * sd[i] * (share * q[i]) * (share * q[i])
        before = ct[i] + before * share * share
        by_precision[i] = before
    return by_phi, by_sd, by_precision


@numba_kernel(ChainInformation)
def _(op: Op) -> Callable[..., Any]:
    return _information_kernel


@numba_kernel(ChainInformationVJP)
def _(op: Op) -> Callable[..., Any]:
    return _information_vjp_kernel


@jax_function(ChainInformation)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    def run(phi: Any, sd: Any, precision: Any) -> Any:
        from jax.lax import scan

        def step(after: Any, now: Any) -> Any:
            f, s, J = now
            q = J + after
            return f * f * q / (1.0 + s * s * q), q

        return scan(step, 0.0, (phi, sd, precision), reverse=True)[1]

    return run


@jax_function(ChainInformationVJP)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    def run(phi: Any, sd: Any, q: Any, ct: Any) -> Any:
        from jax.lax import scan

        def step(before: Any, now: Any) -> Any:
            f, s, own, g = now
            share = f / (1.0 + s * s * own)
            by_phi = before * 2.0 * share * own
            by_sd = -before * 2.0 * s * (share * own) ** 2
            total = g + before * share * share
            return total, (by_phi, by_sd, total)

        return scan(step, 0.0, (phi, sd, q, ct))[1]

    return run


_chain_information = ChainInformation()
_information_vjp = ChainInformationVJP()
