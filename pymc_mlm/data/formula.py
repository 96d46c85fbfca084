"""Reads a model formula: outcome, terms and fixed terms, as trees of a small closed language.

`docs/formulas.md` lists the language. Text is read here and nowhere else, and none of it is ever
run: formulaic, which codes the terms, is given texts that `pymc_mlm.data.formula_code` generates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from pymc_mlm.data.formula_calls import check_expression, check_factor, is_rowwise
from pymc_mlm.data.formula_syntax import parse
from pymc_mlm.data.formula_terms import MAX_OPERATORS, Term, expand, summands
from pymc_mlm.data.formula_tokens import Token, shown, tokenize
from pymc_mlm.data.formula_tree import (
    Call,
    Node,
    Number,
    Text,
    Unary,
    column_names,
    depth,
    label,
    walk,
)
from pymc_mlm.errors import SpecificationError

_FIXED = ("fix", "offset")


@dataclass(frozen=True)
class Response:
    """Left-hand side of a formula.

    Attributes
    ----------
    kind : {"value", "survival"}
        One outcome, or a time with an event indicator.
    columns : tuple of str
        Columns that it reads.
    label : str
        The text as written.
    parts : tuple of Node
        Expression of the outcome; or of time and event, where a survival outcome may have a time
        only, or of start, stop and event.
    """

    kind: str
    columns: tuple[str, ...]
    label: str
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Offset:
    """A term whose coefficient is fixed: ``fix(column, value)``, or ``offset(column)`` for 1."""

    expression: Node
    value: float


@dataclass(frozen=True)
class Formula:
    """A parsed model formula.

    Attributes
    ----------
    text : str
        As written.
    response : Response
        Left-hand side.
    terms : str
        Right-hand side without the fixed terms.
    offsets : tuple of Offset
        Terms with a fixed coefficient.
    intercept : bool
        Whether the right-hand side has an intercept.
    products : tuple of tuple of Node
        Factors of each free term.
    """

    text: str
    response: Response
    terms: str
    offsets: tuple[Offset, ...]
    intercept: bool
    products: tuple[Term, ...]


def parse_formula(text: str) -> Formula:
    """Split a formula into its outcome, its free terms and its fixed terms.

    Parameters
    ----------
    text : str
        For example ``"Surv(weeks, ended) ~ 1 + majority + fix(exposure, 1)"``.

    Returns
    -------
    Formula

    Raises
    ------
    SpecificationError
        The text is not a formula, calls something that formulas may not call, or makes more terms
        than the limit.

    Examples
    --------
    >>> formula = parse_formula("y ~ 1 + x * f + fix(z, 0.5)")
    >>> formula.terms, formula.offsets
    ('1 + x * f', (Offset(expression=Column(name='z'), value=0.5),))
    >>> len(formula.products)
    3
    """
    if not isinstance(text, str):
        raise SpecificationError(
            f"A formula is text such as 'y ~ 1 + x', not {type(text).__name__}."
        )
    return _parsed(str(text))


# A specification is made more than once on the way to a fit, its formula read once.
@lru_cache(maxsize=256)
def _parsed(text: str) -> Formula:
    tokens = tokenize(text)
    tildes = [i for i, token in enumerate(tokens) if token.text == "~" and token.kind == "operator"]
    if len(tildes) != 1 or tildes[0] in (0, len(tokens) - 1):
        raise SpecificationError(
            f"{shown(text)} is not a formula with an outcome. Write it as 'outcome ~ 1 + "
            "covariate'."
        )
    response = _response(text, tokens[: tildes[0]])
    formula = _right_hand_side(text, tokens[tildes[0] + 1 :], response)
    among = [part for part in response.parts if (part,) in formula.products]
    if among:
        raise SpecificationError(
            f"The outcome {label(among[0])!r} of {shown(text)} is among its own covariates. Leave "
            "it out on the right."
        )
    return formula


def parse_terms(text: str) -> Formula:
    """Read a right-hand side: terms without an outcome.

    Parameters
    ----------
    text : str
        For example ``"1 + x * f"``; a tilde may come first.

    Returns
    -------
    Formula
        With an outcome that reads nothing.

    Raises
    ------
    SpecificationError
        As `parse_formula`.

    Examples
    --------
    >>> len(parse_terms("1 + x * f").products)
    3
    """
    if not isinstance(text, str):
        raise SpecificationError(f"Terms are text such as '1 + x', not {type(text).__name__}.")
    return _parsed_terms(str(text))


@lru_cache(maxsize=256)
def _parsed_terms(text: str) -> Formula:
    tokens = tokenize(text)
    if tokens and tokens[0] == Token("operator", "~", tokens[0].position):
        tokens = tokens[1:]
    if not tokens:
        raise SpecificationError(f"{shown(text)} names no terms. Write '1 + covariate'.")
    return _right_hand_side(text, tokens, Response("value", (), "", ()))


def _right_hand_side(text: str, tokens: Sequence[Token], response: Response) -> Formula:
    parts = summands(parse(text, tokens))
    offsets = tuple(_offset(sign, part) for sign, part in parts if _is_fixed(part))
    free = [(sign, part) for sign, part in parts if not _is_fixed(part)]
    for _, part in free:
        _refuse_fixed_inside(part)
    intercept, products = expand(free)
    for factor in dict.fromkeys(factor for term in products for factor in term):
        check_factor(factor)
    return Formula(text.strip(), response, _sum(free), offsets, intercept, products)


def _sum(parts: Sequence[tuple[str, Node]]) -> str:
    """Return signed parts as text."""
    if not parts:
        return "1"
    text = " ".join(f"{sign} {label(part)}" for sign, part in parts)
    return text.removeprefix("+ ")


def _response(formula: str, tokens: Sequence[Token]) -> Response:
    tree = parse(formula, tokens)
    text = formula.partition("~")[0].strip() if "`" not in formula else label(tree)
    if depth(tree) > MAX_OPERATORS:
        raise SpecificationError(
            f"The outcome has more than {MAX_OPERATORS} operators inside one another; compute it "
            "as a column of the table first."
        )
    if isinstance(tree, Call) and tree.function == "Surv":
        return _survival(tree, text)
    if any(isinstance(part, Call) and part.function == "Surv" for part in walk(tree)):
        raise SpecificationError(f"{text!r}: Surv(time, event) is an outcome of its own.")
    if not column_names(tree):
        raise SpecificationError(
            f"The outcome {text!r} must be one column, an expression of columns such as log(y), "
            "or Surv(time, event)."
        )
    check_expression(tree)
    return Response("value", column_names(tree), text, (tree,))


def _survival(call: Call, text: str) -> Response:
    if call.keywords or not 1 <= len(call.args) <= 3 or not all(map(column_names, call.args)):
        raise SpecificationError(
            f"{text!r} is not understood: write Surv(time, event) with two columns (or Surv(time) "
            "if every event was seen, or Surv(start, stop, event) if a row is watched from start "
            "on); event is 1 for an event and 0 for a right-censored time. "
            "A name with spaces is written in backquotes."
        )
    for part in call.args:
        check_expression(part)
    names = dict.fromkeys(name for part in call.args for name in column_names(part))
    return Response("survival", tuple(names), text, call.args)


def _is_fixed(part: Node) -> bool:
    return isinstance(part, Call) and part.function in _FIXED


def _refuse_fixed_inside(part: Node) -> None:
    inside = [x for x in walk(part) if _is_fixed(x)]
    if inside:
        raise SpecificationError(
            f"{label(inside[0])} is a term of its own: 'y ~ 1 + x + fix(z, 1)'; it cannot stand "
            "inside another term."
        )


def _offset(sign: str, call: Node) -> Offset:
    assert isinstance(call, Call)
    takes = 2 if call.function == "fix" else 1
    value = _number(call.args[1]) if len(call.args) == takes == 2 else 1.0
    if len(call.args) != takes or call.keywords or value is None:
        raise SpecificationError(
            f"{label(call)!r} is not understood: write fix(column, value) with a column and a "
            "number, for example fix(exposure, 1), or offset(column) for the value 1. A name with "
            "spaces is written in backquotes."
        )
    expression = call.args[0]
    if isinstance(expression, Text | Number):
        raise SpecificationError(f"{label(call)!r} names no column: write fix(column, value).")
    check_expression(expression, call)
    if not is_rowwise(expression):
        raise SpecificationError(
            f"{label(call)!r}: a fixed term is computed row by row, without a mean of all rows. "
            "Compute it as a column of the table first."
        )
    return Offset(expression, -value if sign == "-" else value)


def _number(node: Node) -> float | None:
    match node:
        case Number(value=value):
            return value
        case Unary(op=op, operand=Number(value=value)):
            return -value if op == "-" else value
    return None
