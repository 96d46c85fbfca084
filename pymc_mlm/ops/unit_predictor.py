r"""What the coefficients of units add to the linear predictor of their rows, :math:`z_i' t_g`.

One Op, since a statement per column costs seconds of compilation.
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
    vector,
)
from pymc_mlm.ops.layout import Layout


def unit_predictor(Z: Any, total: Any, unit: Any) -> Variable:
    r"""Return what the coefficients of each row's unit add to the linear predictor.

    .. math:: \eta_i = z_i' t_{\mathrm{unit}(i)}

    Parameters
    ----------
    Z : tensor_like, shape (row, column)
        Covariates. Data; they have no gradient.
    total : tensor_like, shape (unit, column)
        Coefficients.
    unit : tensor_like of int, shape (row,)
        Unit of each row. Not checked.

    Returns
    -------
    TensorVariable, shape (row,)

    Examples
    --------
    >>> unit_predictor([[1.0, 2.0], [1.0, 3.0]], [[0.5, 0.0], [0.0, 1.0]], [0, 1]).eval()
    array([0.5, 3. ])
    """
    return _unit_predictor(Z, total, unit)


def reference_unit_predictor(Z: Any, total: Any, unit: Any) -> Variable:
    """Return the same sums as plain PyTensor."""
    return (as_float(Z) * as_float(total)[as_index(unit)]).sum(axis=1)


class UnitPredictor(AbstractKernelOp):
    """``out[i] = sum over j of Z[i, j] * total[unit[i], j]``."""

    __props__ = ()
    is_of_rows = True
    layout = Layout("Z[rows, columns], total[units, columns], unit[rows] < units")

    def make_node(self, Z: Any, total: Any, unit: Any) -> Apply:
        """Take two matrices and a vector of indices."""
        register_backends()
        inputs = [as_float(Z), as_float(total), as_index(unit)]
        if [x.ndim for x in inputs] != [2, 2, 1]:
            raise TypeError("unit_predictor needs matrices Z and total, and a vector unit")
        return Apply(self, inputs, [vector(inputs[0].type.shape[0])])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """One entry per row."""
        return [(shapes[0][0],)]

    def is_zero(self, zeros: Sequence[bool]) -> bool:
        """Return whether one of the factors is zero."""
        return zeros[0] or zeros[1]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Only totals have a gradient."""
        return [[False], [True], [False]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the sums in NumPy."""
        Z, total, unit = inputs
        out[0][0] = (Z * total[unit]).sum(axis=1)

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """Sums of ct z over the rows of each unit."""
        Z, total, unit = inputs
        return [
            disconnected_type(),
            _unit_predictor_vjp(Z, total, unit, cts[0]),
            disconnected_type(),
        ]


class UnitPredictorVJP(AbstractKernelOp):
    """Gradient of `UnitPredictor` by total."""

    __props__ = ()
    is_of_rows = True
    layout = Layout("Z[rows, columns], total[units, columns], unit[rows] < units, ct[rows]")

    def make_node(self, Z: Any, total: Any, unit: Any, ct: Any) -> Apply:
        """Take the inputs of `UnitPredictor` and the cotangent."""
        register_backends()
        inputs = [as_float(Z), as_float(total), as_index(unit), as_float(ct)]
        return Apply(self, inputs, [inputs[1].type()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Return the shape of the totals."""
        return [shapes[1]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the gradient in NumPy."""
        Z, total, unit, ct = inputs
        out[0][0] = np.zeros_like(total)
        np.add.at(out[0][0], unit, ct[:, None] * Z)


# Unsigned indices skip the check for negative ones.
def _predictor_kernel(Z: Any, total: Any, unit: Any) -> Any:
    rows, columns = Z.shape
    out = np.empty(rows)
    for i in range(rows):
        m = np.uint64(unit[i])
        eta = 0.0
        for j in range(columns):
            eta += Z[i, j] * total[m, j]
        out[i] = eta
    return out


def _predictor_vjp_kernel(Z: Any, total: Any, unit: Any, ct: Any) -> Any:
    rows, columns = Z.shape
    out = np.zeros(total.shape)
    for i in range(rows):
        m = np.uint64(unit[i])
        for j in range(columns):
            out[m, j] += ct[i] * Z[i, j]
    return out


@numba_kernel(UnitPredictor)
def _(op: Op) -> Callable[..., Any]:
    return _predictor_kernel


@numba_kernel(UnitPredictorVJP)
def _(op: Op) -> Callable[..., Any]:
    return _predictor_vjp_kernel


@jax_function(UnitPredictor)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    return lambda Z, total, unit: (Z * total[unit]).sum(axis=1)


@jax_function(UnitPredictorVJP)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    import jax.numpy as jnp

    return lambda Z, total, unit, ct: jnp.zeros_like(total).at[unit].add(ct[:, None] * Z)


_unit_predictor = UnitPredictor()
_unit_predictor_vjp = UnitPredictorVJP()
