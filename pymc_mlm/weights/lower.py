"""A normal form -> the operations to write, in the logarithm wherever the sign allows it.

log(1 / n ** exp(b x)) = -exp(b x) log n, log ilogit(z) = -softplus(-z), log exp(z) = z: the
weight itself may over- or underflow, its logarithm does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, log

from pymc_mlm.errors import SpecificationError
from pymc_mlm.weights.normal import MINUS_ONE, product
from pymc_mlm.weights.sign import Sign, is_even, is_integer, is_nonnegative, sign_of
from pymc_mlm.weights.tree import Apply, Node, Number, Parameter, Piece, is_free, unparse


@dataclass(frozen=True, slots=True)
class Array:
    """A piece of data as the graph needs it.

    `finite` is asked of a logarithm that divides or meets a free exponent: zero has none there.
    It is a check of the data, so it does not distinguish two arrays.
    """

    index: int
    is_log: bool = False
    finite: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of `emit.py` on lowered operands."""

    op: str
    args: tuple[Lowered, ...]


Lowered = Array | Number | Parameter | Step


def arrays(lowered: Lowered) -> list[Array]:
    """Return the arrays that a lowered expression reads, with repetitions."""
    if isinstance(lowered, Step):
        return [array for arg in lowered.args for array in arrays(arg)]
    return [lowered] if isinstance(lowered, Array) else []


@dataclass(frozen=True)
class Lowering:
    """Lowers parts of one normal form, given the signs of its pieces.

    Attributes
    ----------
    pieces : sequence of Node
        What the pieces stand for, for messages.
    signs : sequence of Sign
        What is known of each piece.
    """

    pieces: Sequence[Node]
    signs: Sequence[Sign]

    def whole(self, node: Node) -> Lowered:
        """Lower to the logarithm if the node is proven not to be negative, else to the value."""
        return self.log(node) if self.nonnegative(node) else self.value(node)

    def nonnegative(self, node: Node) -> bool:
        """Tell whether a node is proven not to be negative."""
        return is_nonnegative(node, self.signs)

    def value(self, node: Node) -> Lowered:
        """Lower to the value of a node."""
        match node:
            case Number() | Parameter():
                return node
            case Piece(index=index):
                return Array(index)
            case Apply(op="*", args=args) if any(map(_is_power, args)) and all(
                map(self.nonnegative, args)
            ):
                return Step("exp", (self.log(node),))  # a quotient of two that may overflow
            case Apply(op="+" | "*" | "abs" | "ilogit" | "sum" | "exp" as op, args=args):
                return Step(op, tuple(self.value(arg) for arg in args))
            case Apply(op="log", args=(x,)):
                self.require_nonnegative(x, "the logarithm")
                return self.log(x, zero=False)
            case Apply(op="**", args=(base, Number() as exponent)) if is_integer(exponent) and not (
                self.nonnegative(base) and exponent.value < 0
            ):
                return Step("**", (self.value(base), exponent))
            case Apply(op="**", args=(base, _)):
                self.require_nonnegative(base, "the power")
                return Step("exp", (self.log(node),))
            case Apply(op="sqrt", args=(x,)):
                self.require_nonnegative(x, "the square root")
                return Step("exp", (self.log(node),))
        raise TypeError(f"no value for {node!r}")

    def log(self, node: Node, zero: bool = True) -> Lowered:
        """Lower to the logarithm of a node that is not negative; `zero` allows -inf in data."""
        match node:
            case Number(value=value):
                return Number(log(value) if value > 0 else -inf)
            case Piece(index=index):
                return Array(index, is_log=True, finite=not zero)
            case Apply(op="+", args=args) if all(map(self.nonnegative, args)):
                return Step("log_sum", tuple(self.log(arg) for arg in args))
            case Apply(op="*", args=args) if all(map(self.nonnegative, args)):
                return _added(*(self.log(arg, zero) for arg in args))
            case Apply(op="**", args=(base, exponent)):
                return self.log_power(base, exponent, zero)
            case Apply(op="exp", args=(z,)):
                return self.value(z)
            case Apply(op="ilogit", args=(z,)):
                return _negated(Step("softplus", (self.value(product(MINUS_ONE, z)),)))
            case Apply(op="sqrt", args=(x,)):
                self.require_nonnegative(x, "the square root")
                return Step("*", (Number(0.5), self.log(x, zero)))
            case Apply(op="abs", args=(x,)) if self.nonnegative(x):
                return self.log(x, zero)
            case Apply(op="sum", args=(x,)) if self.nonnegative(x):
                return Step("log_group_sum", (self.log(x),))
        return Step("log", (self.value(node),))

    def log_power(self, base: Node, exponent: Node, zero: bool) -> Lowered:
        """Lower log(base ** exponent)."""
        if is_even(exponent) and not self.nonnegative(base):
            size = Step("abs", (self.value(base),))
            return Step("*", (self.value(exponent), Step("log", (size,))))
        self.require_nonnegative(base, "the power")
        positive = sign_of(exponent, self.signs) == Sign.POSITIVE
        # 0 ** exp(b) is 0, but exp(b) * log(0) has the gradient -inf.
        op = "scale_log" if positive and zero and is_free(exponent) else "*"
        factor = self.log(base, zero=zero and positive)
        if op == "*" and exponent == MINUS_ONE:
            return _negated(factor)
        return Step(op, (self.value(exponent), factor))

    def require_nonnegative(self, node: Node, what: str) -> None:
        """Refuse what would be NaN for some parameters."""
        if not self.nonnegative(node):
            text = unparse(self.with_data(node))
            raise SpecificationError(
                f"{what} of {text!r} in a weight is not a number where {text!r} is negative, and "
                f"it may be, depending on parameters or data; write abs({text}), or exp(...) for "
                "a quantity that must be positive."
            )

    def with_data(self, node: Node) -> Node:
        """Put the data back into a normal form."""
        match node:
            case Piece(index=index):
                return self.pieces[index]
            case Apply(op=op, args=args):
                return Apply(op, tuple(self.with_data(arg) for arg in args))
        return node


def _is_power(node: Node) -> bool:
    return isinstance(node, Apply) and node.op == "**"


def _added(*terms: Lowered) -> Lowered:
    kept = tuple(term for term in terms if term != Number(0.0))
    return kept[0] if len(kept) == 1 else Step("+", kept)


def _negated(x: Lowered) -> Lowered:
    return Step("neg", (x,))
