"""Text of a weight expression -> syntax tree.

Checked tokens are rewritten (R's spelling, placeholders for names) and handed to Python's parser;
no name that the user wrote reaches `ast`, only whitelisted nodes leave it, and nothing is ever
evaluated as Python.
"""

from __future__ import annotations

import ast
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from pymc_mlm.errors import SpecificationError
from pymc_mlm.weights.fold import fold_constant
from pymc_mlm.weights.tokens import Token, check_order, refuse, tokenize
from pymc_mlm.weights.tree import (
    DEFAULT_PARAMETER,
    FUNCTIONS,
    GROUP_SIZE,
    KEYWORDS,
    NAME,
    REWRITTEN,
    TRUTH,
    Apply,
    Column,
    Comparison,
    GroupSize,
    Node,
    Number,
    Parameter,
    is_constant,
    is_free,
)

# Levels of the tree, so of the recursion over it: a sum of a hundred columns passes.
MAX_DEPTH = 100
# Beyond, the constant is a mistake: float32, through which PyTensor tries constants, ends at 3e38.
LARGEST = 1e30
# R binds `&` and `|` looser than comparisons, as Python's `and` and `or`, not as its `&` and `|`.
_PYTHON_SPELLING = {"^": "**", "&": "and", "|": "or"}
_BINARY = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
}
_COMPARE = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_INSTEAD = {
    "min": "fold columns only, or use a smooth one such as -log(sum(exp(-10 * ...))) / 10",
    "max": "fold columns only, or use a smooth one such as log(sum(exp(10 * ...))) / 10",
    "sd": "write the root of a mean of squares, such as sqrt(mean((z - mean(z)) ** 2))",
    "var": "write a mean of squares, such as mean((z - mean(z)) ** 2)",
    "iprobit": "ilogit(1.7 * z) is near to it",
    "icloglog": "write 1 - exp(-exp(z))",
    "logit": "write log(z / (1 - z))",
    "cloglog": "write log(-log(1 - z))",
    **dict.fromkeys(
        (
            "median",
            "range",
            "quantile",
            "first",
            "last",
            "scale",
            "probit",
            "round",
            "floor",
            "ceiling",
            "trunc",
        ),
        "apply it to columns only",
    ),
}
_INSTEAD_OF_A_STEP = "use a smooth step such as ilogit(10 * (x - b0))"


def parse(text: str, parameters: Collection[str] = ()) -> Node:
    """Read a weight expression.

    Parameters
    ----------
    text : str
        See `Expression` for the grammar.
    parameters : collection of str
        Names of free parameters besides ``b``, ``b0``, ..., ``b12``.

    Returns
    -------
    Node

    Raises
    ------
    SpecificationError
        The text is not a weight expression; the message names what is wrong and at which character.
    """
    tokens = tokenize(text)
    check_order(text, tokens)
    words = [_python_spelling(text, tokens, i) for i in range(len(tokens))]
    starts = list(accumulate((len(word) + 1 for word in words), initial=0))[:-1]
    reader = _Reader(text, tokens, starts, frozenset(parameters))
    return reader.read(reader.python_tree(" ".join(words)))


def _python_spelling(text: str, tokens: Sequence[Token], i: int) -> str:
    token = tokens[i]
    if token.kind == "number":
        if float(token.text) > LARGEST:
            refuse(text, token.position, f"{token.text} is too large a number; rescale the column")
        return repr(float(token.text))
    is_function = token.text in FUNCTIONS and [t.text for t in tokens[i + 1 : i + 2]] == ["("]
    if token.kind == "operator" or token.text in KEYWORDS or is_function:
        return _PYTHON_SPELLING.get(token.text, token.text)
    return f"_{i}"  # a placeholder: a column may be called `class` or `lambda`


