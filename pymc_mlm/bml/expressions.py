"""Text of R calls -> syntax tree with positions. Nothing is evaluated.

As much of R as stands in a model call: names, numbers, text, formulas, arithmetic, comparisons,
calls with named arguments, pipes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NoReturn

from pymc_mlm.errors import SpecificationError

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
      | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?L?)
      | (?P<name>(?:[^\W\d]|\.(?!\d))[\w.]*(?:::[\w.]+)?)
      | (?P<quoted>`[^`]+`)
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<operator><-|\|>|%[^%\s]*%|<=|>=|==|!=|&&|\|\||\*\*|[-+*/^()\[\]{}<>,=~:!&|$@;])""",
    re.VERBOSE,
)
# From loose to tight, as in R; a formula binds looser than a comparison.
_BINDING = {
    "<-": 1, "~": 2, "||": 3, "|": 3, "&&": 4, "&": 4, "==": 6, "!=": 6, "<": 6, "<=": 6, ">": 6,
    ">=": 6, "+": 7, "-": 7, "*": 8, "/": 8, "|>": 9, ":": 10, "^": 12, "**": 12, "$": 14, "@": 14,
}  # fmt: skip
_RIGHT = {"^", "**", "<-"}
_PREFIX = {"-": 11, "+": 11, "!": 5, "~": 2}
TRUTH = {"TRUE": True, "T": True, "FALSE": False, "F": False}
OPAQUE = "data"
# Deeper trees are no model, and end Python's stack.
MOST_TOKENS, MOST_OPEN = 5000, 50


@dataclass(frozen=True)
class Token:
    """A word; `position` is its first character, counted from 1."""

    kind: str
    text: str
    position: int


@dataclass(frozen=True)
class Node:
    """A value, operation or call of R.

    Attributes
    ----------
    kind : str
        "name", "number", "text", "paren", "unary", "binary" or "call".
    value : str
        Name, number as written, content of a text, operator, or name of the function.
    parts : tuple of Node
        Operands or arguments.
    names : tuple of str
        Names of arguments, empty where they have none.
    position : int
        First character in the text.
    """

    kind: str
    value: str
    parts: tuple[Node, ...] = ()
    names: tuple[str, ...] = ()
    position: int = 1

    def is_call(self, *functions: str) -> bool:
        """Tell whether this calls one of some functions, with or without their package."""
        return self.kind == "call" and self.value.rpartition(":")[2] in functions

    def is_name(self, name: str) -> bool:
        """Tell whether this is a word without quotes, such as NULL."""
        return self.kind == "name" and self.value == name

    def walk(self) -> Iterator[Node]:
        """Yield every node in the order of the text."""
        yield self
        for part in self.parts:
            yield from part.walk()


def refuse(position: int, problem: str) -> NoReturn:
    """Raise the error that names the character and the problem."""
    raise SpecificationError(f"bml call, character {position}: {problem}")


def tokenize(text: str, offset: int = 0) -> list[Token]:
    """Cut a text into words, without spaces and comments."""
    tokens, start = [], 0
    while start < len(text):
        found = _TOKEN.match(text, start)
        if found is None:
            refuse(offset + start + 1, f"{text[start]!r} is not understood here.")
        if found.lastgroup != "space":
            tokens.append(Token(str(found.lastgroup), found.group(), offset + start + 1))
        start = found.end()
    if len(tokens) > MOST_TOKENS:
        refuse(tokens[MOST_TOKENS].position, f"the text has more than {MOST_TOKENS} words.")
    return tokens


def parse_call(text: str, function: str) -> Node:
    """Read the one call of a function in a text, whatever stands around it.

    Raises
    ------
    SpecificationError
        There is none, there are several, or it cannot be read.
    """
    tokens = tokenize(text)
    at = [
        i
        for i, (word, following) in enumerate(pairwise(tokens))
        if word.text.rpartition(":")[2] == function and following.text == "("
    ]
    if len(at) != 1:
        where = tokens[at[1]].position if at else 1
        refuse(where, f"the text has {len(at)} calls of {function}(), and one is read.")
    return _Reader(tokens[at[0] :], len(text) + 1).operand()


def parse(text: str, offset: int = 0) -> Node:
    """Read one expression of R, whole.

    Examples
    --------
    >>> parse("mm(id(a, b), RE = TRUE)").names
    ('', 'RE')
    """
    reader = _Reader(tokenize(text, offset), offset + len(text) + 1)
    node = reader.expression()
    if reader.here is not None:
        refuse(reader.position, f"{reader.here.text!r} is not expected here.")
    return node


