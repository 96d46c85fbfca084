"""Text of a formula -> syntax tree, by the precedence of R: ^, sign, :, * and /, + and -.

Nothing is evaluated, and Python's parser never sees the text.
"""

from __future__ import annotations

from collections.abc import Sequence as Words
from dataclasses import dataclass

from pymc_mlm.data.formula_tokens import Token, refuse
from pymc_mlm.data.formula_tree import (
    COMPARISONS,
    PRECEDENCE,
    SIGN,
    Binary,
    Call,
    Column,
    Node,
    Number,
    Sequence,
    Text,
    Unary,
)

# Levels of recursion, of which Python allows about a thousand.
MAX_LEVELS = 150
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_END = Token("end", "", 0)


def parse(formula: str, tokens: Words[Token]) -> Node:
    """Read one side of a formula.

    Parameters
    ----------
    formula : str
        The whole text, for messages.
    tokens : sequence of Token
        Words of that side.

    Returns
    -------
    Node

    Raises
    ------
    SpecificationError
        The words are no expression; the message names the character.
    """
    reader = _Reader(formula, tokens)
    tree = reader.expression(0)
    if reader.next.kind != "end":
        refuse(formula, reader.next.position, f"{reader.next.text!r} has no place after a value")
    return tree


@dataclass
class _Reader:
    """A place in the words of a formula."""

    formula: str
    tokens: Words[Token]
    place: int = 0
    level: int = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.place] if self.place < len(self.tokens) else _END

    def take(self) -> Token:
        token = self.next
        self.place += 1
        return token

    def expect(self, text: str) -> None:
        token = self.take()
        if token.kind != "operator" or token.text != text:
            found = repr(token.text) if token.text else "the end"
            self.refuse(token, f"{text!r} is expected where {found} stands")

    def refuse(self, token: Token, problem: str) -> None:
        refuse(self.formula, token.position or len(self.formula) + 1, problem)

    def expression(self, loosest: int) -> Node:
        """Read operands while the operators between them bind at least so tightly."""
        self.level += 1
        if self.level > MAX_LEVELS:
            self.refuse(self.next, f"more than {MAX_LEVELS} operators are inside one another")
        left = self.operand()
        while self.next.kind == "operator" and PRECEDENCE.get(self.next.text, -1) >= loosest:
            token = self.take()
            own = PRECEDENCE[token.text]
            left = Binary(token.text, left, self.expression(own + (token.text != "**")))
            if token.text in COMPARISONS and self.next.text in COMPARISONS:
                self.refuse(self.next, "a comparison has two sides")
        self.level -= 1
        return left

    def operand(self) -> Node:
        token = self.take()
        match token:
            case Token(kind="number", text=text):
                return Number(float(text), text)
            case Token(kind="text", text=text):
                return Text(text)
            case Token(kind="column", text=text):
                return Column(text)
            case Token(kind="name", text=text):
                return self.call(text) if self.next == self.opened() else Column(text)
            case Token(kind="operator", text="+" | "-" as sign):
                return Unary(sign, self.expression(SIGN))
            case Token(kind="operator", text="(" | "[" | "{" as bracket):
                return self.bracket(bracket)
        found = f"before {token.text!r}" if token.text else "at the end"
        self.refuse(token, f"a value is missing {found}")
        raise AssertionError

    def opened(self) -> Token:
        return Token("operator", "(", self.next.position)

    def bracket(self, opening: str) -> Node:
        if opening == "[":
            return Sequence(self.items("]"))
        inner = self.expression(0)
        self.expect(_CLOSING[opening])
        if self.next == self.opened():
            self.refuse(self.next, "what is called is not a known function")
        return Call("{}", (inner,)) if opening == "{" else inner

    def items(self, closing: str) -> tuple[Node, ...]:
        found = []
        while self.next.text != closing or self.next.kind != "operator":
            found.append(self.expression(0))
            if self.next.text != closing:
                self.expect(",")
        self.expect(closing)
        return tuple(found)

    def call(self, name: str) -> Node:
        name = name.removeprefix("numpy.").removeprefix("np.")
        self.expect("(")
        args: list[Node] = []
        keywords: list[tuple[str, Node]] = []
        while not (self.next.kind == "operator" and self.next.text == ")"):
            ahead = self.tokens[self.place + 1 : self.place + 2]
            if self.next.kind == "name" and [t.text for t in ahead if t.kind == "operator"] == [
                "="
            ]:
                keywords.append((self.take().text, self.named()))
            elif keywords:
                self.refuse(self.next, "an argument without a name follows one with a name")
            else:
                args.append(self.expression(0))
            if not (self.next.kind == "operator" and self.next.text == ")"):
                self.expect(",")
        self.expect(")")
        if self.next == self.opened():
            self.refuse(self.next, "what is called is not a known function")
        return Sequence(tuple(args)) if name == "c" and not keywords else Call(
            name, tuple(args), tuple(keywords))  # fmt: skip

    def named(self) -> Node:
        self.expect("=")
        return self.expression(0)
