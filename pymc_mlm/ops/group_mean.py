"""Weighted means over a ragged membership whose weights are given by logarithms or logits.

`group_softmax` and `group_sum` in one: two passes over the rows for the value and one for all
gradients, instead of nine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type
from pytensor.graph.basic import Apply, Variable
from scipy.special import expit

from pymc_mlm.ops.base import (
    AbstractKernelOp,
    as_float,
    as_index,
    is_connected,
    jax_function,
    numba_kernel,
    register_backends,
    vector,
)
from pymc_mlm.ops.group_softmax import reference_group_softmax
from pymc_mlm.ops.group_sum import reference_group_sum
from pymc_mlm.ops.layout import Layout

# Where all of a group are smaller than this, they are exponentials in place of logistic functions,
# which are the same there; multiplied by a number so small that 1 less it is 1, their slope.
FAR, TINY = 1e-250, 1e-270


class GroupMean(AbstractKernelOp):
    """``out[g] = sum of p[k] (v[member[k]] + r[k])`` over the rows k of group g, p their softmax.

    Further outputs, for the gradient: ``exp(log_raw - largest of the group)`` per row and its
    sum per group. With `is_logit`, log_raw is the logit of the raw weights, and these are
    ``1 / (1 + exp(-log_raw))``: one exponential a row instead of three.
    """

    __props__ = ("is_logit",)
    is_of_rows = True
    default_output = 0

    def __init__(self, is_logit: bool = False) -> None:
        self.is_logit = is_logit

    layout = Layout(
        "log_raw[rows], v[members], r[rows?], "
        "member[rows] < members?, group[rows] < ends - 1, indptr[ends]; ends > 0"
    )

    def make_node(
        self, log_raw: Any, v: Any, r: Any, member: Any, group: Any, indptr: Any
    ) -> Apply:
        """Check ranks; `v` or `r` without entries means that there is none."""
        register_backends()
        log_raw, v, r = as_float(log_raw), as_float(v), as_float(r)
        member, group, indptr = as_index(member), as_index(group), as_index(indptr)
        inputs = [log_raw, v, r, member, group, indptr]
        if any(x.ndim != 1 for x in inputs):
            raise TypeError("group_mean needs vectors log_raw, v, r, member, group and indptr")
        ends = indptr.type.shape[0]
        groups = None if ends is None else ends - 1
        return Apply(self, inputs, [vector(groups), log_raw.type(), vector(groups)])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """One mean and one sum per group, one weight per row."""
        groups = (shapes[5][0] - 1,)
        return [groups, shapes[0], groups]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Indices have no gradient."""
        return [[True] * 3] * 3 + [[False] * 3] * 3

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the means in NumPy."""
        log_raw, v, r, member, group, indptr = inputs
        groups = len(indptr) - 1
        largest = np.full(groups, -np.inf)
        np.maximum.at(largest, group, log_raw)
        with np.errstate(invalid="ignore"):
            raw = np.exp(log_raw - largest[group])
        if self.is_logit:
            raw = np.where(expit(largest)[group] < FAR, TINY * raw, expit(log_raw))
        total = np.bincount(group, weights=raw, minlength=groups)
        value = (v[member] if len(v) else 0.0) + (r if len(r) else 0.0)
        sums = np.bincount(group, weights=raw * value, minlength=groups)
        empty = total == 0.0
        out[0][0] = np.where(empty, 0.0, sums / np.where(empty, 1.0, total))
        out[1][0], out[2][0] = raw, total

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """With c = ct[g] p[k]: c (value[k] - out[g]), sums of c by member, and c."""
        if is_connected(cts[1]) or is_connected(cts[2]):
            raise NotImplementedError("Take second derivatives of reference_group_mean.")
        _, v, r, member, group, _ = inputs
        grads = GroupMeanVJP(self.is_logit)(*outputs, v, r, member, group, cts[0])
        return [*grads, *(disconnected_type() for _ in range(3))]


class GroupMeanVJP(AbstractKernelOp):
    """Gradients of `GroupMean` by log_raw, v and r, from its outputs and a number per group."""

    __props__ = ("is_logit",)
    is_of_rows = True
    layout = Layout(
        "out[groups], raw[rows], total[groups], v[members], r[rows?], "
        "member[rows] < members?, group[rows] < groups, ct[groups]"
    )

    def __init__(self, is_logit: bool = False) -> None:
        self.is_logit = is_logit

    def make_node(
        self, out: Any, raw: Any, total: Any, v: Any, r: Any, member: Any, group: Any, ct: Any
    ) -> Apply:
        """Take the outputs of `GroupMean`, its values and indices, and the cotangent."""
        register_backends()
        floats = [as_float(x) for x in (out, raw, total, v, r)]
        inputs = [*floats, as_index(member), as_index(group), as_float(ct)]
        return Apply(self, inputs, [x.type() for x in (floats[1], floats[3], floats[4])])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Gradients have the shapes of log_raw, v and r."""
        return [shapes[1], shapes[3], shapes[4]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the gradients in NumPy."""
        mean, raw, total, v, r, member, group, ct = inputs
        value = (v[member] if len(v) else 0.0) + (r if len(r) else 0.0)
        c = ct[group] * raw / total[group]
        slope = 1.0 - raw if self.is_logit else 1.0
        out[0][0] = slope * c * (value - mean[group])
        out[1][0] = np.bincount(member, weights=c, minlength=len(v)) if len(v) else v.copy()
        out[2][0] = c if len(r) else r.copy()


@numba_kernel(GroupMean)
def _(op: Any) -> Callable[..., Any]:
    from pymc_mlm.ops.kernels import group_mean

    return group_mean.logit_kernel if op.is_logit else group_mean.kernel


@numba_kernel(GroupMeanVJP)
def _(op: Any) -> Callable[..., Any]:
    from pymc_mlm.ops.kernels import group_mean

    return group_mean.logit_vjp_kernel if op.is_logit else group_mean.vjp_kernel


@jax_function(GroupMean)
def _(op: Any, node: Apply) -> Callable[..., Any]:
    import jax.numpy as jnp
    from jax.nn import sigmoid
    from jax.ops import segment_max, segment_sum

    def group_mean(log_raw: Any, v: Any, r: Any, member: Any, group: Any, indptr: Any) -> Any:
        groups = indptr.shape[0] - 1
        largest = segment_max(log_raw, group, groups, indices_are_sorted=True)
        raw = jnp.exp(log_raw - largest[group])
        if op.is_logit:
            raw = jnp.where(sigmoid(largest)[group] < FAR, TINY * raw, sigmoid(log_raw))
        total = segment_sum(raw, group, groups, indices_are_sorted=True)
        value = (v[member] if v.shape[0] else 0.0) + (r if r.shape[0] else 0.0)
        sums = segment_sum(raw * value, group, groups, indices_are_sorted=True)
        empty = total == 0.0
        return jnp.where(empty, 0.0, sums / jnp.where(empty, 1.0, total)), raw, total

    return group_mean


@jax_function(GroupMeanVJP)
def _(op: Any, node: Apply) -> Callable[..., Any]:
    from jax.ops import segment_sum

    def vjp(
        out: Any, raw: Any, total: Any, v: Any, r: Any, member: Any, group: Any, ct: Any
    ) -> Any:
        value = (v[member] if v.shape[0] else 0.0) + (r if r.shape[0] else 0.0)
        c = ct[group] * raw / total[group]
        grad_v = segment_sum(c, member, v.shape[0]) if v.shape[0] else v
        slope = 1.0 - raw if op.is_logit else 1.0
        return slope * c * (value - out[group]), grad_v, c if r.shape[0] else r

    return vjp


_group_mean, _group_mean_of_logits = GroupMean(), GroupMean(is_logit=True)


def group_mean(log_raw: Any, v: Any, r: Any, member: Any, group: Any, indptr: Any) -> Variable:
    r"""Average over each group, with weights that are given by their logarithms.

    Logarithms that are written as ``-softplus(-z)`` are not computed: the weights are logistic
    functions of z, with the same means and gradients.

    .. math:: s_g = \sum_{k:\, g_k = g} p_k \, (v_{m_k} + r_k), \qquad
              p_k = \exp(l_k) \Big/ \sum_{j:\, g_j = g_k} \exp(l_j)

    Parameters
    ----------
    log_raw : tensor_like, shape (row,)
        Natural logarithm l of each row's raw weight; ``-inf`` for a weight of zero. Each group
        with rows needs a finite entry, else its mean is NaN.
    v : tensor_like, shape (member,)
        Value of each member, for example its random effect; without entries for none.
    r : tensor_like, shape (row,)
        Value of each row, for example of its covariates; without entries for none.
    member : tensor_like of int, shape (row,)
        Member of each row, in ``0 .. len(v) - 1``. Not checked.
    group : tensor_like of int, shape (row,)
        Group of each row, in ``0 .. num_groups - 1``, sorted. Not checked.
    indptr : tensor_like of int, shape (num_groups + 1,)
        First row of each group. A group without rows has the mean zero.

    Returns
    -------
    TensorVariable, shape (num_groups,)
        The means, on the scale of `v` and `r`.

    See Also
    --------
    group_softmax : The weights themselves.
    group_sum : Sums with weights that are data, or not scaled.

    Examples
    --------
    >>> import numpy as np
    >>> log_raw, indices = np.log([1.0, 3.0, 2.0]), ([0, 1, 1], [0, 0, 1], [0, 2, 3])
    >>> group_mean(log_raw, [10.0, 20.0], [0.0, 4.0, 0.0], *indices).eval()
    array([20.5, 20. ])
    """
    logit = _logit_of(as_float(log_raw))
    if logit is None:
        return _group_mean(log_raw, v, r, member, group, indptr)
    return _group_mean_of_logits(logit, v, r, member, group, indptr)


def _logit_of(log_raw: Variable) -> Variable | None:
    """Return z of a graph ``-softplus(-z)``, the logarithm of a logistic function."""
    inner = log_raw.owner.inputs[0] if log_raw.owner and log_raw.owner.op == pt.neg else None
    if inner is None or inner.owner is None or inner.owner.op != pt.softplus:
        return None
    return -inner.owner.inputs[0]


def reference_group_mean(
    log_raw: Any, v: Any, r: Any, member: Any, group: Any, indptr: Any
) -> Variable:
    """Return the same means as plain PyTensor; both `v` and `r` must be there."""
    p = reference_group_softmax(log_raw, group, indptr)
    of_rows = pt.zeros(as_index(indptr).shape[0] - 1)[as_index(group)].inc(p * as_float(r))
    return reference_group_sum(p, v, member, group, indptr) + of_rows
