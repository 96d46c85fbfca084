"""Lowered operations -> PyTensor graph: elementwise operations and sums over groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add, mul
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_grad
from pytensor.tensor.variable import TensorVariable

from pymc_mlm.ops.group_softmax import group_softmax
from pymc_mlm.weights.lower import Array, Lowered, Step
from pymc_mlm.weights.tree import Number, Parameter

# exp(710) is inf, and inf times a zero is NaN, in the value or in its gradient. exp(300) is 2e130:
# the product of two of them is still finite, and a larger weight is as good as infinite.
LARGEST_EXPONENT = 300.0


@dataclass(frozen=True, eq=False)
class Graph:
    """Writes lowered operations, each of them once.

    Attributes
    ----------
    arrays : mapping of Array to TensorVariable, shape (row,)
    b : mapping of str to scalar TensorVariable
    group : TensorVariable of int, shape (row,)
    indptr : TensorVariable of int, shape (num_groups + 1,)
    """

    arrays: Mapping[Array, TensorVariable]
    b: Mapping[str, TensorVariable]
    group: TensorVariable
    indptr: TensorVariable
    written: dict[Lowered, Any] = field(default_factory=dict)

    def write(self, node: Lowered) -> Any:
        """Return the tensor of a lowered expression: a scalar, a (row,) vector or a float."""
        if node not in self.written:
            self.written[node] = self._write(node)
        return self.written[node]

    def _write(self, node: Lowered) -> Any:
        match node:
            case Number(value=value):
                return value
            case Parameter(name=name):
                return self.b[name]
            case Array():
                return self.arrays[node]
            case Step(op="sum", args=(x,)):
                return self.group_total(self.per_row(self.write(x)))
            case Step(op="log_group_sum", args=(x,)):
                return self.log_group_sum(self.per_row(self.write(x)))
        return _STEPS[node.op](*(self.write(arg) for arg in node.args))

    def per_row(self, x: Any) -> TensorVariable:
        """Repeat a scalar for each row, shape (row,)."""
        x = pt.as_tensor_variable(x)
        return x if x.ndim else pt.zeros(self.group.shape) + x

    def group_total(self, x: TensorVariable) -> TensorVariable:
        """Sum over the group of each row, shape (row,)."""
        return pt.zeros(self.indptr.shape[0] - 1)[self.group].inc(x)[self.group]

    def log_group_sum(self, x: TensorVariable) -> TensorVariable:
        """Logarithm of the sum of exp(x) over the group of each row, shape (row,).

        The shift is the mean of `x` under its own softmax: less than the largest by no more than
        the logarithm of the group's size, so nothing overflows. It cancels in the gradient.
        """
        p = group_softmax(x, self.group, self.indptr)
        shift = self.group_total(pt.switch(pt.gt(p, 0.0), p * x, 0.0))
        shift = disconnected_grad(shift)
        return shift + log(self.group_total(pt.exp(x - shift)))


def log(x: TensorVariable) -> TensorVariable:
    """Logarithm of what is not negative; -inf at zero, with gradient 0 instead of NaN."""
    is_zero = pt.le(x, 0.0)
    return pt.switch(is_zero, -np.inf, pt.log(pt.switch(is_zero, 1.0, x)))


def log_sum(*terms: Any) -> TensorVariable:
    """Logarithm of the sum of exp(terms); terms may be -inf."""
    constants = [t for t in terms if isinstance(t, float)]
    if len(terms) == 2 and len(constants) == 1 and constants[0] > -np.inf:
        (term,) = (t for t in terms if not isinstance(t, float))
        # Exact for term = -inf, which is how 1 + (n - 1) exp(z) is 1 at n = 1.
        return pt.softplus(term - constants[0]) + constants[0]
    largest = disconnected_grad(reduce(pt.maximum, terms))
    shift = pt.switch(pt.isinf(largest), 0.0, largest)
    return shift + log(reduce(add, (pt.exp(t - shift) for t in terms)))


def scale_log(factor: TensorVariable, x: TensorVariable) -> TensorVariable:
    """Product of a positive factor and a logarithm; -inf stays -inf, with gradient 0."""
    is_zero = pt.eq(x, -np.inf)
    return pt.switch(is_zero, -np.inf, factor * pt.switch(is_zero, 0.0, x))


_STEPS: dict[str, Callable[..., Any]] = {
    "+": lambda *x: reduce(add, x),
    "*": lambda *x: reduce(mul, x),
    "**": lambda x, exponent: pt.pow(x, exponent),
    "neg": lambda x: -x,
    "abs": pt.abs,
    "exp": lambda x: pt.exp(pt.minimum(x, LARGEST_EXPONENT)),
    "ilogit": pt.sigmoid,
    "softplus": pt.softplus,
    "log": log,
    "log_sum": log_sum,
    "scale_log": scale_log,
}
