"""The numba kernels of `GroupMean` and its gradient; imported only when one is compiled.

Flat loops and unsigned indices, as in `group_sum`; the branches leave the loops when compiled.
Exponentials have loops of their own, in which LLVM computes several at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from pymc_mlm.codegen.exponential import exp
from pymc_mlm.ops.group_mean import FAR, TINY


def kernel(log_raw: Any, v: Any, r: Any, member: Any, group: Any, indptr: Any) -> Any:
    """Return means, raw weights and their sums, the weights given by their logarithms."""
    rows = log_raw.shape[0]
    groups = indptr.shape[0] - 1
    largest = np.full(groups, -np.inf)
    raw = np.empty(rows)
    for k in range(rows):
        # Chosen, not branched: half of the branches would be mispredicted.
        g = np.uint64(group[k])
        largest[g] = log_raw[k] if log_raw[k] > largest[g] else largest[g]
    for k in range(rows):
        raw[k] = log_raw[k] - largest[np.uint64(group[k])]
    for k in range(rows):
        raw[k] = exp(raw[k])
    out, total = means(raw, v, r, member, group, groups)
    return out, raw, total


def logit_kernel(logit: Any, v: Any, r: Any, member: Any, group: Any, indptr: Any) -> Any:
    """Return means, raw weights and their sums, the weights given by their logits."""
    rows = logit.shape[0]
    groups = indptr.shape[0] - 1
    raw = np.empty(rows)
    for k in range(rows):
        raw[k] = exp(-abs(logit[k]))
    for k in range(rows):
        share = 1.0 / (1.0 + raw[k])
        raw[k] = share if logit[k] > 0.0 else raw[k] * share
    largest = np.zeros(groups)
    for k in range(rows):
        g = np.uint64(group[k])
        largest[g] = max(largest[g], raw[k])
    if rows and largest.min() < FAR:
        far = np.full(groups, -np.inf)
        for k in range(rows):
            g = np.uint64(group[k])
            far[g] = max(far[g], logit[k])
        for k in range(rows):
            g = np.uint64(group[k])
            if largest[g] < FAR:
                raw[k] = TINY * exp(logit[k] - far[g])
    out, total = means(raw, v, r, member, group, groups)
    return out, raw, total


@njit(error_model="numpy")
def means(raw: Any, v: Any, r: Any, member: Any, group: Any, groups: int) -> Any:
    """Return the mean of each group and the sum of its raw weights."""
    has_members = v.shape[0] > 0
    has_rows = r.shape[0] > 0
    out, total = np.zeros(groups), np.zeros(groups)
    for k in range(raw.shape[0]):
        g = np.uint64(group[k])
        value = 0.0
        if has_members:
            value += v[np.uint64(member[k])]
        if has_rows:
            value += r[k]
        total[g] += raw[k]
        out[g] += raw[k] * value
    for j in range(groups):
        if total[j] != 0.0:  # a group without rows has the mean zero
            out[j] /= total[j]
    return out, total


@njit(error_model="numpy")
def gradients(
    out: Any, raw: Any, total: Any, v: Any, r: Any, member: Any, group: Any, ct: Any
) -> Any:
    """Return the gradients by logarithms, values of members and values of rows."""
    rows = raw.shape[0]
    has_members = v.shape[0] > 0
    has_rows = r.shape[0] > 0
    scale = np.empty(ct.shape[0])
    grad_log = np.empty(rows)
    grad_v = np.zeros(v.shape[0])
    grad_r = np.empty(r.shape[0])
    for j in range(ct.shape[0]):
        scale[j] = ct[j] / total[j]
    for k in range(rows):
        g = np.uint64(group[k])
        c = scale[g] * raw[k]
        value = -out[g]
        if has_members:
            m = np.uint64(member[k])
            value += v[m]
            grad_v[m] += c
        if has_rows:
            value += r[k]
            grad_r[k] = c
        grad_log[k] = c * value
    return grad_log, grad_v, grad_r


def vjp_kernel(
    out: Any, raw: Any, total: Any, v: Any, r: Any, member: Any, group: Any, ct: Any
) -> Any:
    """Return the gradients by logarithms, values of members and values of rows."""
    return gradients(out, raw, total, v, r, member, group, ct)


def logit_vjp_kernel(
    out: Any, raw: Any, total: Any, v: Any, r: Any, member: Any, group: Any, ct: Any
) -> Any:
    """Return the gradients by logits, values of members and values of rows."""
    grad, grad_v, grad_r = gradients(out, raw, total, v, r, member, group, ct)
    for k in range(raw.shape[0]):
        grad[k] *= 1.0 - raw[k]  # the slope of a logistic function's logarithm
    return grad, grad_v, grad_r
