r"""Log density of correlated normal rows, :math:`d_g \sim N(0, LL')`, with its gradient.

Elementwise it is fifty statements per level, half of them the gradient of a forward substitution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log, pi
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op

from pymc_mlm.ops.base import (
    AbstractKernelOp,
    as_float,
    is_connected,
    jax_function,
    numba_kernel,
    register_backends,
    scalar,
)
from pymc_mlm.ops.layout import Layout

HALF_LOG_TWO_PI = 0.5 * log(2.0 * pi)


def correlated_normal_logp(L: Any, effects: Any) -> Variable:
    r"""Return the joint log density of rows that are N(0, LL').

    Parameters
    ----------
    L : tensor_like, shape (coef, coef)
        Lower triangular, its diagonal positive.
    effects : tensor_like, shape (unit, coef)
        The rows.

    Returns
    -------
    TensorVariable, scalar

    Examples
    --------
    >>> float(correlated_normal_logp([[2.0]], [[0.0], [2.0]]).eval().round(4))
    -3.7242
    """
    return _correlated_normal(L, effects)


def reference_correlated_normal_logp(L: Any, effects: Any) -> Variable:
    """Return the same as plain PyTensor, for tests and second derivatives."""
    L, effects = as_float(L), as_float(effects)
    z = pt.linalg.solve_triangular(L, effects.T, lower=True)
    log_scale = pt.sum(pt.log(pt.diagonal(L)))
    return -0.5 * pt.sum(z * z) - effects.shape[0] * log_scale - HALF_LOG_TWO_PI * effects.size


def density_and_gradient(L: Any, effects: Any, xp: Any = np) -> Any:
    r"""Return log density and gradients by L and effects, in NumPy or JAX.

    With :math:`z = L^{-1} d`, that by d is :math:`-L'^{-1} z` and that by L the lower triangle of
    :math:`L'^{-1} \sum_g z_g z_g' - n \, \mathrm{diag}(1 / L_{ii})`.
    """
    inverse, diagonal = xp.linalg.inv(L), xp.diagonal(L)
    z = effects @ inverse.T
    by_effects = -z @ inverse
    by_L = xp.tril(-by_effects.T @ z) - len(effects) * xp.diag(1.0 / diagonal)
    value = -0.5 * (z * z).sum() - len(effects) * xp.log(diagonal).sum()
    return value - HALF_LOG_TWO_PI * effects.size, by_L, by_effects


class CorrelatedNormal(AbstractKernelOp):
    """Log density, and its gradients by L and by effects."""

    __props__ = ()
    default_output = 0
    layout = Layout("L[coefs, coefs], effects[units, coefs]")

    def make_node(self, L: Any, effects: Any) -> Apply:
        """Take two matrices."""
        register_backends()
        L, effects = as_float(L), as_float(effects)
        if not L.ndim == effects.ndim == 2:
            raise TypeError("correlated_normal_logp needs matrices L and effects")
        return Apply(self, [L, effects], [scalar(), L.type(), effects.type()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Gradients have the shapes of the inputs."""
        return [(), *shapes]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the outputs in NumPy."""
        for cell, value in zip(out, density_and_gradient(*inputs), strict=True):
            cell[0] = np.asarray(value)

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """Scale the gradients that are there."""
        if any(is_connected(ct) for ct in cts[1:]):
            raise NotImplementedError(
                "Take second derivatives of reference_correlated_normal_logp."
            )
        return [cts[0] * outputs[1], cts[0] * outputs[2]]


def _kernel(L: Any, effects: Any) -> Any:
    units, p = effects.shape
    by_L, by_effects = np.zeros((p, p)), np.empty((units, p))
    z, inverse = np.empty(p), np.empty(p)
    squares, log_scale = 0.0, 0.0
    for i in range(p):
        inverse[i] = 1.0 / L[i, i]
        log_scale += np.log(L[i, i])
    for g in range(units):
        for i in range(p):
            total = effects[g, i]
            for j in range(i):
                total -= L[i, j] * z[j]
            z[i] = total * inverse[i]
            squares += z[i] * z[i]
        for i in range(p - 1, -1, -1):
            total = -z[i]
            for j in range(i + 1, p):
                total -= L[j, i] * by_effects[g, j]
            by_effects[g, i] = total * inverse[i]
            for j in range(i + 1):
                by_L[i, j] -= by_effects[g, i] * z[j]
    for i in range(p):
        by_L[i, i] -= units * inverse[i]
    value = -0.5 * squares - units * (log_scale + p * HALF_LOG_TWO_PI)
    return np.asarray(value), by_L, by_effects


@numba_kernel(CorrelatedNormal)
def _(op: Op) -> Callable[..., Any]:
    return _kernel


@jax_function(CorrelatedNormal)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    import jax.numpy as jnp

    return lambda L, effects: density_and_gradient(L, effects, jnp)


_correlated_normal = CorrelatedNormal()
