"""The syntax tree of a formula: small frozen values, and the text that labels them.

The tree is the only reading of a formula. Columns are names in it, never Python's names: what a
column is called cannot change what is evaluated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Number:
    """A constant; `text` is how it was written."""

    value: float
    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Text:
    """Quoted text: a category, or a word that an argument may be."""

    value: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table, by the name that it has there."""

    name: str


@dataclass(frozen=True, slots=True)
class Unary:
    """A sign before an operand."""

    op: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands with an operator between them."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments; those by name are pairs. ``{x}`` is a call of ``{}``."""

    function: str
    args: tuple[Node, ...]
    keywords: tuple[tuple[str, Node], ...] = ()


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list such as ``[1, 2]`` or ``c(1, 2)``."""

    items: tuple[Node, ...]


Node = Number | Text | Column | Unary | Binary | Call | Sequence

# From loose to tight; a power is tighter than a sign, as in R and in Python.
PRECEDENCE = {
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), 1),
    "+": 2,
    "-": 2,
    "*": 3,
    "/": 3,
    ":": 4,
    "**": 6,
}
SIGN = 5
COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))


def children(node: Node) -> tuple[Node, ...]:
    """Return the parts of a node."""
    match node:
        case Unary(operand=x):
            return (x,)
        case Binary(left=left, right=right):
            return (left, right)
        case Call(args=args, keywords=keywords):
            return (*args, *(value for _, value in keywords))
        case Sequence(items=items):
            return items
    return ()


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all nodes in it, from left to right."""
    waiting = [node]
    while waiting:
        found = waiting.pop()
        yield found
        waiting.extend(reversed(children(found)))


def column_names(node: Node) -> tuple[str, ...]:
    """Return the columns that a tree reads, each once."""
    return tuple(dict.fromkeys(x.name for x in walk(node) if isinstance(x, Column)))


def depth(node: Node) -> int:
    """Return how many nodes lie inside one another."""
    level, count = [node], 0
    while level:
        level, count = [child for x in level for child in children(x)], count + 1
    return count


def label(node: Node) -> str:
    """Return a tree as text, with the blanks and brackets that it needs.

    Examples
    --------
    >>> label(Binary("**", Binary("+", Column("odd name"), Number(1.0)), Number(2.0)))
    '(`odd name` + 1) ** 2'
    """
    match node:
        case Number(value=value, text=text):
            return text or f"{value:g}"
        case Text(value=value):
            return f"'{value}'" if "'" not in value else f'"{value}"'
        case Column(name=name):
            return name if is_plain(name) else f"`{name}`"
        case Sequence(items=items):
            return f"[{', '.join(map(label, items))}]"
        case Call(function="{}", args=(x,)):
            return label(x)
        case Call(function=function, args=args, keywords=keywords):
            named = (f"{k}={label(v)}" for k, v in keywords)
            return f"{function}({', '.join([*map(label, args), *named])})"
        case Unary(op=op, operand=x):
            return f"{op}{_inside(x, SIGN)}"
    return _infix(node)


def _infix(node: Binary) -> str:
    own = PRECEDENCE[node.op]
    # Powers associate to the right, all else to the left; comparisons do not.
    left = own + (node.op == "**" or node.op in COMPARISONS)
    right = own + (node.op != "**")
    space = "" if node.op == ":" else " "
    return f"{_inside(node.left, left)}{space}{node.op}{space}{_inside(node.right, right)}"


def _inside(node: Node, needed: int) -> str:
    tight = {Binary: lambda: PRECEDENCE[node.op], Unary: lambda: SIGN}.get(type(node))  # type: ignore[union-attr]
    text = label(node)
    return f"({text})" if tight and tight() < needed else text


def is_plain(name: str) -> bool:
    """Tell whether a column can be written without backquotes."""
    first = name[1:2] if name.startswith(".") else name[:1]
    return first.isidentifier() and all(is_word_character(character) for character in name)


def is_word_character(character: str) -> bool:
    """Tell whether a character may stand in a plain name: letters, digits, _ and dots."""
    return character in "._" or character.isalnum() or f"a{character}".isidentifier()
