"""The syntax tree of a weight expression: small frozen values, and its text.

Positions are 1-based characters of the user's text, kept for messages and ignored by ``==``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

ELEMENTWISE = ("exp", "log", "sqrt", "ilogit", "abs")
# Written in terms of those.
REWRITTEN = ("log10", "tanh", "pow")
# Of data alone.
FOLDED = (
    "logit", "probit", "cloglog", "iprobit", "icloglog", "round", "floor", "ceiling", "trunc",
)  # fmt: skip
AGGREGATES = ("min", "max", "mean", "sum", "sd", "var", "median", "range")
# With a probability, or a column that orders the rows of a group.
AGGREGATES_OF_TWO = ("quantile", "first", "last")
SCALE = "scale"
OF_TWO = ("pow", *AGGREGATES_OF_TWO)
OVER_ROWS = (*AGGREGATES, *AGGREGATES_OF_TWO, SCALE)
FUNCTIONS = (*ELEMENTWISE, *REWRITTEN, *FOLDED, *OVER_ROWS)

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
DEFAULT_PARAMETER = re.compile(r"b([0-9]|1[0-2])?", re.ASCII)
TRUTH = {"TRUE": 1.0, "True": 1.0, "FALSE": 0.0, "False": 0.0}
KEYWORDS = ("and", "or", "not")
GROUP_SIZE = "n"


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table."""

    name: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A free parameter."""

    name: str


@dataclass(frozen=True, slots=True)
class GroupSize:
    """``n``, the number of rows in the group."""


@dataclass(frozen=True, slots=True)
class Apply:
    """An operator or function and what it is applied to."""

    op: str
    args: tuple[Node, ...]
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """``a < b <= c``: one operator fewer than operands; 1 where all hold, else 0."""

    ops: tuple[str, ...]
    args: tuple[Node, ...]
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Piece:
    """Stands for the `index`-th maximal subtree without free parameters."""

    index: int


Node = Number | Column | Parameter | GroupSize | Apply | Comparison | Piece


def children(node: Node) -> tuple[Node, ...]:
    """Return the operands of a node."""
    return node.args if isinstance(node, Apply | Comparison) else ()


def walk(node: Node) -> Iterator[Node]:
    """Yield every node in the order of the text."""
    yield node
    for child in children(node):
        yield from walk(child)


def is_free(node: Node) -> bool:
    """Tell whether a value depends on a free parameter."""
    return any(isinstance(part, Parameter) for part in walk(node))


def is_constant(node: Node) -> bool:
    """Tell whether a value depends on nothing: ``sum(1)`` is the group's size, so it does."""
    return all(
        isinstance(part, Number | Comparison)
        or (isinstance(part, Apply) and part.op not in OVER_ROWS)
        for part in walk(node)
    )


def quote(name: str) -> str:
    """Write a column's name so that it is read as that column."""
    reserved = {*TRUTH, *KEYWORDS, GROUP_SIZE}
    plain = NAME.fullmatch(name) and not DEFAULT_PARAMETER.fullmatch(name)
    return name if plain and name not in reserved else f"`{name}`"


_BINDING = {"or": 1, "and": 2, "not": 3, "+": 5, "-": 5, "*": 6, "/": 6, "neg": 7, "**": 8}
_COMPARISON, _ATOM = 4, 9


def binding(node: Node) -> int:
    """Return how tightly the outermost operator of a node binds."""
    match node:
        case Comparison():
            return _COMPARISON
        case Apply(op=op):
            return _BINDING.get(op, _ATOM)
        case Number(value=value) if value < 0:
            return _BINDING["neg"]
    return _ATOM


def unparse(node: Node) -> str:
    """Write a tree as text with few parentheses; parsing it gives the tree back."""

    def inside(child: Node, least: int) -> str:
        text = unparse(child)
        return text if binding(child) >= least else f"({text})"

    match node:
        case Number(value=value):
            return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
        case Column(name=name):
            return quote(name)
        case Parameter(name=name):
            return name
        case GroupSize():
            return GROUP_SIZE
        case Comparison(ops=ops, args=args):
            texts = [inside(arg, _COMPARISON + 1) for arg in args]
            return " ".join([texts[0], *(f"{o} {t}" for o, t in zip(ops, texts[1:], strict=True))])
        case Apply(op="neg", args=(x,)):
            return f"-{inside(x, _BINDING['neg'])}"
        case Apply(op="not", args=(x,)):
            return f"not {inside(x, _BINDING['not'])}"
        case Apply(op="**", args=(base, exponent)):
            return f"{inside(base, _ATOM)} ** {inside(exponent, _BINDING['neg'])}"
        case Apply(op=op, args=args) if op in _BINDING:
            rest = (inside(arg, _BINDING[op] + 1) for arg in args[1:])
            return f" {op} ".join([inside(args[0], _BINDING[op] + (op in KEYWORDS)), *rest])
        case Apply(op=op, args=args):
            return f"{op}({', '.join(map(unparse, args))})"
    raise TypeError(f"no text for {node!r}")
