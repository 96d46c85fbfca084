r"""First-order linear recursion, :math:`u_i = \phi_i u_{i-1} + e_i`, with its gradient.

A chain begins where :math:`\phi_i = 0`, so that many chains of any length are one vector. As a
`Scan` the recursion takes ten times as long to compile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytensor.tensor as pt
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
    return _chain(phi, shocks)


def reference_chain(phi: Any, shocks: Any) -> Variable:
    """Return the same as a product with a dense matrix, for tests and second derivatives."""
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


def _gradient(phi: Any, u: Any, ct: Any) -> Any:
    r"""Return gradients by phi and shocks: :math:`\lambda_i = g_i + \phi_{i+1} \lambda_{i+1}`."""
    by_shocks = np.array(ct, dtype=np.float64)
    for i in range(len(ct) - 2, -1, -1):
        by_shocks[i] += phi[i + 1] * by_shocks[i + 1]
    before = np.concatenate([np.zeros(min(1, len(u))), u[:-1]])
    return by_shocks * before, by_shocks


class Chain(AbstractKernelOp):
    """Values of the recursion."""

    __props__ = ()
    layout = Layout("phi[places], shocks[places]")

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
        out[0][0] = recursion(*inputs)

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """The recursion backwards."""
        return list(_chain_vjp(inputs[0], outputs[0], cts[0]))


class ChainVJP(AbstractKernelOp):
    """Gradients of `Chain` by phi and shocks."""

    __props__ = ()
    layout = Layout("phi[places], u[places], ct[places]")

    def make_node(self, phi: Any, u: Any, ct: Any) -> Apply:
        """Take factors, values and the cotangent of the values."""
        register_backends()
        inputs = [as_float(x) for x in (phi, u, ct)]
        return Apply(self, inputs, [vector(), vector()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Gradients have the shape of the inputs."""
        return [shapes[0], shapes[0]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the gradients in NumPy."""
        out[0][0], out[1][0] = _gradient(*inputs)


def _kernel(phi: Any, shocks: Any) -> Any:
    out = np.empty(shocks.shape[0])
    before = 0.0
    for i in range(shocks.shape[0]):
        before = phi[i] * before + shocks[i]
        out[i] = before
    return out


def _vjp_kernel(phi: Any, u: Any, ct: Any) -> Any:
    n = u.shape[0]
    by_phi, by_shocks = np.zeros(n), np.empty(n)
    after = 0.0
    for k in range(n):
        i = n - 1 - k
        after += ct[i]
        by_shocks[i] = after
        if i > 0:
            by_phi[i] = after * u[i - 1]
        after *= phi[i]
    return by_phi, by_shocks


@numba_kernel(Chain)
def _(op: Op) -> Callable[..., Any]:
    return _kernel


@numba_kernel(ChainVJP)
def _(op: Op) -> Callable[..., Any]:
    return _vjp_kernel


@jax_function(Chain)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    return _jax_chain


@jax_function(ChainVJP)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    import jax.numpy as jnp

    def vjp(phi: Any, u: Any, ct: Any) -> Any:
        # Backwards, the factor of what came before is that of the next place.
        after = jnp.concatenate([phi[1:], jnp.zeros(1)])
        by_shocks = _jax_chain(after[::-1], ct[::-1])[::-1]
        return by_shocks * jnp.concatenate([jnp.zeros(1), u[:-1]]), by_shocks

    return vjp


def _jax_chain(phi: Any, shocks: Any) -> Any:
    from jax.lax import scan

    def step(before: Any, now: Any) -> Any:
        value = now[0] * before + now[1]
        return value, value

    return scan(step, 0.0, (phi, shocks))[1]


_chain = Chain()
_chain_vjp = ChainVJP()
