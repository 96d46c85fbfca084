"""Which signs a weight can have whatever the free parameters: a static analysis.

A proven sign is what allows a logarithm, and a logarithm is what keeps a weight finite.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntFlag
from functools import reduce
from itertools import product

import numpy as np

from pymc_mlm.weights.tree import Apply, Node, Number, Piece


class Sign(IntFlag):
    """Set of signs that a value may have."""

    NEGATIVE = 1
    ZERO = 2
    POSITIVE = 4
    NONPOSITIVE = 3
    NONNEGATIVE = 6
    ANY = 7


def sign_of_number(value: float) -> Sign:
    """Return the sign of one number."""
    if value == 0:
        return Sign.ZERO
    return Sign.POSITIVE if value > 0 else Sign.NEGATIVE


def sign_of_array(values: np.ndarray) -> Sign:
    """Return the sign of data; a zero may come with new data, so it is always allowed for."""
    if (values >= 0).all():
        return Sign.NONNEGATIVE
    return Sign.NONPOSITIVE if (values <= 0).all() else Sign.ANY


def sign_of(node: Node, signs: Sequence[Sign]) -> Sign:
    """Return the signs that a normal form may have, given those of its pieces."""
    match node:
        case Number(value=value):
            return sign_of_number(value)
        case Piece(index=index):
            return signs[index]
        case Apply(op="**", args=(base, exponent)):
            return _sign_of_power(sign_of(base, signs), exponent)
        case Apply(op="+", args=args):
            return reduce(_add, (sign_of(arg, signs) for arg in args))
        case Apply(op="*", args=args):
            return reduce(_multiply, (sign_of(arg, signs) for arg in args))
        case Apply(op="exp" | "ilogit"):
            return Sign.POSITIVE
        case Apply(op="sum", args=(x,)):
            return _add(sign_of(x, signs), sign_of(x, signs))
        case Apply(op="sqrt" | "abs", args=(x,)):
            return _size(sign_of(x, signs))
    return Sign.ANY


def is_nonnegative(node: Node, signs: Sequence[Sign]) -> bool:
    """Tell whether a normal form is proven not to be negative."""
    return not sign_of(node, signs) & Sign.NEGATIVE


def _single(sign: Sign) -> list[Sign]:
    return [s for s in (Sign.NEGATIVE, Sign.ZERO, Sign.POSITIVE) if s & sign]


def _add(x: Sign, y: Sign) -> Sign:
    if Sign.NEGATIVE & (x | y) and Sign.POSITIVE & (x | y):
        return Sign.ANY
    sums = (a if b == Sign.ZERO else b for a, b in product(_single(x), _single(y)))
    return reduce(Sign.__or__, sums)


def _multiply(x: Sign, y: Sign) -> Sign:
    pairs = product(_single(x), _single(y))
    return reduce(Sign.__or__, (_sign_of_pair(a, b) for a, b in pairs))


def _sign_of_pair(a: Sign, b: Sign) -> Sign:
    if Sign.ZERO in (a, b):
        return Sign.ZERO
    return Sign.POSITIVE if a == b else Sign.NEGATIVE


def _size(x: Sign) -> Sign:
    return Sign.POSITIVE | (x & Sign.ZERO)


def is_even(exponent: Node) -> bool:
    """Tell whether an exponent is an even integer."""
    return isinstance(exponent, Number) and exponent.value % 2 == 0


def is_integer(exponent: Node) -> bool:
    """Tell whether an exponent is an integer."""
    return isinstance(exponent, Number) and exponent.value == int(exponent.value)


def _sign_of_power(base: Sign, exponent: Node) -> Sign:
    if is_even(exponent) or not base & Sign.NEGATIVE:
        return _size(base)
    return base if is_integer(exponent) else Sign.ANY