@dataclass(frozen=True)
class _Reader:
    """Turns Python's tree of the rewritten text into ours.

    `starts` are the offsets of the tokens in the rewritten text.
    """

    text: str
    tokens: Sequence[Token]
    starts: Sequence[int]
    parameters: frozenset[str]

    def python_tree(self, rewritten: str) -> ast.expr:
        too_deep = f"more than {MAX_DEPTH} operators inside one another"
        try:
            root = ast.parse(rewritten, mode="eval").body
        except SyntaxError as error:
            refuse(self.text, self.position((error.offset or 1) - 1), "not an expression")
        except (RecursionError, MemoryError):
            refuse(self.text, 1, too_deep)
        level = [root]
        for _ in range(MAX_DEPTH):
            level = [
                child
                for node in level
                for child in ast.iter_child_nodes(node)
                if isinstance(child, ast.expr)
            ]
        if level:
            refuse(self.text, self.position(level[0].col_offset), too_deep)
        return root

    def position(self, offset: int) -> int:
        """Return where the word at an offset of the rewritten text stands in the user's text."""
        return self.tokens[max(bisect_right(self.starts, offset) - 1, 0)].position

    def read(self, node: ast.expr) -> Node:
        position = self.position(node.col_offset)
        match node:
            case ast.Constant(value=float(value)):
                return Number(value)
            case ast.Name(id=placeholder):
                return self.name(self.tokens[int(placeholder[1:])])
            case ast.UnaryOp(op=ast.UAdd(), operand=x):
                return self.read(x)
            case ast.UnaryOp(op=ast.USub(), operand=x):
                return self.apply("neg", [x], position)
            case ast.UnaryOp(op=ast.Not(), operand=x):
                return self.apply("not", [x], position)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return self.apply(_BINARY[type(op)], [left, right], position)
            case ast.BoolOp(op=op, values=values):
                logic = "and" if isinstance(op, ast.And) else "or"
                return self.apply(logic, values, position)
            case ast.Compare(left=left, ops=ops, comparators=right):
                args = tuple(self.read(x) for x in [left, *right])
                names = tuple(_COMPARE[type(op)] for op in ops)
                return self.checked(Comparison(names, args, position), position)
            case ast.Call(func=ast.Name(id=function), args=[*x], keywords=[]):
                return self.call(function, x, position)
        refuse(self.text, position, f"{type(node).__name__} has no place in a weight")

    def apply(self, op: str, operands: Sequence[ast.expr], position: int) -> Node:
        args = tuple(self.read(x) for x in operands)
        return self.checked(Apply(op, args, position), position)

    def call(self, function: str, operands: Sequence[ast.expr], position: int) -> Node:
        """Read a function; some are written in terms of others, which free parameters may enter."""

        def of(op: str, *args: Node) -> Node:
            return self.checked(Apply(op, args, position), position)

        if function not in REWRITTEN:
            node = self.apply(function, operands, position)
            if function == "quantile":
                self.require_probability(node, position)
            return node
        args = [self.read(x) for x in operands]
        match function:
            case "pow":
                return of("**", *args)
            case "log10":
                return of("/", of("log", *args), Number(float(np.log(10.0))))
        # The hyperbolic tangent.
        two = Number(2.0)
        return of("-", of("*", two, of("ilogit", of("*", two, *args))), Number(1.0))

    def require_probability(self, node: Node, position: int) -> None:
        """Refuse a quantile of anything but a constant from 0 to 1."""
        p = node.args[1] if isinstance(node, Apply) else node
        if not is_constant(p) or not 0 <= fold_constant(p) <= 1:
            refuse(self.text, position, "quantile(x, p) takes a probability from 0 to 1")

    def checked(self, node: Apply | Comparison, position: int) -> Node:
        op = node.ops[0] if isinstance(node, Comparison) else node.op
        step = isinstance(node, Comparison) or op in KEYWORDS
        if (step or op in _INSTEAD) and is_free(node):
            refuse(
                self.text,
                position,
                f"{op!r} of a free parameter has no useful gradient, so it cannot be estimated; "
                f"{_INSTEAD_OF_A_STEP if step else _INSTEAD[op]}",
            )
        if is_constant(node) and not abs(fold_constant(node)) <= LARGEST:
            refuse(self.text, position, f"the constant is not a finite number up to {LARGEST:g}")
        return node

    def name(self, token: Token) -> Node:
        word = token.text
        if token.kind == "quoted":
            return Column(word[1:-1], token.position)
        if word in TRUTH:
            return Number(TRUTH[word])
        if word == GROUP_SIZE:
            return GroupSize()
        if word in self.parameters or DEFAULT_PARAMETER.fullmatch(word):
            return Parameter(word)
        return Column(word, token.position)


def declare(parameters: Iterable[str]) -> tuple[str, ...]:
    """Return names of free parameters as a tuple, or say which cannot be one."""
    if isinstance(parameters, str):
        raise SpecificationError(
            f"parameters= must be a sequence of names, such as ({parameters!r},), not a str"
        )
    declared = tuple(parameters)
    for name in declared:
        if not _is_parameter_name(name):
            raise SpecificationError(
                f"parameters= names {name!r}, which cannot be a free parameter: a name is made of "
                "letters, digits and _, and is not n, TRUE, FALSE, a function or a logical word."
            )
    return declared


def _is_parameter_name(name: object) -> bool:
    taken = {GROUP_SIZE, *TRUTH, *KEYWORDS, *FUNCTIONS}
    return isinstance(name, str) and bool(NAME.fullmatch(name)) and name not in taken
