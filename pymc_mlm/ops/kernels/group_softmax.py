"""The numba kernels of `GroupSoftmax` and its gradient; imported only when one is compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from pymc_mlm.codegen.exponential import exp


def kernel(log_raw: Any, group: Any, indptr: Any) -> Any:
    """Return the weights, from their logarithms."""
    rows = log_raw.shape[0]
    groups = indptr.shape[0] - 1
    largest = np.empty(groups)
    total = np.zeros(groups)
    p = np.empty(rows)
    for j in range(groups):
        largest[j] = -np.inf
    for k in range(rows):
        # Chosen, not branched: half of the branches would be mispredicted.
        g = np.uint64(group[k])
        largest[g] = log_raw[k] if log_raw[k] > largest[g] else largest[g]
    for k in range(rows):
        p[k] = log_raw[k] - largest[np.uint64(group[k])]
    for k in range(rows):  # of its own, so that LLVM computes several at once
        p[k] = exp(p[k])
    for k in range(rows):
        total[np.uint64(group[k])] += p[k]
    for j in range(groups):
        total[j] = 1.0 / total[j]
    for k in range(rows):
        p[k] *= total[np.uint64(group[k])]
    return p


def vjp_kernel(p: Any, group: Any, indptr: Any, ct: Any) -> Any:
    """Return the gradient, from the weights and a number a row."""
    rows = p.shape[0]
    mean = np.zeros(indptr.shape[0] - 1)
    out = np.empty(rows)
    for k in range(rows):
        mean[np.uint64(group[k])] += p[k] * ct[k]
    for k in range(rows):
        out[k] = p[k] * (ct[k] - mean[np.uint64(group[k])])
    return out
