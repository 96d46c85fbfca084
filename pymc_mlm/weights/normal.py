"""Normal form of a weight expression: sums, products and powers, with data gathered in pieces.

Subtractions become sums, divisions become powers of -1, and each maximal part without a free
parameter becomes one `Piece`, so that few arrays enter the graph.
"""

from __future__ import annotations

from functools import reduce

from pymc_mlm.weights.fold import fold_constant
from pymc_mlm.weights.tree import (
    Apply,
    GroupSize,
    Node,
    Number,
    Parameter,
    Piece,
    is_constant,
    is_free,
)

ONE, MINUS_ONE = Number(1.0), Number(-1.0)


def normal_form(tree: Node) -> tuple[Node, tuple[Node, ...]]:
    """Rewrite a tree and split it from its data.

    Returns
    -------
    node : Node
        The same function of `Parameter`, `Number`, `Piece`, n-ary ``+`` and ``*``, ``**``,
        elementwise functions and ``sum``.
    pieces : tuple of Node
        What each `Piece` stands for, in order of appearance; free of parameters.
    """
    pieces: dict[Node, int] = {}

    def gather(node: Node) -> Node:
        if isinstance(node, Number | Parameter):
            return node
        if not is_free(node):
            return Piece(pieces.setdefault(node, len(pieces)))
        if isinstance(node, Apply):
            return Apply(node.op, tuple(gather(arg) for arg in node.args))
        raise TypeError(f"{node!r} has no normal form")

    return gather(rewrite(tree)), tuple(pieces)


def rewrite(node: Node) -> Node:
    """Bring a tree into normal form, data still in place."""
    if is_constant(node):
        return Number(fold_constant(node))
    if not is_free(node) or isinstance(node, Parameter) or not isinstance(node, Apply):
        return node
    args = tuple(rewrite(arg) for arg in node.args)
    match node.op:
        case "neg":
            return product(MINUS_ONE, *args)
        case "+":
            return total(*args)
        case "-":
            return total(args[0], product(MINUS_ONE, args[1]))
        case "*":
            return product(*args)
        case "/":
            return product(args[0], reciprocal(args[1]))
        case "**":
            return power(*args)
        case "mean":
            return product(Apply("sum", args), reciprocal(GroupSize()))
    return Apply(node.op, args)


def total(*terms: Node) -> Node:
    """Add, data first: ``1 - ilogit(z)`` is ``ilogit(-z)``, which does not cancel."""
    data, free = _split("+", terms)
    if data == ONE and len(free) == 1:
        match free[0]:
            case Apply(op="*", args=(Number(value=-1.0), Apply(op="ilogit", args=(z,)))):
                return Apply("ilogit", (product(MINUS_ONE, z),))
    return _join("+", data, free, neutral=0.0)


def product(*factors: Node) -> Node:
    """Multiply, data first."""
    return _join("*", *_split("*", factors), neutral=1.0)


def _split(op: str, args: tuple[Node, ...]) -> tuple[Node | None, list[Node]]:
    flat = [
        inner
        for arg in args
        for inner in (arg.args if isinstance(arg, Apply) and arg.op == op else (arg,))
    ]
    data = [arg for arg in flat if not is_free(arg)]
    if not data:
        return None, flat
    joined = reduce(lambda left, right: Apply(op, (left, right)), data)
    constant = Number(fold_constant(joined)) if is_constant(joined) else joined
    return constant, [arg for arg in flat if is_free(arg)]


def _join(op: str, data: Node | None, free: list[Node], neutral: float) -> Node:
    args = free if data is None or data == Number(neutral) else [data, *free]
    if not args:
        return Number(neutral)
    return args[0] if len(args) == 1 else Apply(op, tuple(args))


def reciprocal(node: Node) -> Node:
    """Divide one by a normal form; data factors are inverted as data, so a zero is found there."""
    if is_constant(node) and fold_constant(node) != 0.0:
        return Number(1.0 / fold_constant(node))
    if not is_free(node):
        return Apply("/", (ONE, node))
    match node:
        case Apply(op="*", args=factors):
            return product(*(reciprocal(factor) for factor in factors))
        case Apply(op="exp", args=(z,)):
            return Apply("exp", (product(MINUS_ONE, z),))
        case Apply(op="**", args=(base, exponent)):
            return power(base, product(MINUS_ONE, exponent))
    return Apply("**", (node, MINUS_ONE))


def power(base: Node, exponent: Node) -> Node:
    """Raise a normal form to a normal form."""
    if exponent == Number(0.0):
        return ONE
    if exponent == ONE:
        return base
    match base:
        case Apply(op="exp", args=(z,)):
            return Apply("exp", (product(exponent, z),))
    return Apply("**", (base, exponent))