class _Reader:
    """Reads words from the left; `at` is the place of the next one."""

    def __init__(self, tokens: list[Token], end: int) -> None:
        self.tokens, self.end, self.at, self.depth = tokens, end, 0, 0

    @property
    def here(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    @property
    def position(self) -> int:
        return self.end if self.here is None else self.here.position

    def is_next(self, text: str) -> bool:
        return self.here is not None and self.here.kind == "operator" and self.here.text == text

    def take(self, text: str) -> None:
        if not self.is_next(text):
            found = "the text ends" if self.here is None else f"{self.here.text!r} stands there"
            refuse(self.position, f"{text!r} is expected, and {found}.")
        self.at += 1

    def expression(self, least: int = 0) -> Node:
        self.depth += 1
        if self.depth > MOST_OPEN:
            refuse(self.position, f"more than {MOST_OPEN} calls or brackets inside one another.")
        left = self.operand()
        while self.here is not None and self.here.kind == "operator":
            word = "|>" if self.here.text.startswith("%") else self.here.text
            binding = _BINDING.get(word)
            if binding is None or binding < least:
                break
            position, text = self.here.position, self.here.text
            self.at += 1
            right = self.expression(binding + (word not in _RIGHT))
            left = Node("binary", text, (left, right), position=left.position or position)
        self.depth -= 1
        return left

    def operand(self) -> Node:
        token = self.here
        if token is None:
            refuse(self.end, "the text ends where a value is expected.")
        self.at += 1
        position = token.position
        if token.kind == "operator":
            if token.text == "(":
                inner = self.expression()
                self.take(")")
                return self.trailed(Node("paren", "(", (inner,), position=position))
            if token.text not in _PREFIX:
                refuse(position, f"a value is expected, and {token.text!r} stands there.")
            right = self.expression(_PREFIX[token.text])
            return Node("unary", token.text, (right,), position=position)
        if token.kind == "text":
            content = re.sub(r"\\(.)", r"\1", token.text[1:-1])
            return Node("text", content, position=position)
        kind = "name" if token.kind == "quoted" else token.kind
        value = token.text.strip("`").removesuffix("L" if kind == "number" else "")
        return self.trailed(Node(kind, value, position=position))

    def trailed(self, node: Node) -> Node:
        """Read the calls and indices that follow a value."""
        while self.is_next("(") or self.is_next("["):
            close = ")" if self.is_next("(") else "]"
            self.at += 1
            parts, names = self.arguments(close)
            value = node.value if close == ")" else f"{node.value}["
            kind = "call" if close == ")" else "index"
            node = Node(kind, value, tuple(parts), tuple(names), node.position)
        return node

    def arguments(self, close: str) -> tuple[list[Node], list[str]]:
        parts: list[Node] = []
        names: list[str] = []
        while not self.is_next(close):
            name = ""
            after = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else None
            named = self.here is not None and self.here.kind in ("name", "quoted", "text")
            if named and after is not None and (after.kind, after.text) == ("operator", "="):
                assert self.here is not None
                name = self.here.text.strip("`\"'")
                self.at += 2
            if name == OPAQUE:
                parts.append(self.opaque())
                names.append(name)
                continue
            empty = self.is_next(",") or self.is_next(close)
            if not (empty and close == ")" and not name):
                parts.append(Node("name", "", position=self.position) if empty else
                             self.expression())  # fmt: skip
                names.append(name)
            if not self.is_next(close):
                self.take(",")
        self.take(close)
        return parts, names

    def opaque(self) -> Node:
        """Skip an argument that is not read, such as a table and what is done to it."""
        position, opened = self.position, 0
        while self.here is not None:
            word = self.here.text if self.here.kind == "operator" else ""
            if not opened and word in (",", ")"):
                break
            opened += (word in ("(", "[", "{")) - (word in (")", "]", "}"))
            self.at += 1
        if self.is_next(","):
            self.at += 1
        return Node("opaque", "", position=position)


def written(node: Node, quote: bool = True) -> str:
    """Write a tree as text of the formulas and weights of this package.

    Parameters
    ----------
    node : Node
    quote : bool
        Whether names with a dot are put in backquotes.

    Examples
    --------
    >>> written(parse("I(x^2) + a.b:c"))
    'I(x^2) + `a.b`:c'
    """
    match node.kind:
        case "name":
            plain = node.value.replace("_", "").isalnum() and node.value.isascii()
            return f"`{node.value}`" if quote and not plain else node.value
        case "number":
            return node.value
        case "text":
            return repr(node.value)
        case "paren":
            return f"({written(node.parts[0], quote)})"
        case "unary":
            return f"{node.value}{written(node.parts[0], quote)}"
        case "binary":
            tight = node.value in ("^", "**", ":")
            joined = node.value if tight else f" {node.value} "
            return joined.join(written(part, quote) for part in node.parts)
        case "index":
            inside = ", ".join(written(part, quote) for part in node.parts)
            return f"{node.value}{inside}]"
    names = [f"{name} = " if name else "" for name in node.names]
    pairs = zip(names, node.parts, strict=True)
    inside = ", ".join(f"{name}{written(part, quote)}" for name, part in pairs)
    return f"{node.value}({inside})"
