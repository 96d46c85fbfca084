"""Weighted sums over a ragged membership: what the members of each group contribute.

Rows are memberships, sorted by group. There is never a dense members-by-groups matrix: the
cost of a sum and of its gradient is one pass over the rows.
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
    as_index,
    jax_function,
    numba_kernel,
    register_backends,
    vector,
)
from pymc_mlm.ops.layout import Layout

DISCONNECTED = False
CONNECTED = True


class GroupSum(AbstractKernelOp):
    """``out[g] = sum over rows k of group g of w[k] * v[member[k]]``."""

    __props__ = ()
    is_of_rows = True
    layout = Layout(
        "w[rows], v[members], member[rows] < members, group[rows] < ends - 1, "
        "indptr[ends]; ends > 0"
    )

    def make_node(self, w: Any, v: Any, member: Any, group: Any, indptr: Any) -> Apply:
        """Check ranks; the number of groups is ``len(indptr) - 1``."""
        register_backends()
        w, v, member = as_float(w), as_float(v), as_index(member)
        group, indptr = as_index(group), as_index(indptr)
        if not (w.ndim == v.ndim == member.ndim == group.ndim == indptr.ndim == 1):
            raise TypeError("group_sum needs vectors w, v, member, group and indptr")
        ends = indptr.type.shape[0]
        out = vector(None if ends is None else ends - 1)
        return Apply(self, [w, v, member, group, indptr], [out])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """One entry per group."""
        return [(shapes[4][0] - 1,)]

    def is_zero(self, zeros: Sequence[bool]) -> bool:
        """Return whether one of the factors is zero."""
        return zeros[0] or zeros[1]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Only weights and values have a gradient."""
        return [[CONNECTED], [CONNECTED], [DISCONNECTED], [DISCONNECTED], [DISCONNECTED]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the sum in NumPy."""
        w, v, member, group, indptr = inputs
        out[0][0] = np.bincount(group, weights=w * v[member], minlength=len(indptr) - 1)

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """d/dw[k] = ct[g(k)] v[member[k]]; d/dv[m] = sum over rows of m of ct[g] w."""
        w, v, member, group, _ = inputs
        grad_w, grad_v = _group_sum_vjp(w, v, member, group, cts[0])
        return [grad_w, grad_v, *(disconnected_type() for _ in range(3))]


class GroupSumVJP(AbstractKernelOp):
    """Gradient of `GroupSum` for a cotangent of one number per group."""

    __props__ = ()
    is_of_rows = True
    layout = Layout("w[rows], v[members], member[rows] < members, group[rows] < groups, ct[groups]")

    def make_node(self, w: Any, v: Any, member: Any, group: Any, ct: Any) -> Apply:
        """Take the inputs of `GroupSum` and the cotangent."""
        register_backends()
        w, v, ct = as_float(w), as_float(v), as_float(ct)
        inputs = [w, v, as_index(member), as_index(group), ct]
        return Apply(self, inputs, [w.type(), v.type()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Gradients have the shapes of weights and values."""
        return [shapes[0], shapes[1]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the gradient in NumPy."""
        w, v, member, group, ct = inputs
        per_row = ct[group]
        out[0][0] = per_row * v[member]
        out[1][0] = np.bincount(member, weights=per_row * w, minlength=len(v))


# Flat loops over the rows with a group-id vector are two to three times as fast as loops over
# ragged ranges (short ranges mispredict); unsigned indices skip the check for negative ones.
def _kernel(w: Any, v: Any, member: Any, group: Any, indptr: Any) -> Any:
    out = np.zeros(indptr.shape[0] - 1)
    for k in range(w.shape[0]):
        out[np.uint64(group[k])] += w[k] * v[np.uint64(member[k])]
    return out


def _vjp_kernel(w: Any, v: Any, member: Any, group: Any, ct: Any) -> Any:
    grad_w = np.empty(w.shape[0])
    grad_v = np.zeros(v.shape[0])
    for k in range(w.shape[0]):
        c = ct[np.uint64(group[k])]
        m = np.uint64(member[k])
        grad_w[k] = c * v[m]
        grad_v[m] += c * w[k]
    return grad_w, grad_v


@numba_kernel(GroupSum)
def _(op: Op) -> Callable[..., Any]:
    return _kernel


@numba_kernel(GroupSumVJP)
def _(op: Op) -> Callable[..., Any]:
    return _vjp_kernel


@jax_function(GroupSum)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    from jax.ops import segment_sum

    def group_sum(w: Any, v: Any, member: Any, group: Any, indptr: Any) -> Any:
        groups = indptr.shape[0] - 1
        return segment_sum(w * v[member], group, groups, indices_are_sorted=True)

    return group_sum


@jax_function(GroupSumVJP)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    from jax.ops import segment_sum

    def vjp(w: Any, v: Any, member: Any, group: Any, ct: Any) -> Any:
        per_row = ct[group]
        return per_row * v[member], segment_sum(per_row * w, member, v.shape[0])

    return vjp


_group_sum = GroupSum()
_group_sum_vjp = GroupSumVJP()


def group_sum(w: Any, v: Any, member: Any, group: Any, indptr: Any) -> Variable:
    r"""Sum weighted member values within each group.

    .. math:: s_g = \sum_{k:\, g_k = g} w_k \, v_{m_k}

    Parameters
    ----------
    w : tensor_like, shape (row,)
        Weight of each membership row.
    v : tensor_like, shape (member,)
        Value of each member, for example its random effect.
    member : tensor_like of int, shape (row,)
        Member of each row, in ``0 .. len(v) - 1``. Not checked: an index out of bounds reads
        memory that is not ours, so designs are checked where they are made.
    group : tensor_like of int, shape (row,)
        Group of each row, in ``0 .. num_groups - 1``, sorted.
    indptr : tensor_like of int, shape (num_groups + 1,)
        First row of each group, as in a compressed sparse row matrix. Groups without rows sum
        to zero.

    Returns
    -------
    TensorVariable, shape (num_groups,)
        The sums, on the scale of `v`.

    Examples
    --------
    >>> group_sum([0.5, 0.5, 1.0], [10.0, 20.0], [0, 1, 1], [0, 0, 1], [0, 2, 3]).eval()
    array([15., 20.])
    """
    return _group_sum(w, v, member, group, indptr)


def reference_group_sum(w: Any, v: Any, member: Any, group: Any, indptr: Any) -> Variable:
    """Return the same sums as plain PyTensor, for tests and second derivatives."""
    zeros = pt.zeros(as_index(indptr).shape[0] - 1)
    return zeros[as_index(group)].inc(as_float(w) * as_float(v)[as_index(member)])
