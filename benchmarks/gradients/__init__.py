"""The cases of ``gradient.py``: data, this package, the plain graph, and the floor."""

from __future__ import annotations

import ctypes

import numpy as np


def bound(compiled, point: np.ndarray):
    """Return a call of a compiled log density at one point, its arguments made beforehand."""
    gradient, value = np.empty_like(point), np.empty(1)
    doubles = ctypes.POINTER(ctypes.c_double)
    addresses = [a.ctypes.data_as(doubles) for a in (point, gradient, value)]
    data = ctypes.c_void_p(compiled.sampled.user_data.ctypes.data)
    arguments = (len(point), *addresses, data)
    call = compiled.sampled.compiled_logp_func.ctypes

    def evaluate(kept=compiled):  # the addresses are those of its arrays
        assert call(*arguments) == 0
        return value[0]

    return evaluate
