r"""Normal effects from coordinates that are standard normal given what the data say.

With the prior :math:`N(0, \sigma^2)` and a log likelihood near :math:`s u - J u^2 / 2`, the
effect given the data has the variance :math:`v = \sigma^2 / (1 + J \sigma^2)` and the mean
:math:`v s`; hence :math:`u = v s + \sqrt{v} z`. `informed_effects` is the same for several
correlated effects of a unit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log, sqrt
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
    scalar,
)
from pymc_mlm.ops.layout import Layout


class InformedNormal(AbstractKernelOp):
    """Effects, the log determinant of their derivative by the coordinates, and its diagonal."""

    __props__ = ()
    layout = Layout("sd, score[units], precision[units], z[units]")

    def make_node(self, sd: Any, score: Any, precision: Any, z: Any) -> Apply:
        """Take a scalar and three vectors of one length."""
        register_backends()
        inputs = [as_float(x) for x in (sd, score, precision, z)]
        if [x.ndim for x in inputs] != [0, 1, 1, 1]:
            raise TypeError("informed_normal needs a scalar sd, vectors score, precision and z")
        return Apply(self, inputs, [inputs[3].type(), scalar(), inputs[3].type()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """One effect and one derivative per coordinate."""
        return [shapes[3], (), shapes[3]]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Score and precision are data."""
        return [[True] * 3, [False] * 3, [False] * 3, [True, True, False]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the outputs in NumPy."""
        sd, score, precision, z = inputs
        scale = sd / np.sqrt(1.0 + precision * sd * sd)
        out[0][0] = scale * (z + scale * score)
        with np.errstate(divide="ignore"):
            out[1][0] = np.asarray(np.log(scale).sum())
        out[2][0] = scale

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """With r = sqrt(v): dr/dsd = (r / sd)^3, du/dr = z + 2 r s, du/dz = r."""
        if is_connected(cts[2]):
            raise NotImplementedError("Take second derivatives of reference_informed_normal.")
        sd, score, _, z = inputs
        ct_u, ct_log = (
            ct if is_connected(ct) else pt.zeros_like(out)
            for ct, out in zip(cts[:2], outputs[:2], strict=True)
        )
        grad_sd, grad_z = _informed_normal_vjp(sd, score, z, outputs[2], ct_u, ct_log)
        return [grad_sd, disconnected_type(), disconnected_type(), grad_z]


class InformedNormalVJP(AbstractKernelOp):
    """Gradients of `InformedNormal` by sd and z."""

    __props__ = ()
    layout = Layout("sd, score[units], z[units], scale[units], ct_u[units], ct_log")

    def make_node(self, sd: Any, score: Any, z: Any, scale: Any, ct_u: Any, ct_log: Any) -> Apply:
        """Take inputs and the last output of `InformedNormal`, and both cotangents."""
        register_backends()
        inputs = [as_float(x) for x in (sd, score, z, scale, ct_u, ct_log)]
        return Apply(self, inputs, [scalar(), inputs[2].type()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Gradients have the shapes of sd and z."""
        return [(), shapes[2]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the gradients in NumPy."""
        sd, score, z, scale, ct_u, ct_log = inputs
        share = scale / sd
        by_scale = ct_u * (z + 2.0 * scale * score) * share + ct_log / sd
        out[0][0] = np.asarray((by_scale * share * share).sum())
        out[1][0] = ct_u * scale


# A product of factors until it is large saves one logarithm per unit.
LARGE = 1e100


def _kernel(sd: Any, score: Any, precision: Any, z: Any) -> Any:
    units = z.shape[0]
    a = sd.item()
    u = np.empty(units)
    scale = np.empty(units)
    for k in range(units):
        scale[k] = a / sqrt(1.0 + precision[k] * a * a)
        u[k] = scale[k] * (z[k] + scale[k] * score[k])
    product = 1.0
    total = 0.0
    for k in range(units):
        product *= 1.0 + precision[k] * a * a
        if not product < LARGE:
            total += log(product)
            product = 1.0
    log_a = log(a) if a > 0.0 else -np.inf
    return u, np.asarray(units * log_a - 0.5 * (total + log(product))), scale


def _vjp_kernel(sd: Any, score: Any, z: Any, scale: Any, ct_u: Any, ct_log: Any) -> Any:
    units = z.shape[0]
    inverse = 1.0 / sd.item()
    of_log = ct_log.item() * inverse
    grad_sd = 0.0
    grad_z = np.empty(units)
    for k in range(units):
        share = scale[k] * inverse
        by_scale = ct_u[k] * (z[k] + 2.0 * scale[k] * score[k]) * share + of_log
        grad_sd += by_scale * share * share
        grad_z[k] = ct_u[k] * scale[k]
    return np.asarray(grad_sd), grad_z


@numba_kernel(InformedNormal)
def _(op: Op) -> Callable[..., Any]:
    return _kernel


@numba_kernel(InformedNormalVJP)
def _(op: Op) -> Callable[..., Any]:
    return _vjp_kernel


@jax_function(InformedNormal)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    import jax.numpy as jnp

    def informed_normal(sd: Any, score: Any, precision: Any, z: Any) -> Any:
        scale = sd / jnp.sqrt(1.0 + precision * sd * sd)
        return scale * (z + scale * score), jnp.log(scale).sum(), scale

    return informed_normal


@jax_function(InformedNormalVJP)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    def vjp(sd: Any, score: Any, z: Any, scale: Any, ct_u: Any, ct_log: Any) -> Any:
        share = scale / sd
        by_scale = ct_u * (z + 2.0 * scale * score) * share + ct_log / sd
        return (by_scale * share * share).sum(), ct_u * scale

    return vjp


_informed_normal = InformedNormal()
_informed_normal_vjp = InformedNormalVJP()


def informed_normal(sd: Any, score: Any, precision: Any, z: Any) -> tuple[Variable, Variable]:
    """Return normal effects from standard coordinates, and the log determinant of the map.

    Parameters
    ----------
    sd : tensor_like, scalar
        Prior standard deviation.
    score, precision : tensor_like, shape (unit,)
        Slope of each effect's log likelihood at zero, and its negative second derivative, not
        below zero. Data; they have no gradient.
    z : tensor_like, shape (unit,)
        Coordinates.

    Returns
    -------
    effects : TensorVariable, shape (unit,)
        On the scale of `sd`.
    log_determinant : TensorVariable, scalar
        Of the derivative of the effects by the coordinates.

    Examples
    --------
    >>> effects, log_determinant = informed_normal(2.0, [0.0, 4.0], [0.0, 0.75], [1.0, 1.0])
    >>> effects.eval()
    array([2., 5.])
    >>> float(log_determinant.eval().round(4))
    0.6931
    """
    effects, log_determinant, _ = _informed_normal(sd, score, precision, z)
    return effects, log_determinant


def reference_informed_normal(
    sd: Any, score: Any, precision: Any, z: Any
) -> tuple[Variable, Variable]:
    """Return the same as plain PyTensor, for tests and second derivatives."""
    sd, score, precision, z = (as_float(x) for x in (sd, score, precision, z))
    scale = sd / pt.sqrt(1.0 + precision * sd * sd)
    return scale * (z + scale * score), pt.sum(pt.log(scale))
