r"""First-order linear recursion, :math:`u_i = \phi_i u_{i-1} + e_i`, and the same backwards.

A chain begins where :math:`\phi_i = 0`, so that many chains of any length are one vector. As a
`Scan` the recursion takes ten times as long to compile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply, Variable

from pymc_mlm.ops.base import (
    AbstractKernelOp,
    as_float,
    jax_function,
    numba_kernel,
    register_backends,
    vector,
)
from pymc_mlm.ops.layout import Layout


def chain(phi: Any, shocks: Any) -> Variable:
    r"""Return the values of first-order recursions.

    .. math:: u_i = \phi_i u_{i-1} + e_i, \qquad u_{-1} = 0

    Parameters
    ----------
    phi : tensor_like, shape (place,)
        Factor of the value before; zero where a chain begins.
    shocks : tensor_like, shape (place,)
        What is added.

    Returns
    -------
    TensorVariable, shape (place,)

    Examples
    --------
    >>> chain([0.0, 0.5, 0.0], [1.0, 1.0, 1.0]).eval()
    array([1. , 1.5, 1. ])
    """
    return _forward(phi, shocks)


def chain_back(phi: Any, shocks: Any) -> Variable:
    r"""Return the recursion backwards, :math:`h_i = a_i + \phi_{i+1} h_{i+1}`.

    Parameters and shapes are those of `chain`.

    Examples
    --------
    >>> chain_back([0.0, 0.5, 0.0], [1.0, 1.0, 1.0]).eval()
    array([1.5, 1. , 1. ])
    """
    return _backward(phi, shocks)


def reference_chain(phi: Any, shocks: Any) -> Variable:
    """Return `chain` as a product with a dense matrix, for tests."""
    phi, shocks = as_float(phi), as_float(shocks)
    lag = pt.concatenate([pt.zeros(1), pt.ones_like(phi)[1:]]) * phi
    n = phi.shape[0]
    below = pt.set_subtensor(pt.zeros((n, n))[pt.arange(1, n), pt.arange(n - 1)], lag[1:])
    return pt.linalg.solve(pt.eye(n) - below, shocks)


def recursion(phi: Any, shocks: Any) -> Any:
    """Return the recursion of the last axis in NumPy, for any leading axes."""
    out = np.array(shocks, dtype=np.float64)
    for i in range(1, out.shape[-1]):
        out[..., i] += phi[..., i] * out[..., i - 1]
    return out


class Chain(AbstractKernelOp):
    """Values of the recursion, forwards or backwards. One is the transpose of the other."""

    __props__ = ("is_backward",)
    layout = Layout("phi[places], shocks[places]")

    def __init__(self, is_backward: bool = False) -> None:
        self.is_backward = is_backward

    def make_node(self, phi: Any, shocks: Any) -> Apply:
        """Take two vectors."""
        register_backends()
        phi, shocks = as_float(phi), as_float(shocks)
        if not phi.ndim == shocks.ndim == 1:
            raise TypeError("chain needs vectors phi and shocks")
        return Apply(self, [phi, shocks], [vector()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """One value per shock."""
        return [shapes[1]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the values in NumPy."""
        phi, shocks = inputs
        if self.is_backward:  # from the last place on, the factor is that of the place after
            out[0][0] = recursion(np.append(phi, 0.0)[1:][::-1], shocks[::-1])[::-1].copy()
        else:
            out[0][0] = recursion(phi, shocks)

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        r"""The recursion in the other direction.

        With :math:`\lambda` its values, from the cotangent, the gradient by :math:`\phi_i` is
        :math:`\lambda_i u_{i-1}` forwards and :math:`\lambda_{i-1} h_i` backwards.
        """
        by_shocks = (_forward if self.is_backward else _backward)(inputs[0], cts[0])
        here, before = by_shocks, outputs[0]
        if self.is_backward:
            here, before = before, here
        return [here * pt.concatenate([pt.zeros(1), before])[:-1], by_shocks]


def _forward_kernel(phi: Any, shocks: Any) -> Any:
    out = np.empty(shocks.shape[0])
    before = 0.0
    for i in range(shocks.shape[0]):
        before = phi[i] * before + shocks[i]
        out[i] = before
    return out


def _backward_kernel(phi: Any, shocks: Any) -> Any:
    n = shocks.shape[0]
    out = np.empty(n)
    after = 0.0
    for k in range(n):
        i = n - 1 - k
        out[i] = shocks[i] + after
        after = phi[i] * out[i]
    return out


@numba_kernel(Chain)
def _(op: Chain) -> Callable[..., Any]:
    return _backward_kernel if op.is_backward else _forward_kernel


@jax_function(Chain)
def _(op: Chain, node: Apply) -> Callable[..., Any]:
    import jax.numpy as jnp
    from jax.lax import scan

    def step(before: Any, now: Any) -> Any:
        value = now[0] * before + now[1]
        return value, value

    def run(phi: Any, shocks: Any) -> Any:
        factor = jnp.append(phi, 0.0)[1:] if op.is_backward else phi
        return scan(step, 0.0, (factor, shocks), reverse=op.is_backward)[1]

    return run


_forward, _backward = Chain(), Chain(is_backward=True)
