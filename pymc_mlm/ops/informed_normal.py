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

from pymc_mlm.ops.base import as_float, jax_function, numba_kernel, register_backends, scalar


class InformedNormal(Op):
    """Effects, and the log determinant of their derivative by the coordinates."""

    __props__ = ()

    def make_node(self, sd: Any, score: Any, precision: Any, z: Any) -> Apply:
        """Take a scalar and three vectors of one length."""
        register_backends()
        inputs = [as_float(x) for x in (sd, score, precision, z)]
        if [x.ndim for x in inputs] != [0, 1, 1, 1]:
            raise TypeError("informed_normal needs a scalar sd, vectors score, precision and z")
        return Apply(self, inputs, [inputs[3].type(), scalar()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """One effect per coordinate."""
        return [shapes[3], ()]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Score and precision are data."""
        return [[True, True], [False, False], [False, False], [True, True]]

    def perform(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define both outputs in NumPy."""
        sd, score, precision, z = inputs
        scale = sd / np.sqrt(1.0 + precision * sd * sd)
        out[0][0] = scale * (z + scale * score)
        with np.errstate(divide="ignore"):
            out[1][0] = np.asarray(np.log(scale).sum())

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """With r = sqrt(v): dr/dsd = (r / sd)^3, du/dr = z + 2 r s, du/dz = r."""
        ct_u, ct_log = (
            ct if isinstance(ct.type, pt.TensorType) else pt.zeros_like(out)
            for ct, out in zip(cts, outputs, strict=True)
        )
        grad_sd, grad_z = _informed_normal_vjp(*inputs, ct_u, ct_log)
        return [grad_sd, disconnected_type(), disconnected_type(), grad_z]


class InformedNormalVJP(Op):
    """Gradients of `InformedNormal` by sd and z."""

    __props__ = ()

    def make_node(
        self, sd: Any, score: Any, precision: Any, z: Any, ct_u: Any, ct_log: Any
    ) -> Apply:
        """Take the inputs of `InformedNormal` and both cotangents."""
        register_backends()
        inputs = [as_float(x) for x in (sd, score, precision, z, ct_u, ct_log)]
        return Apply(self, inputs, [scalar(), inputs[3].type()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Gradients have the shapes of sd and z."""
        return [(), shapes[3]]

    def perform(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the gradients in NumPy."""
        sd, score, precision, z, ct_u, ct_log = inputs
        scale = sd / np.sqrt(1.0 + precision * sd * sd)
        by_scale = ct_u * (z + 2.0 * scale * score) + ct_log / scale
        out[0][0] = np.asarray((by_scale * (scale / sd) ** 3).sum())
        out[1][0] = ct_u * scale


# A product of factors until it is large saves one logarithm per unit.
LARGE = 1e100


def _kernel(sd: Any, score: Any, precision: Any, z: Any) -> Any:
    units = z.shape[0]
    a = sd.item()
    u = np.empty(units)
    product = 1.0
    total = 0.0
    for k in range(units):
        factor = 1.0 + precision[k] * a * a
        scale = a / sqrt(factor)
        u[k] = scale * (z[k] + scale * score[k])
        product *= factor
        if not product < LARGE:
            total += log(product)
            product = 1.0
    log_a = log(a) if a > 0.0 else -np.inf
    return u, np.asarray(units * log_a - 0.5 * (total + log(product)))


def _vjp_kernel(sd: Any, score: Any, precision: Any, z: Any, ct_u: Any, ct_log: Any) -> Any:
    units = z.shape[0]
    a = sd.item()
    of_log = ct_log.item()
    grad_sd = 0.0
    grad_z = np.empty(units)
    for k in range(units):
        share = 1.0 / sqrt(1.0 + precision[k] * a * a)
        scale = a * share
        by_scale = ct_u[k] * (z[k] + 2.0 * scale * score[k]) + of_log / scale
        grad_sd += by_scale * share * share * share
        grad_z[k] = ct_u[k] * scale
    return np.asarray(grad_sd), grad_z


@numba_kernel(InformedNormal)
def _(op: Op) -> tuple[Callable[..., Any], int]:
    return _kernel, 1


@numba_kernel(InformedNormalVJP)
def _(op: Op) -> tuple[Callable[..., Any], int]:
    return _vjp_kernel, 1


@jax_function(InformedNormal)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    import jax.numpy as jnp

    def informed_normal(sd: Any, score: Any, precision: Any, z: Any) -> Any:
        scale = sd / jnp.sqrt(1.0 + precision * sd * sd)
        return scale * (z + scale * score), jnp.log(scale).sum()

    return informed_normal


@jax_function(InformedNormalVJP)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    import jax.numpy as jnp

    def vjp(sd: Any, score: Any, precision: Any, z: Any, ct_u: Any, ct_log: Any) -> Any:
        scale = sd / jnp.sqrt(1.0 + precision * sd * sd)
        by_scale = ct_u * (z + 2.0 * scale * score) + ct_log / scale
        return (by_scale * (scale / sd) ** 3).sum(), ct_u * scale

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
    effects, log_determinant = _informed_normal(sd, score, precision, z)
    return effects, log_determinant


def reference_informed_normal(
    sd: Any, score: Any, precision: Any, z: Any
) -> tuple[Variable, Variable]:
    """Return the same as plain PyTensor, for tests and second derivatives."""
    sd, score, precision, z = (as_float(x) for x in (sd, score, precision, z))
    scale = sd / pt.sqrt(1.0 + precision * sd * sd)
    return scale * (z + scale * score), pt.sum(pt.log(scale))
