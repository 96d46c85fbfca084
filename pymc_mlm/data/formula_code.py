"""Trees of a formula as the texts that formulaic may evaluate.

formulaic evaluates texts as Python. Those from here hold generated names (``n0``, ``c1``), numbers,
operators and functions of a closed list, and nothing that a user wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pymc_mlm.data.formula_calls import SPLINES, is_comparison, options
from pymc_mlm.data.formula_tree import Binary, Call, Node, Number, Unary, column_names, label
from pymc_mlm.errors import SpecificationError


def _truth(values: Any) -> Any:
    # Sums of truth values would be truth values: True + True is True.
    return values.astype(np.float64)


# What generated texts call, besides formulaic's own transforms.
EVALUATED: Mapping[str, Callable[..., Any]] = {
    "truth": _truth,
    "abs": np.abs,
    "exp": np.exp,
    "log": np.log,
    "log10": np.log10,
    "log1p": np.log1p,
    "log2": np.log2,
    "sqrt": np.sqrt,
}


def generated(node: Node, names: Mapping[Node, str]) -> str:
    """Return an expression as Python's text, with generated names only.

    Parameters
    ----------
    node : Node
        A checked expression.
    names : mapping of Node to str
        Generated names of what it reads.

    Examples
    --------
    >>> from pymc_mlm.data.formula_tree import Column
    >>> x = Column("os.system")
    >>> generated(Binary("+", Call("log", (x,)), Number(1.0)), {x: "n0"})
    '(log(n0) + 1.0)'
    """
    if node in names:
        return names[node]
    match node:
        case Number(value=value):
            return repr(value)
        case Unary(op=op, operand=x):
            return f"({op}{generated(x, names)})"
        case Binary(op=op, left=left, right=right) if not column_names(node):
            return _constant(node)
        case Binary(op=op, left=left, right=right):
            text = f"({generated(left, names)} {op} {generated(right, names)})"
            return f"truth{text}" if is_comparison(node) else text
        case Call(function="I" | "{}", args=(x,)):
            return generated(x, names)
        case Call(function=function, args=args) if function in EVALUATED:
            return f"{function}({generated(args[0], names)})"
        case Call(function=function, args=args) if function in (*SPLINES, "poly", "center",
                                                               "scale", "standardize"):  # fmt: skip
            chosen = [f"{k}={_plain(v)!r}" for k, v in options(node).items()]
            return f"{function}({', '.join([generated(args[0], names), *chosen])})"
    raise TypeError(f"no text for {node!r}")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _constant(node: Node) -> str:
    value = _number(node)
    if not np.isfinite(value):
        raise SpecificationError(f"{label(node)!r} in the formula is not a finite number.")
    return f"({float(value)!r})"


_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "**": np.float_power,
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def _number(node: Node) -> Any:
    with np.errstate(all="ignore"):
        match node:
            case Number(value=value):
                return np.float64(value)
            case Unary(op=op, operand=x):
                return -_number(x) if op == "-" else _number(x)
            case Binary(op=op, left=left, right=right):
                return np.float64(_OPERATORS[op](_number(left), _number(right)))
            case Call(function="I" | "{}", args=(x,)):
                return _number(x)
            case Call(function=function, args=(x,)) if function in EVALUATED:
                return EVALUATED[function](_number(x))
    raise SpecificationError(f"{label(node)!r} in the formula names no column.")
