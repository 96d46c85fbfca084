"""Values of a syntax tree without free parameters, in NumPy: the readable definition of it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np

from pymc_mlm.weights.tree import (
    AGGREGATES,
    Apply,
    Column,
    Comparison,
    GroupSize,
    Node,
    Number,
)


@dataclass(frozen=True, eq=False)
class Rows:
    """Membership rows sorted by group, and the columns that a weight reads from them.

    Attributes
    ----------
    columns : mapping of str to ndarray of float64, shape (row,)
    group : ndarray of int64, shape (row,)
    indptr : ndarray of int64, shape (num_groups + 1,)
    """

    columns: Mapping[str, np.ndarray]
    group: np.ndarray
    indptr: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """Number of rows in the group of each row, shape (row,)."""
        return np.diff(self.indptr)[self.group].astype(float)

    def total(self, x: Any) -> np.ndarray:
        """Sum over the group of each row, shape (row,)."""
        weights = np.broadcast_to(x, self.group.shape)
        return np.bincount(self.group, weights, minlength=len(self.indptr) - 1)[self.group]

    def extreme(self, x: Any, ufunc: np.ufunc) -> np.ndarray:
        """Smallest or largest value in the group of each row, shape (row,)."""
        sizes = np.diff(self.indptr)
        starts, sizes = self.indptr[:-1][sizes > 0], sizes[sizes > 0]
        x = np.broadcast_to(x, self.group.shape)
        return np.repeat(ufunc.reduceat(x, starts), sizes) if len(x) else x

    def sd(self, x: Any) -> np.ndarray:
        """Sample standard deviation in the group of each row; NaN in a group of one, as in R."""
        deviation = x - self.total(x) / self.size
        return np.sqrt(self.total(deviation**2) / (self.size - 1.0))


def ilogit(x: Any) -> Any:
    """Inverse of the logit, without overflow."""
    return np.exp(-np.logaddexp(0.0, -x))


def truth(x: Any) -> Any:
    """1 where a value is not zero, as R reads numbers as logicals."""
    return np.not_equal(x, 0.0).astype(float)


_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
_OPERATORS: dict[str, Callable[..., Any]] = {
    "+": lambda *x: reduce(operator.add, x),
    "-": operator.sub,
    "*": lambda *x: reduce(operator.mul, x),
    "/": np.divide,
    "**": np.float_power,
    "neg": operator.neg,
    "and": lambda *x: reduce(np.minimum, map(truth, x)),
    "or": lambda *x: reduce(np.maximum, map(truth, x)),
    "not": lambda x: 1.0 - truth(x),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "ilogit": ilogit,
    "abs": np.abs,
}


def fold(node: Node, rows: Rows) -> np.ndarray:
    """Evaluate a tree without free parameters, shape (row,); NaN and inf where undefined."""
    with np.errstate(all="ignore"):
        return np.broadcast_to(_value(node, rows), rows.group.shape).astype(float)


def fold_constant(node: Node) -> float:
    """Evaluate a tree that depends on nothing."""
    no_rows = Rows({}, np.zeros(1, int), np.array([0, 1]))
    return float(fold(node, no_rows)[0])


def _value(node: Node, rows: Rows) -> Any:
    match node:
        case Number(value=value):
            return np.float64(value)  # not a Python float, which raises on 9.0 ** 9999
        case Column(name=name):
            return rows.columns[name]
        case GroupSize():
            return rows.size
        case Comparison(ops=ops, args=args):
            values = pairwise([_value(arg, rows) for arg in args])
            holds = [_COMPARISONS[op](x, y) for op, (x, y) in zip(ops, values, strict=True)]
            return reduce(np.logical_and, holds).astype(float)
        case Apply(op=op, args=(x,)) if op in AGGREGATES:
            return _aggregate(op, _value(x, rows), rows)
        case Apply(op=op, args=args):
            return _OPERATORS[op](*(_value(arg, rows) for arg in args))
    raise TypeError(f"no value for {node!r}")


def _aggregate(op: str, x: Any, rows: Rows) -> np.ndarray:
    match op:
        case "min":
            return rows.extreme(x, np.minimum)
        case "max":
            return rows.extreme(x, np.maximum)
        case "sum":
            return rows.total(x)
        case "mean":
            return rows.total(x) / rows.size
    return rows.sd(x)
