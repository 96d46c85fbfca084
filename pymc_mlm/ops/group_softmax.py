"""Weights that are positive and sum to one within each group, from their logarithms."""

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
    as_index,
    jax_function,
    numba_kernel,
    register_backends,
)
from pymc_mlm.ops.layout import Layout


class GroupSoftmax(AbstractKernelOp):
    """``p[k] = exp(log_raw[k]) / sum of exp(log_raw) over the rows of the group of k``."""

    __props__ = ()
    is_of_rows = True
    layout = Layout("log_raw[rows], group[rows] < ends - 1, indptr[ends]; ends > 0")

    def make_node(self, log_raw: Any, group: Any, indptr: Any) -> Apply:
        """Check ranks."""
        register_backends()
        log_raw, group, indptr = as_float(log_raw), as_index(group), as_index(indptr)
        if not (log_raw.ndim == group.ndim == indptr.ndim == 1):
            raise TypeError("group_softmax needs vectors log_raw, group and indptr")
        return Apply(self, [log_raw, group, indptr], [log_raw.type()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """One weight per row."""
        return [shapes[0]]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Only the logarithms have a gradient."""
        return [[True], [False], [False]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the weights in NumPy, shifted by the largest logarithm of the group."""
        log_raw, group, indptr = inputs
        largest = np.full(len(indptr) - 1, -np.inf)
        np.maximum.at(largest, group, log_raw)
        with np.errstate(invalid="ignore"):
            unscaled = np.exp(log_raw - largest[group])
        total = np.bincount(group, weights=unscaled, minlength=len(largest))
        out[0][0] = unscaled / total[group]

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """d/dlog_raw[k] = p[k] (ct[k] - sum over the group of p ct); needs only the output."""
        _, group, indptr = inputs
        grad = _group_softmax_vjp(outputs[0], group, indptr, cts[0])
        return [grad, disconnected_type(), disconnected_type()]


class GroupSoftmaxVJP(AbstractKernelOp):
    """Gradient of `GroupSoftmax`, from its output and a cotangent per row."""

    __props__ = ()
    is_of_rows = True
    layout = Layout("p[rows], group[rows] < ends - 1, indptr[ends], ct[rows]; ends > 0")

    def make_node(self, p: Any, group: Any, indptr: Any, ct: Any) -> Apply:
        """Take the weights and the cotangent."""
        register_backends()
        p = as_float(p)
        return Apply(self, [p, as_index(group), as_index(indptr), as_float(ct)], [p.type()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """One number per row."""
        return [shapes[0]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the gradient in NumPy."""
        p, group, indptr, ct = inputs
        mean = np.bincount(group, weights=p * ct, minlength=len(indptr) - 1)
        out[0][0] = p * (ct - mean[group])


@numba_kernel(GroupSoftmax)
def _(op: Op) -> Callable[..., Any]:
    from pymc_mlm.ops.kernels.group_softmax import kernel

    return kernel


@numba_kernel(GroupSoftmaxVJP)
def _(op: Op) -> Callable[..., Any]:
    from pymc_mlm.ops.kernels.group_softmax import vjp_kernel

    return vjp_kernel


@jax_function(GroupSoftmax)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    import jax.numpy as jnp
    from jax.ops import segment_max, segment_sum

    def group_softmax(log_raw: Any, group: Any, indptr: Any) -> Any:
        groups = indptr.shape[0] - 1
        largest = segment_max(log_raw, group, groups, indices_are_sorted=True)
        unscaled = jnp.exp(log_raw - largest[group])
        return unscaled / segment_sum(unscaled, group, groups, indices_are_sorted=True)[group]

    return group_softmax


@jax_function(GroupSoftmaxVJP)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    from jax.ops import segment_sum

    def vjp(p: Any, group: Any, indptr: Any, ct: Any) -> Any:
        mean = segment_sum(p * ct, group, indptr.shape[0] - 1, indices_are_sorted=True)
        return p * (ct - mean[group])

    return vjp


_group_softmax = GroupSoftmax()
_group_softmax_vjp = GroupSoftmaxVJP()


def group_softmax(log_raw: Any, group: Any, indptr: Any) -> Variable:
    r"""Scale weights, given by their logarithms, so that they sum to one within each group.

    .. math:: p_k = \exp(r_k) \Big/ \sum_{j:\, g_j = g_k} \exp(r_j)

    Parameters
    ----------
    log_raw : tensor_like, shape (row,)
        Natural logarithm of each row's raw weight; ``-inf`` for a weight of zero. Each group
        needs at least one finite entry, else its weights are NaN.
    group : tensor_like of int, shape (row,)
        Group of each row, in ``0 .. num_groups - 1``, sorted. Not checked.
    indptr : tensor_like of int, shape (num_groups + 1,)
        First row of each group.

    Returns
    -------
    TensorVariable, shape (row,)
        Weights in [0, 1] that sum to one within each group.

    Notes
    -----
    The constraint ``c = TRUE`` of bml's ``fn()`` (Rosche 2026), computed in the log scale so
    that it neither overflows nor divides zero by zero.

    Examples
    --------
    >>> import numpy as np
    >>> group_softmax(np.log([1.0, 3.0, 2.0]), [0, 0, 1], [0, 2, 3]).eval()
    array([0.25, 0.75, 1.  ])
    """
    return _group_softmax(log_raw, group, indptr)


def reference_group_softmax(log_raw: Any, group: Any, indptr: Any) -> Variable:
    """Return the same weights as plain PyTensor, unshifted, for tests and second derivatives."""
    group = as_index(group)
    raw = pt.exp(as_float(log_raw))
    total = pt.zeros(as_index(indptr).shape[0] - 1)[group].inc(raw)
    return raw / total[group]
