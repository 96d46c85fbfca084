"""Algebra of terms: the right-hand side of a formula as products of factors (Wilkinson & Rogers).

The terms are counted while they are multiplied out, so that a short text cannot become a million
of them.

References
----------
Wilkinson, G. N. & Rogers, C. E. (1973). Symbolic description of factorial models for analysis of
variance. Applied Statistics 22, 392-399.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pymc_mlm.data.formula_tree import (
    Binary,
    Call,
    Column,
    Node,
    Number,
    Text,
    Unary,
    depth,
    label,
)
from pymc_mlm.errors import SpecificationError

MAX_TERMS = 500
MAX_FACTORS = 6  # in one product
MAX_OPERATORS = 100  # inside one another
# Products that are formed while a term is multiplied out.
MAX_PRODUCTS = 20_000

Term = tuple[Node, ...]
Terms = dict[frozenset[Node], Term]


def summands(tree: Node) -> list[tuple[str, Node]]:
    """Split a sum into its parts, each with its sign.

    Examples
    --------
    >>> [(sign, label(part)) for sign, part in summands(Binary("-", Column("x"), Number(1.0)))]
    [('+', 'x'), ('-', '1')]
    """
    parts: list[tuple[str, Node]] = []
    # Along the left: a sum of a thousand columns is a tree as deep.
    while isinstance(tree, Binary) and tree.op in "+-":
        parts.append(_signed(tree.op, tree.right))
        tree = tree.left
    parts.append(_signed("+", tree))
    parts.reverse()
    if len(parts) == 1 and isinstance(parts[0][1], Binary) and parts[0][1].op in "+-":
        return summands(parts[0][1]) if parts[0][0] == "+" else parts
    return parts


def expand(parts: Iterable[tuple[str, Node]]) -> tuple[bool, tuple[Term, ...]]:
    """Multiply out the parts of a right-hand side.

    Parameters
    ----------
    parts : iterable of (sign, Node)
        From `summands`.

    Returns
    -------
    intercept : bool
        Whether there is one.
    terms : tuple of tuple of Node
        Factors of each term; terms with fewer factors first.

    Raises
    ------
    SpecificationError
        A part is no term, removes what is not there, or makes too many terms.
    """
    intercept, found = True, Terms()
    for sign, part in parts:
        if isinstance(part, Number):
            intercept = _intercept(sign, part)
        else:
            _merge(found, sign, _terms(part), part)
    _check_count(len(found))
    return intercept, tuple(sorted(found.values(), key=len))


def term_label(term: Term) -> str:
    """Return a term as text."""
    return ":".join(_factor_label(factor) for factor in term)


def _factor_label(factor: Node) -> str:
    # formulaic's labels: a column has no backquotes, also where its name has blanks.
    return factor.name if isinstance(factor, Column) else label(factor)


def _signed(sign: str, part: Node) -> tuple[str, Node]:
    while isinstance(part, Unary):
        sign, part = ("-" if sign != part.op else "+"), part.operand
    return sign, part


def _intercept(sign: str, part: Number) -> bool:
    if part.value == 1:
        return sign == "+"
    if part.value == 0 and sign == "+":
        return False
    raise SpecificationError(
        f"{sign} {label(part)} is no term of a formula: a number is 1, for the intercept, or 0, "
        "for none. Write arithmetic as I(x + 2), and a fixed coefficient as fix(column, 2)."
    )


def _merge(found: Terms, sign: str, terms: Terms, part: Node) -> None:
    if sign == "+":
        for key, term in terms.items():
            found.setdefault(key, term)
        return
    for key, term in terms.items():
        if key not in found:
            raise SpecificationError(
                f"'- {label(part)}' removes {term_label(term)!r}, which is no term before it. "
                "Write the negative of a column as I(-x)."
            )
        del found[key]


def _terms(part: Node) -> Terms:
    if depth(part) > MAX_OPERATORS:
        raise SpecificationError(
            f"A term has more than {MAX_OPERATORS} operators inside one another; compute it as a "
            "column of the table first."
        )
    return _multiplied(part)


def _multiplied(part: Node) -> Terms:
    match part:
        case Column() | Call():
            return {frozenset((part,)): (part,)}
        case Binary(op="+" | "-" as op, left=left, right=right):
            found = _multiplied(left)
            _merge(found, op, _multiplied(right), right)
            if not found:
                raise SpecificationError(f"'{label(part)}' removes every term in its bracket.")
            return found
        case Binary(op="*" | ":" | "/" as op, left=left, right=right):
            a, b = _multiplied(left), _multiplied(right)
            _refuse_square(part, a, b)
            return _product(op, a, b)
        case Binary(op="**", left=left, right=right):
            return _power(part, _multiplied(left), right)
        case Number() | Unary(operand=Number()):
            raise SpecificationError(
                f"{label(part)} cannot stand inside a product or a bracket of terms: * and : cross "
                "columns. Write arithmetic as I(2 * x), and the intercept as a term of its own."
            )
    what = "text is no term" if isinstance(part, Text) else "that is no term"
    raise SpecificationError(
        f"{label(part)} stands among the terms of a formula, but {what}. Terms are columns, "
        "functions such as log(x), and their products; write arithmetic as I(...)."
    )


def _product(op: str, a: Terms, b: Terms) -> Terms:
    if op == ":":
        return _crossed(a.values(), b.values())
    if op == "*":
        return _union(a, b, _crossed(a.values(), b.values()))
    everything = tuple(dict.fromkeys(factor for term in a.values() for factor in term))
    return _union(a, _crossed([everything], b.values()))


def _union(*parts: Terms) -> Terms:
    """Put terms together; of a:b and b:a the first is kept."""
    found: Terms = {}
    for part in parts:
        for key, term in part.items():
            found.setdefault(key, term)
    return found


def _crossed(a: Iterable[Term], b: Iterable[Term]) -> Terms:
    found: Terms = {}
    for term in _pairs(list(a), list(b)):
        found.setdefault(frozenset(term), term)
        if len(term) > MAX_FACTORS:
            raise SpecificationError(
                f"The formula makes the product {term_label(term)[:80]!r} of more than "
                f"{MAX_FACTORS} factors; the limit is {MAX_FACTORS}. Name the products that you "
                "need."
            )
        _check_count(len(found))
    return found


def _pairs(a: list[Term], b: list[Term]) -> Iterator[Term]:
    if len(a) * len(b) > MAX_PRODUCTS:
        _check_count(len(a) * len(b))
    for first in a:
        for second in b:
            yield tuple(dict.fromkeys((*first, *second)))


def _check_count(count: int) -> None:
    if count > MAX_TERMS:
        raise SpecificationError(
            f"The formula makes {count} or more terms; the limit is {MAX_TERMS}. Name the products "
            "that you need, such as a:b."
        )


def _power(part: Node, base: Terms, exponent: Node) -> Terms:
    value = exponent.value if isinstance(exponent, Number) else 0.0
    if not value.is_integer() or not 1 <= value <= MAX_FACTORS:
        raise SpecificationError(
            f"{label(part)}: the power of a sum of terms is a whole number from 1 to "
            f"{MAX_FACTORS}, as in (a + b)^2. Write the power of a column as I(x^2)."
        )
    found = base
    for _ in range(int(value) - 1):
        _refuse_square(part, base, base)
        found = _crossed(found.values(), base.values())
    return found


def _refuse_square(part: Node, a: Terms, b: Terms) -> None:
    """Refuse x^2, x * x and x:x: a column crossed with itself is itself, which nobody means."""
    if len(a) == 1 and a == b:
        name = term_label(next(iter(a.values())))
        raise SpecificationError(
            f"{label(part)} is {name!r} crossed with itself, which is {name!r} alone. Write the "
            f"square as I({name}^2)."
        )
