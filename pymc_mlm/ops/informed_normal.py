r"""Normal effects from coordinates that are standard normal given score and information.

With the prior :math:`N(0, \sigma^2)` and a log likelihood near :math:`s u - J u^2 / 2`, the
effect given the data has the variance :math:`v = \sigma^2 / (1 + J \sigma^2)` and the mean
:math:`v s`; hence :math:`u = v s + \sqrt{v} z`. The prior of several effects is the same in every
orthonormal basis Q, so that :math:`u = Q w` serves where J is diagonal for w. `informed_effects`
is the same for several correlated effects of a unit.
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
    layout = Layout(
        "sd, score[units], precision[units], basis[turned, turned], z[units];"
        "turned == 0 or turned == units"
    )
    # What PyTensor calls for many draws at once; without it, it calls `perform` for each.
    gufunc_spec = (f"{__name__}.many_informed_normals", 5, 3)

    def make_node(self, sd: Any, score: Any, precision: Any, basis: Any, z: Any) -> Apply:
        """Take a scalar, three vectors of one length and a matrix."""
        register_backends()
        inputs = [as_float(x) for x in (sd, score, precision, basis, z)]
        if [x.ndim for x in inputs] != [0, 1, 1, 2, 1]:
            raise TypeError(
                "informed_normal needs a scalar sd, vectors score, precision and z, and a matrix "
                "basis"
            )
        return Apply(self, inputs, [inputs[4].type(), scalar(), inputs[4].type()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """One effect and one derivative per coordinate."""
        return [shapes[4], (), shapes[4]]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Precision and basis are data."""
        moves = [True, True, False]
        return [[True] * 3, moves, [False] * 3, [False] * 3, moves]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the outputs in NumPy."""
        out[0][0], out[1][0], out[2][0] = _effects(*inputs)

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """With r = sqrt(v): dr/dsd = (r / sd)^3, dw/dr = z + 2 r s, dw/dz = r, dw/ds = v."""
        if is_connected(cts[2]):
            raise NotImplementedError("Take second derivatives of reference_informed_normal.")
        sd, score, _, basis, z = inputs
        ct_u, ct_log = (
            ct if is_connected(ct) else pt.zeros_like(out)
            for ct, out in zip(cts[:2], outputs[:2], strict=True)
        )
        grads = _informed_normal_vjp(sd, score, basis, z, outputs[2], ct_u, ct_log)
        return [grads[0], grads[1], disconnected_type(), disconnected_type(), grads[2]]


def _effects(sd: Any, score: Any, precision: Any, basis: Any, z: Any) -> tuple[Any, Any, Any]:
    """Return the outputs for one set of inputs or, along the first axes, for many."""
    a = np.asarray(sd)[..., None]
    scale = a / np.sqrt(1.0 + precision * a * a)
    w = scale * (z + scale * score)
    with np.errstate(divide="ignore"):
        log_determinant = np.asarray(np.log(scale).sum(axis=-1))
    u = (basis @ w[..., None])[..., 0] if basis.shape[-1] else w
    return u, log_determinant, scale


def many_informed_normals(*inputs: Any) -> tuple[Any, Any, Any]:
    """Return the outputs of `InformedNormal` for inputs with further axes in front."""
    axes = inputs[0].ndim
    InformedNormal.layout.check("InformedNormal", [x[(0,) * axes] for x in inputs])
    return _effects(*inputs)


class InformedNormalVJP(AbstractKernelOp):
    """Gradients of `InformedNormal` by sd, score and z."""

    __props__ = ()
    layout = Layout(
        "sd, score[units], basis[turned, turned], z[units], scale[units], ct_u[units], ct_log;"
        "turned == 0 or turned == units"
    )

    def make_node(self, *inputs: Any) -> Apply:
        """Take inputs and the last output of `InformedNormal`, and both cotangents."""
        register_backends()
        found = [as_float(x) for x in inputs]
        return Apply(self, found, [scalar(), found[1].type(), found[3].type()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Gradients have the shapes of sd, score and z."""
        return [(), shapes[1], shapes[3]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the gradients in NumPy."""
        sd, score, basis, z, scale, ct_u, ct_log = inputs
        ct_w = basis.T @ ct_u if len(basis) else ct_u
        share = scale / sd
        by_scale = ct_w * (z + 2.0 * scale * score) * share + ct_log / sd
        out[0][0] = np.asarray((by_scale * share * share).sum())
        out[1][0] = ct_w * scale * scale
        out[2][0] = ct_w * scale


# A product of factors until it is large saves one logarithm per unit.
LARGE = 1e100


def _kernel(sd: Any, score: Any, precision: Any, basis: Any, z: Any) -> Any:
    units = z.shape[0]
    a = sd.item()
    w = np.empty(units)
    scale = np.empty(units)
    for k in range(units):
        scale[k] = a / sqrt(1.0 + precision[k] * a * a)
        w[k] = scale[k] * (z[k] + scale[k] * score[k])
    product = 1.0
    total = 0.0
    for k in range(units):
        product *= 1.0 + precision[k] * a * a
        if not product < LARGE:
            total += log(product)
            product = 1.0
    log_a = log(a) if a > 0.0 else -np.inf
    log_determinant = np.asarray(units * log_a - 0.5 * (total + log(product)))
    if basis.shape[0] == 0:
        return w, log_determinant, scale
    u = np.zeros(units)
    for i in range(basis.shape[0]):
        for k in range(units):
            u[i] += basis[i, k] * w[k]
    return u, log_determinant, scale


def _vjp_kernel(sd: Any, score: Any, basis: Any, z: Any, scale: Any, ct_u: Any, ct_log: Any) -> Any:
    units = z.shape[0]
    inverse = 1.0 / sd.item()
    of_log = ct_log.item() * inverse
    grad_sd = 0.0
    grad_score = np.empty(units)
    grad_z = np.empty(units)
    ct_w = ct_u.copy()
    if basis.shape[0] > 0:
        ct_w[:] = 0.0
        for i in range(basis.shape[0]):
            for k in range(units):
                ct_w[k] += basis[i, k] * ct_u[i]
    for k in range(units):
        share = scale[k] * inverse
        by_scale = ct_w[k] * (z[k] + 2.0 * scale[k] * score[k]) * share + of_log
        grad_sd += by_scale * share * share
        grad_z[k] = ct_w[k] * scale[k]
        grad_score[k] = grad_z[k] * scale[k]
    return np.asarray(grad_sd), grad_score, grad_z


@numba_kernel(InformedNormal)
def _(op: Op) -> Callable[..., Any]:
    return _kernel


@numba_kernel(InformedNormalVJP)
def _(op: Op) -> Callable[..., Any]:
    return _vjp_kernel


@jax_function(InformedNormal)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    import jax.numpy as jnp

    def informed_normal(sd: Any, score: Any, precision: Any, basis: Any, z: Any) -> Any:
        scale = sd / jnp.sqrt(1.0 + precision * sd * sd)
        w = scale * (z + scale * score)
        return (basis @ w if len(basis) else w), jnp.log(scale).sum(), scale

    return informed_normal


@jax_function(InformedNormalVJP)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    def vjp(sd: Any, score: Any, basis: Any, z: Any, scale: Any, ct_u: Any, ct_log: Any) -> Any:
        ct_w = basis.T @ ct_u if len(basis) else ct_u
        share = scale / sd
        by_scale = ct_w * (z + 2.0 * scale * score) * share + ct_log / sd
        return (by_scale * share * share).sum(), ct_w * scale * scale, ct_w * scale

    return vjp


_informed_normal = InformedNormal()
_informed_normal_vjp = InformedNormalVJP()
# No rotation.
NO_BASIS = np.zeros((0, 0))


def informed_normal(
    sd: Any, score: Any, precision: Any, z: Any, basis: Any = NO_BASIS
) -> tuple[Variable, Variable]:
    """Return normal effects from standard coordinates, and the log determinant of the map.

    Parameters
    ----------
    sd : tensor_like, scalar
        Prior standard deviation.
    score, precision : tensor_like, shape (unit,)
        Slope of the log likelihood of each effect at zero, and its negative second derivative, not
        below zero; in the basis, if there is one. The precision has no gradient.
    z : tensor_like, shape (unit,)
        Coordinates.
    basis : tensor_like, shape (unit, unit) or (0, 0)
        Orthonormal columns in which the precision is diagonal; none for the units themselves. Data.

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
    effects, log_determinant, _ = _informed_normal(sd, score, precision, basis, z)
    return effects, log_determinant


def informed_coordinates(sd: Any, score: Any, precision: Any, effects: Any, basis: Any) -> Variable:
    """Return the coordinates z that `informed_normal` turns into these effects."""
    sd, score, precision, effects = (as_float(x) for x in (sd, score, precision, effects))
    scale = sd / pt.sqrt(1.0 + precision * sd * sd)
    ones, zeros = pt.ones_like(effects), pt.zeros_like(effects)
    # The gradient of the map at scale one is the effects in the basis, whether there is one or not.
    turned = _informed_normal_vjp(1.0, zeros, basis, zeros, ones, effects, 0.0)[2]
    return turned / scale - scale * score


def reference_informed_normal(
    sd: Any, score: Any, precision: Any, z: Any, basis: Any = NO_BASIS
) -> tuple[Variable, Variable]:
    """Return the same as plain PyTensor, for tests and second derivatives."""
    sd, score, precision, z = (as_float(x) for x in (sd, score, precision, z))
    scale = sd / pt.sqrt(1.0 + precision * sd * sd)
    w = scale * (z + scale * score)
    return (pt.dot(basis, w) if len(basis) else w), pt.sum(pt.log(scale))
