r"""Effects of units from coordinates that are standard normal given score and information.

A unit's effects d have the prior :math:`N(0, LL')` and a log likelihood near
:math:`s'd - d'Jd/2`. With :math:`d = Lu` the posterior of u is normal with precision
:math:`A = I + L'JL = KK'` and mean :math:`A^{-1} L's`, hence for standard normal z

.. math:: d = L K'^{-1} (z + K^{-1} L' s) .
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def informed_effects(L: Any, score: Any, precision: Any, z: Any) -> tuple[Variable, Variable]:
    r"""Return units' effects from standard normals, and the log determinant of the map.

    Parameters
    ----------
    L : tensor_like, shape (coef, coef)
        Lower triangular; LL' is the prior covariance of each unit's effects.
    score : tensor_like, shape (unit, coef)
        Slope s of each unit's log likelihood at zero effects.
    precision : tensor_like, shape (unit, coef (coef + 1) / 2)
        Its negative second derivative J, positive semi-definite: the lower triangle, row by row.
        Data; it has no gradient.
    z : tensor_like, shape (unit, coef)
        Coordinates.

    Returns
    -------
    effects : TensorVariable, shape (unit, coef)
    log_determinant : TensorVariable, scalar
        Of the derivative of all effects by all coordinates.

    Examples
    --------
    >>> z = np.ones((2, 1))
    >>> effects, _ = informed_effects([[2.0]], [[0.0], [4.0]], [[0.0], [0.75]], z)
    >>> effects.eval()
    array([[2.],
           [5.]])
    """
    effects, log_determinant, _, _ = _informed_effects(L, score, precision, z)
    return effects, log_determinant


def informed_coordinates(L: Any, score: Any, precision: Any, effects: Any) -> Variable:
    """Return the coordinates z that `informed_effects` turns into these effects.

    Parameters
    ----------
    L, score, precision
        As in `informed_effects`.
    effects : tensor_like, shape (unit, coef)
        Effects.

    Returns
    -------
    TensorVariable, shape (unit, coef)
        Without a gradient.
    """
    effects = as_float(effects)
    at_zero, _, K, _ = _informed_effects(L, score, precision, pt.zeros_like(effects))
    u = (effects - at_zero) @ pt.linalg.inv(L).T
    return (u[:, :, None] * K).sum(axis=1)


def effects_given_data(L: Any, score: Any, precision: Any, z: Any, xp: Any = np) -> Any:
    """Return effects, log determinant, K and u: the readable definition, in NumPy or JAX."""
    K = xp.linalg.cholesky(xp.eye(len(L)) + L.T @ symmetric(precision, len(L)) @ L)
    mean = xp.linalg.solve(K, (score @ L)[..., None])
    u = xp.linalg.solve(K.mT, z[..., None] + mean)[..., 0]
    diagonal = xp.diagonal(K, axis1=1, axis2=2)
    log_determinant = len(z) * xp.log(xp.diagonal(L)).sum() - xp.log(diagonal).sum()
    return u @ L.T, log_determinant, K, u


def symmetric(precision: Any, p: int) -> Any:
    """Return symmetric matrices from their lower triangles, shape (unit, coef, coef)."""
    place = np.zeros((p, p), dtype=np.int64)
    rows, columns = np.tril_indices(p)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))
    return precision[:, place]


class InformedEffects(AbstractKernelOp):
    """Effects, log determinant, and K and u for the gradient."""

    __props__ = ()
    layout = Layout(
        "L[coefs, coefs], score[units, coefs], "
        "precision[units, coefs * (coefs + 1) // 2], z[units, coefs]"
    )

    def make_node(self, L: Any, score: Any, precision: Any, z: Any) -> Apply:
        """Take matrices."""
        register_backends()
        inputs = [as_float(x) for x in (L, score, precision, z)]
        if any(x.ndim != 2 for x in inputs):
            raise TypeError("informed_effects needs matrices L, score, precision and z")
        z, K = inputs[3], pt.TensorType("float64", shape=(None, None, None))()
        return Apply(self, inputs, [z.type(), scalar(), K, z.type()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Everything but the determinant is by unit."""
        units, p = shapes[3]
        return [(units, p), (), (units, p, p), (units, p)]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """The precision is data; K and u serve the gradient alone."""
        return [[x != 2, x != 2, False, False] for x in range(4)]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the effects in NumPy."""
        for cell, value in zip(out, effects_given_data(*inputs), strict=True):
            cell[0] = np.asarray(value)

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """Return the gradient from its own Op."""
        d_effects, d_log = (
            c if is_connected(c) else pt.zeros_like(o)
            for c, o in zip(cts[:2], outputs[:2], strict=True)
        )
        dL, d_score, dz = _informed_effects_vjp(*inputs, *outputs[2:], d_effects, d_log)
        return [dL, d_score, disconnected_type(), dz]


class InformedEffectsVJP(AbstractKernelOp):
    r"""Gradient of `InformedEffects` by L, score and z.

    Reverse of d = Lu, K'u = z + m, Km = L's and :math:`KK' = I + L'JL`; the last step is that of
    Murray (2016), Differentiation of the Cholesky decomposition, arXiv:1602.07527, equation 10.
    """

    __props__ = ()
    layout = Layout(
        "L[coefs, coefs], score[units, coefs], "
        "precision[units, coefs * (coefs + 1) // 2], z[units, coefs], "
        "K[units, coefs, coefs], u[units, coefs], d_effects[units, coefs], d_log"
    )

    def make_node(self, *inputs: Any) -> Apply:
        """Take inputs, K and u of `InformedEffects`, and the two cotangents."""
        register_backends()
        found = [as_float(x) for x in inputs]
        return Apply(self, found, [found[0].type(), found[1].type(), found[3].type()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Gradients have the shapes of what they belong to."""
        return [shapes[0], shapes[1], shapes[3]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the gradient in NumPy."""
        L, score, precision, z, K, u, d_effects, d_log = inputs
        mean = np.squeeze(K.mT @ u[..., None], 2) - z
        dz = np.linalg.solve(K, (d_effects @ L)[..., None])[..., 0]
        dg = np.linalg.solve(K.mT, dz[..., None])[..., 0]
        dK = -u[:, :, None] * dz[:, None, :] - dg[:, :, None] * mean[:, None, :]
        dK -= d_log * np.linalg.inv(K).mT * np.eye(len(L))
        half = np.tril(K.mT @ dK) * (1.0 - 0.5 * np.eye(len(L)))
        inverse = np.linalg.inv(K)
        dA = inverse.mT @ (half + half.mT) @ inverse / 2
        dL = d_effects.T @ u + score.T @ dg
        dL += 2 * (symmetric(precision, len(L)) @ L @ dA).sum(axis=0)
        dL += len(z) * d_log * np.diag(1 / np.diag(L))
        out[0][0], out[1][0], out[2][0] = np.tril(dL), dg @ L.T, dz


def _kernel(L: Any, score: Any, precision: Any, z: Any) -> Any:
    units, p = z.shape
    effects, u = np.empty((units, p)), np.empty((units, p))
    K = np.zeros((units, p, p))
    JL = np.empty((p, p))
    log_determinant = 0.0
    for g in range(units):
        for i in range(p):
            for j in range(p):
                total = 0.0
                for k in range(j, p):
                    at = i * (i + 1) // 2 + k if i >= k else k * (k + 1) // 2 + i
                    total += precision[g, at] * L[k, j]
                JL[i, j] = total
        for i in range(p):
            m = 0.0
            for j in range(i + 1):
                total = 1.0 if i == j else 0.0
                for k in range(i, p):
                    total += L[k, i] * JL[k, j]
                for k in range(j):
                    total -= K[g, i, k] * K[g, j, k]
                K[g, i, j] = np.sqrt(total) if i == j else total / K[g, j, j]
            for k in range(i, p):
                m += L[k, i] * score[g, k]
            for k in range(i):
                m -= K[g, i, k] * (u[g, k] - z[g, k])
            # For now z + m; divided by K' below.
            u[g, i] = z[g, i] + m / K[g, i, i]
            log_determinant += np.log(L[i, i] / K[g, i, i])
        for i in range(p - 1, -1, -1):
            for k in range(i + 1, p):
                u[g, i] -= K[g, k, i] * u[g, k]
            u[g, i] /= K[g, i, i]
        for i in range(p):
            total = 0.0
            for k in range(i + 1):
                total += L[i, k] * u[g, k]
            effects[g, i] = total
    return effects, np.asarray(log_determinant), K, u


def _vjp_kernel(
    L: Any, score: Any, precision: Any, z: Any, K: Any, u: Any, d_effects: Any, d_log: Any
) -> Any:
    units, p = z.shape
    dL, d_score, dz = np.zeros((p, p)), np.empty((units, p)), np.empty((units, p))
    dg, mean = np.empty(p), np.empty(p)
    dK, dA, dJ = np.empty((p, p)), np.empty((p, p)), np.empty((p, p))
    d = d_log.item()
    for g in range(units):
        for i in range(p):
            total, mean[i] = 0.0, -z[g, i]
            for k in range(i, p):
                total += L[k, i] * d_effects[g, k]
                mean[i] += K[g, k, i] * u[g, k]
            for k in range(i):
                total -= K[g, i, k] * dz[g, k]
            dz[g, i] = total / K[g, i, i]
        for i in range(p - 1, -1, -1):
            total = dz[g, i]
            for k in range(i + 1, p):
                total -= K[g, k, i] * dg[k]
            dg[i] = total / K[g, i, i]
        for i in range(p):
            total = 0.0
            for k in range(i + 1):
                total += L[i, k] * dg[k]
                dL[i, k] += d_effects[g, i] * u[g, k] + score[g, i] * dg[k]
                dK[i, k] = -u[g, i] * dz[g, k] - dg[i] * mean[k]
            d_score[g, i] = total
            dK[i, i] -= d / K[g, i, i]
        # dA = K'^-1 (half + half') K^-1 / 2, column by column and then row by row.
        for i in range(p):
            for j in range(i + 1):
                total = 0.0
                for k in range(i, p):
                    total += K[g, k, i] * dK[k, j]
                dA[i, j] = dA[j, i] = 0.5 * total
        for j in range(p):
            for i in range(p - 1, -1, -1):
                for k in range(i + 1, p):
                    dA[i, j] -= K[g, k, i] * dA[k, j]
                dA[i, j] /= K[g, i, i]
        for i in range(p):
            for j in range(p - 1, -1, -1):
                for k in range(j + 1, p):
                    dA[i, j] -= K[g, k, j] * dA[i, k]
                dA[i, j] /= K[g, j, j]
        for i in range(p):
            for j in range(p):
                total = 0.0
                for k in range(p):
                    total += L[i, k] * dA[k, j]
                dJ[i, j] = total
        for i in range(p):
            for j in range(i + 1):
                for k in range(p):
                    at = i * (i + 1) // 2 + k if i >= k else k * (k + 1) // 2 + i
                    dL[i, j] += 2.0 * precision[g, at] * dJ[k, j]
    for i in range(p):
        dL[i, i] += units * d / L[i, i]
    return dL, d_score, dz


@numba_kernel(InformedEffects)
def _(op: Op) -> Callable[..., Any]:
    return _kernel


@numba_kernel(InformedEffectsVJP)
def _(op: Op) -> Callable[..., Any]:
    return _vjp_kernel


@jax_function(InformedEffects)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    import jax.numpy as jnp

    return lambda L, score, precision, z: effects_given_data(L, score, precision, z, jnp)


@jax_function(InformedEffectsVJP)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    def vjp(L: Any, score: Any, precision: Any, z: Any, K: Any, u: Any, *cts: Any) -> Any:
        def effects(L: Any, score: Any, z: Any) -> Any:
            return effects_given_data(L, score, precision, z, jnp)[:2]

        dL, d_score, dz = jax.vjp(effects, L, score, z)[1](cts)
        return jnp.tril(dL), d_score, dz

    return vjp


_informed_effects = InformedEffects()
_informed_effects_vjp = InformedEffectsVJP()
