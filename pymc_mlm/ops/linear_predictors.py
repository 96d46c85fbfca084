"""Products of two small matrices, without PyTensor's ``Dot``, which costs 20 s to compile first.

``linear_predictors(X, B)`` is ``X B'``: one row of B per linear predictor. Its gradients are
products of the same kind with one matrix or the other transposed, so one Op holds all three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type
from pytensor.graph.basic import Apply, Variable

from pymc_mlm.ops.base import (
    AbstractKernelOp,
    as_float,
    is_connected,
    jax_function,
    numba_kernel,
    register_backends,
)
from pymc_mlm.ops.layout import Layout

Form = Literal["A B'", "A B", "A' B"]


class SmallProduct(AbstractKernelOp):
    """Product of two matrices in one of the forms ``A B'``, ``A B`` and ``A' B``."""

    __props__ = ("form",)

    def __init__(self, form: Form = "A B'") -> None:
        self.form = form

    @property
    def layout(self) -> Layout:
        """The lengths of one axis of each agree."""
        return Layout(
            {
                "A B'": "A[rows, inner], B[columns, inner]",
                "A B": "A[rows, inner], B[inner, columns]",
                "A' B": "A[inner, rows], B[inner, columns]",
            }[self.form]
        )

    def make_node(self, A: Any, B: Any) -> Apply:
        """Check ranks."""
        register_backends()
        A, B = as_float(A), as_float(B)
        if A.ndim != 2 or B.ndim != 2:
            raise TypeError("linear_predictors needs two matrices")
        rows = A.type.shape[1 if self.form == "A' B" else 0]
        columns = B.type.shape[0 if self.form == "A B'" else 1]
        return Apply(self, [A, B], [pt.TensorType("float64", shape=(rows, columns))()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Rows of the first, columns of the second."""
        left, right = shapes
        rows = left[1 if self.form == "A' B" else 0]
        return [(rows, right[0 if self.form == "A B'" else 1])]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the product in NumPy."""
        out[0][0] = np.ascontiguousarray(_product(self.form, *inputs))

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """``C = A B'`` has the gradients ``C B`` and ``C' A``; the rest follows by transposing."""
        if self.form != "A B'":
            raise NotImplementedError("Take second derivatives of reference_linear_predictors.")
        if not is_connected(cts[0]):
            return [disconnected_type(), disconnected_type()]
        A, B = inputs
        return [SmallProduct("A B")(cts[0], B), SmallProduct("A' B")(cts[0], A)]


def _product(form: str, A: Any, B: Any) -> Any:
    if form == "A B'":
        return A @ B.T
    return A @ B if form == "A B" else A.T @ B


def _kernel_nt(A: Any, B: Any) -> Any:
    out = np.empty((A.shape[0], B.shape[0]))
    for i in range(A.shape[0]):
        for j in range(B.shape[0]):
            total = 0.0
            for k in range(A.shape[1]):
                total += A[i, k] * B[j, k]
            out[i, j] = total
    return out


def _kernel_nn(A: Any, B: Any) -> Any:
    out = np.zeros((A.shape[0], B.shape[1]))
    for i in range(A.shape[0]):
        for k in range(A.shape[1]):
            for j in range(B.shape[1]):
                out[i, j] += A[i, k] * B[k, j]
    return out


def _kernel_tn(A: Any, B: Any) -> Any:
    out = np.zeros((A.shape[1], B.shape[1]))
    for k in range(A.shape[0]):
        for i in range(A.shape[1]):
            for j in range(B.shape[1]):
                out[i, j] += A[k, i] * B[k, j]
    return out


@numba_kernel(SmallProduct)
def _(op: SmallProduct) -> Callable[..., Any]:
    return {"A B'": _kernel_nt, "A B": _kernel_nn, "A' B": _kernel_tn}[op.form]


@jax_function(SmallProduct)
def _(op: SmallProduct, node: Apply) -> Callable[..., Any]:
    return lambda A, B: _product(op.form, A, B)


_linear_predictors = SmallProduct("A B'")


def linear_predictors(X: Any, B: Any) -> Variable:
    r"""Multiply rows by the coefficients of several linear predictors.

    .. math:: \eta_{im} = \sum_p x_{ip}\, \beta_{mp}

    Parameters
    ----------
    X : tensor_like, shape (row, covariate)
        Rows.
    B : tensor_like, shape (predictor, covariate)
        Coefficients, a row per linear predictor.

    Returns
    -------
    TensorVariable, shape (row, predictor)
        The linear predictors, on the scale of the link.

    Notes
    -----
    Meant for tens of columns; both arguments have a gradient, second derivatives are those of
    `reference_linear_predictors`.

    Examples
    --------
    >>> linear_predictors([[1.0, 2.0]], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]).eval()
    array([[1., 2., 3.]])
    """
    return _linear_predictors(X, B)


def reference_linear_predictors(X: Any, B: Any) -> Variable:
    """Return the same product through ``Dot``, for tests and second derivatives."""
    return pt.dot(as_float(X), as_float(B).T)
