"""Values of a syntax tree without free parameters, in NumPy: the readable definition of it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np

from pymc_mlm.errors import MembershipRowError
from pymc_mlm.weights.tree import (
    AGGREGATES,
    Apply,
    Column,
    Comparison,
    GroupSize,
    Node,
    Number,
    unparse,
)


@dataclass(frozen=True, eq=False)
class Rows:
    """Membership rows sorted by group, and the columns that a weight reads from them.

    Attributes
    ----------
    columns : mapping of str to ndarray of float64, shape (row,)
    group : ndarray of int64, shape (row,)
    indptr : ndarray of int64, shape (num_groups + 1,)
    scales : dict of str to tuple of float
        Mean and sd of what ``scale()`` standardises, by its text; filled where they are lacking.
    """

    columns: Mapping[str, np.ndarray]
    group: np.ndarray
    indptr: np.ndarray
    scales: dict[str, tuple[float, float]] = field(default_factory=dict)

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

    def quantile(self, x: Any, p: float) -> np.ndarray:
        """Quantile in the group of each row, linear between values as in R and NumPy."""
        x = np.broadcast_to(x, self.group.shape)
        ordered = x[np.lexsort((x, self.group))]
        sizes = np.diff(self.indptr)
        has_rows = sizes > 0
        place = (sizes[has_rows] - 1) * p
        low = np.floor(place).astype(int)
        high = np.minimum(low + 1, sizes[has_rows] - 1)
        first = self.indptr[:-1][has_rows]
        below, above = ordered[first + low], ordered[first + high]
        return np.repeat(below + (place - low) * (above - below), sizes[has_rows])

    def lowest_and_highest(self, x: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest value among some rows of the group of each row."""
        low = self.extreme(np.where(where, x, np.inf), np.minimum)
        return low, self.extreme(np.where(where, x, -np.inf), np.maximum)

    def standardised(self, name: str, x: Any) -> np.ndarray:
        """Return values less their mean over the fitted rows, divided by their sd."""
        x = np.broadcast_to(x, self.group.shape)
        if name not in self.scales:
            self.scales[name] = (float(x.mean()), float(x.std(ddof=1)))
        mean, sd = self.scales[name]
        return np.divide(x - mean, sd)


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
    "logit": lambda p: np.log(p) - np.log1p(-p),
    "probit": lambda p: _special("ndtri", p),
    "cloglog": lambda p: np.log(-np.log1p(-p)),
    "iprobit": lambda z: _special("ndtr", z),
    "icloglog": lambda z: -np.expm1(-np.exp(z)),
    "round": np.round,
    "floor": np.floor,
    "ceiling": np.ceil,
    "trunc": np.trunc,
}


def _special(name: str, x: Any) -> Any:
    import scipy.special

    return getattr(scipy.special, name)(x)


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
        case Apply(op="quantile", args=(x, p)):
            return rows.quantile(_value(x, rows), float(_value(p, rows)))
        case Apply(op="first" | "last"):
            return _at_the_end(node, rows)
        case Apply(op="scale", args=(x,)):
            return rows.standardised(unparse(x), _value(x, rows))
        case Apply(op=op, args=args):
            return _OPERATORS[op](*(_value(arg, rows) for arg in args))
    raise TypeError(f"no value for {node!r}")


def _at_the_end(node: Apply, rows: Rows) -> np.ndarray:
    """Return the value where the order is smallest or largest in the group of each row."""
    x, order = (np.broadcast_to(_value(arg, rows), rows.group.shape) for arg in node.args)
    end = rows.extreme(order, np.minimum if node.op == "first" else np.maximum)
    low, high = rows.lowest_and_highest(x, order == end)
    # What is undefined in an argument is so in the value, and no tie.
    low = np.where(np.isnan(order), np.nan, low)
    tied = low < high
    if tied.any():
        row = int(np.argmax(tied))
        value, by = map(unparse, node.args)
        which, extreme = ("smallest", "min") if node.op == "first" else ("largest", "max")
        at_end = f"({by} == {extreme}({by}))"
        raise MembershipRowError(
            f"{unparse(node)!r} in a weight: {by!r} is {end[row].item():g}, the {which} of the "
            f"group of membership row {row} (counted from 0, sorted by group), in several rows "
            f"whose {value!r} differs, from {low[row].item():g} to {high[row].item():g} "
            f"({len(np.unique(rows.group[tied]))} such groups), so that none is the {node.op}. "
            "Order by a column without ties, or take the mean of those rows: "
            f"sum({value} * {at_end}) / sum{at_end}.",
            row,
        )
    return low


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
        case "range":
            return rows.extreme(x, np.maximum) - rows.extreme(x, np.minimum)
        case "median":
            return rows.quantile(x, 0.5)
        case "var":
            return rows.sd(x) ** 2
    return rows.sd(x)
