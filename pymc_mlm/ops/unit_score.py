r"""The slope of each unit's log likelihood where the unit does not deviate from its parent.

One Op, since a statement per column and covariate costs seconds of compilation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pytensor.gradient import disconnected_type
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op

from pymc_mlm.ops.base import (
    AbstractKernelOp,
    as_float,
    as_index,
    jax_function,
    numba_kernel,
    register_backends,
)
from pymc_mlm.ops.layout import Layout


def unit_score(
    score: Any, cross: Any, precision: Any, beta: Any, above: Any, parent: Any
) -> Variable:
    r"""Return the slope of the units' log likelihood at the coefficients of their parents.

    .. math:: s_g = a_g - C_g \beta - J_g t_{\mathrm{parent}(g)}

    Parameters
    ----------
    score : tensor_like, shape (unit, coef)
        Slope a where all coefficients are zero. Data, as `cross` and `precision`.
    cross : tensor_like, shape (unit, coef, covariate)
        What the population coefficients take of it, C.
    precision : tensor_like, shape (unit, coef, column)
        What the parents' coefficients take of it, J.
    beta : tensor_like, shape (covariate,)
        Population coefficients.
    above : tensor_like, shape (parent, column)
        Totals of the parents; none for units without parents.
    parent : tensor_like of int, shape (unit or more,)
        Parent of each unit. Not checked.

    Returns
    -------
    TensorVariable, shape (unit, coef)

    Examples
    --------
    >>> unit_score([[5.0]], [[[1.0]]], [[[3.0, 1.0]]], [2.0], [[0.5, 0.25]], [0]).eval()
    array([[1.25]])
    """
    return _unit_score(score, cross, precision, beta, above, parent)


def reference_unit_score(
    score: Any, cross: Any, precision: Any, beta: Any, above: Any, parent: Any
) -> Variable:
    """Return the same slopes as plain PyTensor; there must be parents."""
    score, cross, precision, beta, above = (
        as_float(x) for x in (score, cross, precision, beta, above)
    )
    t = above[as_index(parent)[: score.shape[0]]]
    return score - (cross * beta).sum(axis=2) - (precision * t[:, None, :]).sum(axis=2)


class UnitScore(AbstractKernelOp):
    """Slopes of the units' log likelihood: see `unit_score`."""

    __props__ = ()
    layout = Layout(
        "score[units, coefs], cross[units, coefs, covariates], precision[units, coefs, columns], "
        "beta[covariates], above[parents, columns], parent[children] < parents?; "
        "parents == 0 or children >= units"
    )

    def make_node(
        self, score: Any, cross: Any, precision: Any, beta: Any, above: Any, parent: Any
    ) -> Apply:
        """Take data by unit, population coefficients, and totals by parent."""
        register_backends()
        floats = [as_float(x) for x in (score, cross, precision, beta, above)]
        inputs = [*floats, as_index(parent)]
        if [x.ndim for x in inputs] != [2, 3, 3, 1, 2, 1]:
            raise TypeError(
                "unit_score needs matrices score and above, arrays of three dimensions cross and "
                "precision, vectors beta and parent"
            )
        return Apply(self, inputs, [inputs[0].type()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Return the shape of the score."""
        return [shapes[0]]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Only coefficients have a gradient."""
        return [[x in (3, 4)] for x in range(6)]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the slopes in NumPy."""
        score, cross, precision, beta, above, parent = inputs
        value = score - cross @ beta
        if len(above):
            value -= np.squeeze(precision @ above[parent[: len(score)], :, None], 2)
        out[0][0] = value

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """By beta, the sum of -C'ct over units; by above, of -J'ct over the units of a parent."""
        _, cross, precision, beta, above, parent = inputs
        grads = _unit_score_vjp(cross, precision, beta, above, parent, cts[0])
        return [*(disconnected_type() for _ in range(3)), *grads, disconnected_type()]


class UnitScoreVJP(AbstractKernelOp):
    """Gradients of `UnitScore` by beta and above."""

    __props__ = ()
    layout = Layout(
        "cross[units, coefs, covariates], precision[units, coefs, columns], "
        "beta[covariates], above[parents, columns], parent[children] < parents?, "
        "ct[units, coefs]; parents == 0 or children >= units"
    )

    def make_node(
        self, cross: Any, precision: Any, beta: Any, above: Any, parent: Any, ct: Any
    ) -> Apply:
        """Take the inputs of `UnitScore` that matter, and the cotangent."""
        register_backends()
        floats = [as_float(x) for x in (cross, precision, beta, above)]
        inputs = [*floats, as_index(parent), as_float(ct)]
        return Apply(self, inputs, [inputs[2].type(), inputs[3].type()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Gradients have the shapes of beta and above."""
        return [shapes[2], shapes[3]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the gradients in NumPy."""
        cross, precision, _, above, parent, ct = inputs
        out[0][0] = -np.einsum("gik,gi->k", cross, ct)
        out[1][0] = np.zeros_like(above)
        if len(above):
            by_unit = np.einsum("gij,gi->gj", precision, ct)
            np.subtract.at(out[1][0], parent[: len(ct)], by_unit)


# Unsigned indices skip the check for negative ones.
def _score_kernel(
    score: Any, cross: Any, precision: Any, beta: Any, above: Any, parent: Any
) -> Any:
    units, coefs = score.shape
    columns = above.shape[1]
    has_parents = above.shape[0] > 0
    out = np.empty((units, coefs))
    for g in range(units):
        m = np.uint64(parent[g]) if has_parents else np.uint64(0)
        for i in range(coefs):
            total = score[g, i]
            for k in range(beta.shape[0]):
                total -= cross[g, i, k] * beta[k]
            if has_parents:
                for j in range(columns):
                    total -= precision[g, i, j] * above[m, j]
            out[g, i] = total
    return out


def _score_vjp_kernel(
    cross: Any, precision: Any, beta: Any, above: Any, parent: Any, ct: Any
) -> Any:
    units, coefs = ct.shape
    columns = above.shape[1]
    has_parents = above.shape[0] > 0
    d_beta, d_above = np.zeros(beta.shape[0]), np.zeros(above.shape)
    for g in range(units):
        m = np.uint64(parent[g]) if has_parents else np.uint64(0)
        for i in range(coefs):
            c = ct[g, i]
            for k in range(beta.shape[0]):
                d_beta[k] -= cross[g, i, k] * c
            if has_parents:
                for j in range(columns):
                    d_above[m, j] -= precision[g, i, j] * c
    return d_beta, d_above


@numba_kernel(UnitScore)
def _(op: Op) -> Callable[..., Any]:
    return _score_kernel


@numba_kernel(UnitScoreVJP)
def _(op: Op) -> Callable[..., Any]:
    return _score_vjp_kernel


@jax_function(UnitScore)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    def unit_score(
        score: Any, cross: Any, precision: Any, beta: Any, above: Any, parent: Any
    ) -> Any:
        value = score - cross @ beta
        if len(above):
            value = value - (precision @ above[parent[: len(score)], :, None])[..., 0]
        return value

    return unit_score


@jax_function(UnitScoreVJP)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    import jax.numpy as jnp

    def vjp(cross: Any, precision: Any, beta: Any, above: Any, parent: Any, ct: Any) -> Any:
        d_beta, d_above = -jnp.einsum("gik,gi->k", cross, ct), jnp.zeros_like(above)
        if len(above):
            by_unit = jnp.einsum("gij,gi->gj", precision, ct)
            d_above = d_above.at[parent[: len(ct)]].add(-by_unit)
        return d_beta, d_above

    return vjp


_unit_score = UnitScore()
_unit_score_vjp = UnitScoreVJP()
