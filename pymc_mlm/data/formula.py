"""Reads a model formula and refuses everything that is not one.

formulaic evaluates function calls in formulas as Python. Here every call is checked against a
short list first, so that a formula from a file or a web form cannot run anything.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from pymc_mlm.errors import SpecificationError

MAX_LENGTH = 4_000
MAX_DEPTH = 40

FUNCTIONS = (
    "C", "bs", "cc", "center", "cr", "cs", "exp", "log", "log10", "log2", "poly", "scale",
    "standardize",
)  # fmt: skip

_ALLOWED_NODES = (
    ast.Expression, ast.Call, ast.Name, ast.Load, ast.Constant, ast.keyword, ast.BinOp,
    ast.UnaryOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.USub, ast.UAdd, ast.List,
    ast.Tuple, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
)  # fmt: skip


@dataclass(frozen=True)
class Response:
    """Left-hand side of a formula.

    Attributes
    ----------
    kind : {"value", "survival"}
        One outcome column, or a time with an event indicator.
    columns : tuple of str
        The outcome column, or time and event; a survival outcome may have a time only.
    label : str
        The text as written.
    expression : str or None
        Transformation of one column, such as ``log(y)``, evaluated by formulaic.
    """

    kind: str
    columns: tuple[str, ...]
    label: str
    expression: str | None = None


@dataclass(frozen=True)
class Offset:
    """A column whose coefficient is fixed: ``fix(column, value)``."""

    column: str
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
        Right-hand side without the fixed terms, for formulaic.
    offsets : tuple of Offset
        Terms with a fixed coefficient.
    """

    text: str
    response: Response
    terms: str
    offsets: tuple[Offset, ...]


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
        The text is not a formula, or calls something that formulas may not call.

    Examples
    --------
    >>> parse_formula("y ~ 1 + x + fix(z, 0.5)").offsets
    (Offset(column='z', value=0.5),)
    """
    if not isinstance(text, str):
        raise SpecificationError(
            f"A formula is text such as 'y ~ 1 + x', not {type(text).__name__}."
        )
    _check_size(text)
    left, tilde, right = text.partition("~")
    if not tilde or "~" in right or not left.strip() or not right.strip():
        raise SpecificationError(
            f"{text!r} is not a formula with an outcome. Write it as 'outcome ~ 1 + covariate'."
        )
    terms, offsets = _take_offsets(right)
    return Formula(text.strip(), _response(left.strip(), text), terms, tuple(offsets))


def unreadable(formula: str, error: Exception) -> SpecificationError:
    """Say what is wrong with a formula that cannot be read, and offer backquotes for spaces."""
    reason = str(error).partition("\n")[0]
    if isinstance(error, SyntaxError):
        # Without Python's advice on Python, and the file and line that it adds.
        reason = error.msg.partition(". ")[0]
    words = re.search(r"\w+(?:\s+\w+)+", re.sub(r"`[^`]*`", "", formula))
    hint = f" A column name with spaces is written in backquotes: `{words[0]}`." if words else ""
    return SpecificationError(
        f"The formula {formula!r} cannot be read: {reason.rstrip('.')}.{hint}"
    )


def check_call(text: str, formula: str | None = None) -> ast.Expression:
    """Parse an expression inside a formula and refuse all but listed calls on columns.

    Parameters
    ----------
    text : str
        Python-like expression, for example ``"log(x)"``; backquoted names are allowed.
    formula : str, optional
        The whole formula, for the message.

    Returns
    -------
    ast.Expression
    """
    plain = re.sub(r"`[^`]*`", "quoted_name", text).strip().strip("{}")
    try:
        tree = ast.parse(plain, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise unreadable(formula or text, error) from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
            if name not in FUNCTIONS:
                raise SpecificationError(
                    f"{name!r} in the formula term {text!r} is not a known function. Formulas may "
                    f"call: {', '.join(FUNCTIONS)}; and Surv(time, event) on the left, "
                    "fix(column, value) as a term; mm(...) and hm(...) are arguments after the "
                    "formula. Compute anything else as a column first."
                )
        elif not isinstance(node, _ALLOWED_NODES):
            raise SpecificationError(
                f"{text!r} in the formula contains {type(node).__name__}, which formulas do not "
                "have. Compute it as a column of the table first."
            )
    return tree


def _check_size(text: str) -> None:
    if len(text) > MAX_LENGTH:
        raise SpecificationError(
            f"The formula has {len(text)} characters; the limit is {MAX_LENGTH}. Name fewer "
            "columns."
        )
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
        if depth < 0:
            break
    if deepest > MAX_DEPTH or depth != 0:
        what = "nests too deep" if deepest > MAX_DEPTH else "has unbalanced brackets"
        raise SpecificationError(f"The formula {what}: {text[:60]!r}. Simplify it.")
    if "__" in text and re.search(r"__\w+__", re.sub(r"`[^`]*`", "", text)):
        raise SpecificationError(
            "Names with double underscores on both sides are not columns of a formula; rename "
            "the column or write it in backquotes."
        )


def _response(text: str, formula: str) -> Response:
    call = re.fullmatch(r"Surv\s*\((.*)\)", text, flags=re.DOTALL)
    if call:
        columns = [_column(part) for part in call.group(1).split(",")]
        if len(columns) > 2 or None in columns:
            raise SpecificationError(
                f"{text!r} is not understood: write Surv(time, event) with two column names "
                "(or Surv(time) if every event was seen); event is 1 for an event and 0 for a "
                "right-censored time. A name with spaces is written in backquotes."
            )
        return Response("survival", tuple(c for c in columns if c is not None), text)
    name = _column(text)
    if name is not None:
        return Response("value", (name,), text)
    tree = check_call(text, formula)
    names = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id not in FUNCTIONS]
    if len(set(names)) != 1 or "`" in text:
        raise SpecificationError(
            f"The outcome {text!r} must be one column, a function of one column such as log(y), "
            "or Surv(time, event)."
        )
    return Response("value", (names[0],), text, expression=text)


def _column(text: str) -> str | None:
    """Return the column named by `text`, plain or in backquotes; None for anything else."""
    text = text.strip()
    quoted = re.fullmatch(r"`([^`]+)`", text)
    if quoted:
        return quoted.group(1)
    return text if text.isidentifier() else None


def _take_offsets(right: str) -> tuple[str, list[Offset]]:
    """Split top-level ``fix(...)`` terms off the right-hand side."""
    kept: list[str] = []
    offsets: list[Offset] = []
    for sign, term in _split_terms(right):
        call = re.fullmatch(r"fix\s*\((.*)\)", term, flags=re.DOTALL)
        if not call:
            kept.append(f"{sign} {term}")
            continue
        column, value = _fix_arguments(term, call.group(1))
        offsets.append(Offset(column, -value if sign == "-" else value))
    if any(re.search(r"\bfix\s*\(", term) for term in kept):
        raise SpecificationError(
            "fix(column, value) is a term of its own: 'y ~ 1 + x + fix(z, 1)'; it cannot stand "
            "inside another term."
        )
    terms = " ".join(kept).strip()
    return (terms[1:].strip() if terms.startswith("+") else terms) or "1", offsets


def _fix_arguments(term: str, arguments: str) -> tuple[str, float]:
    column, _, number = arguments.rpartition(",")
    name = _column(column)
    try:
        value = float(number)
    except ValueError:
        value = float("nan")
    if name is None or not abs(value) < float("inf"):
        raise SpecificationError(
            f"{term!r} is not understood: write fix(column, value) with a column name and a "
            "number, for example fix(exposure, 1). A name with spaces is written in backquotes."
        )
    return name, value


def _split_terms(text: str) -> list[tuple[str, str]]:
    """Split at plus and minus signs outside brackets and backquotes."""
    terms: list[tuple[str, str]] = []
    sign, current, depth, quoted = "+", "", 0, False
    for character in text:
        quoted ^= character == "`"
        depth += 0 if quoted else (character in "([{") - (character in ")]}")
        if character in "+-" and depth == 0 and not quoted:
            if current.strip():
                terms.append((sign, current.strip()))
            sign, current = character, ""
        else:
            current += character
    if current.strip():
        terms.append((sign, current.strip()))
    return terms
